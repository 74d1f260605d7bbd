//! One connection: two pipes that can be cut at any byte, stalled and narrowed, and the state of the server at the far end. It
//! outlives the client's end: a server continues to read what its kernel has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use nats_lifeline::protocol::PubOp;
use nats_lifeline::testing::session::{Delivery, Output, Session, Settings, Subscription};

use crate::content;
use crate::wire::{Found, Wire};

/// How a reader's side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Eof,
    Reset,
    /// Nothing more arrives, without a notice.
    Silence,
}

/// How a server treats one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Normal,
    /// Accepts, and never sends INFO.
    Mute,
    CloseAtOnce,
    InfoThenClose,
    BadInfo,
    /// PONG where INFO is due.
    PongFirst,
    NoPong,
    Refuse(&'static str),
    PongThenClose,
}

/// How a transport reports what it has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Bytes count as taken when the kernel has them.
    Kernel,
    /// TLS: bytes count as taken when the kernel has the last byte of their record.
    Records,
    /// A user's stream: after an error nobody knows whether the bytes that were offered got through.
    Custom,
}

pub(crate) struct Conn {
    pub(crate) node: usize,
    pub(crate) mood: Mood,
    /// The client's number for it.
    pub(crate) epoch: u64,
    pub(crate) transport: Transport,

    // Client to server.
    pub(crate) wire: Wire,
    /// The number of bytes that the server has read.
    pub(crate) read: u64,
    /// The server never gets more than this.
    pub(crate) ends_at: Option<u64>,
    /// The number of bytes that fit between the two.
    pub(crate) window: u64,
    /// Writing fails after this many bytes.
    pub(crate) breaks_at: Option<u64>,
    pub(crate) reading_stalls: Option<Instant>,
    /// A record that the transport has begun and not wholly taken.
    pub(crate) begun: Vec<u8>,
    /// Since when bytes wait to be written, and there is no room for them.
    pub(crate) stuck: Option<Instant>,

    // Server to client: the bytes of `output`, which are kept.
    /// The number of bytes that have arrived at the client's side.
    pub(crate) arrived: usize,
    /// The number of bytes that it has read.
    pub(crate) seen: usize,
    pub(crate) out_ends: Option<(usize, End)>,
    pub(crate) sending_stalls: Option<Instant>,

    // The state of the server.
    pub(crate) open: bool,
    pub(crate) greeted: bool,
    pub(crate) welcomed: bool,
    pub(crate) session: Session,
    /// Its subscriptions, and everything that it has sent.
    pub(crate) output: Output,
    /// Bytes from the client that it has not acted on. It may not have read all of them yet.
    pub(crate) inbox: Vec<u8>,
    /// The number of bytes before those.
    pub(crate) acted: u64,
    /// The largest `max_payload` of its INFOs.
    pub(crate) max_payload: usize,
    pub(crate) headers: bool,
    /// It has refused a SUB for which it had no room.
    pub(crate) full: bool,
    /// Messages that it has refused, in order.
    pub(crate) refused: Vec<u64>,
    /// The messages that were sent to each subscription, in order.
    pub(crate) sent: BTreeMap<u64, Vec<u64>>,
    /// Subscriptions that reached their limit and have ended.
    pub(crate) done: BTreeSet<u64>,

    // The state of the client.
    /// It was made beside another connection, and may have been sent subscriptions then.
    pub(crate) was_beside: bool,
    /// How often a limit was raised, which another SUB on this connection may follow.
    pub(crate) raised: BTreeMap<u64, u64>,
    /// How much of `sent` has arrived.
    pub(crate) came: BTreeMap<u64, usize>,
    /// PONGs that it has handled.
    pub(crate) pongs: usize,
    /// Messages that they cover.
    pub(crate) confirmed: usize,
    /// The number of refusals that it has read.
    pub(crate) heard: usize,
    /// The number of those before the last PONG.
    pub(crate) settled_refused: usize,
    /// The subscriptions in the table when the handshake was done.
    pub(crate) at_handshake: Option<Vec<u64>>,
    pub(crate) carried: bool,
    pub(crate) announced: bool,
    /// Since when it is to be left.
    pub(crate) moving: Option<Instant>,
    pub(crate) settled: bool,
    /// The message that it ended with was noted.
    pub(crate) accused: bool,
    /// The client has closed its side.
    pub(crate) left: bool,
}

