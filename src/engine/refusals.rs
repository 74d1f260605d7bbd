//! Messages that a server refuses by name: `-ERR 'Permissions Violation for Publish to "a"'`.
//!
//! A server sends this once for each message, on the connection that brought it, before the PONG that covers it. So the refused
//! messages are those with that subject between the last PONG and the next, and the next PONG confirms only the others.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::outbox::FrameView;
use crate::protocol::{ErrKind, Subject, Violation};

/// A subject, or a reply subject, for which a server refuses messages.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedName {
    /// The subject.
    pub subject: Subject,
    /// Whether it is the messages' reply subject.
    pub reply: bool,
}

impl RefusedName {
    /// The name as the server gave it, cut like every text from outside.
    pub fn error(&self) -> ErrKind {
        let subject = self.subject.clone();
        let violation =
            if self.reply { Violation::PublishReply { reply: subject } } else { Violation::Publish { subject } };
        ErrKind::PermissionsViolation(violation).shortened()
    }
}

/// How many bytes of names are kept between two PONGs; refusals beyond that are only counted. Arbitrary: more than all
/// unconfirmed messages can have, unless their names are most of them.
const NAMES: usize = 16 * 1024 * 1024;

/// What the server of one connection has refused since its last PONG. `after <= through`.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The sequence number of the last message that a PONG covers, or of the last one before this connection.
    after: u64,
    /// The number of the last message that was loaded for this connection.
    through: u64,
    /// Messages up to this number had been given to an earlier connection.
    again: u64,
    /// For each name, up to which number its refusal was reported.
    subjects: BTreeMap<Box<[u8]>, u64>,
    replies: BTreeMap<Box<[u8]>, u64>,
    /// Bytes of the names.
    bytes: usize,
    /// How many messages were refused. Limited by the number of unconfirmed messages, so that a server can't fill the memory.
    count: u64,
    /// Names that were not yet reported to those waiting for replies.
    news: Vec<RefusedName>,
}

impl Refusals {
    /// The connection will carry the messages after number `after`; those up to `again` were given to another one before.
    pub(super) fn begin(&mut self, after: u64, again: u64) {
        (self.after, self.through, self.again) = (after, after, again);
    }

    /// Messages up to this number were loaded.
    pub(super) fn loaded(&mut self, through: u64) {
        self.through = self.through.max(through);
    }

    /// The last message that a PONG covers.
    pub(super) fn after(&self) -> u64 {
        self.after
    }

    /// Messages up to this number had been given to an earlier connection.
    pub(super) fn again(&self) -> u64 {
        self.again
    }

    /// How many messages were refused since the last PONG.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// A PONG covers the messages up to number `through`. Returns the last one that was covered before, and how many since then
    /// were refused.
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

    /// The server has refused a message. `unconfirmed`: how many messages it may have read that no PONG covers.
    pub(super) fn add(&mut self, name: RefusedName, unconfirmed: u64) {
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
