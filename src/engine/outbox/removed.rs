//! Sequence numbers of messages that were removed from the queue, in runs: a policy may drop millions of neighbours.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A set of numbers, kept as runs: first → last. Runs neither overlap nor touch.
#[derive(Debug, Default)]
pub(in crate::engine) struct Removed {
    runs: BTreeMap<u64, u64>,
}

impl Removed {
    pub(in crate::engine) fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    /// Adds numbers, none of which is in the set.
    pub(in crate::engine) fn insert(&mut self, numbers: RangeInclusive<u64>) {
        let (mut first, mut last) = numbers.into_inner();
        if first > last {
            return;
        }
        if let Some((before, end)) = self.runs.range(..first).next_back().map(|(first, last)| (*first, *last)) {
            if end + 1 == first {
                self.runs.remove(&before);
                first = before;
            }
        }
        if let Some(end) = self.runs.remove(&(last + 1)) {
            last = end;
        }
        self.runs.insert(first, last);
    }

    /// How many numbers in the set are greater than `number`.
    pub(in crate::engine) fn count_after(&self, number: u64) -> u64 {
        let across = self.runs.range(..=number).next_back().map_or(0, |(_, last)| last.saturating_sub(number));
        across + self.runs.range(number + 1..).map(|(first, last)| last - first + 1).sum::<u64>()
    }

    /// The `count`-th number after `number` that is not in the set; for 0 it is `number`.
    pub(in crate::engine) fn advance(&self, number: u64, count: u64) -> u64 {
        if count == 0 {
            return number;
        }
        let (mut at, mut left) = (self.skip(number + 1) - 1, count);
        for (first, last) in self.runs.range(at + 1..) {
            let free = first - 1 - at;
            if left <= free {
                break;
            }
            (at, left) = (*last, left - free);
        }
        at + left
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The first number from `number` on that is not in the set.
    pub(in crate::engine) fn skip(&self, number: u64) -> u64 {
        match self.runs.range(..=number).next_back() {
            Some((_, last)) if number <= *last => last + 1,
            _ => number,
        }
    }

    /// Removes those in `numbers`; no run reaches beyond its ends.
    pub(in crate::engine) fn forget_between(&mut self, numbers: &RangeInclusive<u64>) {
        if numbers.is_empty() {
            return;
        }
        while let Some(first) = self.runs.range(numbers.clone()).next().map(|(first, _)| *first) {
            self.runs.remove(&first);
        }
    }

    /// Removes all up to `number`.
    pub(in crate::engine) fn forget_through(&mut self, number: u64) {
        let across = self.runs.range(..=number).next_back().map(|(_, last)| *last).filter(|last| *last > number);
        self.runs = self.runs.split_off(&(number + 1));
        if let Some(last) = across {
            self.runs.insert(number + 1, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_a_set(steps in vec((0_u64..60, 0_u64..8, 0..9), 0..60)) {
            let (mut removed, mut model) = (Removed::default(), BTreeSet::new());
            for (number, more, what) in steps {
                if what == 0 {
                    removed.forget_through(number);
                    model = model.split_off(&(number + 1));
                } else if what == 1 {
                    // No run reaches beyond the ends.
                    let (first, end) = (removed.skip(number), number + 2 * more);
                    if let Some(last) = (first..end).rev().find(|number| !model.contains(number)) {
                        removed.forget_between(&(first..=last));
                        model.retain(|number| !(first..=last).contains(number));
                    }
                } else if (number..=number + more).all(|number| !model.contains(&number)) {
                    removed.insert(number..=number + more);
                    model.extend(number..=number + more);
                }
                for number in 0..70 {
                    prop_assert_eq!(removed.contains(number), model.contains(&number));
                    prop_assert_eq!(removed.count_after(number), model.range(number + 1..).count() as u64);
                    let free = (number..).find(|number| !model.contains(number));
                    for count in 1..8 {
                        let nth = (number + 1..).filter(|number| !model.contains(number)).nth(count - 1);
                        prop_assert_eq!(Some(removed.advance(number, count as u64)), nth);
                    }
                    prop_assert_eq!(Some(removed.skip(number)), free);
                }
                let runs: Vec<_> = removed.runs.iter().collect();
                prop_assert!(runs.windows(2).all(|pair| *pair[0].1 + 1 < *pair[1].0), "runs touch: {:?}", runs);
            }
        }
    }
}
