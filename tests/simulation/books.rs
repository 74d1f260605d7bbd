//! What became of every message, written down independently of the engine, and compared with what it says.

use nats_lifeline::engine::{ConnectionEvent, DroppedRun, EndReason, FlushFailure, Ledger, Lost, RefusedName, Status};
use std::collections::{BTreeMap, BTreeSet};

use crate::content::{self, SUBJECTS};
use crate::wire::Found;

/// What became of a message, as seen from outside the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No transport has taken all of it.
    #[default]
    Waiting,
    /// Taken out again by its publisher.
    Withdrawn,
    /// The transport of the present connection took it.
    Taken,
    /// The client has read a PONG that covers it.
    Confirmed,
    /// Its connection is gone, and no PONG covered it.
    InDoubt,
    /// Given up by the client, which has said so.
    Lost,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) subject: usize,
    /// Payload and header block.
    pub(crate) size: usize,
    pub(crate) payload: usize,
    pub(crate) headers: bool,
    pub(crate) fate: Fate,
    /// So many transports took it wholly: at most once, that is one.
    pub(crate) takings: u64,
    /// So many connections in a row ended with it as the first that they had begun to take and not confirmed.
    pub(crate) deaths: u32,
    /// Servers die of it.
    pub(crate) deadly: bool,
    /// A server has processed it, so many times.
    pub(crate) processed: u64,
    /// Its publisher was told that it was refused, so no server may ever have it.
    pub(crate) never: bool,
}

/// What the ledger is looked at with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) max_payload: usize,
    pub(crate) headers: bool,
    pub(crate) losing: bool,
    pub(crate) unconfirmed: u64,
    pub(crate) poison_after: Option<u32>,
}

/// A flush that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Flush {
    /// Messages admitted before.
    pub(crate) through: u64,
    /// The in-doubt total that its handle has reported.
    pub(crate) seen: u64,
    /// The connection, and the PINGs on its wire, when the engine was told.
    pub(crate) asked: Option<(usize, usize)>,
    pub(crate) cancelled: bool,
}

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) records: Vec<Record>,
    pub(crate) confirmed: u64,
    pub(crate) in_doubt: u64,
    pub(crate) lost: u64,
    pub(crate) withdrawn: u64,
    pub(crate) processed: u64,
    /// All messages before this one do not wait (I2).
    next: u64,
    pub(crate) flushes: BTreeMap<u64, Flush>,
    pub(crate) flushed: u64,
    /// Messages whose publishers wait to hear what becomes of them.
    pub(crate) awaited: BTreeSet<u64>,
    /// Those of whom it was told that a PONG covers their message.
    pub(crate) assured: u64,
    /// The lost ones that the engine has told of.
    said_lost: Lost,
    /// Lost messages of which the engine has not yet told which they are.
    unnamed: u64,
    /// Messages that were accepted and dropped before they had a number, and how many of those the engine has counted.
    at_once: u64,
    at_once_counted: u64,
    /// Held messages were given up in the last exchange.
    pub(crate) gave_up_now: bool,
    /// Taken for poison.
    pub(crate) poison: u64,
    /// Refused by servers.
    pub(crate) refused: u64,
    /// So many of them had been with a connection before, and are in doubt.
    pub(crate) doubted_now: u64,
    pub(crate) ever_connected: bool,
    connected: bool,
    /// Announced before the subscriptions were taken, as when a move or the loss comes before that: Disconnected follows.
    pub(crate) hasty: bool,
    pub(crate) closed: Option<EndReason>,
}

impl Books {
    pub(crate) fn record(&mut self, number: u64) -> &mut Record {
        &mut self.records[usize::try_from(number - 1).unwrap()]
    }

    pub(crate) fn admitted(&mut self, sequence: u64, record: Record) {
        self.records.push(record);
        assert_eq!(sequence, self.records.len() as u64, "admission numbers count up");
    }

