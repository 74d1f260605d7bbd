//! Where messages of a subscription are or may be missing. LastGood only for consumers that asked for it.

use std::collections::VecDeque;

/// A kind of gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// This many messages were dropped, because the consumer is too slow.
    Lagged(u64),
    /// The connection was lost: messages may have been missed until the next one had the subscription.
    Interrupted,
}

/// The gaps that the consumer has not reached yet, in order, each after a number of messages of the subscription.
/// Between two gaps there is a message that is still queued, so there are never many more gaps than messages.
#[derive(Debug, Default)]
pub(super) struct GapMarks {
    marks: VecDeque<(u64, Gap)>,
}

impl GapMarks {
    /// Records a gap after the first `at` messages.
    pub(super) fn mark(&mut self, at: u64, gap: Gap) {
        match (self.marks.back_mut(), gap) {
            (Some((last, Gap::Lagged(count))), Gap::Lagged(more)) if *last == at => *count += more,
            (Some((last, Gap::Interrupted)), Gap::Interrupted) if *last == at => {}
            _ => self.marks.push_back((at, gap)),
        }
    }

    /// The next messages to be read, `from..to`, were dropped.
    pub(super) fn drop_front(&mut self, from: u64, to: u64) {
        let index = self.marks.partition_point(|(at, _)| *at <= to);
        if let Some((at, Gap::Lagged(count))) = index.checked_sub(1).and_then(|before| self.marks.get_mut(before)) {
            if *at >= from {
                *at = to;
                *count += to - from;
                return;
            }
        }
        self.marks.insert(index, (to, Gap::Lagged(to - from)));
    }

    /// The next gap, if it comes before message number `next`.
    pub(super) fn take(&mut self, next: u64) -> Option<Gap> {
        let (at, _) = self.marks.front()?;
        if *at <= next { self.marks.pop_front().map(|(_, gap)| gap) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_in_one_place_are_merged() {
        let mut gaps = GapMarks::default();
        gaps.mark(3, Gap::Lagged(1));
        gaps.mark(3, Gap::Lagged(2));
        gaps.mark(3, Gap::Interrupted);
        gaps.mark(3, Gap::Interrupted);
        assert_eq!(gaps.take(2), None);
        assert_eq!(gaps.take(3), Some(Gap::Lagged(3)));
        assert_eq!(gaps.take(9), Some(Gap::Interrupted));
        assert_eq!(gaps.take(9), None);
    }

    #[test]
    fn messages_dropped_in_front_are_reported_before_the_remaining_ones() {
        let mut gaps = GapMarks::default();
        gaps.mark(6, Gap::Interrupted);
        gaps.drop_front(2, 4);
        gaps.drop_front(4, 5);
        // The interruption lies within the messages dropped now; together with the losses around it that makes two
        // gaps.
        gaps.drop_front(5, 8);
        assert_eq!(gaps.take(8), Some(Gap::Lagged(3)));
        assert_eq!(gaps.take(8), Some(Gap::Interrupted));
        assert_eq!(gaps.take(8), Some(Gap::Lagged(3)));
        assert_eq!(gaps.take(8), None);
    }
}
