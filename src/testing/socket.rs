//! One connection: its socket, which one task reads and another writes to.

use super::connection::{Close, Connection};
use super::lock;
use super::switches::Meter;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A buffer larger than this is freed after it was written, in bytes. Arbitrary.
const KEEP_CAPACITY: usize = 1 << 20;

impl Connection {
    /// Reads available bytes into `buf`; 0 bytes at the end of the stream.
    pub(super) async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| {
            self.with_socket(|socket| {
                loop {
                    match socket.try_read(buf) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        done => return Poll::Ready(done),
                    }
                    ready!(socket.poll_read_ready(cx))?;
                }
            })
        })
        .await
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with_socket(|socket| {
            loop {
                match socket.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
                ready!(socket.poll_write_ready(cx))?;
            }
        })
    }

    fn with_socket<T>(&self, work: impl FnOnce(&TcpStream) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let socket = self.socket.read().unwrap_or_else(PoisonError::into_inner);
        match &*socket {
            Some(socket) => work(socket),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// The writing task.
    pub(super) async fn write_out(self: Arc<Self>) {
        let mut meter = Meter::default();
        let mut chunk = Vec::new();
        loop {
            self.wake.notified().await;
            while self.take(&mut chunk) {
                if self.write_chunk(&chunk, &mut meter).await.is_err() {
                    self.close(Close::Plain);
                    return;
                }
                chunk.clear();
                if chunk.capacity() > KEEP_CAPACITY {
                    chunk = Vec::new();
                }
            }
        }
    }

    /// Takes all pending bytes. If there are none and there will be no more, it closes.
    fn take(&self, chunk: &mut Vec<u8>) -> bool {
        let mut out = lock(&self.out);
        if out.output.bytes.is_empty() {
            out.scheduled = false;
            let over = out.finishing;
            drop(out);
            if over {
                self.close(Close::Plain);
            }
            return false;
        }
        std::mem::swap(&mut out.output.bytes, chunk);
        out.in_flight = chunk.len();
        let messages = std::mem::take(&mut out.messages);
        drop(out);
        let counter = &self.shared.counters.messages_out;
        counter.fetch_add(messages, Ordering::Relaxed);
        true
    }

    async fn write_chunk(&self, mut chunk: &[u8], meter: &mut Meter) -> io::Result<()> {
        let faults = &self.shared.faults;
        while !chunk.is_empty() {
            faults.while_set(&faults.no_write).await;
            let allowed = faults.cut_sent.allowance(meter);
            let piece = chunk.get(..allowed).unwrap_or(chunk);
            let written = if piece.is_empty() {
                0
            } else {
                poll_fn(|cx| {
                    if faults.no_write.load(Ordering::Acquire) {
                        // Frozen while the socket was full.
                        return Poll::Ready(Ok(0));
                    }
                    let poll = self.poll_write(cx, piece);
                    if poll.is_pending() {
                        lock(&self.out).stuck_since.get_or_insert_with(Instant::now);
                    }
                    poll
                })
                .await?
            };
            if faults.cut_sent.passed(meter, written) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            chunk = chunk.get(written..).unwrap_or(&[]);
            let mut out = lock(&self.out);
            out.in_flight = chunk.len();
            out.stuck_since = None;
            drop(out);
            self.drained.notify_waiters();
        }
        Ok(())
    }
}