    /// I2, I3: a transport took `found` wholly, which is the first that waits. Tells whether another took it before.
    pub(crate) fn taken(&mut self, found: &Found) -> bool {
        let number = found.number;
        let next = self.first_waiting().unwrap_or_default();
        self.next = next;
        let record = self.record(number);
        assert_eq!(record.fate, Fate::Waiting, "I3: message {number} went out, and it was not to");
        record.fate = Fate::Taken;
        record.takings += 1;
        let again = record.takings > 1;
        let whole = (record.subject, record.size, record.headers);
        assert_eq!(whole, (found.subject, found.size, found.headers), "I1: message {number} was changed");
        assert_eq!(number, next, "I2: another waits before message {number}");
        again
    }

    /// The first message that waits.
    pub(crate) fn first_waiting(&mut self) -> Option<u64> {
        let known = self.records.len() as u64;
        (self.next.max(1)..=known).find(|number| self.record(*number).fate == Fate::Waiting)
    }

    /// A connection has ended, and message `number` is the first that it had begun with and not done.
    pub(crate) fn died_of(&mut self, number: u64) {
        self.record(number).deaths += 1;
    }

    /// A server has processed a message.
    pub(crate) fn processed(&mut self, number: u64, resends: bool) -> Record {
        let record = self.record(number);
        record.processed += 1;
        assert!(
            !record.never,
            "fault C1: message {number} was processed, and its publisher was told that it was refused"
        );
        let most = if resends { record.takings } else { 1 };
        assert!(record.processed <= most, "I3: message {number} was processed too often: {record:?}");
        let record = record.clone();
        self.processed += 1;
        record
    }

    /// The client has read a PONG behind `messages`.
    pub(crate) fn confirm(&mut self, messages: &[u64]) {
        for number in messages {
            let record = self.record(*number);
            assert_eq!(record.fate, Fate::Taken);
            assert!(record.processed > 0, "a PONG before its message was processed");
            record.fate = Fate::Confirmed;
            self.confirmed += 1;
        }
    }

    /// Servers have refused these, and the client knows.
    pub(crate) fn refuse(&mut self, messages: &[u64]) {
        for number in messages {
            let record = self.record(*number);
            assert!(
                matches!(record.fate, Fate::Taken | Fate::Waiting),
                "fault C1: message {number} is refused: {record:?}"
            );
            record.fate = Fate::Lost;
            self.lost += 1;
            self.refused += 1;
        }
    }

    /// Fault C1: those who wait for replies to these are told that none will come.
    pub(crate) fn refusing(&mut self, names: &[RefusedName], after: u64, through: u64) {
        for number in self.named(names, after, through) {
            let fate = self.record(number).fate;
            assert_ne!(fate, Fate::Confirmed, "fault C1: message {number} is said to be refused");
        }
    }

    /// Fault C1: those who wait to hear of these are told that no server has them, or up to `again` that they are in doubt.
    pub(crate) fn refused(&mut self, names: &[RefusedName], after: u64, again: u64, through: u64) {
        for number in self.named(names, after, through) {
            let asked = self.awaited.remove(&number);
            let awaited = asked && number > again;
            let record = self.record(number);
            assert!(
                awaited || !asked || record.takings > 0,
                "fault C1: message {number} was given to no connection before"
            );
            assert!(record.processed == 0 || !awaited, "fault C1: message {number} was processed: {record:?}");
            let may = matches!(record.fate, Fate::Lost | Fate::InDoubt | Fate::Taken | Fate::Withdrawn);
            assert!(may, "fault C1: message {number} is said to be refused: {record:?}");
            record.never |= awaited;
        }
    }

    fn named(&self, names: &[RefusedName], after: u64, through: u64) -> Vec<u64> {
        assert!(through <= self.records.len() as u64, "fault C1: nobody published message {through}");
        let of = |number: &u64| {
            let subject = SUBJECTS[self.records[usize::try_from(*number - 1).unwrap()].subject];
            names.iter().any(|name| !name.reply && name.subject.as_str() == subject)
        };
        (after + 1..=through).filter(of).collect()
    }

