//! What goes wrong in a rough part, and what must be true after a calm one.

use std::collections::BTreeSet;
use std::time::Duration;

use nats_lifeline::jetstream::decide::pull::End;
use nats_lifeline::testing::jetstream::Out;
use rand::RngExt;
use serde_json::json;

use super::plan::{ms, pick};
use super::world::{Arrived, MESSAGES, NEXT, World, say};
use crate::line::Sent;

impl World {
    /// Runs the world. Returns how often everything happened.
    pub(crate) fn run(mut self) -> [u64; 10] {
        say!(self, "{:?}, {:?}", self.plan.settings, self.plan.consumer());
        for _ in 0..self.plan.parts {
            for _ in 0..self.plan.faults {
                let pause = self.plan.calmness.mul_f64(self.rng.random());
                self.pass(pause);
                self.fault();
            }
            self.calm();
        }
        if self.plan.vanishes {
            self.vanish();
        }
        self.counts
    }

    fn fault(&mut self) {
        match self.rng.random_range(0..15) {
            0..3 => {
                let outage = ms(pick(&mut self.rng, &[0, 5, 100, 3_000, 40_000]));
                self.cut(outage);
            }
            3..6 => self.elect(),
            6 => self.restart(),
            7 => {
                let pulls = self.rng.random_range(1..=2);
                say!(self, "{pulls} pulls are swallowed");
                self.counts[5] += pulls;
                self.line.server.swallow_pulls(pulls);
                self.checks.swallowed += u32::try_from(pulls).unwrap();
                self.checks.disturbed();
            }
            8 => {
                let count = self.rng.random_range(1..30);
                say!(self, "{count} deliveries come twice");
                self.line.server.double_deliveries(count);
            }
            9 => {
                let (count, by) = (self.rng.random_range(1..5), ms(self.rng.random_range(1..2_000)));
                say!(self, "{count} deliveries are late by {by:?}");
                self.line.server.delay_deliveries(count, by);
                self.checks.disturbed();
            }
            10 => self.lose(),
            11 => self.refusals = self.rng.random_range(1..4),
            12 => self.other_pulls(),
            13 => self.stall(),
            _ => {
                let rest = ms(pick(&mut self.rng, &[10, 1_000, 10_000]));
                say!(self, "the reader is busy for {rest:?}");
                self.busy = self.busy.max(self.now + rest);
            }
        }
    }

    fn cut(&mut self, outage: Duration) {
        if self.line.connected_since().is_none() {
            return;
        }
        say!(self, "cut for {outage:?}");
        self.counts[3] += 1;
        self.line.cut(&mut self.rng, self.now);
        for came in self.line.pass(self.now) {
            self.came(came);
        }
        self.inbox.push_back(Arrived::Interrupted);
        self.reconnect = Some(self.now + outage);
        self.checks.disturbed();
    }

    /// Nothing gets through for a while, and then everything.
    fn stall(&mut self) {
        let lasts = ms(pick(&mut self.rng, &[300, 3_000, 15_000, 40_000]));
        let ends = [1.0, self.rng.random_range(0.9..1.1)].map(|part| self.now + lasts.mul_f64(part));
        say!(self, "the line stalls for {lasts:?}");
        self.line.stall(ends[0], ends[1]);
        self.checks.disturbed();
    }

    fn elect(&mut self) {
        let lasts = ms(pick(&mut self.rng, &[0, 10, 500, 5_000]));
        say!(self, "an election of {lasts:?}");
        self.counts[4] += 1;
        let now = self.now;
        // What waits for a quorum is lost.
        let own = |out: &Out| out.to.starts_with("in.");
        let lost = self.line.server.held_deliveries().any(own);
        self.checks.swallowed += u32::from(lost);
        self.line.ask_server(now, |server, _, out| server.elect_somehow("S", "c", lasts, now, out));
        self.checks.leaderless = self.checks.leaderless.max(now + lasts);
        self.checks.disturbed();
    }

    fn restart(&mut self) {
        say!(self, "a restart");
        self.counts[6] += 1;
        self.cut(ms(50));
        self.line.server.restart(self.now);
        self.checks.leaderless = self.now;
        self.checks.disturbed();
    }

