//! One subscription: where its messages go, how much it may still receive, and what its servers know of it.

use crate::engine::config::Handover;

/// One subscription. `before + received_here <= max` while it lives.
#[derive(Debug)]
pub struct Subscription<H> {
    /// The driver's own: where this subscription's messages go.
    pub handle: H,
    /// Scratch space for the driver while it sorts one read by subscription; `u32::MAX` at first.
    pub slot: u32,
    /// Messages received over all connections.
    pub(super) received: u64,
    /// Those of them that came over earlier connections, which this server has not counted.
    pub(super) before: u64,
    /// The total after which it ends; `u64::MAX`: never.
    pub(super) max: u64,
    pub(super) draining: bool,
    /// The present server knew it before the previous one was left, and that one was read to the end.
    pub(super) bridged: bool,
    pub(super) server_has_counted: Counted,
    /// During a planned move; `None`: as the configuration says.
    pub(super) handover: Option<Handover>,
    pub(super) reader: Reader,
}

/// What the end of the client waits for in a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Its consumer has messages to read.
    Behind,
    /// Its consumer has taken the last message and may be answering it.
    AtLast,
    /// Nothing.
    Done,
    /// Nothing: it is an inbox of requests, which no consumer reads to its end.
    Requests,
}

impl Reader {
    /// Whether the end of the client waits for it.
    pub(super) fn is_awaited(self) -> bool {
        matches!(self, Reader::Behind | Reader::AtLast)
    }
}

impl<H> Subscription<H> {
    /// Messages received over all connections.
    #[cfg(test)]
    pub(in crate::engine) fn received(&self) -> u64 {
        self.received
    }

    /// How many more may be received; `None`: no limit was set.
    pub fn remaining(&self) -> Option<u64> {
        (self.max != u64::MAX).then(|| self.max - self.received)
    }

    /// Whether nothing was missed when the present connection replaced the previous one: a planned move, during which both
    /// servers had the subscription.
    pub fn is_bridged(&self) -> bool {
        self.bridged
    }

    /// Whether it ends after what its server has sent.
    pub(in crate::engine) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether it is an inbox of requests.
    pub(super) fn is_internal(&self) -> bool {
        self.reader == Reader::Requests
    }

    /// Whether it has a limit that the server of this connection can parse.
    pub(super) fn is_readable(&self) -> bool {
        self.max - self.before <= LARGEST_MAX
    }
}

/// The largest number that servers accept in UNSUB: more than nine digits count as garbage, which ends the subscription
/// immediately (`parseSize` in the server's util.go).
pub(super) const LARGEST_MAX: u64 = 999_999_999;

/// How the server's count since the start of this connection compares with ours. They differ only around a planned move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Counted {
    Alike,
    /// It knew the subscription before, and counts what it sent then too.
    More,
    /// Some messages came over another connection, or before it got SUB a second time.
    Fewer,
}
