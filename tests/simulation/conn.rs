//! One connection: two pipes that can be cut at any byte, stalled and narrowed, and what the server at the far end
//! remembers of it. It outlives the client's interest in it: a server reads on what its kernel has.

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
    /// Nothing comes any more, and nobody says so.
    Silence,
}

/// How a server treats one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Normal,
    /// Accepts, and never says INFO.
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

/// How a transport tells what it has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// What the kernel took is taken.
    Kernel,
    /// TLS: what lies in records of which the kernel has the last byte.
    Records,
    /// A stream of a user's: an error leaves open whether what it was offered has got through.
    Custom,
}

pub(crate) struct Conn {
    pub(crate) node: usize,
    pub(crate) mood: Mood,
    /// As the client calls it.
    pub(crate) epoch: u64,
    pub(crate) transport: Transport,

    // Client to server.
    pub(crate) wire: Wire,
    /// The server has read so many bytes.
    pub(crate) read: u64,
    /// The server never gets more than this.
    pub(crate) ends_at: Option<u64>,
    /// So many bytes fit between the two.
    pub(crate) window: u64,
    /// When so many bytes were taken, writing fails.
    pub(crate) breaks_at: Option<u64>,
    pub(crate) reading_stalls: Option<Instant>,
    /// A record that was begun, and not wholly taken.
    pub(crate) begun: Vec<u8>,
    /// Since when there is something to write, and no room for it.
    pub(crate) stuck: Option<Instant>,

    // Server to client: all bytes of the output, which are kept.
    /// So many bytes have arrived at the client's side.
    pub(crate) arrived: usize,
    /// And so many it has read.
    pub(crate) seen: usize,
    pub(crate) out_ends: Option<(usize, End)>,
    pub(crate) sending_stalls: Option<Instant>,

    // What the server remembers.
    pub(crate) open: bool,
    pub(crate) greeted: bool,
    pub(crate) welcomed: bool,
    pub(crate) session: Session,
    /// Its subscriptions, and everything that it has said.
    pub(crate) output: Output,
    /// What it was sent and has not acted on. It may not have read all of it yet.
    pub(crate) inbox: Vec<u8>,
    /// The number of bytes before those.
    pub(crate) acted: u64,
    /// The largest `max_payload` that was said here.
    pub(crate) max_payload: usize,
    pub(crate) headers: bool,
    /// It has refused a SUB for which it had no room.
    pub(crate) full: bool,
    /// Messages that it has refused, in order.
    pub(crate) refused: Vec<u64>,
    /// What was sent to each subscription, in order.
    pub(crate) sent: BTreeMap<u64, Vec<u64>>,
    /// Subscriptions that were at their limit, and are forgotten.
    pub(crate) done: BTreeSet<u64>,

    // What the client made of it.
    /// It was made beside another, and may have been told of subscriptions then.
    pub(crate) was_beside: bool,
    /// How often a limit was raised of which this connection's server may be told with another SUB.
    pub(crate) raised: BTreeMap<u64, u64>,
    /// How much of `sent` has come in.
    pub(crate) came: BTreeMap<u64, usize>,
    /// PONGs that it has handled.
    pub(crate) pongs: usize,
    /// Messages that they cover.
    pub(crate) confirmed: usize,
    /// So many of the refusals it has read.
    pub(crate) heard: usize,
    /// And so many of those before the last PONG.
    pub(crate) settled_refused: usize,
    /// The subscriptions in the table when the handshake was done.
    pub(crate) at_handshake: Option<Vec<u64>>,
    pub(crate) carried: bool,
    pub(crate) announced: bool,
    /// Since when it is to be left.
    pub(crate) moving: Option<Instant>,
    pub(crate) settled: bool,
    /// It was noted which message it ended with.
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
            // What it allows is said in INFO, and checked where a message is processed.
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

    /// The transport took `bytes` more. Returns the messages that are whole with them.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Found> {
        if self.open {
            self.inbox.extend_from_slice(bytes);
        }
        self.wire.take(bytes)
    }

    /// The server says something, if anybody can hear it.
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

    /// The server's side closes; what it has sent may arrive, or not all of it.
    pub(crate) fn close(&mut self, how: End, arrives: usize) {
        self.open = false;
        self.output.subscriptions.clear();
        let at = arrives.clamp(self.seen, self.output.bytes.len());
        self.end_out(at, how);
    }

    /// The client gets nothing behind byte `at`.
    pub(crate) fn end_out(&mut self, at: usize, how: End) {
        let earlier = self.out_ends.is_some_and(|(known, end)| known <= at && end != End::Silence);
        if !earlier {
            self.out_ends = Some((at, how));
            self.arrived = self.arrived.min(at.max(self.seen));
        }
    }

    /// The server gets nothing behind byte `at`.
    pub(crate) fn end_in(&mut self, at: u64) {
        let at = at.max(self.read);
        self.ends_at = Some(self.ends_at.map_or(at, |known| known.min(at)));
    }

    /// How far the client may read in the end.
    pub(crate) fn out_limit(&self) -> usize {
        self.out_ends.map_or(self.output.bytes.len(), |(at, _)| at.min(self.output.bytes.len()))
    }

    /// What the client's reader finds: bytes, or the end.
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
        // A transport takes what its own buffers hold, whether the peer still reads or not.
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
