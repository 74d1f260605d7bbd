//! The reading task of one client: its bytes go through the session, and its messages go where the router says.

use super::connection::{Close, Connection, Queued};
use super::greeting::say_info;
use super::node::{Node, random};
use super::router::{Interest, Routes};
use super::session::{Desk, Ending, Fact, Key, Output, Read, Session, Subscription};
use super::switches::Meter;
use crate::protocol::{ClientOp, PubOp};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// After a batch of this many bytes other tasks get their turn: there is probably more where it came
/// from, and reading isn't limited by tokio's budget as long as bytes are there.
const YIELD_ABOVE: usize = 16 << 10;

/// The read buffer of a client that sends little, in bytes.
const SMALL_BUFFER: usize = 4 << 10;

/// The largest read buffer of a client that sends much, in bytes; it doubles up to here. A larger
/// operation makes it larger for as long as that takes.
const LARGE_BUFFER: usize = 256 << 10;

pub(super) struct Reading {
    node: Arc<Node>,
    session: Session,
    desk: Lane,
    routes: Routes<Arc<Connection>>,
    /// A subscriber that can't keep up with this batch.
    slow: Option<Arc<Connection>>,
    published: u64,
    random: u64,
}

/// The client's own output, and the connections to wake at the end of the batch.
struct Lane {
    connection: Arc<Connection>,
    touched: Vec<Arc<Connection>>,
}

impl Desk for Lane {
    fn open<R>(&mut self, work: impl FnOnce(&mut Output) -> R) -> Option<R> {
        let (done, wake) = self.connection.with_output(work)?;
        if wake {
            self.touched.push(Arc::clone(&self.connection));
        }
        Some(done)
    }
}

/// Where a batch stopped.
enum Stop {
    /// At its end, with at least this many bytes missing from the next operation.
    End {
        missing: usize,
    },
    /// Before its end: the broker was frozen.
    Frozen,
    Over(Ending),
}

impl Reading {
    pub(super) fn new(node: Arc<Node>, connection: Arc<Connection>) -> Self {
        Self {
            session: Session::new(node.shared.session_settings(connection.nonce.clone())),
            node,
            desk: Lane { connection, touched: Vec::new() },
            routes: Routes::new(),
            slow: None,
            published: 0,
            random: random() | 1,
        }
    }

