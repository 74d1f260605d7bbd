//! A model server's end of a connection. How it treats the client is the session that the broker of `testing` is built on; where
//! messages go, and an exact record of it, is the cluster's. It acts on each operation when it is complete and never waits.
//! `carrier` transports its bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use nats_lifeline::protocol::{self, ClientOp, PubOp};
use nats_lifeline::testing::session::{Delivery, Ending, Fact, Output, Read, Session, Settings, Subscription};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::content::{self, Id};
use crate::routes::{Key, Published};
use crate::secure;

/// Requests to this subject are answered with their own payload.
const ASKED: &[u8] = b"ask";

pub(crate) struct Conn {
    pub(crate) node: usize,
    session: Session,
    unread: Vec<u8>,
    /// Its subscriptions, and the bytes to send, before encryption.
    pub(super) output: Output,
    tls: Option<secure::Session>,
    pub(crate) closed: bool,
    /// It has closed.
    pub(crate) gone: Arc<Notify>,
    /// Bytes to send before those, unencrypted even with TLS.
    pub(super) clear: Vec<u8>,
    /// There is more of it, or it has closed.
    pub(crate) news: Arc<Notify>,
    /// Messages, in the order in which they were processed.
    pub(crate) processed: Vec<Id>,
    /// When CONNECT arrived.
    pub(crate) since: Option<Instant>,
    /// When its first message was processed.
    pub(crate) used: Option<Instant>,
    /// Messages sent to the client's subscriptions, in order, by subject and queue group.
    pub(crate) sent: BTreeMap<String, Vec<Id>>,
}

/// How the worlds name a subscription: its subject and its queue group.
fn name(subscription: &Subscription) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let subject = text(&subscription.subject);
    subscription.queue.iter().fold(subject, |name, queue| format!("{name} {}", text(queue)))
}

impl Conn {
    pub(super) fn new(node: usize, tls: Option<secure::Session>) -> Conn {
        Conn {
            node,
            session: Session::new(Settings::default()),
            unread: Vec::new(),
            output: Output::default(),
            tls,
            closed: false,
            gone: Arc::default(),
            clear: Vec::new(),
            news: Arc::default(),
            processed: Vec::new(),
            since: None,
            used: None,
            sent: BTreeMap::new(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.session.login().is_some() && !self.closed
    }

    /// Takes the next bytes for the wire.
    pub(crate) fn take_said(&mut self) -> Vec<u8> {
        let mut said = std::mem::take(&mut self.clear);
        match &mut self.tls {
            None => said.append(&mut self.output.bytes),
            Some(tls) => tls.seal(&std::mem::take(&mut self.output.bytes), &mut said),
        }
        said
    }

    pub(crate) fn sent_to(&self, name: &str) -> &[Id] {
        self.sent.get(name).map_or(&[], |sent| &sent[..])
    }
}

impl Cluster {
    /// Half an operation at the end is discarded.
    pub(crate) fn close(&mut self, at: usize) {
        if std::mem::replace(&mut self.conns[at].closed, true) {
            return;
        }
        self.conns[at].news.notify_one();
        self.conns[at].gone.notify_one();
        for ended in self.conns[at].output.subscriptions.clear() {
            self.forget((at, ended.sid));
        }
    }

    /// Bytes from the wire.
    pub(crate) fn read(&mut self, at: usize, bytes: &[u8]) {
        let conn = &mut self.conns[at];
        let mut unread = std::mem::take(&mut conn.unread);
        match &mut conn.tls {
            None => unread.extend_from_slice(bytes),
            Some(tls) => {
                if let Err(error) = tls.open(bytes, &mut unread) {
                    self.complaints.push(format!("connection {at} sent what is not TLS: {error}"));
                    self.close(at);
                }
                self.conns[at].news.notify_one();
            }
        }
        let mut used = 0;
        while !self.conns[at].closed {
            let acted = match self.conns[at].session.read(&unread[used..]) {
                Ok(Read::NeedMore(_)) => break,
                Ok(Read::Op { op, len }) => self.act(at, &op).map(|()| len),
                Ok(Read::Ignored(_)) => Err("a line that is ignored".to_owned()),
                Err(ending) => Err(format!("{ending:?}")),
            };
            match acted {
                Ok(len) => used += len,
                Err(why) => {
                    self.complaints.push(format!("connection {at} sent what a server does not accept: {why}"));
                    self.close(at);
                }
            }
        }
        unread.drain(..used);
        self.conns[at].unread = unread;
    }

    /// The client under test never gives a server a reason to refuse anything.
    fn act(&mut self, at: usize, op: &ClientOp<'_>) -> Result<(), String> {
        let conn = &mut self.conns[at];
        let before = conn.output.bytes.len();
        let fact = conn.session.act(op, &mut conn.output).map_err(|ending: Ending| format!("{ending:?}"))?;
        if conn.output.bytes.len() > before {
            conn.news.notify_one();
        }
        match fact {
            Fact::Connected(dropped) if dropped.is_empty() => conn.since = Some(Instant::now()),
            Fact::Connected(_) => return Err("CONNECT twice".to_owned()),
            Fact::Greeted if self.nodes.len() > 1 => {
                // With what has changed since the first INFO.
                let info = self.info(self.conns[at].node);
                protocol::info(&mut self.conns[at].output.bytes, info.as_bytes());
            }
            Fact::Subscribed { key, .. } => {
                let sid = conn.output.subscriptions.get(key).map(|made| made.sid);
                sid.into_iter().for_each(|sid| self.spread((at, sid)));
            }
            Fact::Refused(text) => return Err(text.to_owned()),
            Fact::Unsubscribed(ended) => self.forget((at, ended.sid)),
            Fact::Published(published) => self.publish(at, &published),
            Fact::Nothing | Fact::Greeted | Fact::Pong => {}
        }
        Ok(())
    }

    fn publish(&mut self, at: usize, published: &PubOp<'_>) {
        let Some(id) = content::read(published.payload) else {
            let text = String::from_utf8_lossy(published.payload);
            return self.complaints.push(format!("connection {at}: nobody published this: {text}"));
        };
        *self.processed.entry(id).or_default() += 1;
        self.conns[at].processed.push(id);
        self.conns[at].used.get_or_insert_with(Instant::now);
        let (node, payload) = (self.conns[at].node, published.payload.to_vec());
        match published.reply {
            Some(reply) if published.subject == ASKED => {
                self.ask(node, Published { id, subject: reply.to_vec(), headers: None, payload });
            }
            _ => {
                let (subject, headers) = (published.subject.to_vec(), published.headers.map(<[u8]>::to_vec));
                self.publish_at(node, &Arc::new(Published { id, subject, headers, payload }));
            }
        }
    }

    /// Sends a message to one subscription.
    pub(super) fn give(&mut self, key: Key, message: &Published) {
        let (at, sid) = key;
        let conn = &mut self.conns[at];
        let Some(subscription) = conn.output.subscriptions.by_sid(sid) else { return };
        let (name, key) = (name(subscription), subscription.key);
        let Published { id, subject, headers, payload } = message;
        let published = PubOp { subject, reply: None, headers: headers.as_deref(), payload };
        let delivery = conn.output.deliver(key, &published);
        conn.sent.entry(name).or_default().push(*id);
        conn.news.notify_one();
        if let Delivery::Last(ended) = delivery {
            self.forget((at, ended.sid));
        }
    }
}
