//! The client's end of a connection in memory: it takes little at a time, gives little at a time, keeps what it took,
//! and fails after all, as streams of users may.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::plan::Habits;
use crate::tap::Tap;

/// A stream that keeps bytes passes them on when it has this many.
const KEPT: usize = 4096;

/// No call moves more.
const MOST: usize = 64 * 1024;

pub(crate) struct Stream {
    inner: DuplexStream,
    habits: Habits,
    rng: SmallRng,
    /// No faults any more.
    peace: Arc<AtomicBool>,
    taken: u64,
    kept: Vec<u8>,
    failed: bool,
    /// How many of them there are.
    held: Arc<AtomicUsize>,
    tap: Arc<Mutex<Tap>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream {
    pub(crate) fn new(
        inner: DuplexStream,
        habits: Habits,
        rng: SmallRng,
        peace: Arc<AtomicBool>,
        held: Arc<AtomicUsize>,
        tap: Arc<Mutex<Tap>>,
    ) -> Stream {
        held.fetch_add(1, Ordering::Relaxed);
        Stream { inner, habits, rng, peace, taken: 0, kept: Vec::new(), failed: false, held, tap }
    }

    /// Some of a number of bytes, but at least one.
    fn some(&mut self, len: usize, most: usize) -> usize {
        let most = len.min(most);
        if most <= 1 { most } else { self.rng.random_range(1..=most) }
    }

    fn has_nothing_to_say(&mut self, cx: &Context<'_>) -> bool {
        let lazy = self.habits.lazy && self.rng.random_bool(0.1);
        if lazy {
            cx.waker().wake_by_ref();
        }
        lazy
    }

    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.kept))?;
            self.kept.drain(..n);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, offered: &[u8]) -> Poll<io::Result<usize>> {
        let taken = ready!(self.poll_take_some(cx, offered));
        let mut tap = self.tap.lock().unwrap();
        match &taken {
            Ok(n) => tap.hear(&offered[..*n]),
            Err(_) => tap.failed = true,
        }
        Poll::Ready(taken)
    }

    fn poll_take_some(&mut self, cx: &mut Context<'_>, offered: &[u8]) -> Poll<io::Result<usize>> {
        if self.failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.has_nothing_to_say(cx) {
            return Poll::Pending;
        }
        let n = self.some(offered.len(), self.habits.most_written);
        let fails = self.habits.fails_at.is_some_and(|at| self.taken >= at) && !self.peace.load(Ordering::Relaxed);
        if fails {
            self.failed = true;
            let Stream { inner, kept, rng, .. } = &mut *self;
            // All of it in every second case: whole messages must be among what got through in spite of the error.
            let n = if rng.random_bool(0.5) { offered.len() } else { n };
            let next = if kept.is_empty() { &offered[..n] } else { &kept[..] };
            let _some_get_through = Pin::new(inner).poll_write(cx, next)?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let n = if self.habits.keeps {
            if self.kept.len() >= KEPT {
                ready!(self.poll_kept(cx))?;
            }
            self.kept.extend_from_slice(&offered[..n]);
            n
        } else {
            ready!(Pin::new(&mut self.inner).poll_write(cx, &offered[..n]))?
        };
        self.taken += n as u64;
        Poll::Ready(Ok(n))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_nothing_to_say(cx) {
            return Poll::Pending;
        }
        let most = self.habits.most_read;
        let mut some = vec![0; self.some(buf.remaining(), most.min(MOST))];
        let mut part = ReadBuf::new(&mut some);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_take(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.habits.vectored {
            let mut begun = Vec::new();
            for part in parts {
                let room = self.habits.most_written.min(MOST) - begun.len();
                begun.extend_from_slice(&part[..part.len().min(room)]);
            }
            self.poll_take(cx, &begun)
        } else {
            let first = parts.iter().find(|part| !part.is_empty());
            self.poll_take(cx, first.map_or(&[], |part| part))
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.habits.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.poll_kept(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.failed {
            ready!(self.poll_kept(cx))?;
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
