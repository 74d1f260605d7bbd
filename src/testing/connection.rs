//! One connection: what others deliver into it, and how it ends.

use super::lock;
use super::node::Node;
use super::session::{Delivery, Ending, Key, Output, Subscription};
use crate::protocol::PubOp;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
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

pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) node: Arc<Node>,
    pub(super) peer: SocketAddr,
    pub(super) since: Instant,
    /// `None` once closed. Taking it out closes the socket at once, whatever the tasks wait for.
    pub(super) socket: RwLock<Option<TcpStream>>,
    /// Locked before the router, never the other way round.
    pub(super) out: Mutex<Out>,
    /// Written only under the lock of `out`.
    closed: AtomicBool,
    /// Held while it closes, so that whoever closes it too returns when it *is* closed. Taken before
    /// all other locks.
    closing: Mutex<()>,
    /// There is something to write.
    pub(super) wake: Notify,
    /// Something was written.
    pub(super) drained: Notify,
    tasks: Mutex<Vec<AbortHandle>>,
    /// Its CONNECT was accepted.
    pub(super) connected: AtomicBool,
    /// It takes INFOs after the first: protocol 1, and its first PONG was sent.
    pub(super) takes_info: AtomicBool,
    /// Our PINGs that were not answered.
    pub(super) pings_out: AtomicU32,
    /// Milliseconds from `since` to what was last received.
    pub(super) last_heard: AtomicU64,
    /// Milliseconds from `since` to our last PING; 0 before the first.
    pub(super) last_ping: AtomicU64,
}

/// What waits to be written, and the subscriptions: one lock orders deliveries and UNSUB, so that nothing follows the PONG
/// after an UNSUB.
#[derive(Default)]
pub(super) struct Out {
    pub(super) output: Output,
    /// Bytes that the writing task took and the socket has not: `pending = output + in_flight`.
    pub(super) in_flight: usize,
    /// Since when the socket has taken nothing of them.
    pub(super) stuck_since: Option<Instant>,
    /// Messages in `output`.
    pub(super) messages: u64,
    /// Somebody has woken the writing task, or will do so at the end of the batch.
    pub(super) scheduled: bool,
    /// Close when all is written; nothing is taken any more.
    pub(super) finishing: bool,
}

/// A message was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queued {
    /// The caller must wake the connection, later in its batch.
    pub(super) wake: bool,
    /// So much is pending that the publisher should pause.
    pub(super) full: bool,
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
            tasks: Mutex::default(),
            connected: AtomicBool::new(false),
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

    /// Queues a message for one of this connection's subscriptions; `None` if that has ended, with the connection or alone.
    #[inline]
    pub(super) fn deliver(&self, key: Key, published: &PubOp<'_>) -> Option<Queued> {
        let mut out = lock(&self.out);
        let delivery = out.output.deliver(key, published);
        if delivery == Delivery::Refused {
            return None;
        }
        out.messages += 1;
        let pending = out.pending();
        let wake = !std::mem::replace(&mut out.scheduled, true);
        drop(out);
        if let Delivery::Last(ended) = delivery {
            self.forget(&[ended]);
        }
        let limit = self.node.settings.max_pending;
        if pending > limit {
            // A slow consumer is cut without a word, in the middle of a frame if need be.
            self.close(Close::Plain);
        }
        Some(Queued { wake, full: pending > HOLD_UP_ABOVE.min(limit / 2) })
    }

    /// Whether a subscription has not ended.
    pub(super) fn has(&self, key: Key) -> bool {
        lock(&self.out).output.subscriptions.get(key).is_some()
    }

    /// Works with the output, unless the connection is ending. Returns also whether the caller must wake the connection.
    pub(super) fn with_output<R>(&self, work: impl FnOnce(&mut Output) -> R) -> Option<(R, bool)> {
        let mut out = lock(&self.out);
        if out.finishing || self.is_closed() {
            return None;
        }
        let before = out.output.bytes.len();
        let done = work(&mut out.output);
        let wake = out.output.bytes.len() > before && !std::mem::replace(&mut out.scheduled, true);
        Some((done, wake))
    }

    /// Queues something that is no delivery, and has it written.
    pub(super) fn say(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        if let Some(((), true)) = self.with_output(|output| encode(&mut output.bytes)) {
            self.wake();
        }
    }

    /// Says why, and closes when all is written. It is no client any more from here on.
    pub(super) fn finish(&self, how: Ending) {
        self.connected.store(false, Ordering::Release);
        let mut out = lock(&self.out);
        if out.finishing {
            return;
        }
        let ended = out.output.end(how);
        out.finishing = true;
        drop(out);
        self.wake();
        self.forget(&ended);
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
        let ended = std::mem::take(&mut out.output).subscriptions.clear();
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
        self.forget(&ended);
        self.node.remove(self.id);
        self.drained.notify_waiters();
        self.abort_tasks();
    }

    fn abort_tasks(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }

    /// Takes subscriptions that have ended out of the router.
    pub(super) fn forget(&self, ended: &[Subscription]) {
        for subscription in ended {
            self.node.fabric.router.remove(self, &subscription.subject, subscription.key);
        }
        self.node.changed.notify_waiters();
    }

    /// Since when the peer has taken nothing, if there is something to take.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        lock(&self.out).stuck_since
    }

    /// Holds up a publisher until this connection has less pending, or long enough.
    pub(super) async fn hold_up(&self) {
        let mark = HOLD_UP_ABOVE.min(self.node.settings.max_pending / 2);
        let low = async {
            loop {
                let mut drained = pin!(self.drained.notified());
                drained.as_mut().enable();
                if self.is_closed() || lock(&self.out).pending() <= mark {
                    return;
                }
                drained.await;
            }
        };
        // Long enough is as good as low.
        let _ = tokio::time::timeout(HOLD_UP_FOR, low).await;
    }
}

impl Out {
    fn pending(&self) -> usize {
        self.output.bytes.len() + self.in_flight
    }
}
