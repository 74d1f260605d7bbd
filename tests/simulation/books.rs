//! What became of every message, written down independently of the engine, and compared with what it says.

mod audit;

use nats_lifeline::engine::{DroppedRun, EndReason, Lost, RefusedName};
use std::collections::{BTreeMap, BTreeSet};

use crate::content::SUBJECTS;
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
    /// How often a server has processed it.
    pub(crate) processed: u64,
    /// It was reported as refused, so no server may ever have it.
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
    /// The connection, and the PINGs on its wire, when the engine got it.
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
    /// Publishers that were told that a PONG covers their message.
    pub(crate) assured: u64,
    /// Lost messages that the engine has reported.
    said_lost: Lost,
    /// Lost messages that the engine has counted and not yet named.
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
        assert!(!record.never, "fault C1: message {number} was processed, and was reported as refused");
        let most = if resends { record.takings } else { 1 };
        assert!(record.processed <= most, "I3: message {number} was processed too often: {record:?}");
        let record = record.clone();
        self.processed += 1;
        record
    }

    /// The client has read a PONG that follows `messages`.
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

    /// Fault C1: requests among these fail: no replies will come.
    pub(crate) fn refusing(&mut self, names: &[RefusedName], after: u64, through: u64) {
        for number in self.named(names, after, through) {
            let fate = self.record(number).fate;
            assert_ne!(fate, Fate::Confirmed, "fault C1: message {number} is said to be refused");
        }
    }

    /// Fault C1: confirmed publishes among these are reported as refused or, up to `again`, as in doubt.
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

    /// N3: a PONG followed the messages up to `through`: those that were not reported otherwise are confirmed.
    pub(crate) fn publishers_confirmed(&mut self, through: u64) {
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
}
