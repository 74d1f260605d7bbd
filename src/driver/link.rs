//! One connection, or an attempt at one: its byte stream, and received bytes that were not processed yet.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use bytes::BytesMut;

use super::authenticator::PendingCredentials;
use super::dial_permits::DialPermit;
use super::secure::Prepared;
use super::transport::Transport;
use crate::engine::Cause;
use crate::protocol::{Decoder, Limits, ServerAddr};

/// A link. The task has one, and a second one during a planned move; only the engine knows which is which.
pub(super) struct Link {
    /// The number by which engine and task identify it.
    pub(super) epoch: u64,
    pub(super) stream: Stream,
    pub(super) input: Input,
    /// The pending question for the user's credentials.
    pub(super) asked: Option<PendingCredentials>,
    /// What its TLS upgrade needs.
    pub(super) prepared: Prepared,
    /// When a full transport is tried again, whatever the runtime reports.
    pub(super) ask_again_at: Option<Instant>,
}

/// A dial or a TLS upgrade in progress.
pub(super) type Dialing = Pin<Box<dyn Future<Output = Result<(Transport, Prepared), Cause>> + Send>>;

pub(super) enum Stream {
    /// Waiting for a dial permit.
    Waiting {
        permit: Pin<Box<dyn Future<Output = DialPermit> + Send>>,
        addr: ServerAddr,
    },
    Dialing(Dialing),
    /// It is being upgraded to TLS.
    Securing(Dialing),
    Up(Transport),
    /// The upgrade failed; the engine will decide what happens next.
    Over,
}

/// Received bytes.
#[derive(Default)]
pub(super) struct Input {
    pub(super) decoder: Decoder,
    pub(super) buf: BytesMut,
    /// How many bytes the decoder asked for last.
    pub(super) needed: usize,
    /// Complete operations remain in `buf`: the task has yielded.
    pub(super) more: bool,
    /// Remaining bytes of a message that is too large, to be skipped.
    pub(super) skip: usize,
}

impl Input {
    /// How many of the bytes from `at` on belong to a skipped message.
    #[inline]
    pub(super) fn skip_from(&mut self, at: usize) -> usize {
        let skipped = self.skip.min(self.buf.len().saturating_sub(at));
        self.skip -= skipped;
        skipped
    }

    /// Whether a message over the limits begins at `at`, after the decoder has refused it.
    #[cold]
    pub(super) fn announces_message(&mut self, at: usize) -> bool {
        let rest = self.buf.get(at..).unwrap_or_default();
        self.decoder.oversized(rest).is_some()
    }

    /// Frees unused memory.
    pub(super) fn shrink(&mut self) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
    }

    /// Continues in memory of the size that its content needs.
    pub(super) fn renew(&mut self) {
        self.buf = BytesMut::from(&self.buf[..]);
    }
}

impl Link {
    pub(super) fn new(epoch: u64, stream: Stream, limits: Limits) -> Link {
        let input = Input { decoder: Decoder::new(limits), buf: BytesMut::new(), needed: 1, more: false, skip: 0 };
        Link { epoch, stream, input, asked: None, prepared: Prepared::default(), ask_again_at: None }
    }

    /// Its byte stream, if there is one.
    pub(super) fn transport(&mut self) -> Option<&mut Transport> {
        match &mut self.stream {
            Stream::Up(transport) => Some(transport),
            Stream::Waiting { .. } | Stream::Dialing(_) | Stream::Securing(_) | Stream::Over => None,
        }
    }

    /// Frees unused memory.
    pub(super) fn shrink(&mut self) {
        self.input.shrink();
        if let Stream::Up(transport) = &mut self.stream {
            transport.shrink();
        }
    }
}