    /// Messages or acknowledgements are lost on their way, or dropped because the reader is too slow.
    fn lose(&mut self) {
        let count = self.rng.random_range(1..5);
        self.checks.disturbed();
        match self.rng.random_range(0..3) {
            0 => self.line.server.lose_acks(count),
            1 => {
                // A pull that ends at once, and without its message, is not repeated at once.
                self.line.server.lose_deliveries(count);
                self.checks.swallowed += u32::try_from(count).unwrap();
            }
            _ => {
                let mut dropped = 0;
                while dropped < count && matches!(self.inbox.back(), Some(Arrived::Message(out)) if out.reply.is_some())
                {
                    self.inbox.pop_back();
                    dropped += 1;
                }
                if dropped > 0 {
                    say!(self, "{dropped} messages are dropped unread");
                    self.inbox.push_back(Arrived::Lagged(dropped));
                }
            }
        }
    }

    fn other_pulls(&mut self) {
        if self.plan.others {
            let pull = json!({ "batch": self.rng.random_range(1..20), "expires": 1_000_000_000 }).to_string();
            let reply = Some(format!("other.{}", self.rng.random_range(0..1_000_000)));
            self.line.publish(Sent { subject: NEXT.to_owned(), reply, payload: pull.into() }, self.now);
        }
    }

    /// Nothing goes wrong any more: everything that was stored is delivered and acknowledged.
    fn calm(&mut self) {
        say!(self, "calm");
        let server = &mut self.line.server;
        server.swallow_pulls(0);
        server.double_deliveries(0);
        server.delay_deliveries(0, Duration::ZERO);
        server.lose_acks(0);
        server.lose_deliveries(0);
        self.line.unstall(self.now);
        self.refusals = 0;
        self.checks.swallowed = 0;
        self.checks.disturbed();
        if let Some(at) = self.reconnect {
            self.reconnect = Some(at.min(self.now + ms(100)));
        }
        let publishing = self.plan.gap * 20;
        self.pass(publishing);
        self.publish_at = None;
        let (began, messages) = (self.now, u32::try_from(self.published).unwrap());
        // Each can come twice more before it is acknowledged, and one after the other if that is all that may be open.
        let patience = self.plan.ack_wait * 8
            + (ms(50) + self.plan.latency * 4 + self.plan.quorum * 2 + self.plan.work) * messages
            + ms(60_000);
        loop {
            let state = self.line.server.consumer("S", "c").unwrap();
            if state.pending == 0 && state.ack_pending == 0 {
                break;
            }
            assert!(self.now < began + patience, "{state:?} after {patience:?}: {:?}", self.machine);
            self.pass(ms(500));
        }
        while !self.inbox.is_empty() {
            self.pass(ms(500));
        }
        let led = self.checks.leaderless.max(self.busy).saturating_duration_since(self.now);
        self.pass(led + self.plan.bound() + self.plan.settings.expires);
        assert!(!self.checks.has_trouble(), "something is wrong with a calm world");
        assert_eq!(self.end, None);
        if self.plan.acks {
            let stored: BTreeSet<u64> = self
                .line
                .server
                .messages("S")
                .map(|(.., payload)| std::str::from_utf8(payload).unwrap().parse().unwrap())
                .collect();
            let missing: Vec<_> = stored.difference(&self.delivered).collect();
            assert!(missing.is_empty(), "{missing:?} were stored and acknowledged, and never delivered");
        }
        self.quota = self.published + MESSAGES;
        self.publish_at = Some(self.now);
    }

    /// The consumer is gone, with a word or without: the stream ends.
    fn vanish(&mut self) {
        if self.rng.random_bool(0.5) {
            self.line.server.lose_consumer("S", "c");
        } else {
            self.line.request_elsewhere("$JS.API.CONSUMER.DELETE.S.c", &json!({}), self.now).unwrap();
        }
        say!(self, "the consumer is gone");
        let silence = if self.plan.settings.heartbeat.is_zero() { self.plan.settings.expires } else { ms(0) };
        let unread = u32::try_from(self.inbox.len()).unwrap() + 1;
        self.pass(self.plan.bound() + ms(10_000) + silence + self.plan.work * unread);
        assert_eq!(self.end, Some(End::Gone));
    }
}
