//! Messages that a server refuses by name: `-ERR 'Permissions Violation for Publish to "a"'`.
//!
//! A server says so once for each message, on the connection that brought it, before the PONG that covers it. So the messages
//! with that subject between the last PONG and the next are the refused ones, and that next PONG confirms only the others.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::outbox::FrameView;
use crate::protocol::{ErrKind, Subject, Violation};

/// A subject, or a reply subject, with which a server has refused messages.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedName {
    /// The subject.
    pub subject: Subject,
    /// Whether it is the reply subject of the messages.
    pub reply: bool,
}

impl RefusedName {
    /// What the server has said, with no more of the name than is kept of a foreign text.
    pub fn error(&self) -> ErrKind {
        let subject = self.subject.clone();
        let violation =
            if self.reply { Violation::PublishReply { reply: subject } } else { Violation::Publish { subject } };
        ErrKind::PermissionsViolation(violation).shortened()
    }
}

/// So many bytes of names are kept between two PONGs; what is refused beyond that only counts. Arbitrary: more than can be
/// unconfirmed of messages whose names are most of them.
const NAMES: usize = 16 * 1024 * 1024;

/// What the server of one connection has refused since its last PONG. `after <= through`.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The sequence number of the last message that a PONG covers, or of the last one before this connection.
    after: u64,
    /// That of the last message that was loaded for this connection.
    through: u64,
    /// Up to this number, the messages had been given to another connection before this one.
    again: u64,
    /// With each name, up to which number it was reported.
    subjects: BTreeMap<Box<[u8]>, u64>,
    replies: BTreeMap<Box<[u8]>, u64>,
    /// Bytes of the names.
    bytes: usize,
    /// How many messages were refused. No more than are unconfirmed, so that a server can't fill the memory with names.
    count: u64,
    /// Names that were not yet reported to those who wait for replies.
    news: Vec<RefusedName>,
}

impl Refusals {
    /// The connection is to carry the messages after number `after`, and up to `again` it is not the first.
    pub(super) fn begin(&mut self, after: u64, again: u64) {
        (self.after, self.through, self.again) = (after, after, again);
    }

    /// The messages up to this number were loaded.
    pub(super) fn loaded(&mut self, through: u64) {
        self.through = self.through.max(through);
    }

    /// The last message that a PONG covers.
    pub(super) fn after(&self) -> u64 {
        self.after
    }

    /// Up to this message, the connection is not the first that was given them.
    pub(super) fn again(&self) -> u64 {
        self.again
    }

    /// How many messages were refused since the last PONG.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// A PONG covers the messages up to number `through`. Returns the last one that was covered before, and how many of those
    /// since were refused.
    pub(super) fn covered(&mut self, through: u64) -> (u64, u64) {
        let after = self.after;
        self.after = after.max(through);
        (after, std::mem::take(&mut self.count))
    }

    /// The names that were not reported yet.
    pub(super) fn take_news(&mut self) -> Vec<RefusedName> {
        std::mem::take(&mut self.news)
    }

    /// The last message that was loaded.
    pub(super) fn through(&self) -> u64 {
        self.through
    }

    /// The server has refused a message. `unconfirmed`: how many it may have read, and no PONG covers.
    pub(super) fn hear(&mut self, name: RefusedName, unconfirmed: u64) {
        if self.count >= unconfirmed {
            return;
        }
        self.count += 1;
        let names = if name.reply { &mut self.replies } else { &mut self.subjects };
        let through = self.through;
        match names.get_mut(name.subject.as_bytes()) {
            Some(known) if *known == through => {}
            Some(known) => {
                *known = through;
                self.news.push(name);
            }
            None if self.bytes < NAMES => {
                self.bytes += name.subject.as_bytes().len();
                names.insert(name.subject.as_bytes().into(), through);
                self.news.push(name);
            }
            None => {}
        }
    }

    /// Whether the server has refused this message.
    pub(super) fn refuses(&self, frame: &FrameView<'_>) -> bool {
        let reply = frame.reply.is_some_and(|reply| self.replies.contains_key(reply));
        frame.message && (reply || self.subjects.contains_key(frame.subject))
    }

    /// All names since the last PONG.
    pub(super) fn take_names(&mut self) -> Vec<RefusedName> {
        self.bytes = 0;
        let (subjects, replies) = (std::mem::take(&mut self.subjects), std::mem::take(&mut self.replies));
        let name =
            |reply: bool| move |name: Box<[u8]>| RefusedName { subject: Subject::from_wire(Bytes::from(name)), reply };
        subjects.into_keys().map(name(false)).chain(replies.into_keys().map(name(true))).collect()
    }
}

/// The name in a refusal of a message.
pub(super) fn refused_name(kind: &ErrKind) -> Option<RefusedName> {
    let (subject, reply) = match kind {
        ErrKind::PermissionsViolation(Violation::Publish { subject }) => (subject, false),
        ErrKind::PermissionsViolation(Violation::PublishReply { reply }) => (reply, true),
        _ => return None,
    };
    Some(RefusedName { subject: subject.clone(), reply })
}
