//! An engine and everything around it: what handles do, what servers get, and what is known about both.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use nats_lifeline::engine::harness::{Harness, Net};
use nats_lifeline::engine::{Cause, Config, Credentials, Frame, Gate, OutboxRules, Refusal};
use nats_lifeline::protocol::{HeaderMap, ServerAddr};

use super::server::{Arrived, Server};
use laws::Reported;

mod effects;
mod laws;

pub(super) const INFO: &[u8] = b"INFO {\"max_payload\":1048576,\"headers\":true}\r\n";

/// What the engine waits for an answer to.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Upgrade,
    Credentials,
}

pub(super) struct World {
    pub(super) harness: Harness,
    rules: OutboxRules,
    /// The servers at the far ends of the wires, and how much of each they have read; `None`: its end was seen.
    servers: Vec<Option<(Server, usize)>>,
    arrived: Arrived,
    asked: Option<(Asked, u64)>,
    /// Whether a second connection may be made for a move.
    prepares: bool,
    reported: Reported,
    published: u64,
    largest: usize,
    /// Bytes of SUB and UNSUB among the messages, which the cap does not count.
    interest: usize,
    sids: u64,
    /// Flushes that were not answered; whether the caller is still waiting.
    flushes: BTreeMap<u64, bool>,
}

pub(super) fn addresses(count: usize) -> Vec<ServerAddr> {
    ["a", "b", "c", "d"].iter().take(count).map(|host| host.parse().unwrap()).collect()
}

impl World {
    pub(super) fn new(config: Config, servers: usize, seed: u64) -> World {
        World {
            prepares: config.prepare_moves,
            arrived: Arrived::new(config.outbox.delivery),
            rules: config.outbox.clone(),
            harness: Harness::new(config, addresses(servers), seed, Instant::now()),
            servers: Vec::new(),
            asked: None,
            reported: Reported::default(),
            published: 0,
            largest: 0,
            interest: 0,
            sids: 0,
            flushes: BTreeMap::new(),
        }
    }

    // What handles do.

    /// Publishes a message whose subject has its number and size.
    pub(super) fn publish(&mut self, size: usize, headers: bool) {
        let number = self.published + 1;
        let subject = format!("m.{number}.{size}");
        let mut map = HeaderMap::new();
        map.insert("Number", number.to_string());
        let block = headers.then(|| map.wire());
        let payload = Bytes::from(vec![number as u8; size]);
        let frame = Frame { subject: subject.as_bytes(), reply: None, headers: block.as_deref(), payload: &payload };
        let outbox = &mut self.harness.outbox;
        let (len, gate, accepted) = (frame.len(), outbox.gate(), outbox.accepted());
        outbox.tick(self.harness.now);
        let outcome = outbox.admit(&frame, false);
        let counts = matches!(outcome, Ok(_) | Err(Refusal::Dropped));
        assert_eq!(outbox.accepted(), accepted + u64::from(counts));
        match outcome {
            Ok(sequence) => {
                assert_eq!(sequence, number, "sequence numbers have no gap");
                self.published = number;
                if number % 3 == 0 {
                    outbox.want_pong(number);
                }
                self.largest = self.largest.max(len);
                if gate == Gate::Buffering {
                    assert!(outbox.pending() <= self.rules.cap);
                    assert!(self.rules.messages.is_none_or(|most| outbox.messages() <= most));
                }
            }
            Err(Refusal::Dropped) => assert_eq!(gate, Gate::Buffering),
            Err(Refusal::Shut) => assert_eq!(gate, Gate::Shut),
            Err(Refusal::NoRoom) => assert!(gate == Gate::Open && outbox.pending() >= outbox.mark()),
            Err(Refusal::TooLarge { .. }) => {
                assert!(gate == Gate::Buffering && len > self.rules.cap && self.rules.cap > 0)
            }
            Err(Refusal::Full { .. } | Refusal::TooMany { .. }) => assert_eq!(gate, Gate::Buffering),
        }
        drop(outbox.take_garbage());
    }

    pub(super) fn cancel(&mut self, sequence: u64) {
        let outbox = &mut self.harness.outbox;
        let (accepted, through) = (outbox.accepted(), outbox.through());
        let gone = outbox.cancel(sequence, &mut Vec::new());
        assert_eq!(outbox.accepted() + u64::from(gone), accepted);
        assert!(!gone || (sequence > through && sequence <= self.published));
    }

    pub(super) fn subscribe(&mut self, queue: Option<&'static str>) {
        self.sids += 1;
        self.interest += 64;
        self.harness.queue_subscribe("s", queue, self.sids);
    }

    pub(super) fn unsubscribe(&mut self, sid: u8) {
        self.interest += 64;
        self.harness.unsubscribe(u64::from(sid));
    }

    pub(super) fn drain_subscription(&mut self, sid: u8) {
        self.interest += 64;
        self.harness.drain_subscription(u64::from(sid));
    }

    /// `informed`: the handle has reported everything that is in doubt.
    pub(super) fn flush(&mut self, informed: bool) {
        let seen = if informed { self.harness.engine.ledger(self.harness.outbox.accepted()).in_doubt } else { 0 };
        let token = self.harness.flush(seen);
        self.flushes.insert(token, true);
    }

    pub(super) fn cancel_flush(&mut self, token: u8) {
        let token = u64::from(token);
        self.harness.cancel_flush(token);
        if let Some(waiting) = self.flushes.get_mut(&token) {
            *waiting = false;
        }
    }

    // What the network does.

    pub(super) fn refuse(&mut self) {
        self.reported.links -= 1;
        self.harness.refuse();
    }

    pub(super) fn lose(&mut self, by_server: bool) {
        if let Net::Up(_) = self.harness.net() {
            let reset = Cause::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            self.harness.lose(if by_server { Cause::ClosedByServer } else { reset });
        }
    }

    pub(super) fn break_writing(&mut self) {
        if let Net::Up(_) = self.harness.net() {
            self.harness.break_writing();
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Answers what the engine has asked for, if anything; also late, when it no longer matters.
    pub(super) fn answer(&mut self, fails: bool) {
        let Some((asked, epoch)) = self.asked.take() else { return };
        let (engine, now) = (&mut self.harness.engine, self.harness.now);
        let cause = Cause::Unsupported("as the script says".into());
        match asked {
            Asked::Upgrade if fails => engine.handle_upgrade_failed(epoch, cause, now),
            Asked::Upgrade => engine.handle_upgraded(epoch, now),
            Asked::Credentials => {
                let answer = if fails { Err(cause) } else { Ok(Credentials::default()) };
                engine.handle_credentials(epoch, answer, now);
            }
        }
        self.harness.settle();
    }
}