    /// At least once: the connection that took `messages` is gone, and they are to go again.
    pub(crate) fn requeue(&mut self, messages: &[u64]) {
        for number in messages {
            let record = self.record(*number);
            assert_eq!(record.fate, Fate::Taken);
            record.fate = Fate::Waiting;
        }
        self.next = messages.first().map_or(self.next, |first| self.next.min(*first));
    }

    /// The connection that took `messages` is gone, and nothing covers them.
    pub(crate) fn doubt(&mut self, messages: &[u64]) {
        for number in messages {
            let record = self.record(*number);
            assert_eq!(record.fate, Fate::Taken);
            record.fate = Fate::InDoubt;
            self.in_doubt += 1;
        }
    }

    /// The ledger, right behind an exchange. `max_payload` and `headers`: what the present server takes. `unconfirmed`: what
    /// a connection that may have been settled had taken, of which the engine has not told yet. `poison_after`: so many
    /// connections must have ended with what is poison.
    pub(crate) fn compare_lost(&mut self, ledger: &Ledger, now: &Moment) {
        let Moment { max_payload, headers, losing, unconfirmed, poison_after } = *now;
        let mut more = ledger.lost.since(&self.said_lost);
        // Those are named by what is refused.
        self.said_lost.refused = ledger.lost.refused;
        more.refused = 0;
        self.gave_up_now = more.closed > 0;
        self.doubted_now = 0;
        // The last of those that were with a connection; some before them may be lost and not named yet.
        let doubted = (ledger.in_doubt - self.in_doubt).saturating_sub(unconfirmed);
        let waited = |record: &&mut Record| record.fate == Fate::Waiting && record.takings > 0;
        for record in self.records.iter_mut().rev().filter(waited).take(usize::try_from(doubted).unwrap()) {
            record.fate = Fate::InDoubt;
            self.in_doubt += 1;
            self.doubted_now += 1;
        }
        self.gave_up_now |= self.doubted_now > 0;
        if more == Lost::default() {
            return;
        }
        self.said_lost = ledger.lost;
        let at_once = self.at_once - std::mem::replace(&mut self.at_once_counted, self.at_once);
        assert!(more.overflow >= at_once, "I4: {at_once} were dropped as they came: {more:?}");
        self.lost += at_once;
        self.unnamed += more.total() - at_once;
        if more.poison > 0 {
            // The first in line; an older one may be lost and not named yet.
            let deadly = |record: &&mut Record| {
                record.fate == Fate::Waiting && poison_after.is_some_and(|limit| record.deaths >= limit)
            };
            let record = self.records.iter_mut().find(deadly).expect("D16: nobody was at the front of so many losses");
            record.fate = Fate::Lost;
            self.lost += 1;
            self.unnamed -= 1;
            self.poison += 1;
        }
        if more.total() == more.poison {
            // That was a loss; what waits is looked at when the next server is known.
            return;
        }
        if losing {
            // Which they are, and that they waited, is checked when they are named.
            return;
        }
        let (mut too_large, mut no_headers, mut closed) = (0, 0, 0);
        for record in self.records.iter_mut().filter(|record| record.fate == Fate::Waiting) {
            let counter = if more.closed > 0 {
                &mut closed
            } else if record.size > max_payload {
                &mut too_large
            } else if record.headers && !headers {
                &mut no_headers
            } else {
                continue;
            };
            *counter += 1;
            record.fate = Fate::Lost;
            self.lost += 1;
            self.unnamed -= 1;
        }
        let said = (more.too_large, more.no_headers, more.closed);
        assert_eq!(said, (too_large, no_headers, closed), "I4: lost, too large, with headers or closed: {more:?}");
        assert_eq!(more.total() - more.poison, too_large + no_headers + closed, "{more:?}");
    }

