//! Users: publishers, subscribers and holders of the client. They act between the steps of the task's round.

use std::collections::HashSet;
use std::time::Duration;

use nats_lifeline::ServerAddr;
use nats_lifeline::engine::{Accepted, EndReason, Gate};
use rand::RngExt;

use crate::books::{Fate, Flush};
use crate::content::{DIGITS, FOREIGN, PUBLISHED, SUBJECTS};
use crate::driver::Command;
use crate::plan::ms;
use crate::script::say;
use crate::server::LARGEST;
use crate::world::World;

/// A subscription as its user sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// Of a queue group.
    pub(crate) queue: bool,
    /// The numbers of what came.
    came: HashSet<u64>,
    pub(crate) delivered: u64,
    /// The total after which it ends, once the engine knows it.
    pub(crate) max: Option<u64>,
    /// Its limit is larger than a server can read.
    pub(crate) huge: bool,
    /// The total that its user asked for last.
    pub(crate) asked: Option<u64>,
    /// Its user has ended it.
    pub(crate) unsubscribed: bool,
    pub(crate) draining: bool,
    /// Connections from this one on were made after its drain was asked for.
    pub(crate) drained_at: Option<usize>,
    pub(crate) ended: bool,
}

/// How a stream ended.
pub(crate) enum Ending {
    Said(EndReason),
}

impl World {
    /// Other threads act while the task is in its round.
    pub(crate) fn meddle(&mut self) {
        if self.meddling && self.rng.random_ratio(1, 8) {
            self.user();
        }
    }

    /// One act of one user.
    pub(crate) fn user(&mut self) {
        if self.plan.restless && self.rng.random_ratio(1, 10) {
            return self.ask("force_reconnect", Command::ForceReconnect);
        }
        match self.rng.random_range(0..1000) {
            0..500 => self.publish(),
            500..590 => self.subscribe(),
            590..640 => self.unsubscribe(),
            640..700 => self.unsubscribe_after(),
            700..730 => self.drain_subscription(),
            730..830 => self.flush(),
            830..850 => self.cancel_flush(),
            850..890 => self.withdraw(),
            890..910 => self.ask("force_reconnect", Command::ForceReconnect),
            910..920 => self.set_pool(),
            920..950 => self.ask("connect", Command::Connect),
            950..990 => self.publish_elsewhere(),
            _ if !self.plan.may_end => self.publish(),
            990..992 => self.close(),
            992..996 => self.drain(),
            _ => {}
        }
    }

    pub(crate) fn ask(&mut self, name: &'static str, command: Command) {
        self.tally.user(name);
        self.command(command);
    }

    pub(crate) fn publish_elsewhere(&mut self) {
        let number = self.foreign();
        let subject = self.rng.random_range(0..PUBLISHED);
        let size = self.rng.random_range(DIGITS..=self.plan.payload);
        self.route(number, subject, size, false);
    }

    /// The number of another message of others.
    pub(crate) fn foreign(&mut self) -> u64 {
        self.foreign += 1;
        FOREIGN | self.foreign
    }

    fn withdraw(&mut self) {
        let last = self.books.records.len() as u64;
        let number = self.rng.random_range(last.saturating_sub(8)..=last);
        let mut gone = Vec::new();
        let outbox = &mut self.driver.outbox;
        let (held, through) = (outbox.gate() == Gate::Buffering, outbox.through());
        let withdrawn = outbox.cancel(number, &mut gone);
        if number == 0 {
            return assert!(!withdrawn);
        }
        let record = self.books.record(number);
        let (fate, again) = (record.fate, record.takings > 0);
        if withdrawn {
            say!(self, "withdraws {number}");
            self.tally.user("withdraw");
            assert_eq!(fate, Fate::Waiting, "message {number} was taken out, and it did not wait");
            self.books.record(number).fate = Fate::Withdrawn;
            self.books.awaited.remove(&number);
            self.books.withdrawn += 1;
        } else {
            assert!(
                !(held && number > through && fate == Fate::Waiting) || again || self.plan.is_losing(),
                "message {number} waits and can't be withdrawn"
            );
        }
    }

