//! One connection, or the way to one: its byte stream, and what was read from it and not yet handed out.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use bytes::BytesMut;

use super::authenticator::AskedCredentials;
use super::secure::Prepared;
use super::transport::Transport;
use super::turns::Turn;
use crate::engine::Cause;
use crate::protocol::{Decoder, Limits, ServerAddr};

/// A link. The task has one, and a second one while a planned move is prepared; what each is for, only the engine knows.
pub(super) struct Link {
    /// How engine and task name it.
    pub(super) epoch: u64,
    pub(super) stream: Stream,
    pub(super) input: Input,
    /// The user's credentials, while they are asked for.
    pub(super) asked: Option<AskedCredentials>,
    /// What its upgrade is made with.
    pub(super) prepared: Prepared,
    /// The transport is full; then it is asked again, whatever the runtime says.
    pub(super) ask_again_at: Option<Instant>,
}

/// A dialling or an upgrade that is going on.
pub(super) type Dialing = Pin<Box<dyn Future<Output = Result<(Transport, Prepared), Cause>> + Send>>;

pub(super) enum Stream {
    /// Others of this process dial first.
    Waiting {
        turn: Pin<Box<dyn Future<Output = Turn> + Send>>,
        addr: ServerAddr,
    },
    Dialing(Dialing),
    /// It is being upgraded to TLS.
    Securing(Dialing),
    Up(Transport),
    /// The upgrade failed, and the engine will say what becomes of it.
    Over,
}

/// What was read.
#[derive(Default)]
pub(super) struct Input {
    pub(super) decoder: Decoder,
    pub(super) buf: BytesMut,
    /// What the decoder asked for last.
    pub(super) needed: usize,
    /// Whole operations are left in `buf`: others were to have their turn before.
    pub(super) more: bool,
    /// So many bytes more belong to a message that is too large, and are skipped.
    pub(super) skip: usize,
}

impl Input {
    /// How many of the bytes from `at` on belong to a message that is skipped.
    #[inline]
    pub(super) fn skip_from(&mut self, at: usize) -> usize {
        let skipped = self.skip.min(self.buf.len().saturating_sub(at));
        self.skip -= skipped;
        skipped
    }

    /// Whether a message that is over the limits begins at `at`, after the decoder has refused it.
    #[cold]
    pub(super) fn announces_message(&mut self, at: usize) -> bool {
        let rest = self.buf.get(at..).unwrap_or_default();
        self.decoder.oversized(rest).is_some()
    }

    /// Gives unused memory back.
    pub(super) fn shrink(&mut self) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
        }
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

    /// Gives unused memory back.
    pub(super) fn shrink(&mut self) {
        self.input.shrink();
        if let Stream::Up(transport) = &mut self.stream {
            transport.shrink();
        }
    }
}
