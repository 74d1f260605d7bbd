//! One connection: its socket, and what waits to be written to it.

use super::faults::Meter;
use super::lock;
use super::node::Node;
use super::router::Subscription;
use crate::protocol::{PubOp, err, message};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A publisher is held up while a subscriber has more than this pending, in bytes, so that one who
/// merely is a little slower isn't cut. Arbitrary: little enough to stay in a processor's cache.
const HOLD_UP_ABOVE: usize = 2 << 20;

/// For how long a publisher is held up at most for one batch: the number of nats-server
/// (`stallTotalAllowed`).
const HOLD_UP_FOR: Duration = Duration::from_millis(10);

/// Buffers above this are given back when they have been written, in bytes. Arbitrary.
const KEEP_CAPACITY: usize = 1 << 20;

pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) node: Arc<Node>,
    pub(super) peer: SocketAddr,
    pub(super) since: Instant,
    /// `None` once closed. Taking it out closes the socket at once, whatever the tasks wait for.
    socket: RwLock<Option<TcpStream>>,
    out: Mutex<Out>,
    /// Written only under the lock of `out`.
    closed: AtomicBool,
    /// Held while it closes, so that whoever closes it too returns when it *is* closed. Taken before
    /// all other locks.
    closing: Mutex<()>,
    /// There is something to write.
    wake: Notify,
    /// Something was written.
    drained: Notify,
    /// By sid. Locked before the router, never the other way round.
    pub(super) subscriptions: Mutex<HashMap<u64, Arc<Subscription>>>,
    tasks: Mutex<Vec<AbortHandle>>,
    /// Its CONNECT was accepted.
    pub(super) connected: AtomicBool,
    /// It takes HMSG.
    pub(super) headers: AtomicBool,
    /// It takes INFOs after the first: protocol 1, and its first PONG was sent.
    pub(super) takes_info: AtomicBool,
    /// Our PINGs that were not answered.
    pub(super) pings_out: AtomicU32,
    /// Milliseconds from `since` to what was last received.
    pub(super) last_heard: AtomicU64,
    /// Milliseconds from `since` to our last PING; 0 before the first.
    pub(super) last_ping: AtomicU64,
}

#[derive(Default)]
struct Out {
    buf: Vec<u8>,
    /// Bytes that the writing task took and the socket has not: `pending = buf + in_flight`.
    in_flight: usize,
    /// Since when the socket has taken nothing of them.
    stuck_since: Option<Instant>,
    /// Messages in `buf`.
    messages: u64,
    /// Somebody has woken the writing task, or will do so at the end of the batch.
    scheduled: bool,
    /// Close when all is written; nothing is taken any more.
    finishing: bool,
}

/// What became of a message for one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The subscription or connection is no more.
    Refused,
    Queued {
        /// The caller must wake the connection, later in its batch.
        wake: bool,
        /// So much is pending that the publisher should pause.
        full: bool,
    },
}

/// How a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// Whatever the system makes of it: FIN, or RST if there is something unread.
    Plain,
    /// RST: what the peer has not taken is thrown away.
    Reset,
}

impl Connection {
    pub(super) fn new(node: Arc<Node>, id: u64, peer: SocketAddr, socket: TcpStream) -> Arc<Self> {
        Arc::new(Self {
            id,
            node,
            peer,
            since: Instant::now(),
            socket: RwLock::new(Some(socket)),
            out: Mutex::default(),
            closed: AtomicBool::new(false),
            closing: Mutex::default(),
            wake: Notify::new(),
            drained: Notify::new(),
            subscriptions: Mutex::default(),
            tasks: Mutex::default(),
            connected: AtomicBool::new(false),
            headers: AtomicBool::new(false),
            takes_info: AtomicBool::new(false),
            pings_out: AtomicU32::new(0),
            last_heard: AtomicU64::new(0),
            last_ping: AtomicU64::new(0),
        })
    }

