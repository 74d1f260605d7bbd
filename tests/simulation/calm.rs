//! Times without faults: within a computed bound everything must be connected, delivered and answered (I7), and
//! at the end nothing may be left over (I8).

use std::collections::BTreeMap;
use std::time::Instant;

use nats_lifeline::engine::{Flight, Status};
use rand::RngExt;

use crate::conn::{End, Mood};
use crate::content::{DIGITS, PUBLISHED, SUBJECTS};
use crate::driver::{Command, Stream, WIDE};
use crate::plan::ms;
use crate::script::say;
use crate::server::LARGEST;
use crate::world::World;

/// Rounds at one moment; a task that wants more spins.
const SPIN: usize = 20_000;

impl World {
    /// From here on nothing goes wrong.
    pub(crate) fn calm(&mut self) {
        say!(self, "calm");
        self.meddling = false;
        let conns = &self.conns;
        self.chatter.retain(|(_, at)| conns[*at].mood == Mood::NoPong);
        for node in &mut self.nodes {
            node.up = true;
            node.dark = false;
            node.accepts_us = true;
            node.lame = false;
        }
        for (_, at, end) in std::mem::take(&mut self.cuts) {
            let conn = &mut self.conns[at];
            let (read, arrives) = (conn.read, conn.output.bytes.len());
            conn.end_in(read);
            conn.close(end, arrives);
        }
        let pings = self.plan.config.ping_interval.is_some();
        for at in &self.active {
            let conn = &mut self.conns[*at];
            conn.window = WIDE;
            conn.reading_stalls = None;
            conn.sending_stalls = None;
            if let (Some((at, End::Silence)), false) = (conn.out_ends, pings) {
                // Without PINGs it is the kernel that finds a dead peer.
                conn.open = false;
                conn.out_ends = Some((at, End::Reset));
            }
        }
        let bound = self.plan.bound();
        self.until_settled(self.now + bound);
        if self.status() != Status::Connected {
            return;
        }
        assert!(!self.books.hasty, "I9: Connected was said before the subscriptions were taken");
        self.check_table();
        for _ in 0..3 {
            self.publish();
            self.flush();
        }
        self.until_settled(self.now + ms(2000) + self.plan.failback());
        assert_eq!(self.books.flushes.len(), 0, "I5: flushes that nobody answered");
        self.check_table();
        if self.rng.random_bool(0.5) && self.status() == Status::Connected {
            self.fulfil();
        }
    }

    /// I10: a subscription with a limit is sent one message more than that, and gets exactly its limit and the end.
    fn fulfil(&mut self) {
        let Some(at) = self.driver.conn() else { return };
        let table = self.driver.engine.subscriptions.iter();
        let limited = table.filter_map(|(sid, it)| Some((sid, it.remaining().filter(|left| *left < 1000)?)));
        let limited: BTreeMap<u64, u64> = limited.collect();
        for (sid, left) in &limited {
            let Some(subscription) = self.conns[at].output.subscriptions.by_sid(*sid) else { continue };
            let to = (0..PUBLISHED).find(|to| subscription.wants(SUBJECTS[*to].as_bytes())).unwrap();
            for _ in 0..=*left {
                let number = self.foreign();
                self.conns[at].deliver(*sid, number, to, DIGITS, false);
            }
        }
        self.until_settled(self.now + ms(2000) + self.plan.failback());
        for sid in limited.keys() {
            let stream = self.stream(*sid);
            assert!(stream.ended, "I10: {sid} waits for what can't come: {stream:?}");
            assert_eq!(Some(stream.delivered), stream.max, "I10: {sid}");
            self.tally.user("limit reached in calm");
        }
        self.check_table();
    }

