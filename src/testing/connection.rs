//! One connection: what others deliver into it, and how it ends.

use super::lock;
use super::node::random;
use super::router::Router;
use super::session::{Delivery, Ending, Key, Output, Subscription};
use super::shared::Shared;
use crate::protocol::PubOp;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A publisher is paused while a subscriber has more than this pending, in bytes, so that a
/// subscriber that is only a little slower isn't cut. Arbitrary: it fits in a processor's cache.
const HOLD_UP_ABOVE: usize = 2 << 20;

/// The longest pause of a publisher for one batch: nats-server's number (`stallTotalAllowed`).
const HOLD_UP_FOR: Duration = Duration::from_millis(10);

pub(super) struct Connection {
    pub(super) id: u64,
    pub(super) shared: Arc<Shared>,
    pub(super) router: Arc<Router<Arc<Connection>>>,
    all: Arc<Connections>,
    pub(super) peer: SocketAddr,
    /// In INFO, if the client may log in with a key; otherwise empty.
    pub(super) nonce: String,
    pub(super) since: Instant,
    /// `None` after closing. Taking it out closes the socket immediately, even while tasks wait for it.
    pub(super) socket: RwLock<Option<TcpStream>>,
    /// Locked before the router, never the other way round.
    pub(super) out: Mutex<Out>,
    /// Written only under the lock of `out`.
    closed: AtomicBool,
    /// Held while it closes, so that a second `close` returns only when it *is* closed. Locked before
    /// all others.
    closing: Mutex<()>,
    /// There is something to write.
    pub(super) wake: Notify,
    /// Something was written.
    pub(super) drained: Notify,
    tasks: Mutex<Vec<AbortHandle>>,
    /// Its CONNECT was accepted.
    pub(super) connected: AtomicBool,
    /// It accepts INFO after the first: it has protocol 1, and its first PONG was sent.
    pub(super) takes_info: AtomicBool,
    /// The broker's PINGs that were not answered.
    pub(super) pings_out: AtomicU32,
    /// Milliseconds from `since` to the last bytes received.
    pub(super) last_heard: AtomicU64,
    /// Milliseconds from `since` to the broker's last PING; 0 before the first.
    pub(super) last_ping: AtomicU64,
}

/// The pending bytes and the subscriptions. One lock orders deliveries and UNSUB, so that no message follows the PONG after an
/// UNSUB.
#[derive(Default)]
pub(super) struct Out {
    pub(super) output: Output,
    /// Bytes that the writing task has taken and the socket has not: `pending = output + in_flight`.
    pub(super) in_flight: usize,
    /// Since when the socket has accepted no bytes.
    pub(super) stuck_since: Option<Instant>,
    /// Messages in `output`.
    pub(super) messages: u64,
    /// The writing task has been woken, or will be at the end of a batch.
    pub(super) scheduled: bool,
    /// It closes when everything is written, and accepts nothing more.
    pub(super) finishing: bool,
}

/// A message was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queued {
    /// The caller must wake the connection at the end of its batch.
    pub(super) wake: bool,
    /// Enough is pending for the publisher to pause.
    pub(super) full: bool,
}

/// How a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// As the system does it: FIN, or RST if there are unread bytes.
    Plain,
    /// RST: bytes that the peer has not received are discarded.
    Reset,
}

impl Connection {
    fn new(id: u64, all: &Arc<Connections>, peer: SocketAddr, socket: TcpStream) -> Arc<Self> {
        let wants_signature = all.shared.settings.session.credentials.want_signature();
        Arc::new(Self {
            nonce: if wants_signature { format!("{:016x}", random()) } else { String::new() },
            id,
            shared: Arc::clone(&all.shared),
            router: Arc::clone(&all.router),
            all: Arc::clone(all),
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
        let limit = self.shared.settings.max_pending;
        if pending > limit {
            // A slow consumer is cut without an error, even in the middle of a frame.
            self.close(Close::Plain);
        }
        Some(Queued { wake, full: pending > HOLD_UP_ABOVE.min(limit / 2) })
    }

    /// Whether a subscription has not ended.
    pub(super) fn has(&self, key: Key) -> bool {
        lock(&self.out).output.subscriptions.get(key).is_some()
    }

    /// Works with the output, unless the connection is ending. Also returns whether the caller must wake the connection.
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

    /// Queues bytes that are no delivery, and wakes the writing task.
    pub(super) fn say(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        if let Some(((), true)) = self.with_output(|output| encode(&mut output.bytes)) {
            self.wake();
        }
    }

    /// Sends the reason, and closes when everything is written. It no longer counts as a client.
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

    /// Closes the socket immediately: it is closed and forgotten when this returns. Pending bytes are
    /// lost.
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
                // If this fails, the socket is closed with FIN.
                let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            }
            drop(socket);
        }
        self.forget(&ended);
        self.all.remove(self);
        self.drained.notify_waiters();
        self.abort_tasks();
    }

    fn abort_tasks(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }

    /// Removes subscriptions that have ended from the router.
    pub(super) fn forget(&self, ended: &[Subscription]) {
        for subscription in ended {
            self.forget_interest(&subscription.subject, subscription.key);
        }
        self.shared.changed.notify_waiters();
    }

    pub(super) fn forget_interest(&self, subject: &[u8], key: Key) {
        self.router.remove(subject, |it| it.key == key && std::ptr::eq(&*it.connection, self));
    }

    /// Since when the peer has accepted no bytes, if some are pending.
    pub(super) fn stuck_since(&self) -> Option<Instant> {
        lock(&self.out).stuck_since
    }

    /// Pauses a publisher until this connection has less pending, up to a time limit.
    pub(super) async fn hold_up(&self) {
        let mark = HOLD_UP_ABOVE.min(self.shared.settings.max_pending / 2);
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
        // After the time limit the publisher goes on.
        let _ = tokio::time::timeout(HOLD_UP_FOR, low).await;
    }
}

impl Out {
    fn pending(&self) -> usize {
        self.output.bytes.len() + self.in_flight
    }
}

/// The open connections of a broker.
pub(super) struct Connections {
    shared: Arc<Shared>,
    router: Arc<Router<Arc<Connection>>>,
    open: Mutex<BTreeMap<u64, Arc<Connection>>>,
    made: AtomicU64,
}

impl Connections {
    pub(super) fn new(shared: Arc<Shared>, router: Arc<Router<Arc<Connection>>>) -> Arc<Self> {
        Arc::new(Self { shared, router, open: Mutex::default(), made: AtomicU64::new(0) })
    }

    /// Adds one. Also returns how many there were before it.
    pub(super) fn add(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr) -> (Arc<Connection>, usize) {
        let id = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let connection = Connection::new(id, self, peer, socket);
        let mut open = lock(&self.open);
        let before = open.len();
        open.insert(id, Arc::clone(&connection));
        (connection, before)
    }

    /// All of them, oldest first.
    pub(super) fn list(&self) -> Vec<Arc<Connection>> {
        lock(&self.open).values().map(Arc::clone).collect()
    }

    pub(super) fn each(&self, work: impl Fn(&Connection)) {
        for connection in self.list() {
            work(&connection);
        }
    }

    /// Closes all of them, and returns how many there were.
    pub(super) fn close(&self, how: Close) -> usize {
        let connections = self.list();
        for connection in &connections {
            connection.close(how);
        }
        connections.len()
    }

    fn remove(&self, connection: &Connection) {
        lock(&self.open).remove(&connection.id);
        self.shared.changed.notify_waiters();
    }
}
