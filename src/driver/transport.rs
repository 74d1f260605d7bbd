//! A byte stream and what it has taken.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A connected byte stream. Plain TCP: what the kernel took is taken.
#[derive(Debug)]
pub(super) struct Transport {
    stream: TcpStream,
}

/// A write to a socket whose peer is gone must be an error, never a signal that kills a process in which SIGPIPE is at
/// its default (DECISIONS D5, seen). Apple has a socket option for it instead.
#[cfg(all(unix, not(target_vendor = "apple")))]
const FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const FLAGS: i32 = 0;

impl Transport {
    pub(super) fn new(stream: TcpStream) -> Transport {
        #[cfg(target_vendor = "apple")]
        let _ = SockRef::from(&stream).set_nosigpipe(true);
        Transport { stream }
    }

    /// Reads into the spare capacity of `buf`; 0 is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_buf(buf) {
                Err(error) if again(&error) => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// Hands `parts` over; what comes back is how many bytes were taken.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.try_write(parts) {
                Err(error) if again(&error) => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// The same without waiting.
    pub(super) fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.stream.try_io(Interest::WRITABLE, || SockRef::from(&self.stream).send_vectored_with_flags(parts, FLAGS))
    }

    /// Nothing more will be written; the peer reads to the end.
    pub(super) fn finish(&self) {
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
    }

    /// Closes so that the peer, should it come back to life, gets a reset and no byte that the kernel still holds.
    pub(super) fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
