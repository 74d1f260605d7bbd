//! A byte stream below TLS: a socket, or a stream from a user's dialer.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWrite, Interest};
use tokio::net::TcpStream;

use super::dialer::ByteStream;
use super::guard::guarded;

/// A connected byte stream.
#[derive(Debug)]
pub(super) enum Lower {
    /// Plain TCP: bytes are taken when the kernel has them.
    Tcp(Tcp),
    /// A stream from a user's dialer.
    Custom(Custom),
}

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Tcp {
    stream: TcpStream,
    /// The next write is tried even if the runtime reports no room.
    eager: bool,
}

/// A stream that is known only by its traits. It is a user's code, so every call of it is guarded.
pub(super) struct Custom {
    /// `None` only while it is dropped.
    stream: Option<Box<dyn ByteStream>>,
    /// Bytes were written since the last completed flush.
    unflushed: bool,
    /// The write side was shut down.
    shut: bool,
}

/// A failed write.
#[derive(Debug)]
pub(super) struct WriteFailed {
    /// This many of the offered bytes may have been sent all the same (D4).
    pub(super) doubtful: usize,
    pub(super) error: io::Error,
}

/// A write to a socket whose peer is gone must be an error, and never a signal that kills a process in which SIGPIPE is
/// at its default (D5, seen). Apple has a socket option for this instead.
#[cfg(all(unix, not(target_vendor = "apple")))]
const FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const FLAGS: i32 = 0;

impl Lower {
    pub(super) fn tcp(stream: TcpStream) -> Lower {
        #[cfg(target_vendor = "apple")]
        let _ = SockRef::from(&stream).set_nosigpipe(true);
        Lower::Tcp(Tcp { stream, eager: false })
    }

    pub(super) fn custom(stream: Box<dyn ByteStream>) -> Lower {
        Lower::Custom(Custom { stream: Some(stream), unflushed: false, shut: false })
    }

    /// Reads into the spare capacity of `buf`; 0 is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        let stream = match self {
            Lower::Tcp(tcp) => &mut tcp.stream,
            Lower::Custom(custom) => return custom.poll_read(cx, buf),
        };
        // Tokio's own read: after one that did not fill the buffer, it does not ask the kernel again before there is more. The
        // future keeps no count: if it is dropped while pending, it has taken nothing.
        loop {
            match pin!(stream.read_buf(buf)).poll(cx) {
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// Writes `parts`; returns how many bytes were taken.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, WriteFailed>> {
        let Tcp { stream, eager } = match self {
            Lower::Tcp(tcp) => tcp,
            Lower::Custom(custom) => return custom.poll_write(cx, parts),
        };
        if std::mem::take(eager) {
            match SockRef::from(&*stream).send_vectored_with_flags(parts, FLAGS) {
                Ok(taken) if taken > 0 => return Poll::Ready(Ok(taken)),
                // The normal path handles this.
                _ => {}
            }
        }
        loop {
            ready!(stream.poll_write_ready(cx)).map_err(WriteFailed::certain)?;
            match send(stream, parts) {
                Err(error) if again(&error) => {}
                Ok(0) => return Poll::Ready(Err(WriteFailed::certain(io::ErrorKind::WriteZero.into()))),
                outcome => return Poll::Ready(outcome.map_err(WriteFailed::certain)),
            }
        }
    }

    /// The next write is tried even if the runtime reports no room.
    pub(super) fn try_anyway(&mut self) {
        match self {
            Lower::Tcp(tcp) => tcp.eager = true,
            Lower::Custom(_) => {}
        }
    }

    /// Whether taken bytes may not be on their way yet; then [`poll_flush`](Lower::poll_flush) sends them.
    pub(super) fn is_unflushed(&self) -> bool {
        match self {
            Lower::Tcp(_) => false,
            Lower::Custom(custom) => custom.unflushed,
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Lower::Tcp(_) => Poll::Ready(Ok(())),
            Lower::Custom(custom) => custom.poll_flush(cx),
        }
    }

    /// Writes what can be written without waiting. Returns how many bytes that is.
    pub(super) fn write_last(&mut self, parts: &[IoSlice<'_>]) -> usize {
        match self {
            Lower::Tcp(tcp) => send(&tcp.stream, parts).unwrap_or(0),
            Lower::Custom(_) => 0,
        }
    }

    /// Nothing more will be written; the peer reads to the end.
    pub(super) fn finish(&mut self) {
        match self {
            Lower::Tcp(tcp) => {
                let _ = SockRef::from(&tcp.stream).shutdown(Shutdown::Write);
            }
            Lower::Custom(_) => {}
        }
    }

    /// After [`finish`](Lower::finish): reads what the peer still sends; 0 is the end.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Lower::Custom(custom) if !custom.shut => {
                custom.shut = custom.call(|stream| stream.poll_shutdown(cx))??.is_ready();
            }
            Lower::Tcp(_) | Lower::Custom(_) => {}
        }
        self.poll_read(cx, buf)
    }

    /// Closes so that a peer that comes back to life gets a reset, and no byte that the kernel still has.
    pub(super) fn reset(&mut self) {
        match self {
            Lower::Tcp(tcp) => {
                let _ = SockRef::from(&tcp.stream).set_linger(Some(Duration::ZERO));
            }
            Lower::Custom(_) => {}
        }
    }
}

