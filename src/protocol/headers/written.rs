//! `Written`: a small map to which entries were only added, in its wire form: sending it copies it once.

use super::Entry;
use crate::protocol::header_name::HeaderName;
use crate::protocol::header_text::Given;
use crate::protocol::header_value::HeaderValue;
use std::sync::OnceLock;

/// The version line of a block.
const VERSION: &str = "NATS/1.0\r\n";

const CRLF: &str = "\r\n";

/// Room for two or three usual headers, in bytes.
const USUAL: usize = 128;

/// The longest block, in bytes. A larger map is kept as entries: looking for a name reads all of this.
const MOST: usize = 1024;

/// A block with at least one entry, all of them legal to send.
#[derive(Clone)]
pub(super) struct Written {
    /// From the version to the empty line.
    block: String,
    /// The entries, for whoever looks at them; made on first use.
    read: OnceLock<Vec<Entry>>,
}

impl Written {
    /// With a first entry, whose parts are legal. `None`: it is too long.
    pub(super) fn begin(name: &str, value: &str) -> Option<Self> {
        let len = VERSION.len() + line_len(name, value) + CRLF.len();
        if len > MOST {
            return None;
        }
        let mut block = String::with_capacity(len.max(USUAL));
        block.push_str(VERSION);
        push_line(&mut block, name, value);
        Some(Self { block, read: OnceLock::new() })
    }

    /// Whether [`push`](Self::push) is the way to add this entry.
    #[inline]
    pub(super) fn takes(&self, name: &str, value: &str) -> bool {
        self.block.len() + line_len(name, value) <= MOST && self.read.get().is_none()
    }

    /// Adds an entry whose parts are legal.
    #[inline]
    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.block.truncate(self.block.len() - CRLF.len());
        push_line(&mut self.block, name, value);
    }

    /// The block.
    #[inline]
    pub(super) fn block(&self) -> &[u8] {
        self.block.as_bytes()
    }

    /// Whether there is an entry of that name.
    #[inline]
    pub(super) fn has(&self, name: &str) -> bool {
        let mut rest = self.block.as_bytes().get(VERSION.len()..).unwrap_or_default();
        loop {
            // No name contains a colon.
            if rest.get(name.len()) == Some(&b':') && rest.starts_with(name.as_bytes()) {
                return true;
            }
            let Some(end) = memchr::memchr(b'\n', rest) else { return false };
            rest = rest.get(end + 1..).unwrap_or_default();
        }
    }

    /// The entries in order.
    pub(super) fn entries(&self) -> &[Entry] {
        self.read.get_or_init(|| read(&self.block))
    }

    /// The entries, for changes of other kinds.
    pub(super) fn take_entries(&mut self) -> Vec<Entry> {
        self.read.take().unwrap_or_else(|| read(&self.block))
    }
}

fn line_len(name: &str, value: &str) -> usize {
    name.len() + ": ".len() + value.len() + CRLF.len()
}

/// Appends a line, and the empty line.
#[inline]
fn push_line(block: &mut String, name: &str, value: &str) {
    block.reserve(line_len(name, value) + CRLF.len());
    block.push_str(name);
    block.push_str(": ");
    block.push_str(value);
    block.push_str("\r\n\r\n");
}

/// Unlike a received block, its values begin and end with the blanks that the program gave them.
fn read(block: &str) -> Vec<Entry> {
    let lines = block.strip_prefix(VERSION).unwrap_or_default().split_terminator(CRLF);
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let mut entries = Vec::new();
    for (name, value) in pairs {
        entries.push((HeaderName::blank(), HeaderValue::blank()));
        if let Some(entry) = entries.last_mut() {
            entry.0.fill(Given::Text(name));
            entry.1.fill(Given::Text(value));
        }
    }
    entries
}
