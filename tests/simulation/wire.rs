//! The bytes that the transport of one connection took, decoded again.

use std::collections::{BTreeSet, VecDeque};

use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, Limits};

use crate::content;

/// The client's half of a connection, as far as the transport has taken it. Whether the server has it is
/// another question: see [`Conn`](crate::conn::Conn).
pub(crate) struct Wire {
    decoder: Decoder,
    rest: Vec<u8>,
    /// Bytes taken.
    pub(crate) taken: u64,
    parsed: u64,
    /// The SUBs that the server has not acted on: where each ends, and its sid.
    pub(crate) subs: VecDeque<(u64, u64)>,
    /// Messages, in order.
    pub(crate) messages: Vec<u64>,
    /// For each PING, the number of messages before it.
    pub(crate) pings: Vec<usize>,
    /// Subscriptions with a SUB, and no UNSUB after it.
    told: BTreeSet<u64>,
    /// Those with at least one SUB.
    pub(crate) ever_subscribed: BTreeSet<u64>,
    /// Those with more than one SUB.
    pub(crate) resubscribed: BTreeSet<u64>,
    /// Those with a SUB since the last check.
    pub(crate) just_subscribed: Vec<u64>,
    /// There was an UNSUB with a limit since the last check.
    pub(crate) now_limited: bool,
    /// Those with another SUB since the last check, and no UNSUB before it.
    pub(crate) doubled: Vec<u64>,
}

/// A message on the wire, to be compared with the published one.
pub(crate) struct Found {
    pub(crate) number: u64,
    pub(crate) subject: usize,
    pub(crate) size: usize,
    pub(crate) headers: bool,
}

impl Wire {
    pub(crate) fn new() -> Wire {
        let limits = Limits { line: usize::MAX, headers: usize::MAX, total: usize::MAX };
        Wire {
            decoder: Decoder::new(limits),
            rest: Vec::new(),
            taken: 0,
            parsed: 0,
            subs: VecDeque::new(),
            messages: Vec::new(),
            pings: Vec::new(),
            told: BTreeSet::new(),
            ever_subscribed: BTreeSet::new(),
            resubscribed: BTreeSet::new(),
            just_subscribed: Vec::new(),
            now_limited: false,
            doubled: Vec::new(),
        }
    }

    /// Whether no message, nor part of one, follows the last PING.
    pub(crate) fn ends_with_ping(&self) -> bool {
        self.pings.last() == Some(&self.messages.len()) && self.rest.is_empty()
    }

    /// Whether the last message was taken only in part.
    pub(crate) fn is_in_message(&self) -> bool {
        [&b"PUB "[..], b"HPUB "].iter().any(|word| {
            let there = word.len().min(self.rest.len());
            there > 0 && self.rest.starts_with(&word[..there])
        })
    }

    /// Where the incomplete operation begins.
    pub(crate) fn parsed(&self) -> u64 {
        self.parsed
    }

    /// The transport takes `bytes`. Returns the messages that they complete; I1 is checked here.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Found> {
        self.taken += bytes.len() as u64;
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            match self.decoder.decode_client(&rest[at..]) {
                Ok(Decoded::Op { op, len }) => {
                    at += len;
                    self.parsed += len as u64;
                    self.read(&op, &mut found);
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => panic!("I1: the client wrote nonsense: {error}"),
            }
        }
        self.rest = rest;
        self.rest.drain(..at);
        found
    }

    fn read(&mut self, op: &ClientOp<'_>, found: &mut Vec<Found>) {
        match op {
            ClientOp::Connect(_) | ClientOp::Pong => {}
            ClientOp::Pub(message) => {
                let Some(number) = content::read(message.payload) else {
                    panic!("I1: a payload was changed: {:?}", String::from_utf8_lossy(message.payload));
                };
                if let Some(block) = message.headers {
                    assert_eq!(block, content::headers(number), "I1: headers of another message");
                }
                let subject = content::index(message.subject).expect("I1: a subject that nobody published to");
                let headers = message.headers.is_some();
                let size = message.headers.map_or(0, <[u8]>::len) + message.payload.len();
                found.push(Found { number, subject, size, headers });
                self.messages.push(number);
            }
            ClientOp::Sub { subject, sid, .. } => {
                self.subs.push_back((self.parsed, *sid));
                self.just_subscribed.push(*sid);
                if !self.told.insert(*sid) {
                    self.doubled.push(*sid);
                }
                if !self.ever_subscribed.insert(*sid) {
                    self.resubscribed.insert(*sid);
                }
                content::index(subject).expect("a subject that nobody subscribed to");
            }
            ClientOp::Unsub { sid, max } => {
                if max.is_none() {
                    // Another SUB may follow, with the rest of its limit.
                    self.told.remove(sid);
                }
                self.now_limited |= max.is_some();
            }
            ClientOp::Ping => self.pings.push(self.messages.len()),
        }
    }
}