    /// Lets time pass until everything is delivered and answered.
    fn until_settled(&mut self, deadline: Instant) {
        let mut revivals = 0;
        loop {
            self.rest();
            match self.status() {
                Status::Closed if self.driver.ended => return,
                Status::Connected if self.is_settled() => return,
                Status::Disconnected if self.driver.commands.is_empty() => {
                    assert!(revivals == 0 || self.may_give_up(), "I7: given up, and nobody wanted that");
                    revivals += 1;
                    assert!(revivals < 20, "I7: it can't be revived");
                    let revive = self.rng.random_bool(0.5);
                    self.command(if revive { Command::ForceReconnect } else { Command::Connect });
                    continue;
                }
                _ => {}
            }
            let next = self.next_event();
            let next =
                next.unwrap_or_else(|| panic!("I7: {}, and nothing is awaited: {}", self.status(), self.state()));
            assert!(next <= deadline, "I7: {} at the end of the bound: {}", self.status(), self.state());
            self.now = next.max(self.now);
        }
    }

    /// Everything that needs no time.
    fn rest(&mut self) {
        for _ in 0..SPIN {
            self.due();
            let mut moved = false;
            for at in self.active.clone() {
                let conn = &self.conns[at];
                let (before, opened) = (conn.unread() + conn.output.bytes.len() as u64, conn.open);
                self.serve(at, u64::MAX);
                let conn = &mut self.conns[at];
                let limit = conn.out_limit();
                moved |= conn.arrived < limit;
                conn.arrived = conn.arrived.max(limit);
                moved |= before != conn.unread() + conn.output.bytes.len() as u64 || conn.open != opened;
            }
            self.tidy();
            if self.is_woken() {
                self.round();
                moved = true;
            }
            if !moved {
                return;
            }
        }
        panic!("I7: it never comes to rest: {}", self.state());
    }

    /// When something happens next that needs time.
    fn next_event(&self) -> Option<Instant> {
        let dial = self.driver.links.iter().filter_map(|link| match link.stream {
            Stream::Dialing(outcome) => outcome.map(|(at, _)| at),
            Stream::Up(_) => None,
        });
        let dial = dial.min();
        let waiting = self.waiting.iter().map(|publisher| publisher.until).min();
        let finishing = self.finishing.iter().map(|(at, _)| *at).min();
        let armed = self.driver.armed.filter(|_| !self.driver.ended);
        [dial, finishing, waiting, armed].into_iter().flatten().min()
    }

    fn is_settled(&self) -> bool {
        let driver = &self.driver;
        let ledger = driver.engine.ledger(driver.outbox.accepted());
        let Some(conn) = driver.conn() else { return false };
        let conn = &self.conns[conn];
        driver.links.len() == 1
            && self.waiting.is_empty()
            && driver.engine.flight().is_none_or(Flight::is_empty)
            && driver.outbox.pending() == 0
            && ledger.waiting + ledger.unconfirmed == 0
            && driver.commands.is_empty()
            && conn.open
            && conn.out_ends.is_none()
            && conn.seen == conn.output.bytes.len()
            && conn.unread() == 0
            && self.books.flushes.values().all(|flush| flush.cancelled)
            && !driver.engine.wants_exchange()
    }

    /// Whether client and server have nothing to tell one another, in whatever times.
    fn is_quiet(&self) -> bool {
        let driver = &self.driver;
        let Some(at) = driver.conn().filter(|_| driver.engine.carrying().is_some() && !self.barred) else {
            return false;
        };
        let conn = &self.conns[at];
        driver.links.len() == 1
            && driver.commands.is_empty()
            && driver.engine.flight().is_none_or(Flight::is_empty)
            && driver.outbox.pending() == 0
            && !driver.engine.wants_exchange()
            && conn.open
            && conn.out_ends.is_none()
            && conn.ends_at.is_none()
            && conn.seen == conn.output.bytes.len()
            && conn.unread() == 0
            // Without a PONG nobody knows which of them it has refused.
            && !(conn.full && conn.mood == Mood::NoPong)
    }

    /// The tables are compared in rough times too, before the next fault hides a difference.
    pub(crate) fn check_quiet(&mut self) {
        if self.is_quiet() {
            self.tally.quiet += 1;
            self.compare_tables();
        }
    }

    fn check_table(&mut self) {
        self.compare_tables();
        self.books.flushes.retain(|_, flush| !flush.cancelled);
    }

