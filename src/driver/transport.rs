//! A byte stream to a server, and the account of what it has taken: a lower stream, with or without TLS over it.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;

pub(super) use super::lower::{Lower, WriteFailed};
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::engine::Cause;

/// A connected byte stream.
#[derive(Debug)]
pub(super) struct Transport {
    lower: Lower,
    /// The TLS session over it, after its handshake.
    #[cfg(feature = "tls")]
    tls: Option<Box<Tls>>,
}

/// Calls TLS if there is a session, and the lower stream otherwise.
macro_rules! upper {
    ($transport:expr, $tls:ident, $lower:ident => $secured:expr, $plain:expr) => {{
        let $lower = &mut $transport.lower;
        #[cfg(feature = "tls")]
        if let Some($tls) = &mut $transport.tls {
            return $secured;
        }
        $plain
    }};
}

impl Transport {
    pub(super) fn plain(lower: Lower) -> Transport {
        Transport {
            lower,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    #[cfg(feature = "tls")]
    pub(super) fn secured(lower: Lower, tls: Tls) -> Transport {
        Transport { lower, tls: Some(Box::new(tls)) }
    }

    /// The lower stream, for a handshake.
    #[cfg(feature = "tls")]
    pub(super) fn into_lower(self) -> Lower {
        self.lower
    }

    /// Reads into the spare capacity of `buf`; 0 is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        upper!(self, tls, lower => tls.poll_read(lower, cx, buf), lower.poll_read(cx, buf))
    }

    /// Writes `parts`; returns how many bytes were taken. TLS may make progress without having taken any.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, WriteFailed>> {
        upper!(self, tls, lower => tls.poll_write(lower, cx, parts), lower.poll_write(cx, parts))
    }

    /// The next write is tried even if the runtime reports no room: the kernel reports room only when much is free, and
    /// on a slow line that takes longer than the write timeout.
    pub(super) fn try_anyway(&mut self) {
        self.lower.try_anyway();
    }

    /// Whether taken bytes may not be on their way yet; then [`poll_flush`](Transport::poll_flush) sends them.
    pub(super) fn is_unflushed(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.is_unflushed(&self.lower);
        }
        self.lower.is_unflushed()
    }

    /// How many of the last offered bytes are in records that were not written whole. They must be offered
    /// again, first and unchanged.
    pub(super) fn begun(&self) -> usize {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.begun();
        }
        0
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        upper!(self, tls, lower => tls.poll_flush(lower, cx), lower.poll_flush(cx))
    }

    /// Writes what can be written without waiting, when the runtime is gone. Returns how many bytes
    /// may have been written.
    pub(super) fn write_last(&mut self, parts: &[IoSlice<'_>]) -> usize {
        upper!(self, tls, lower => tls.write_last(lower, parts), lower.write_last(parts))
    }

    /// Nothing more will be written; the peer reads to the end.
    pub(super) fn finish(&mut self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.finish(&mut self.lower);
        }
        self.lower.finish();
    }

    /// After [`finish`](Transport::finish): reads what the peer still sends, undecrypted; 0 is the end.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.lower.poll_rest(cx, buf)
    }

    /// Closes so that a peer that comes back to life gets a reset, and no byte that the kernel still has.
    pub(super) fn reset(&mut self) {
        self.lower.reset();
    }

    /// Frees unused memory.
    pub(super) fn shrink(&mut self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.shrink();
        }
    }
}

/// The engine's cause for a transport's error.
pub(super) fn cause(error: io::Error) -> Cause {
    #[cfg(feature = "tls")]
    return super::tls::cause(error);
    #[cfg(not(feature = "tls"))]
    Cause::from(error)
}