    /// N3: a PONG came behind the messages up to `through`: those of which nothing else was said are confirmed.
    pub(crate) fn publishers_told(&mut self, through: u64) {
        let rest = self.awaited.split_off(&(through + 1));
        for number in std::mem::replace(&mut self.awaited, rest) {
            let record = self.record(number);
            assert_eq!(record.fate, Fate::Confirmed, "N3: message {number} is said to be confirmed");
            self.assured += 1;
        }
    }

    /// N3: messages up to `through` are gone with their connection: none of those that are still awaited was confirmed.
    pub(crate) fn publishers_in_doubt(&mut self, through: u64) {
        let rest = self.awaited.split_off(&(through + 1));
        for number in std::mem::replace(&mut self.awaited, rest) {
            let record = self.record(number);
            assert_eq!(record.fate, Fate::InDoubt, "N3: message {number} is said to be in doubt");
        }
    }

    /// The policy has dropped a message as it came.
    pub(crate) fn dropped_at_once(&mut self) {
        self.at_once += 1;
    }

    /// The engine names messages that were lost while they were held.
    pub(crate) fn dropped(&mut self, runs: Vec<DroppedRun>) {
        for (number, handed_over) in runs.into_iter().flat_map(|run| run.numbers.map(move |n| (n, run.handed_over))) {
            let awaited = self.awaited.remove(&number);
            let record = self.record(number);
            // A chunk that was begun is handed over, with all that is in it.
            assert!(handed_over || record.takings == 0, "N3: message {number} was taken, and is said not to be sent");
            match record.fate {
                Fate::Waiting => {
                    record.fate = Fate::Lost;
                    self.lost += 1;
                    self.unnamed = self.unnamed.checked_sub(1).expect("I4: more are named than were lost");
                }
                Fate::Withdrawn => assert!(!awaited, "N3: withdrawn by its publisher, who does not wait any more"),
                Fate::Lost => {}
                Fate::InDoubt if record.takings > 0 => {}
                fate => panic!("I4: message {number} was dropped, and it is {fate:?}"),
            }
        }
    }

    /// Whatever was counted as lost was named.
    pub(crate) fn check_named(&self) {
        assert_eq!(self.unnamed, 0, "I4: lost, and not named");
    }

    /// Promise 3, at any moment.
    pub(crate) fn compare(&self, ledger: &Ledger) {
        assert!(ledger.balances(), "{ledger:?}");
        let accepted = self.records.len() as u64 - self.withdrawn + self.at_once;
        let said = (ledger.accepted, ledger.confirmed, ledger.in_doubt, ledger.lost.total());
        let seen = (accepted, self.confirmed, self.in_doubt, self.lost);
        assert_eq!(said, seen, "accepted, confirmed, in doubt, lost: said and seen");
        let waiting = self.count(Fate::Waiting);
        // The engine counts a message as taken when its whole segment is.
        let waiting = waiting + self.at_once - self.at_once_counted;
        assert!(ledger.waiting >= waiting, "waiting: said {}, seen {waiting}", ledger.waiting);
    }

    pub(crate) fn count(&self, fate: Fate) -> u64 {
        // What waits or was taken is near the end; the rest is settled in order, so most of it need not be looked at.
        self.records.iter().filter(|record| record.fate == fate).count() as u64
    }