impl Conn {
    pub(crate) fn new(node: usize, mood: Mood, epoch: u64, transport: Transport, window: u64, headers: bool) -> Conn {
        Conn {
            node,
            mood,
            epoch,
            transport,
            wire: Wire::new(),
            read: 0,
            ends_at: None,
            window,
            breaks_at: None,
            reading_stalls: None,
            begun: Vec::new(),
            stuck: None,
            arrived: 0,
            seen: 0,
            out_ends: None,
            sending_stalls: None,
            open: true,
            greeted: false,
            welcomed: false,
            // The limit is announced in INFO, and checked where a message is processed.
            session: Session::new(Settings {
                max_payload: usize::MAX,
                max_control_line: usize::MAX,
                headers,
                ..Settings::default()
            }),
            output: Output::default(),
            inbox: Vec::new(),
            acted: 0,
            max_payload: 0,
            headers: false,
            full: false,
            refused: Vec::new(),
            sent: BTreeMap::new(),
            done: BTreeSet::new(),
            was_beside: false,
            raised: BTreeMap::new(),
            came: BTreeMap::new(),
            pongs: 0,
            confirmed: 0,
            heard: 0,
            settled_refused: 0,
            at_handshake: None,
            carried: false,
            announced: false,
            moving: None,
            settled: false,
            accused: false,
            left: false,
        }
    }

    /// Refusals that the client has read since the last PONG.
    pub(crate) fn unsettled(&self) -> &[u64] {
        &self.refused[self.settled_refused..self.heard]
    }

    /// The transport takes `bytes`. Returns the messages that they complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Found> {
        if self.open {
            self.inbox.extend_from_slice(bytes);
        }
        self.wire.take(bytes)
    }

    /// The server sends bytes, unless it has closed.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        if self.open {
            self.output.bytes.extend_from_slice(bytes);
        }
    }

    /// The server delivers message `number` to `sid`, and forgets a subscription that is at its limit.
    pub(crate) fn deliver(&mut self, sid: u64, number: u64, subject: usize, size: usize, with_headers: bool) {
        let Some(Subscription { key, .. }) = self.output.subscriptions.by_sid(sid) else { return };
        let block = with_headers.then(|| content::headers(number));
        let payload = content::payload(number, size);
        let subject = content::SUBJECTS[subject].as_bytes();
        let message = PubOp { subject, reply: None, headers: block.as_deref(), payload: &payload };
        let delivery = self.output.deliver(*key, &message);
        self.sent.entry(sid).or_default().push(number);
        if let Delivery::Last(_) = delivery {
            self.done.insert(sid);
        }
    }

    /// The server's side closes. The bytes that it has sent may arrive, or not all of them.
    pub(crate) fn close(&mut self, how: End, arrives: usize) {
        self.open = false;
        self.output.subscriptions.clear();
        let at = arrives.clamp(self.seen, self.output.bytes.len());
        self.end_out(at, how);
    }

    /// The client gets nothing after byte `at`.
    pub(crate) fn end_out(&mut self, at: usize, how: End) {
        let earlier = self.out_ends.is_some_and(|(known, end)| known <= at && end != End::Silence);
        if !earlier {
            self.out_ends = Some((at, how));
            self.arrived = self.arrived.min(at.max(self.seen));
        }
    }

    /// The server gets nothing after byte `at`.
    pub(crate) fn end_in(&mut self, at: u64) {
        let at = at.max(self.read);
        self.ends_at = Some(self.ends_at.map_or(at, |known| known.min(at)));
    }

    /// How far the client can read.
    pub(crate) fn out_limit(&self) -> usize {
        self.out_ends.map_or(self.output.bytes.len(), |(at, _)| at.min(self.output.bytes.len()))
    }

    /// Whether the client's reader finds bytes or the end.
    pub(crate) fn readable(&self) -> bool {
        self.arrived > self.seen || self.end_reached().is_some()
    }

    pub(crate) fn end_reached(&self) -> Option<End> {
        self.out_ends.filter(|(at, end)| *at <= self.seen && *end != End::Silence).map(|(_, end)| end)
    }

    /// How many bytes the transport would take now; `None`: writing fails.
    pub(crate) fn room(&self) -> Option<u64> {
        let taken = self.wire.taken;
        if self.breaks_at.is_some_and(|at| taken >= at) {
            return None;
        }
        // A transport takes what fits into its own buffers, whether the peer still reads or not.
        let room = self.window.saturating_sub(taken - self.read);
        Some(self.breaks_at.map_or(room, |at| room.min(at - taken)))
    }

    /// How many bytes the server could read now.
    pub(crate) fn unread(&self) -> u64 {
        self.ends_at.map_or(self.wire.taken, |at| at.min(self.wire.taken)) - self.read
    }

    /// Whether anything can still happen at the far end.
    pub(crate) fn is_over(&self) -> bool {
        !self.open && self.left
    }
}
