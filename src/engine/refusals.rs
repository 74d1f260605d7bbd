//! Messages that a server refuses by name: `-ERR 'Permissions Violation for Publish to "a"'`.
//!
//! A server says so once for each message, on the connection that brought it, before the PONG that covers it. So the messages
//! with that subject between the last PONG and the next are the refused ones, and that next PONG confirms only the others.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::config::DeliveryMode;
use super::effect::Effect;
use super::engine::Engine;
use super::ledger::LossReason;
use super::losses::Losses;
use super::outbox::Outbox;
use super::phase::Link;
use super::segment::FrameView;
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

    /// The last message that was loaded.
    pub(super) fn through(&self) -> u64 {
        self.through
    }

    /// The server has refused a message. `unconfirmed`: how many it may have read, and no PONG covers.
    fn hear(&mut self, name: RefusedName, unconfirmed: u64) {
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

    fn refuses(&self, frame: &FrameView<'_>) -> bool {
        let reply = frame.reply.is_some_and(|reply| self.replies.contains_key(reply));
        frame.message && (reply || self.subjects.contains_key(frame.subject))
    }

    fn names(&mut self) -> Vec<RefusedName> {
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

impl<H> Engine<H> {
    /// The present server has refused a message.
    pub(super) fn hear_refusal(&mut self, name: RefusedName) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        // A longer one can't be of a message of ours.
        if name.subject.as_bytes().len() <= self.config.max_control_line {
            let unconfirmed = connection.taken + self.flight.messages() - connection.confirmed;
            connection.refusals.hear(name, unconfirmed);
        }
    }

    /// Whoever waits for a reply to a refused message need not wait any longer.
    pub(super) fn tell_refusing(&mut self) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let Refusals { after, through, news, .. } = &mut connection.refusals;
        if !news.is_empty() {
            let names = std::mem::take(news);
            self.effects.push_back(Effect::Refusing { names, after: *after, through: *through });
        }
    }

    /// A PONG covers `messages` more of the present connection, up to number `through`.
    pub(super) fn settle_refused(&mut self, messages: u64, through: u64) {
        let Link::Up(connection) = &mut self.link else {
            return;
        };
        let refusals = &mut connection.refusals;
        let after = refusals.after;
        refusals.after = after.max(through);
        let count = std::mem::take(&mut refusals.count);
        if count == 0 {
            self.books.confirmed += messages;
            return self.flight.confirmed(messages, |_| {});
        }
        let mut losses = Losses::default();
        match self.config.delivery {
            DeliveryMode::AtMostOnce => {
                self.flight.confirmed(messages, |_| {});
                losses.count(LossReason::Refused, count.min(messages));
            }
            DeliveryMode::AtLeastOnce => self.flight.confirmed(messages, |segment| {
                segment.lose(LossReason::Refused, |frame| refusals.refuses(frame), &mut losses);
            }),
        }
        self.books.confirmed += messages - losses.lost().refused;
        let (names, again) = (refusals.names(), refusals.again);
        self.effects.push_back(Effect::Refused { names, after, again, through });
        self.tell(losses);
    }

    /// The connection is gone, and what it did not take, or at least once what no PONG covers, is back in the outbox. Returns
    /// how many of the unconfirmed messages its server had refused: they are lost, and neither in doubt nor sent again.
    pub(super) fn settle_refused_at_loss(
        &mut self,
        refusals: &mut Refusals,
        unconfirmed: u64,
        outbox: &mut Outbox,
    ) -> u64 {
        if self.config.delivery == DeliveryMode::AtMostOnce || refusals.count == 0 {
            return self.settle_refused_at_the_end(refusals, unconfirmed, outbox);
        }
        let (refused, through) = outbox.refuse(unconfirmed, |frame| refusals.refuses(frame));
        self.tell_all_refused(refusals, through);
        self.tell_losses(outbox);
        refused
    }

    /// The same where what the connection had taken is not in the outbox.
    pub(super) fn settle_refused_at_the_end(
        &mut self,
        refusals: &mut Refusals,
        unconfirmed: u64,
        outbox: &Outbox,
    ) -> u64 {
        let refused = refusals.count.min(unconfirmed);
        self.tell_all_refused(refusals, outbox.through());
        let mut losses = Losses::default();
        losses.count(LossReason::Refused, refused);
        self.tell(losses);
        refused
    }

    fn tell_all_refused(&mut self, refusals: &mut Refusals, through: u64) {
        let after = refusals.after;
        let news = std::mem::take(&mut refusals.news);
        if !news.is_empty() {
            self.effects.push_back(Effect::Refusing { names: news, after, through: refusals.through });
        }
        if std::mem::take(&mut refusals.count) > 0 {
            let (names, again) = (refusals.names(), refusals.again);
            self.effects.push_back(Effect::Refused { names, after, again, through });
        }
    }
}