    /// Milliseconds since it was accepted.
    pub(super) fn age(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The tasks that end with this connection.
    pub(super) fn own(&self, task: AbortHandle) {
        let mut tasks = lock(&self.tasks);
        tasks.push(task);
        drop(tasks);
        if self.is_closed() {
            self.abort_tasks();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Queues a message for one of this connection's subscriptions.
    #[inline]
    pub(super) fn deliver(&self, subscription: &Arc<Subscription>, published: &PubOp<'_>) -> Delivery {
        let mut out = lock(&self.out);
        if out.finishing || self.is_closed() || subscription.gone.load(Ordering::Relaxed) {
            return Delivery::Refused;
        }
        let delivered = subscription.delivered.load(Ordering::Relaxed) + 1;
        subscription.delivered.store(delivered, Ordering::Relaxed);
        let last = delivered == subscription.max.load(Ordering::Relaxed);
        if last {
            subscription.gone.store(true, Ordering::Relaxed);
        }
        // An empty block arrives as MSG, and so does every message at a client without headers.
        let headers = published.headers.filter(|block| !block.is_empty() && self.headers.load(Ordering::Relaxed));
        message(&mut out.buf, published.subject, subscription.sid, published.reply, headers, published.payload);
        out.messages += 1;
        let pending = out.buf.len() + out.in_flight;
        let wake = !std::mem::replace(&mut out.scheduled, true);
        drop(out);
        if last {
            subscription.forget();
        }
        let limit = self.node.settings.max_pending;
        if pending > limit {
            // A slow consumer is cut without a word, in the middle of a frame if need be.
            self.close(Close::Plain);
        }
        Delivery::Queued { wake, full: pending > HOLD_UP_ABOVE.min(limit / 2) }
    }

    /// Ends a subscription now, or after `max` messages in all.
    pub(super) fn unsubscribe(&self, sid: u64, max: Option<u64>) {
        let Some(subscription) = lock(&self.subscriptions).get(&sid).map(Arc::clone) else {
            return;
        };
        let out = lock(&self.out);
        let max = max.unwrap_or(0);
        let over = max <= subscription.delivered.load(Ordering::Relaxed);
        if over {
            subscription.gone.store(true, Ordering::Relaxed);
        } else {
            subscription.max.store(max, Ordering::Relaxed);
        }
        drop(out);
        if over {
            subscription.forget();
        }
    }

    /// Queues something that is no delivery. Returns whether the caller must wake the connection.
    pub(super) fn queue(&self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut out = lock(&self.out);
        if out.finishing || self.is_closed() {
            return false;
        }
        encode(&mut out.buf);
        !std::mem::replace(&mut out.scheduled, true)
    }

    /// Queues something that is no delivery, and has it written.
    pub(super) fn say(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.queue(encode) {
            self.wake();
        }
    }

    /// Says why, and closes when all is written. It is no client any more from here on.
    pub(super) fn finish(&self, reason: Option<&str>) {
        self.connected.store(false, Ordering::Release);
        let mut out = lock(&self.out);
        if out.finishing {
            return;
        }
        if let Some(text) = reason {
            err(&mut out.buf, text);
        }
        out.finishing = true;
        drop(out);
        self.wake();
        self.forget_subscriptions();
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Closes the socket, now: closed and forgotten when this returns. What is not written is lost.
    pub(super) fn close(&self, how: Close) {
        let _closing = lock(&self.closing);
        let mut out = lock(&self.out);
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        out.buf = Vec::new();
        drop(out);
        let socket = self.socket.write();
        let socket = socket.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(socket) = socket {
            if how == Close::Reset {
                // If it fails the socket is closed in the plain way.
                let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            }
            drop(socket);
        }
        self.forget_subscriptions();
        self.node.remove(self.id);
        self.drained.notify_waiters();
        self.abort_tasks();
    }

    fn abort_tasks(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }

    pub(super) fn forget_subscriptions(&self) {
        let subscriptions = std::mem::take(&mut *lock(&self.subscriptions));
        for subscription in subscriptions.values() {
            subscription.gone.store(true, Ordering::Relaxed);
            self.node.fabric.router.remove(subscription);
        }
        self.node.changed.notify_waiters();
    }

    /// Since when the peer has taken nothing, if there is something to take.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        lock(&self.out).stuck_since
    }

    fn pending(&self) -> usize {
        let out = lock(&self.out);
        out.buf.len() + out.in_flight
    }

    /// Holds up a publisher until this connection has less pending, or long enough.
    pub(super) async fn hold_up(&self) {
        let mark = HOLD_UP_ABOVE.min(self.node.settings.max_pending / 2);
        let low = async {
            loop {
                let mut drained = pin!(self.drained.notified());
                drained.as_mut().enable();
                if self.is_closed() || self.pending() <= mark {
                    return;
                }
                drained.await;
            }
        };
        // Long enough is as good as low.
        let _ = tokio::time::timeout(HOLD_UP_FOR, low).await;
    }

    /// Reads what is there into `buf`, 0 bytes at the end of the stream.
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

    /// Takes all that is queued. Closes if that is nothing and this was all there will be.
    fn take(&self, chunk: &mut Vec<u8>) -> bool {
        let mut out = lock(&self.out);
        if out.buf.is_empty() {
            out.scheduled = false;
            let over = out.finishing;
            drop(out);
            if over {
                self.close(Close::Plain);
            }
            return false;
        }
        std::mem::swap(&mut out.buf, chunk);
        out.in_flight = chunk.len();
        let messages = std::mem::take(&mut out.messages);
        drop(out);
        let counter = &self.node.counters.messages_out;
        counter.fetch_add(messages, Ordering::Relaxed);
        true
    }

    async fn write_chunk(&self, mut chunk: &[u8], meter: &mut Meter) -> io::Result<()> {
        let faults = &self.node.faults;
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