    /// I7, I10: the server knows every subscription, with its limit, and no other.
    fn compare_tables(&mut self) {
        let Some(at) = self.driver.conn() else { return };
        let table = &self.driver.engine.subscriptions;
        let named = |sid| table.names_of(sid).map(|(subject, queue)| (subject.to_vec(), queue.is_some())).unwrap();
        let ours: BTreeMap<u64, _> =
            table.iter().map(|(sid, it)| (sid, (named(sid).0, named(sid).1, it.remaining()))).collect();
        let conn = &self.conns[at];
        let theirs: BTreeMap<u64, _> = conn
            .output
            .subscriptions
            .iter()
            .map(|it| {
                let (sid, left) = (&it.sid, it.remaining());
                let counted = ours.get(sid).and_then(|(_, _, left)| *left);
                // With a second SUB there may have been messages before it that this server does not count, and there are
                // limits that it can't read. Then the subscription ends later, or with an UNSUB.
                let later = counted.is_some_and(|counted| left.is_none_or(|left| left > counted));
                let max = self.streams[usize::try_from(*sid - 1).unwrap()].max;
                let unread = left.is_none() && max.is_some_and(|max| max > LARGEST);
                let left = if unread || (later && conn.wire.resubscribed.contains(sid)) { counted } else { left };
                (*sid, (it.subject.to_vec(), it.queue.is_some(), left))
            })
            .collect();
        assert_eq!(ours, theirs, "I7, I10: the client's table and the server's");
        for (sid, stream) in (1..).zip(&self.streams) {
            let ended = stream.ended;
            assert_eq!(ended, !ours.contains_key(&sid), "I8: stream {sid} and the table: {stream:?}");
            assert!(!(stream.unsubscribed || stream.draining) || ended, "I8: stream {sid} never ended: {stream:?}");
        }
    }

    /// The end, in one way or another, and what must be left after it.
    pub(crate) fn end(&mut self) {
        if !self.driver.ended {
            self.meddling = self.rng.random_bool(0.3);
            for _ in 0..self.rng.random_range(0..4) {
                self.user();
            }
            if self.rng.random_bool(0.5) {
                self.fault();
            }
            if self.rng.random_bool(0.5) {
                self.close()
            } else {
                self.drain()
            }
            self.meddling = false;
            let bound = self.now + ms(3000 + 1000 + 2000);
            loop {
                self.rest();
                if self.driver.ended {
                    break;
                }
                let next = self.next_event().unwrap_or_else(|| panic!("I8: no end: {}", self.state()));
                assert!(next <= bound, "I8: no end in time: {}", self.state());
                self.now = next.max(self.now);
            }
        }
        self.rest();
        let Self { driver, books, .. } = self;
        books.close();
        assert_eq!(driver.engine.status(), Status::Closed);
        assert_eq!(driver.links.len(), 0, "I8: a connection after the end");
        assert_eq!(driver.engine.poll_timeout(), None, "I8: a timer after the end");
        assert!(driver.engine.subscriptions.is_empty(), "I8: subscriptions after the end");
        assert_eq!(
            driver.outbox.pending() + driver.engine.flight().map_or(0, Flight::len),
            0,
            "I8: bytes after the end"
        );
        assert!(!driver.engine.wants_exchange(), "I8: work after the end");
        // Servers act on what their kernels still hold.
        for at in 0..self.conns.len() {
            self.conns[at].reading_stalls = None;
            self.serve(at, u64::MAX);
        }
        self.books.check_missing(self.plan.resends());
    }

    fn state(&self) -> String {
        let driver = &self.driver;
        let ledger = driver.engine.ledger(driver.outbox.accepted());
        let conn = driver.conn().map(|at| {
            let conn = &self.conns[at];
            (at, conn.mood, conn.open, conn.unread(), conn.room(), conn.out_ends, conn.seen, conn.output.bytes.len())
        });
        format!(
            "links {:?}, parked {:?}, armed {:?}, {} bytes in flight, {ledger:?}, connection {conn:?}, flushes {:?}",
            driver.links.iter().map(|link| (link.epoch, link.stream)).collect::<Vec<_>>(),
            driver.parked,
            driver.armed.map(|at| at.saturating_duration_since(self.now)),
            driver.engine.flight().map_or(0, Flight::len),
            self.books.flushes,
        )
    }
}
