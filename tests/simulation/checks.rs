//! What must hold in a world after each step, and what its events may say.

use nats_lifeline::engine::{Cause, CloseHow, ConnectionEvent, Status};

use crate::books::Moment;
use crate::driver::Driver;
use crate::plan::ms;
use crate::world::World;

impl World {
    /// D15: a connection that is left for another, after its last PONG, has been read to the end.
    pub(crate) fn check_left(&mut self, at: usize, how: CloseHow) {
        let conn = &self.conns[at];
        // Who gave up waiting for that PONG after two seconds has not.
        let in_time = conn.moving.is_some_and(|since| self.now < since + ms(2000));
        if how != CloseHow::Finish || !in_time || self.driver.links.is_empty() {
            return;
        }
        let table = &self.driver.engine.subscriptions;
        let answered =
            conn.wire.ends_with_ping() && conn.pongs == conn.wire.pings.len() && conn.output.subscriptions.is_empty();
        assert!(answered, "D15: connection {at} is left, and its server does not know");
        self.tally.moves += 1;
        for (sid, sent) in &conn.sent {
            let came = conn.came.get(sid).copied().unwrap_or(0);
            let known = table.get(*sid).is_some();
            assert!(came == sent.len() || !known, "D15: what was sent to {sid} on connection {at}, which is left");
        }
        assert_eq!(conn.confirmed, conn.wire.messages.len(), "D15: something is in doubt after a move");
    }

    /// D15: connection `at` is being left, and its server takes `sid` back. What may be at two servers is at the next one
    /// already, so that there is no gap.
    pub(crate) fn check_overlap(&mut self, at: usize, sid: u64) {
        if self.conns[at].moving.is_none() || self.driver.conn() != Some(at) {
            return;
        }
        let others = self.driver.links.iter().filter_map(|link| link.conn());
        let Some(next) = others.filter(|other| *other != at).map(|other| &self.conns[other]).find(|conn| conn.open)
        else {
            return;
        };
        let known = next.at_handshake.as_ref().is_some_and(|sids| sids.contains(&sid));
        let Some((_, queue)) = self.driver.engine.subscriptions.names_of(sid).filter(|_| known) else { return };
        let stream = &self.streams[usize::try_from(sid - 1).unwrap()];
        let both = self.plan.overlaps() || queue.is_some();
        if both && stream.asked.is_none() && !stream.draining && !self.barred {
            assert!(next.output.subscriptions.by_sid(sid).is_some(), "D15: {sid} is at no server any more");
            self.tally.overlaps += 1;
        }
    }

    /// I10: a server that has not reached a limit does not get another SUB for a new one: between UNSUB and SUB it would send
    /// nothing. Only what it counted beside another connection must not count, nor what it can't read; and one that is full may be
    /// asked which it has.
    pub(crate) fn check_taken_back(&mut self, at: usize, sid: u64) {
        let huge = self.stream(sid).huge;
        let conn = &self.conns[at];
        let may = huge || conn.full || conn.was_beside || conn.moving.is_some() || self.is_over(sid);
        assert!(may, "I10: {sid} is taken back on connection {at}, and nobody wanted that");
    }

    /// Whether all that `sid` waits for was sent on connection `at`, or its server gets another SUB for it.
    fn may_be_done(&self, at: usize, sid: u64) -> bool {
        let conn = &self.conns[at];
        let stream = &self.streams[usize::try_from(sid - 1).unwrap()];
        let sent = conn.sent.get(&sid).map_or(0, Vec::len);
        let coming = (sent - conn.came.get(&sid).copied().unwrap_or(0)) as u64;
        // Told of it again, or about to be.
        let again = conn.raised.get(&sid).is_some_and(|raised| *raised > 0)
            || conn.wire.subs.iter().any(|(_, told)| *told == sid);
        again || stream.max.is_some_and(|max| max <= stream.delivered + coming)
    }

    /// I10: nobody waits for what the server of connection `at` will never send, since it is done with the subscription.
    pub(crate) fn check_done(&mut self, at: usize) {
        let mut done = std::mem::take(&mut self.conns[at].done);
        done.retain(|sid| !self.is_over(*sid));
        if self.driver.conn() == Some(at) && self.conns[at].moving.is_none() {
            for sid in &done {
                assert!(self.may_be_done(at, *sid), "I10: {sid} waits, and connection {at} is done with it");
            }
        }
        self.conns[at].done = done;
    }

    /// Whether its user wants no more of a stream.
    fn is_over(&self, sid: u64) -> bool {
        let stream = &self.streams[usize::try_from(sid - 1).unwrap()];
        stream.ended || stream.unsubscribed || stream.draining || self.barred
    }

