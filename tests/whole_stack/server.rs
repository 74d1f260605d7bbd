//! What a nats-server does with the bytes of a connection. It acts on whole operations at once and waits for nothing; who
//! carries its bytes is `carrier`.

use std::collections::BTreeMap;
use std::sync::Arc;

use nats_lifeline::protocol::{self, ClientOp, Decoded, Decoder, Limits, PubOp};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::content::{self, Id};
use crate::routes::{Key, Published};
use crate::secure::Session;

/// What is asked for is answered with itself.
const ASKED: &[u8] = b"ask";

/// The largest limit of an UNSUB that a server reads; a larger one is none.
const LARGEST_LIMIT: u64 = 999_999_999;

pub(crate) struct Conn {
    pub(crate) node: usize,
    decoder: Decoder,
    unread: Vec<u8>,
    pub(super) subs: BTreeMap<u64, Interest>,
    session: Option<Session>,
    /// CONNECT has come.
    connected: bool,
    /// The first PING too.
    greeted: bool,
    pub(crate) closed: bool,
    /// It has closed.
    pub(crate) gone: Arc<Notify>,
    /// What it says, as far as nobody has carried it away: in clear even where there is TLS, and all the rest.
    pub(super) clear: Vec<u8>,
    pub(crate) out: Vec<u8>,
    /// There is more of it, or it has closed.
    pub(crate) news: Arc<Notify>,
    /// Messages, in the order in which they were processed.
    pub(crate) processed: Vec<Id>,
    /// When CONNECT came.
    pub(crate) since: Option<Instant>,
    /// When its first message was processed.
    pub(crate) used: Option<Instant>,
    /// Messages sent to the client's subscriptions, in order, by subject and queue group.
    pub(crate) sent: BTreeMap<String, Vec<Id>>,
}

pub(crate) struct Interest {
    pub(super) subject: Vec<u8>,
    pub(super) queue: Option<Vec<u8>>,
    sent: u64,
    max: Option<u64>,
}

impl Interest {
    fn name(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.queue.iter().fold(text(&self.subject), |name, queue| format!("{name} {}", text(queue)))
    }
}

impl Conn {
    pub(super) fn new(node: usize, session: Option<Session>) -> Conn {
        Conn {
            node,
            decoder: Decoder::new(Limits::default()),
            unread: Vec::new(),
            subs: BTreeMap::new(),
            session,
            connected: false,
            greeted: false,
            closed: false,
            gone: Arc::default(),
            clear: Vec::new(),
            out: Vec::new(),
            news: Arc::default(),
            processed: Vec::new(),
            since: None,
            used: None,
            sent: BTreeMap::new(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected && !self.closed
    }

    /// What goes on the wire next.
    pub(crate) fn take_said(&mut self) -> Vec<u8> {
        let mut said = std::mem::take(&mut self.clear);
        match &mut self.session {
            None => said.append(&mut self.out),
            Some(session) => session.seal(&std::mem::take(&mut self.out), &mut said),
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
        for sid in self.conns[at].subs.keys().copied().collect::<Vec<_>>() {
            self.forget((at, sid));
        }
    }

    /// Bytes from the wire.
    pub(crate) fn read(&mut self, at: usize, bytes: &[u8]) {
        let conn = &mut self.conns[at];
        let mut unread = std::mem::take(&mut conn.unread);
        match &mut conn.session {
            None => unread.extend_from_slice(bytes),
            Some(session) => {
                if let Err(error) = session.open(bytes, &mut unread) {
                    self.complaints.push(format!("connection {at} said what is no TLS: {error}"));
                    self.close(at);
                }
                self.conns[at].news.notify_one();
            }
        }
        let mut used = 0;
        while used < unread.len() && !self.conns[at].closed {
            match self.conns[at].decoder.decode_client(&unread[used..]) {
                Ok(Decoded::Op { op, len }) => {
                    self.act(at, &op);
                    used += len;
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => {
                    self.complaints.push(format!("connection {at} said what is no NATS: {error}"));
                    self.close(at);
                }
            }
        }
        unread.drain(..used);
        self.conns[at].unread = unread;
    }

    fn act(&mut self, at: usize, op: &ClientOp<'_>) {
        let conn = &mut self.conns[at];
        match op {
            ClientOp::Pong => {}
            ClientOp::Connect(_) => {
                conn.connected = true;
                conn.since = Some(Instant::now());
            }
            ClientOp::Ping => {
                protocol::pong(&mut conn.out);
                let first = !std::mem::replace(&mut conn.greeted, true);
                conn.news.notify_one();
                if first && self.nodes.len() > 1 {
                    // What has changed since it was greeted.
                    let info = self.info(self.conns[at].node);
                    protocol::info(&mut self.conns[at].out, info.as_bytes());
                }
            }
            // A second one with a live sid is ignored.
            ClientOp::Sub { sid, .. } if conn.subs.contains_key(sid) => {}
            ClientOp::Sub { subject, sid, queue } => {
                let queue = queue.map(<[u8]>::to_vec);
                conn.subs.insert(*sid, Interest { subject: subject.to_vec(), queue, sent: 0, max: None });
                self.spread((at, *sid));
            }
            ClientOp::Unsub { sid, max } => match (conn.subs.get_mut(sid), max.filter(|max| *max <= LARGEST_LIMIT)) {
                (Some(interest), Some(max)) if interest.sent < max => interest.max = Some(max),
                (Some(_), _) => self.unsubscribe((at, *sid)),
                (None, _) => {}
            },
            ClientOp::Pub(published) => self.publish(at, published),
        }
    }

    fn unsubscribe(&mut self, key: Key) {
        self.conns[key.0].subs.remove(&key.1);
        self.forget(key);
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

    /// To one subscription.
    pub(super) fn give(&mut self, key: Key, message: &Published) {
        let (at, sid) = key;
        let conn = &mut self.conns[at];
        let Some(interest) = conn.subs.get_mut(&sid) else { return };
        let Published { id, subject, headers, payload } = message;
        protocol::message(&mut conn.out, subject, sid, None, headers.as_deref(), payload);
        interest.sent += 1;
        let ends = interest.max.is_some_and(|max| interest.sent >= max);
        conn.sent.entry(interest.name()).or_default().push(*id);
        conn.news.notify_one();
        if ends {
            self.unsubscribe(key);
        }
    }
}