fn send(stream: &TcpStream, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    stream.try_io(Interest::WRITABLE, || SockRef::from(stream).send_vectored_with_flags(parts, FLAGS))
}

impl Custom {
    fn call<T>(&mut self, code: impl FnOnce(Pin<&mut Box<dyn ByteStream>>) -> T) -> io::Result<T> {
        match &mut self.stream {
            Some(stream) => guarded("dialer's stream", || code(Pin::new(stream))),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.call(|mut stream| pin!(stream.read_buf(buf)).poll(cx))?
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<Result<usize, WriteFailed>> {
        // A call that panics may have passed bytes on first, like one that fails.
        let outcome = match self.call(|stream| stream.poll_write_vectored(cx, parts)) {
            Ok(outcome) => ready!(outcome),
            Err(panicked) => Err(panicked),
        };
        match outcome {
            Ok(0) => Poll::Ready(Err(WriteFailed::certain(io::ErrorKind::WriteZero.into()))),
            Ok(taken) if taken > parts.iter().map(|part| part.len()).sum() => {
                let offered = parts.iter().map(|part| part.len()).sum();
                let error = format!("the dialer's stream claims to have taken {taken} of {offered} bytes");
                Poll::Ready(Err(WriteFailed { doubtful: offered, error: io::Error::other(error) }))
            }
            Ok(taken) => {
                self.unflushed = true;
                Poll::Ready(Ok(taken))
            }
            Err(error) => {
                // Streams have been seen to pass bytes on and then report an error for the same call.
                let lens = parts.iter().map(|part| part.len());
                let vectored = self.call(|stream| stream.is_write_vectored()).unwrap_or(true);
                let offered = if vectored { lens.sum() } else { lens.into_iter().find(|len| *len > 0).unwrap_or(0) };
                Poll::Ready(Err(WriteFailed { doubtful: offered, error }))
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            let outcome = match self.call(|stream| stream.poll_flush(cx)) {
                Ok(outcome) => ready!(outcome),
                Err(panicked) => Err(panicked),
            };
            // A failed flush is not repeated while the server's last words are awaited.
            self.unflushed = false;
            return Poll::Ready(outcome);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Custom {
    fn drop(&mut self) {
        let stream = self.stream.take();
        let _ = guarded("dialer's stream", || drop(stream));
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("unflushed", &self.unflushed).finish_non_exhaustive()
    }
}

impl WriteFailed {
    /// None of the offered bytes were sent.
    pub(super) fn certain(error: io::Error) -> WriteFailed {
        WriteFailed { doubtful: 0, error }
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
