//! The model server: what a nats-server does with the bytes it reads, and an exact memory of it. It acts on whole
//! operations at once and waits for nothing; who carries its bytes is `carrier`.

use std::collections::BTreeMap;
use std::sync::Arc;

use nats_lifeline::protocol::{self, ClientOp, Decoded, Decoder, Limits, PubOp};
use tokio::sync::Notify;

use crate::content::{self, Id};

const INFO: &[u8] =
    br#"{"server_id":"M","server_name":"model","version":"2.15.1","proto":1,"max_payload":1048576,"headers":true}"#;

/// What is asked for is answered with itself.
const ASKED: &[u8] = b"ask";

#[derive(Default)]
pub(crate) struct Server {
    pub(crate) conns: Vec<Conn>,
    /// How often each message was processed.
    pub(crate) processed: BTreeMap<Id, u64>,
    /// What must never be, found where nobody can panic.
    pub(crate) complaints: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Conn {
    decoder: Decoder,
    unread: Vec<u8>,
    subs: BTreeMap<u64, Interest>,
    pub(crate) closed: bool,
    /// What it says, as far as nobody has carried it away.
    pub(crate) out: Vec<u8>,
    /// There is more of it, or it has closed.
    pub(crate) news: Arc<Notify>,
    /// Messages, in the order in which they were processed.
    pub(crate) processed: Vec<Id>,
    /// Messages sent to the client's subscriptions, in order.
    pub(crate) sent: Vec<Id>,
}

struct Interest {
    subject: Vec<u8>,
    sent: u64,
    max: Option<u64>,
}

impl Server {
    pub(crate) fn accept(&mut self) -> usize {
        let mut conn = Conn { decoder: Decoder::new(Limits::default()), ..Conn::default() };
        protocol::info(&mut conn.out, INFO);
        self.conns.push(conn);
        self.conns.len() - 1
    }

    /// Half an operation at the end is discarded.
    pub(crate) fn close(&mut self, at: usize) {
        let conn = &mut self.conns[at];
        conn.closed = true;
        conn.news.notify_one();
    }

    pub(crate) fn read(&mut self, at: usize, bytes: &[u8]) {
        let mut unread = std::mem::take(&mut self.conns[at].unread);
        unread.extend_from_slice(bytes);
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
            ClientOp::Connect(_) | ClientOp::Pong => {}
            ClientOp::Ping => {
                protocol::pong(&mut conn.out);
                conn.news.notify_one();
            }
            ClientOp::Sub { subject, sid, queue: _ } => {
                conn.subs.insert(*sid, Interest { subject: subject.to_vec(), sent: 0, max: None });
            }
            ClientOp::Unsub { sid, max } => match (conn.subs.get_mut(sid), max) {
                (Some(interest), Some(max)) if interest.sent < *max => interest.max = Some(*max),
                _ => drop(conn.subs.remove(sid)),
            },
            ClientOp::Pub(published) => self.publish(at, published),
        }
    }

    fn publish(&mut self, at: usize, published: &PubOp<'_>) {
        let Some(id) = content::read(published.payload) else {
            let text = String::from_utf8_lossy(published.payload);
            return self.complaints.push(format!("connection {at}: nobody published this: {text}"));
        };
        *self.processed.entry(id).or_default() += 1;
        self.conns[at].processed.push(id);
        match published.reply {
            Some(reply) if published.subject == ASKED => self.route(id, reply, None, published.payload, false),
            _ => self.route(id, published.subject, published.headers, published.payload, true),
        }
    }

    /// To every subscription of every connection that has not ended for the server.
    fn route(&mut self, id: Id, subject: &[u8], headers: Option<&[u8]>, payload: &[u8], noted: bool) {
        for conn in self.conns.iter_mut().filter(|conn| !conn.closed) {
            let Conn { subs, out, sent, news, .. } = conn;
            subs.retain(|sid, interest| {
                if protocol::matches(&interest.subject, subject) {
                    protocol::message(out, subject, *sid, None, headers, payload);
                    interest.sent += 1;
                    if noted {
                        sent.push(id);
                    }
                    news.notify_one();
                }
                interest.max.is_none_or(|max| interest.sent < max)
            });
        }
    }
}