    pub(crate) fn hear(&mut self, event: &ConnectionEvent) {
        // Who was announced before is not the one that is now.
        let about = self.driver.last.filter(|at| !self.conns[*at].announced);
        let about = about.or_else(|| self.conn_of(self.driver.engine.epoch()));
        let ready = about.is_none_or(|at| self.unannounced(at).is_empty());
        if let (ConnectionEvent::Disconnected { in_doubt, cause, .. }, Some(at)) = (event, self.driver.last) {
            let conn = &self.conns[at];
            let unconfirmed = (conn.wire.messages.len() - conn.confirmed - conn.unsettled().len()) as u64;
            // What is sent again is not in doubt, unless there is no again.
            let expected = if self.plan.resends() && *cause != Cause::ByUser { 0 } else { unconfirmed };
            assert_eq!(*in_doubt, expected, "I4: Disconnected says");
            // A move that leaves nothing in doubt hands nothing over; what its server has refused is lost all the same.
            if !self.plan.resends() && !std::mem::replace(&mut self.conns[at].settled, true) {
                let refused = self.conns[at].unsettled().to_vec();
                self.books.refuse(&refused);
            }
        }
        match event {
            ConnectionEvent::Disconnected { cause, .. } => {
                self.check_patience(cause);
                self.tally.end(cause);
            }
            ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { .. } => {
                if let Some(at) = about {
                    self.conns[at].announced = true;
                }
            }
            _ => {}
        }
        self.books.hear(event, ready);
    }

    /// Fault A2: nobody is given up for silence in the moment in which the machine wakes up: the time in which nobody listened does not
    /// count.
    fn check_patience(&self, cause: &Cause) {
        let config = &self.plan.config;
        let (patience, waited) = match *cause {
            Cause::Stale { silent } => (config.ping_interval.unwrap_or_default() * config.max_pings_out.max(1), silent),
            Cause::Unanswered { waited } => {
                (config.ping_interval.unwrap_or_default() * (4 * config.max_pings_out.max(1)), waited)
            }
            Cause::WriteStalled { stalled } => (config.write_timeout, stalled),
            _ => return,
        };
        if let Some((woke, slept)) = self.woke {
            // It may have been decided before, and be said now.
            let after = waited >= slept;
            let rash = after && self.now < woke + ms(900).min(patience) && slept > patience + ms(1_000);
            assert!(!rash, "fault A2: {cause:?}, {:?} after a sleep of {slept:?}", self.now - woke);
        }
    }

    pub(crate) fn check_exchange(&mut self) {
        self.settled_now = None;
        self.requeue();
        let Driver { engine, outbox, .. } = &self.driver;
        let ledger = engine.ledger(outbox.accepted());
        assert_eq!(ledger.waiting, engine.count_waiting(outbox), "{ledger:?}");
        let is_moving = engine.status() == Status::Connected && engine.carrying().is_none();
        if let Some(at) = self.conn_of(engine.epoch()).filter(|_| is_moving) {
            self.conns[at].moving.get_or_insert(self.now);
        }
        // A frame over the mark, one that was cut and is whole again, and SUBs and UNSUBs, for which the mark does not hold.
        let extra = 2 * 34_000 + (64 + self.plan.group.len()) * self.streams.len() * 3;
        let most = self.plan.outbox.cap.max(2 * outbox.mark()) + extra;
        assert!(outbox.pending() <= most, "I6: {} pending, cap {}", outbox.pending(), self.plan.outbox.cap);
        let (max_payload, headers) = self.driver.limits();
        let unconfirmed = match self.driver.last.map(|at| &self.conns[at]) {
            Some(conn) if !conn.settled => (conn.wire.messages.len() - conn.confirmed - conn.unsettled().len()) as u64,
            _ => 0,
        };
        let losing = self.plan.is_losing();
        let poison_after = self.plan.config.poison_after;
        self.books.compare_lost(&ledger, &Moment { max_payload, headers, losing, unconfirmed, poison_after });
        assert_eq!(ledger.resent > 0, ledger.resent > 0 && self.plan.resends(), "nothing is resent at most once");
        self.admit_waiting();
    }

    pub(crate) fn check_round(&mut self) {
        for sid in std::mem::take(&mut self.unwanted) {
            assert!(self.stream(sid).ended, "I10: a message for {sid} was not wanted, and it has not ended");
        }
        let Driver { engine, outbox, .. } = &self.driver;
        self.books.compare(&engine.ledger(outbox.accepted()));
        if !engine.wants_exchange() && self.driver.commands.is_empty() {
            self.books.agrees(engine.status());
        }
    }

    /// A complete end has given nothing up and left nothing in doubt.
    pub(crate) fn check_completed(&mut self, completed: bool) {
        if completed {
            assert!(!self.books.gave_up_now, "the end is complete, and held messages were given up in it");
            assert_eq!(self.settled_now.unwrap_or(0), 0, "the end is complete, and its last messages are in doubt");
        }
    }

    /// Whether reconnecting was given up for a reason.
    pub(crate) fn may_give_up(&self) -> bool {
        let config = &self.plan.config;
        let never = !self.books.ever_connected && !config.retry_on_initial_connect;
        self.status() == Status::Disconnected && (!config.reconnect || config.max_reconnects.is_some() || never)
    }
}
