//! One client: what it says, and what that does.

use super::connection::{Close, Connection, Delivery};
use super::faults::Meter;
use super::greeting::{Login, say_info};
use super::judgement::{Ending, SMALL_BUFFER, args_len, decoder, fit, verdict};
use super::lock;
use super::node::{Node, random};
use super::router::{Routes, Subscription};
use crate::protocol::{ClientOp, Decoded, Decoder, PubOp, check_subscribe_subject, err, message, ok, pong};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// After a batch of so many bytes others get their turn: there is probably more where it came
/// from, and reading isn't limited by tokio's budget as long as bytes are there.
const YIELD_ABOVE: usize = 16 << 10;

/// How long a line that begins with `+` may be, in bytes. Arbitrary.
const LARGEST_OK: usize = 4 << 10;

/// The largest limit of an UNSUB that a server reads: it reads nine digits (`parseSize`). A larger one is none, and the
/// subscription ends now.
const LARGEST_LIMIT: u64 = 999_999_999;

pub(super) struct Session {
    connection: Arc<Connection>,
    decoder: Decoder,
    /// What `decoder` was made with.
    max_payload: usize,
    login: Login,
    connected: bool,
    /// It got its first PONG.
    greeted: bool,
    headers: bool,
    no_responders: bool,
    routes: Routes,
    /// Connections to wake at the end of the batch.
    touched: Vec<Arc<Connection>>,
    /// Somebody who can't keep up with this batch.
    slow: Option<Arc<Connection>>,
    published: u64,
    random: u64,
}

/// Where a batch stopped.
enum Stop {
    /// At its end; so many bytes are missing from the next operation.
    End {
        missing: usize,
    },
    /// Before its end: the broker was frozen.
    Frozen,
    Over(Ending),
}

