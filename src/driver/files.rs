//! Reads files, on threads where blocking is allowed. The only place that opens files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::blocking::Thread;
#[cfg(feature = "nkeys")]
use crate::protocol::Secret;
use crate::protocol::shown;

/// The largest file that is read: a path may lead to an endless device. Arbitrary; a bundle of all public authorities
/// has 300 kB.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// The UTF-8 byte order mark, which some editors write.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A path in errors and in the log, with hidden characters escaped.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(&path.display().to_string()).to_string()
}

impl Thread {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The system's error; of kind `InvalidData` if the file is larger than [`LARGEST_FILE`].
    pub(crate) fn read(&self, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
        let file = File::open(path)?;
        let expected = file.metadata().map_or(0, |metadata| metadata.len()).min(LARGEST_FILE);
        // A growing buffer would leave copies of a secret in memory.
        let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(expected).unwrap_or(0).max(8 * 1024) + 1));
        file.take(LARGEST_FILE + 1).read_to_end(&mut content)?;
        if content.len() as u64 > LARGEST_FILE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is larger than 16 MiB"));
        }
        without_marks(&mut content);
        Ok(content)
    }

    /// Reads a file that must be UTF-8.
    ///
    /// # Errors
    ///
    /// As [`read`](Thread::read); of kind `InvalidData` if the file is not UTF-8.
    #[cfg(feature = "nkeys")]
    pub(crate) fn read_text(&self, path: &Path) -> io::Result<Secret> {
        let content = self.read(path)?;
        let text = std::str::from_utf8(&content)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8"))?;
        Ok(Secret::from(text))
    }
}

/// Removes byte order marks at the beginning of lines: each file of a concatenated bundle may have one.
fn without_marks(content: &mut Vec<u8>) {
    let begins = |content: &[u8], at: usize| {
        content.get(at..).is_some_and(|rest| rest.starts_with(BYTE_ORDER_MARK))
            && (at == 0 || content.get(at - 1) == Some(&b'\n'))
    };
    let (mut from, mut to) = (0, 0);
    while from < content.len() {
        if begins(content, from) {
            from += BYTE_ORDER_MARK.len();
        }
        // The next line, including its end.
        let rest = content.get(from..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        content.copy_within(from..from + length, to);
        (from, to) = (from + length, to + length);
    }
    content.truncate(to);
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fault B4
    #[test]
    fn byte_order_marks_are_removed_at_the_beginning_of_lines() {
        for (content, left) in [
            ("", ""),
            ("\u{feff}", ""),
            ("\u{feff}-----BEGIN", "-----BEGIN"),
            ("\u{feff}a\r\nb\n\u{feff}c\n\u{feff}\nd", "a\r\nb\nc\n\nd"),
            ("a\u{feff}b\n\n c", "a\u{feff}b\n\n c"),
        ] {
            let mut content = content.as_bytes().to_vec();
            without_marks(&mut content);
            assert_eq!(String::from_utf8(content).unwrap(), left);
        }
    }
}