    /// I5. `answered`: how many PONGs the client has handled on the connection `conn`.
    pub(crate) fn complete(
        &mut self,
        token: u64,
        outcome: &Result<(), FlushFailure>,
        conn: Option<usize>,
        answered: usize,
    ) {
        let flush = self.flushes.remove(&token).expect("a flush is answered once");
        match outcome {
            Ok(()) => {
                self.flushed += 1;
                if let Some((asked, pings)) = flush.asked.filter(|(asked, _)| Some(*asked) == conn) {
                    assert!(answered > pings, "I5: flush {token} Ok by an older PING, on connection {asked}");
                }
                let before = self.records.iter().take(usize::try_from(flush.through).unwrap());
                let (mut in_doubt, mut early) = (0, 0);
                for record in before {
                    match record.fate {
                        Fate::Waiting | Fate::Taken => early += 1,
                        Fate::InDoubt => in_doubt += 1,
                        Fate::Confirmed | Fate::Withdrawn | Fate::Lost => {}
                    }
                }
                assert_eq!(early, 0, "I5: flush {token} Ok, and {early} messages before it are not confirmed");
                assert!(in_doubt <= flush.seen, "I5: flush {token} Ok, {in_doubt} in doubt, {} told", flush.seen);
            }
            Err(FlushFailure::InDoubt(more)) => {
                assert_eq!(*more, self.in_doubt - flush.seen, "I5: the difference since the handle was told");
                assert!(*more > 0, "I5: in doubt, and nothing is");
            }
            Err(FlushFailure::Ended(_)) => {}
        }
    }

    /// I9. `ready`: every subscription of the present connection was taken by its transport.
    pub(crate) fn hear(&mut self, event: &ConnectionEvent, ready: bool) {
        assert!(self.closed.is_none(), "I9: {event:?} behind Closed");
        match event {
            ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { .. } => {
                assert!(!std::mem::replace(&mut self.connected, true), "I9: connected twice: {event:?}");
                self.hasty = !ready;
                self.ever_connected = true;
            }
            ConnectionEvent::Disconnected { .. } => {
                assert!(std::mem::replace(&mut self.connected, false), "I9: disconnected twice: {event:?}");
                self.hasty = false;
            }
            ConnectionEvent::Closed { cause, .. } => {
                assert!(!self.connected, "I9: closed, and not disconnected before");
                self.closed = Some(cause.clone());
            }
            _ => {}
        }
    }

    /// I9: the last event agrees with the state.
    pub(crate) fn agrees(&self, status: Status) {
        match status {
            Status::Connected => assert!(self.connected, "I9: connected, and nobody was told"),
            Status::Draining => {}
            Status::Closed => {}
            status => assert!(!self.connected, "I9: {status}, and nobody was told"),
        }
    }

    /// Nothing is open any more, behind the end.
    pub(crate) fn close(&self) {
        assert!(!self.connected && self.closed.is_some(), "I9: the last event is Closed");
        let open = self.flushes.values().filter(|flush| !flush.cancelled).count();
        assert_eq!(open, 0, "I8: flushes that nobody answered: {:?}", self.flushes);
        assert!(self.awaited.is_empty(), "N3: publishers who were told nothing: {:?}", self.awaited);
        assert_eq!(self.count(Fate::Waiting) + self.count(Fate::Taken), 0, "promise 3: neither here nor there");
    }

    /// I4, once no server acts on anything old any more: what is missing was said to be in doubt or lost.
    pub(crate) fn check_missing(&self, resends: bool) {
        let mut missing = 0;
        for (record, number) in self.records.iter().zip(1..) {
            let accounted = matches!(record.fate, Fate::InDoubt | Fate::Lost | Fate::Withdrawn | Fate::Waiting);
            let processed = record.processed > 0;
            assert!(processed || accounted, "I4: message {number} is missing: {record:?}");
            assert!(!processed || record.takings > 0, "message {number} was processed: {record:?}");
            // What has been with a connection, and was to go again, may still be dropped by a policy.
            let settled = matches!(record.fate, Fate::Confirmed | Fate::InDoubt | Fate::Taken);
            assert!(!processed || settled || resends, "message {number} was processed: {record:?}");
            missing += u64::from(!processed && record.fate != Fate::Withdrawn && record.fate != Fate::Waiting);
        }
        assert!(missing <= self.in_doubt + self.lost, "I4: {missing} missing");
    }

    /// A number that a server sent: ours or of others.
    pub(crate) fn check_delivery(&mut self, number: u64, subject: usize, size: usize) {
        if number < content::FOREIGN {
            let record = self.record(number);
            assert_eq!((record.subject, record.payload), (subject, size), "I1: message {number} was changed");
        }
    }
}