impl Session {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        let settings = &connection.node.settings;
        let max_payload = connection.node.max_payload.load(Ordering::Acquire);
        Self {
            decoder: decoder(settings.max_control_line, max_payload),
            max_payload,
            login: Login::default(),
            connected: false,
            greeted: false,
            headers: false,
            no_responders: false,
            routes: Routes::default(),
            touched: Vec::new(),
            slow: None,
            published: 0,
            random: random() | 1,
            connection,
        }
    }

    fn node(&self) -> &Arc<Node> {
        &self.connection.node
    }

    /// Reads and acts until the connection ends.
    pub(super) async fn run(mut self) {
        let connection = Arc::clone(&self.connection);
        let faults = &connection.node.faults;
        let mut meter = Meter::default();
        let mut buf = vec![0; SMALL_BUFFER];
        let mut filled = 0;
        loop {
            faults.while_set(&faults.no_read).await;
            let room = buf.get_mut(filled..).unwrap_or_default();
            let room_len = room.len();
            let got = match connection.read(room).await {
                Ok(0) => return connection.finish(None),
                Ok(got) => got,
                Err(_) => return connection.close(Close::Plain),
            };
            // What lies behind the cut was never received.
            let was_full = got == room_len;
            let got = got.min(faults.cut_received.allowance(&mut meter));
            let cut = faults.cut_received.passed(&mut meter, got);
            filled += got;
            connection.last_heard.store(connection.age(), Ordering::Relaxed);
            let missing = loop {
                // It may have been frozen while it waited for these bytes.
                faults.while_set(&faults.no_read).await;
                let (used, stop) = self.batch(buf.get(..filled).unwrap_or_default());
                buf.copy_within(used..filled, 0);
                filled -= used;
                self.end_batch();
                match stop {
                    Stop::Over(Ending::Says(text)) => return connection.finish(Some(text)),
                    Stop::Over(Ending::Silent) => return connection.finish(None),
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

    /// Acts upon all complete operations; returns how many bytes they had.
    fn batch(&mut self, buf: &[u8]) -> (usize, Stop) {
        let connection = Arc::clone(&self.connection);
        let no_read = &connection.node.faults.no_read;
        let mut at = 0;
        loop {
            if connection.is_closed() {
                return (at, Stop::Over(Ending::Silent));
            }
            if no_read.load(Ordering::Relaxed) {
                return (at, Stop::Frozen);
            }
            let rest = buf.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return (at, Stop::End { missing: 1 });
            }
            match self.decoder.decode_client(rest) {
                Ok(Decoded::Op { op, len }) => {
                    if let Err(ending) = self.act(&op, rest, len) {
                        return (at, Stop::Over(ending));
                    }
                    at += len;
                }
                Ok(Decoded::NeedMore(missing)) => return (at, Stop::End { missing }),
                // nats-server ignores an +OK (`parser.go`, `OP_PLUS_OK`); it has no place in the
                // operations of a client, so the decoder knows none.
                Err(_) if rest.starts_with(b"+") => match rest.iter().position(|b| *b == b'\n') {
                    Some(end) => at += end + 1,
                    None if rest.len() > LARGEST_OK => return (at, Stop::Over(Ending::Silent)),
                    None => return (at, Stop::End { missing: 1 }),
                },
                Err(error) => return (at, Stop::Over(verdict(&error))),
            }
        }
    }

    fn act(&mut self, op: &ClientOp<'_>, buf: &[u8], len: usize) -> Result<(), Ending> {
        let max_line = self.node().settings.max_control_line;
        if len > max_line && args_len(op, buf, len) > max_line {
            return Err(Ending::Says("maximum control line exceeded"));
        }
        if !self.connected && self.node().settings.auth_required() {
            let ClientOp::Connect(_) = op else {
                return Err(Ending::Says("Authorization Violation"));
            };
        }
        match op {
            ClientOp::Pub(published) => return self.publish(published),
            ClientOp::Ping => return self.ping(),
            ClientOp::Pong => {
                self.connection.pings_out.store(0, Ordering::Relaxed);
                return Ok(());
            }
            ClientOp::Sub { subject, queue, sid } => {
                if check_subscribe_subject(subject).is_err() {
                    self.reply(|out| err(out, "Invalid Subject"));
                    return Ok(());
                }
                self.subscribe(subject, *queue, *sid);
            }
            ClientOp::Unsub { sid, max } => {
                self.connection.unsubscribe(*sid, max.filter(|max| *max <= LARGEST_LIMIT));
            }
            ClientOp::Connect(json) => self.connect(json)?,
        }
        if self.login.verbose {
            self.reply(ok);
        }
        Ok(())
    }

    fn connect(&mut self, json: &[u8]) -> Result<(), Ending> {
        let login = Login::parse(json).ok_or(Ending::Silent)?;
        let node = Arc::clone(self.node());
        if !node.settings.accepts(&login) || node.faults.reject_logins.load(Ordering::Acquire) {
            return Err(Ending::Says("Authorization Violation"));
        }
        if !(0..=1).contains(&login.protocol) {
            return Err(Ending::Says("invalid client protocol"));
        }
        self.headers = login.headers && node.settings.headers;
        if login.no_responders && !self.headers {
            return Err(Ending::Says("no responders requires headers support"));
        }
        self.no_responders = login.no_responders && node.settings.no_responders;
        if self.connected {
            // A second CONNECT drops all subscriptions (seen on 2.15, not on 2.9).
            self.connection.forget_subscriptions();
        }
        self.login = login;
        self.connected = true;
        self.connection.headers.store(self.headers, Ordering::Relaxed);
        self.connection.connected.store(true, Ordering::Release);
        node.changed.notify_waiters();
        Ok(())
    }

    fn ping(&mut self) -> Result<(), Ending> {
        let node = Arc::clone(self.node());
        if node.faults.drop_pongs.load(Ordering::Acquire) {
            return Ok(());
        }
        self.reply(pong);
        if self.greeted || !self.connected {
            return Ok(());
        }
        self.greeted = true;
        if self.login.protocol >= 1 {
            self.connection.takes_info.store(true, Ordering::Release);
            if node.settings.second_info {
                let connection = Arc::clone(&self.connection);
                self.reply(|out| say_info(out, &node, &connection, true));
            }
        }
        if node.faults.close_after_pong.load(Ordering::Acquire) {
            return Err(Ending::Silent);
        }
        Ok(())
    }

    fn subscribe(&mut self, subject: &[u8], queue: Option<&[u8]>, sid: u64) {
        let connection = &self.connection;
        let mut table = lock(&connection.subscriptions);
        // A second SUB with a live sid is ignored, and still answered with +OK (`processSubEx`).
        if table.contains_key(&sid) {
            return;
        }
        let subscription = Arc::new(Subscription {
            connection: Arc::clone(connection),
            sid,
            subject: subject.into(),
            queue: queue.map(Into::into),
            delivered: AtomicU64::new(0),
            max: AtomicU64::new(0),
            gone: AtomicBool::new(false),
        });
        table.insert(sid, Arc::clone(&subscription));
        connection.node.fabric.router.insert(subscription);
        drop(table);
        if connection.is_closed() {
            // Closed by somebody else, who may have looked before this one was there.
            connection.forget_subscriptions();
        }
        connection.node.changed.notify_waiters();
    }

    #[inline]
    fn publish(&mut self, published: &PubOp<'_>) -> Result<(), Ending> {
        if published.headers.is_some() && !self.headers {
            // HPUB from a client that did not ask for headers (`processHeaderPub`).
            return Err(Ending::Silent);
        }
        if self.login.verbose {
            // Before what it delivers, to this client too (`processInboundClientMsg`).
            self.reply(ok);
        }
        self.published += 1;
        let own = &self.connection;
        let echo = self.login.echo;
        let route = self.routes.to(&own.node.fabric.router, published.subject);
        let mut batch = Batch { touched: &mut self.touched, slow: &mut self.slow };
        let mut delivered = false;
        for subscription in &route.plain {
            if echo || !Arc::ptr_eq(&subscription.connection, own) {
                delivered |= batch.deliver(subscription, published);
            }
        }
        for group in &route.groups {
            // xorshift: any member will do, but not always the same one.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let first = usize::try_from(self.random % group.len() as u64).unwrap_or(0);
            let members = group.iter().cycle().skip(first).take(group.len());
            for subscription in members {
                let allowed = echo || !Arc::ptr_eq(&subscription.connection, own);
                if allowed && batch.deliver(subscription, published) {
                    delivered = true;
                    break;
                }
            }
        }
        if let (false, true, Some(reply)) = (delivered, self.no_responders, published.reply) {
            self.nobody_listens(published.subject, reply);
        }
        Ok(())
    }

    /// Status 503, straight to the subscription of this client that waits for the answer, and not
    /// counted as one of its messages (`client.go`, `subForReply`).
    fn nobody_listens(&mut self, subject: &[u8], reply: &[u8]) {
        let route = self.node().fabric.router.find(reply);
        let mut own = route.plain.iter();
        let own = own.find(|sub| Arc::ptr_eq(&sub.connection, &self.connection));
        if let Some(subscription) = own {
            let block = [b"NATS/1.0 503\r\nNats-Subject: ", subject, b"\r\n\r\n"].concat();
            let sid = subscription.sid;
            self.reply(|out| message(out, reply, sid, None, Some(&block), b""));
        }
    }

    /// Queues something for this client.
    fn reply(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.connection.queue(encode) {
            self.touched.push(Arc::clone(&self.connection));
        }
    }

    fn end_batch(&mut self) {
        for connection in self.touched.drain(..) {
            connection.wake();
        }
        let counter = &self.connection.node.counters.messages_in;
        counter.fetch_add(std::mem::take(&mut self.published), Ordering::Relaxed);
        let max_payload = self.node().max_payload.load(Ordering::Relaxed);
        if max_payload != self.max_payload {
            self.change_limit(max_payload);
        }
    }

    /// What of an operation has been read is read again by the new decoder.
    fn change_limit(&mut self, max_payload: usize) {
        self.max_payload = max_payload;
        self.decoder = decoder(self.node().settings.max_control_line, max_payload);
    }
}

/// What the deliveries of a batch leave to do.
struct Batch<'a> {
    touched: &'a mut Vec<Arc<Connection>>,
    slow: &'a mut Option<Arc<Connection>>,
}

impl Batch<'_> {
    #[inline]
    fn deliver(&mut self, subscription: &Arc<Subscription>, published: &PubOp<'_>) -> bool {
        let connection = &subscription.connection;
        match connection.deliver(subscription, published) {
            Delivery::Refused => false,
            Delivery::Queued { wake, full } => {
                if wake {
                    self.touched.push(Arc::clone(connection));
                }
                if full && self.slow.is_none() {
                    *self.slow = Some(Arc::clone(connection));
                }
                true
            }
        }
    }
}