    fn subscribe(&mut self) {
        if self.barred || self.driver.ended {
            return;
        }
        self.tally.user("subscribe");
        let sid = self.streams.len() as u64 + 1;
        let subject = self.rng.random_range(0..SUBJECTS.len());
        // Groups are what a move takes along.
        let queue = self.rng.random_ratio(1, if self.plan.restless { 2 } else { 5 });
        let group = queue.then_some(self.plan.group.as_bytes());
        let framed = self.driver.outbox.admit_subscribe(SUBJECTS[subject].as_bytes(), group, sid);
        self.streams.push(Stream { queue, ..Stream::default() });
        self.command(Command::Subscribe { sid, subject, queue, framed });
        if self.rng.random_ratio(1, 4) {
            let max = self.rng.random_range(0..6);
            self.stream(sid).asked = Some(max);
            self.command(Command::UnsubscribeAfter { sid, max });
        }
    }

    pub(crate) fn stream(&mut self, sid: u64) -> &mut Stream {
        &mut self.streams[usize::try_from(sid - 1).unwrap()]
    }

    /// One of the younger subscriptions that has not ended.
    fn some_stream(&mut self) -> Option<u64> {
        let last = self.streams.len() as u64;
        if last == 0 {
            return None;
        }
        let sid = self.rng.random_range(last.saturating_sub(12).max(1)..=last);
        (!self.stream(sid).unsubscribed).then_some(sid)
    }

    fn unsubscribe(&mut self) {
        let Some(sid) = self.some_stream() else { return };
        self.tally.user("unsubscribe");
        self.stream(sid).unsubscribed = true;
        let framed = self.driver.outbox.admit_unsubscribe(sid);
        self.command(Command::Unsubscribe { sid, framed });
    }

    fn unsubscribe_after(&mut self) {
        let done = if self.rng.random_bool(0.5) { self.some_done() } else { None };
        let Some(sid) = done.or_else(|| self.some_stream()) else { return };
        self.tally.user("unsubscribe_after");
        let (delivered, asked) = (self.stream(sid).delivered, self.stream(sid).asked);
        let max = match self.rng.random_range(0..40) {
            // More than a server can read.
            0 => LARGEST + self.rng.random_range(0..10),
            1..20 => asked.unwrap_or(delivered) + self.rng.random_range(0..4),
            _ => delivered + self.rng.random_range(0..6),
        };
        self.stream(sid).asked = Some(max);
        self.command(Command::UnsubscribeAfter { sid, max });
    }

    /// One whose limit the present server has reached, while its user has not got all of that.
    fn some_done(&mut self) -> Option<u64> {
        let conn = &self.conns[self.driver.conn()?];
        let live = conn.done.iter().copied().filter(|sid| {
            let stream = &self.streams[usize::try_from(*sid - 1).unwrap()];
            !stream.ended && !stream.unsubscribed
        });
        let live: Vec<u64> = live.collect();
        (!live.is_empty()).then(|| live[self.rng.random_range(0..live.len())])
    }

    /// Sets a limit in the engine.
    pub(crate) fn limit(&mut self, sid: u64, max: u64) {
        if self.driver.engine.subscriptions.get(sid).is_none() {
            return;
        }
        let stream = self.stream(sid);
        stream.huge |= max > LARGEST;
        let Some(before) = stream.max.replace(max) else { return };
        let queue = stream.queue;
        if max <= before {
            return;
        }
        self.tally.user("limit raised");
        match self.driver.conn() {
            Some(at) => *self.conns[at].raised.entry(sid).or_default() += 1,
            None => self.tally.user("limit raised while down"),
        }
        if self.driver.links.len() == 2 {
            self.tally.user(if queue {
                "limit raised beside a candidate, group"
            } else {
                "limit raised beside a candidate"
            });
        }
    }

    fn drain_subscription(&mut self) {
        let Some(sid) = self.some_stream() else { return };
        self.tally.user("drain a subscription");
        self.stream(sid).draining = true;
        let framed = self.driver.outbox.admit_unsubscribe(sid);
        self.command(Command::DrainSubscription { sid, framed });
    }

