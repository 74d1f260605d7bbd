//! What the subscriber received: how many messages, duplicates, messages out of order, and whether the results of
//! flushes were right.

use std::collections::BTreeMap;
use std::ops::Range;

use super::letter::Letter;

/// The record of the subscriber, over all publishers.
#[derive(Debug, Default)]
pub(crate) struct Record {
    senders: Vec<Sender>,
    pub(crate) corrupted: u64,
    /// Claims since the last mark was sent.
    fresh: Vec<Claim>,
    /// Claims to be checked when the mark with this number arrives.
    awaiting: BTreeMap<u64, Vec<Claim>>,
    /// The latest mark that arrived.
    pub(crate) marked: u64,
    /// Messages that an Ok of `flush` covered, and those that were missing.
    pub(crate) covered: u64,
    pub(crate) uncovered: u64,
    /// The first missing ones, as text.
    pub(crate) first_uncovered: Option<String>,
}

/// A flush returned Ok: these messages of that publisher have arrived.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) from: u32,
    pub(crate) numbers: Range<u64>,
}

/// The messages from one publisher.
#[derive(Debug, Default)]
struct Sender {
    /// A bit for each message, by its number.
    seen: Vec<u64>,
    received: u64,
    duplicated: u64,
    /// After a later one, though both were sent on one connection.
    out_of_order: u64,
    /// After a later one that was sent on a later connection.
    late: u64,
    /// The highest number so far, and the latest of the publisher's connections on which it was sent.
    highest: Option<(u64, u64)>,
}

/// The sums over all publishers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) received: u64,
    pub(crate) duplicated: u64,
    pub(crate) out_of_order: u64,
    pub(crate) late: u64,
}

impl Record {
    /// Records a message; `None`: it is not one that was sent. `era`: the publisher's current connection.
    pub(crate) fn note(&mut self, letter: Option<Letter>, era: u64) {
        let Some(letter) = letter else {
            self.corrupted += 1;
            return;
        };
        let from = letter.from as usize;
        if self.senders.len() <= from {
            self.senders.resize_with(from + 1, Sender::default);
        }
        self.senders[from].note(letter, era);
    }

    /// The subscriber has a new connection: order is promised within one only.
    pub(crate) fn moved(&mut self) {
        self.senders.iter_mut().for_each(|sender| sender.highest = None);
    }

    /// Adds a claim, to be checked when everything was read that the server has processed by now.
    pub(crate) fn claim(&mut self, claim: Claim) {
        self.fresh.push(claim);
    }

    /// The mark with this number is sent now: it arrives after everything that was claimed.
    pub(crate) fn mark(&mut self, number: u64) {
        self.awaiting.insert(number, std::mem::take(&mut self.fresh));
    }

    /// A mark has arrived: everything claimed before it was sent must have arrived.
    pub(crate) fn came(&mut self, number: u64) {
        self.marked = self.marked.max(number);
        let later = self.awaiting.split_off(&(number + 1));
        for claim in std::mem::replace(&mut self.awaiting, later).into_values().flatten() {
            self.covered += claim.numbers.end - claim.numbers.start;
            let sender = self.senders.get(claim.from as usize);
            let absent = |number: &u64| !sender.is_some_and(|sender| sender.has(*number));
            let absent: Vec<u64> = claim.numbers.clone().filter(absent).collect();
            self.uncovered += absent.len() as u64;
            if let (Some(first), None) = (absent.first(), &self.first_uncovered) {
                let Claim { from, numbers } = &claim;
                self.first_uncovered =
                    Some(format!("number {first} and {} more of {numbers:?} of publisher {from}", absent.len() - 1));
            }
        }
    }

    pub(crate) fn sums(&self) -> Sums {
        self.senders.iter().fold(Sums::default(), |sums, sender| Sums {
            received: sums.received + sender.received,
            duplicated: sums.duplicated + sender.duplicated,
            out_of_order: sums.out_of_order + sender.out_of_order,
            late: sums.late + sender.late,
        })
    }
}

impl Sender {
    fn note(&mut self, letter: Letter, era: u64) {
        if !self.mark(letter.number) {
            self.duplicated += 1;
            return;
        }
        self.received += 1;
        match self.highest {
            // The later one was sent before this one could be: only the server can explain it.
            Some((number, left)) if letter.number < number && letter.era < left => self.late += 1,
            Some((number, _)) if letter.number < number => self.out_of_order += 1,
            _ => self.highest = Some((letter.number, era)),
        }
    }

    /// `false`: it was marked before.
    fn mark(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.seen.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// The word and the bit of a number.
fn place(number: u64) -> (usize, u64) {
    ((number / 64) as usize, 1 << (number % 64))
}