    /// Reads and acts until the connection ends.
    pub(super) async fn run(mut self) {
        let connection = Arc::clone(&self.desk.connection);
        let faults = &connection.shared.faults;
        let mut meter = Meter::default();
        let mut buf = vec![0; SMALL_BUFFER];
        let mut filled = 0;
        loop {
            faults.while_set(&faults.no_read).await;
            let room = buf.get_mut(filled..).unwrap_or_default();
            let room_len = room.len();
            let got = match connection.read(room).await {
                Ok(0) => return connection.finish(Ending::Silent),
                Ok(got) => got,
                Err(_) => return connection.close(Close::Plain),
            };
            // The bytes after the cut were never received.
            let was_full = got == room_len;
            let got = got.min(faults.cut_received.allowance(&mut meter));
            let cut = faults.cut_received.passed(&mut meter, got);
            filled += got;
            connection.last_heard.store(connection.age(), Ordering::Relaxed);
            let missing = loop {
                // The broker may have been frozen while it waited for these bytes.
                faults.while_set(&faults.no_read).await;
                let (used, stop) = self.batch(buf.get(..filled).unwrap_or_default());
                buf.copy_within(used..filled, 0);
                filled -= used;
                self.end_batch();
                match stop {
                    Stop::Over(ending) => return connection.finish(ending),
                    Stop::End { missing } => break missing,
                    Stop::Frozen => {}
                }
            };
            if cut {
                return connection.close(Close::Plain);
            }
            fit(&mut buf, filled, missing, was_full);
            if let Some(slow) = self.slow.take() {
                slow.hold_up().await;
            } else if got >= YIELD_ABOVE {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Acts on all complete operations, and returns how many bytes they had.
    fn batch(&mut self, buf: &[u8]) -> (usize, Stop) {
        let connection = Arc::clone(&self.desk.connection);
        let no_read = &connection.shared.faults.no_read;
        let mut at = 0;
        loop {
            if connection.is_closed() {
                return (at, Stop::Over(Ending::Silent));
            }
            if no_read.load(Ordering::Relaxed) {
                return (at, Stop::Frozen);
            }
            let rest = buf.get(at..).unwrap_or_default();
            let result = match self.session.read(rest) {
                Ok(Read::NeedMore(missing)) => return (at, Stop::End { missing }),
                Ok(Read::Ignored(len)) => Ok(len),
                Ok(Read::Op { op, len }) => self.act(&op).map(|()| len),
                Err(ending) => Err(ending),
            };
            match result {
                Ok(len) => at += len,
                Err(ending) => return (at, Stop::Over(ending)),
            }
        }
    }

    #[inline]
    fn act(&mut self, op: &ClientOp<'_>) -> Result<(), Ending> {
        let faults = &self.node.shared.faults;
        match op {
            ClientOp::Connect(_) if faults.reject_logins.load(Ordering::Acquire) => return Err(Ending::UNAUTHORIZED),
            ClientOp::Ping if faults.drop_pongs.load(Ordering::Acquire) => return Ok(()),
            _ => {}
        }
        match self.session.act(op, &mut self.desk)? {
            Fact::Published(message) => return self.publish(&message),
            Fact::Pong => self.desk.connection.pings_out.store(0, Ordering::Relaxed),
            Fact::Greeted => return self.greeted(),
            Fact::Connected(dropped) => self.connected(&dropped),
            Fact::Subscribed { key, subject, queue } => self.subscribed(key, subject, queue),
            Fact::Unsubscribed(ended) => self.desk.connection.forget(&[ended]),
            Fact::Nothing | Fact::Refused(_) => {}
        }
        Ok(())
    }

    fn connected(&mut self, dropped: &[Subscription]) {
        self.desk.connection.forget(dropped);
        self.desk.connection.connected.store(true, Ordering::Release);
        self.node.shared.changed.notify_waiters();
    }

    /// The client got its first PONG.
    fn greeted(&mut self) -> Result<(), Ending> {
        let node = Arc::clone(&self.node);
        if self.session.login().is_some_and(|login| login.protocol >= 1) {
            let connection = Arc::clone(&self.desk.connection);
            connection.takes_info.store(true, Ordering::Release);
            if node.shared.settings.second_info {
                self.desk.open(|output| say_info(&mut output.bytes, &node, &connection, true)).ok_or(Ending::Silent)?;
            }
        }
        if node.shared.faults.close_after_pong.load(Ordering::Acquire) {
            return Err(Ending::Silent);
        }
        Ok(())
    }

    fn subscribed(&mut self, key: Key, subject: &[u8], queue: Option<&[u8]>) {
        let connection = &self.desk.connection;
        let interest = Interest { connection: Arc::clone(connection), key, queue: queue.map(Into::into) };
        connection.router.insert(subject, interest);
        if !connection.has(key) {
            // Another task has closed it meanwhile, and did not find it in the router yet.
            connection.forget_interest(subject, key);
        }
        connection.shared.changed.notify_waiters();
        // Messages that a stream or consumer has for this subscription are delivered to it.
        self.node.fabric.host.tick();
    }

    #[inline]
    fn publish(&mut self, message: &PubOp<'_>) -> Result<(), Ending> {
        self.published += 1;
        let Lane { connection: own, touched } = &mut self.desk;
        let echo = self.session.echo();
        let route = self.routes.to(&own.router, message.subject);
        let mut batch = Batch { touched, slow: &mut self.slow };
        let mut delivered = false;
        for interest in &route.plain {
            if echo || !Arc::ptr_eq(&interest.connection, own) {
                delivered |= batch.deliver(interest, message);
            }
        }
        for group in &route.groups {
            // xorshift: any member is fine, but not always the same one.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let first = usize::try_from(self.random % group.len() as u64).unwrap_or(0);
            let members = group.iter().cycle().skip(first).take(group.len());
            for interest in members {
                let allowed = echo || !Arc::ptr_eq(&interest.connection, own);
                if allowed && batch.deliver(interest, message) {
                    delivered = true;
                    break;
                }
            }
        }
        delivered |= self.node.fabric.host.publish(message);
        if delivered { Ok(()) } else { self.session.no_responders(message, &mut self.desk) }
    }

    fn end_batch(&mut self) {
        for connection in self.desk.touched.drain(..) {
            connection.wake();
        }
        let connection = &self.desk.connection;
        let counter = &connection.shared.counters.messages_in;
        counter.fetch_add(std::mem::take(&mut self.published), Ordering::Relaxed);
        let max_payload = connection.shared.max_payload.load(Ordering::Relaxed);
        if max_payload != self.session.max_payload() {
            self.session.set_max_payload(max_payload);
        }
    }
}

/// The work that deliveries leave for the end of the batch.
struct Batch<'a> {
    touched: &'a mut Vec<Arc<Connection>>,
    slow: &'a mut Option<Arc<Connection>>,
}

impl Batch<'_> {
    #[inline]
    fn deliver(&mut self, interest: &Interest<Arc<Connection>>, message: &PubOp<'_>) -> bool {
        let connection = &interest.connection;
        let Some(Queued { wake, full }) = connection.deliver(interest.key, message) else {
            return false;
        };
        if wake {
            self.touched.push(Arc::clone(connection));
        }
        if full && self.slow.is_none() {
            *self.slow = Some(Arc::clone(connection));
        }
        true
    }
}

/// Makes the buffer fit the next operation.
fn fit(buf: &mut Vec<u8>, filled: usize, missing: usize, was_full: bool) {
    let needed = filled + missing;
    if needed > buf.len() {
        buf.resize(needed.next_power_of_two().max(SMALL_BUFFER), 0);
    } else if was_full && buf.len() < LARGE_BUFFER {
        buf.resize(buf.len() * 2, 0);
    } else if buf.len() > LARGE_BUFFER && needed <= LARGE_BUFFER {
        buf.truncate(LARGE_BUFFER);
        buf.shrink_to_fit();
    }
}