    pub(crate) fn flush(&mut self) {
        if self.driver.ended {
            return;
        }
        self.tally.user("flush");
        self.tokens += 1;
        let token = self.tokens;
        // The whole total has been reported to a handle, or none of it.
        let in_doubt = self.driver.engine.ledger(self.driver.outbox.accepted()).in_doubt;
        let seen = if self.rng.random_ratio(4, 5) { in_doubt } else { 0 };
        let through = self.books.records.len() as u64;
        self.books.flushes.insert(token, Flush { through, seen, asked: None, cancelled: false });
        self.command(Command::Flush { token, seen });
    }

    fn cancel_flush(&mut self) {
        let Some((token, flush)) = self.books.flushes.iter_mut().next() else { return };
        flush.cancelled = true;
        let token = *token;
        self.command(Command::CancelFlush { token });
    }

    fn set_pool(&mut self) {
        let many = self.rng.random_range(1..=self.nodes.len());
        let servers = self.addresses(many);
        self.ask("set the pool", Command::SetPool(servers));
    }

    pub(crate) fn addresses(&self, many: usize) -> Vec<ServerAddr> {
        self.nodes[..many].iter().map(|node| node.name.parse().unwrap()).collect()
    }

    pub(crate) fn close(&mut self) {
        self.barred = true;
        self.ask("close", Command::Close);
    }

    pub(crate) fn drain(&mut self) {
        self.barred = true;
        let within = ms(self.rng.random_range(10..3000));
        self.ask("drain", Command::Drain { within });
    }

    /// A consumer reads a draining subscription to its end, in its own time.
    pub(crate) fn finish_later(&mut self, sid: u64) {
        let at = self.now + Duration::from_millis(self.rng.random_range(0..30));
        self.finishing.push((at, sid));
    }

    // What streams report.

    /// `numbers` came for `sid`; the engine wants this many of them.
    pub(crate) fn accept(&mut self, sid: u64, numbers: &[u64], Accepted { count, complete }: Accepted) {
        let offered = numbers.len() as u64;
        let (resends, overlaps) = (self.plan.resends(), self.plan.overlaps());
        let stream = self.stream(sid);
        let mut twice = 0;
        for number in numbers.iter().filter(|number| !resends || **number >= FOREIGN) {
            // That each connection brings exactly what its server sent was checked before.
            if !stream.came.insert(*number) {
                assert!(overlaps && !stream.queue, "I3: message {number} came to {sid} twice");
                twice += 1;
            }
        }
        assert!(!stream.ended, "I10: a message for {sid}, which has ended");
        let wanted = stream.max.map_or(offered, |max| offered.min(max - stream.delivered));
        assert_eq!(count, wanted, "I10: sid {sid} after {} of {:?}", stream.delivered, stream.max);
        stream.delivered += count;
        let reached = stream.max.filter(|max| *max == stream.delivered);
        assert_eq!(complete, reached, "I10: sid {sid} after {}: the end", stream.delivered);
        self.tally.delivered += count;
        self.tally.twice += twice;
    }

    pub(crate) fn end_stream(&mut self, sid: u64, Ending::Said(reason): Ending) {
        let stream = self.stream(sid);
        assert!(!std::mem::replace(&mut stream.ended, true), "I8: stream {sid} ended twice");
        // Nothing more comes.
        stream.came = HashSet::new();
        let stream = stream.clone();
        match reason {
            EndReason::Unsubscribed => assert!(stream.unsubscribed, "nobody unsubscribed {sid}"),
            EndReason::Complete { max } => {
                assert_eq!(stream.max, Some(max), "I10: sid {sid}");
                assert!(stream.delivered >= max, "I10: {} of {max} delivered, and the end", stream.delivered);
            }
            EndReason::Drained => {
                assert!(stream.draining || self.barred, "nobody drained {sid}");
                for conn in self.driver.links.iter().filter_map(|link| link.conn()) {
                    let conn = &self.conns[conn];
                    let sent = conn.sent.get(&sid).map_or(0, Vec::len);
                    let came = conn.came.get(&sid).copied().unwrap_or(0);
                    assert_eq!(sent, came, "sid {sid} was drained, and something came after that");
                }
            }
            EndReason::Refused(_) => assert!(self.denied, "{sid} was refused by no server"),
            EndReason::Closed | EndReason::GaveUp(_) => {}
            other => panic!("{sid} ended with {other}"),
        }
    }
}
