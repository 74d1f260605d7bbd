//! What subscribers received: how many messages, duplicates, messages out of order, and the longest gap.

use std::time::{Duration, Instant};

use crate::payload;

/// One for the plain subscription, one for the queue group as a whole.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// A bit for each message, by its number.
    seen: Vec<u64>,
    /// Messages without duplicates.
    pub(crate) received: u64,
    pub(crate) duplicated: u64,
    pub(crate) corrupted: u64,
    /// After a later one, at the same member.
    pub(crate) out_of_order: u64,
    last: Option<Instant>,
    /// The longest time between two messages.
    pub(crate) gap: Duration,
}

impl Account {
    /// Records a message. `highest`: the highest number that this member has received so far.
    pub(crate) fn note(&mut self, payload: &[u8], highest: &mut Option<u64>) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.gap = self.gap.max(now - last);
        }
        let Some(number) = payload::number(payload) else {
            self.corrupted += 1;
            return;
        };
        if !self.mark(number) {
            self.duplicated += 1;
            return;
        }
        self.received += 1;
        if *highest > Some(number) {
            self.out_of_order += 1;
        }
        *highest = (*highest).max(Some(number));
    }

    /// `false`: it was marked before.
    fn mark(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let word = &mut self.seen[word];
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// How many of the first `published` numbers never arrived.
    pub(crate) fn missing(&self, published: u64) -> u64 {
        published.saturating_sub(self.received)
    }
}
