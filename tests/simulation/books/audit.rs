//! The books against what the client says: its ledger, its events, the answers to its users.

use nats_lifeline::engine::{ConnectionEvent, FlushFailure, Ledger, Lost, Status};

use crate::books::{Books, Fate, Moment, Record};
use crate::content;

impl Books {
    /// The ledger, directly after an exchange. `max_payload` and `headers`: what the present server takes. `unconfirmed`: what
    /// a connection that may have been settled had taken, which the engine has not reported yet. `poison_after`: how many
    /// connections a message must have ended to be poison.
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
            let record =
                self.records.iter_mut().find(deadly).expect("D16: no message was at the front of that many losses");
            record.fate = Fate::Lost;
            self.lost += 1;
            self.unnamed -= 1;
            self.poison += 1;
        }
        if more.total() == more.poison {
            // That was a loss; waiting messages are checked when the next server is known.
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
                assert!(in_doubt <= flush.seen, "I5: flush {token} Ok, {in_doubt} in doubt, {} reported", flush.seen);
            }
            Err(FlushFailure::InDoubt(more)) => {
                assert_eq!(*more, self.in_doubt - flush.seen, "I5: the difference since the last report to the handle");
                assert!(*more > 0, "I5: in doubt, and nothing is");
            }
            Err(FlushFailure::Ended(_)) => {}
        }
    }

    /// I9. `ready`: every subscription of the present connection was taken by its transport.
    pub(crate) fn hear(&mut self, event: &ConnectionEvent, ready: bool) {
        assert!(self.closed.is_none(), "I9: {event:?} after Closed");
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
            Status::Connected => assert!(self.connected, "I9: connected, and it was not reported"),
            Status::Draining => {}
            Status::Closed => {}
            status => assert!(!self.connected, "I9: {status}, and it was not reported"),
        }
    }

    /// Nothing is open any more, after the end.
    pub(crate) fn close(&self) {
        assert!(!self.connected && self.closed.is_some(), "I9: the last event is Closed");
        let open = self.flushes.values().filter(|flush| !flush.cancelled).count();
        assert_eq!(open, 0, "I8: flushes that nobody answered: {:?}", self.flushes);
        assert!(self.awaited.is_empty(), "N3: publishers without an answer: {:?}", self.awaited);
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
