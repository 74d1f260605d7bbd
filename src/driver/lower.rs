//! A byte stream below TLS: a socket, or what a user's dialer made.

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
    /// Plain TCP: what the kernel took is taken.
    Tcp(Tcp),
    /// A stream that a user's dialer made.
    Custom(Custom),
}

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Tcp {
    stream: TcpStream,
    /// The next write is tried whether there is room or not.
    eager: bool,
}

/// A stream of which we know no more than its traits say. It is a user's code: each call of it is guarded.
pub(super) struct Custom {
    /// `None`: only while it is dropped.
    stream: Option<Box<dyn ByteStream>>,
    /// Bytes were written since the last flush that was completed.
    unflushed: bool,
    /// The writing side was shut.
    shut: bool,
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct WriteFailed {
    /// So many of the bytes that were offered may have got through all the same (D4).
    pub(super) doubtful: usize,
    pub(super) error: io::Error,
}

/// A write to a socket whose peer is gone must be an error, never a signal that kills a process in which SIGPIPE is at
/// its default (D5, seen). Apple has a socket option for it instead.
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
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_read_buf(buf) {
                Err(error) if again(&error) => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// Hands `parts` over; returns how many bytes were taken.
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
                // The usual way sees to it.
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

    /// The next write is tried although the runtime says that there is no room.
    pub(super) fn try_anyway(&mut self) {
        match self {
            Lower::Tcp(tcp) => tcp.eager = true,
            Lower::Custom(_) => {}
        }
    }

    /// Whether bytes that were taken may not be on their way yet: [`poll_flush`](Lower::poll_flush) sees to it.
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

    /// What can be written without waiting is. Returns how many bytes that is.
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

    /// After [`finish`](Lower::finish): reads what the peer still says; 0 is the end.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Lower::Custom(custom) if !custom.shut => {
                custom.shut = custom.call(|stream| stream.poll_shutdown(cx))??.is_ready();
            }
            Lower::Tcp(_) | Lower::Custom(_) => {}
        }
        self.poll_read(cx, buf)
    }

    /// Closes so that the peer, should it come back to life, gets a reset and no byte that the kernel still holds.
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
        // It counts nothing by itself: dropped while it waits, it has taken nothing.
        self.call(|mut stream| pin!(stream.read_buf(buf)).poll(cx))?
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<Result<usize, WriteFailed>> {
        // One that panics may have handed bytes on before, as one that fails.
        let outcome = match self.call(|stream| stream.poll_write_vectored(cx, parts)) {
            Ok(outcome) => ready!(outcome),
            Err(panicked) => Err(panicked),
        };
        match outcome {
            Ok(0) => Poll::Ready(Err(WriteFailed::certain(io::ErrorKind::WriteZero.into()))),
            Ok(taken) if taken > parts.iter().map(|part| part.len()).sum() => {
                let offered = parts.iter().map(|part| part.len()).sum();
                let error = format!("the dialer's stream claims to have taken {taken} bytes of {offered}");
                Poll::Ready(Err(WriteFailed { doubtful: offered, error: io::Error::other(error) }))
            }
            Ok(taken) => {
                self.unflushed = true;
                Poll::Ready(Ok(taken))
            }
            Err(error) => {
                // Streams have been seen to hand bytes on and then report an error for the same call.
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
            // What failed is not tried again for as long as the server's last words are waited for.
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
    /// Nothing of what was offered got through.
    pub(super) fn certain(error: io::Error) -> WriteFailed {
        WriteFailed { doubtful: 0, error }
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
