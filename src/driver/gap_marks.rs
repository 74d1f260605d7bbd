//! Where messages of a subscription are or may be missing. Kept only for consumers that asked for it.

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

    /// The `count` messages that follow the first `at` were dropped, and take no numbers.
    pub(super) fn drop_after(&mut self, at: u64, count: u64) {
        let index = self.marks.partition_point(|(mark, _)| *mark <= at);
        for (mark, _) in self.marks.iter_mut().skip(index) {
            *mark = mark.saturating_sub(count).max(at);
        }
        // With what stands directly before and after it, it is one gap.
        let before = index.checked_sub(1).filter(|before| self.is_lagged_at(*before, at));
        let place = match before {
            Some(before) => before,
            None => {
                self.marks.insert(index, (at, Gap::Lagged(0)));
                index
            }
        };
        let after = if self.is_lagged_at(place + 1, at) { self.marks.remove(place + 1) } else { None };
        if let Some((_, Gap::Lagged(lost))) = self.marks.get_mut(place) {
            *lost += count;
            if let Some((_, Gap::Lagged(more))) = after {
                *lost += more;
            }
        }
    }

    fn is_lagged_at(&self, index: usize, at: u64) -> bool {
        matches!(self.marks.get(index), Some((mark, Gap::Lagged(_))) if *mark == at)
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
    fn dropped_messages_move_the_later_gaps() {
        let mut gaps = GapMarks::default();
        gaps.mark(2, Gap::Lagged(1));
        gaps.mark(4, Gap::Interrupted);
        gaps.mark(6, Gap::Lagged(1));
        gaps.mark(9, Gap::Interrupted);
        // Messages 4 and 5, then 2 more.
        gaps.drop_after(4, 2);
        gaps.drop_after(4, 2);
        assert_eq!(gaps.take(3), Some(Gap::Lagged(1)));
        assert_eq!(gaps.take(4), Some(Gap::Interrupted));
        assert_eq!(gaps.take(4), Some(Gap::Lagged(5)));
        assert_eq!(gaps.take(4), None, "one message is left before it");
        assert_eq!(gaps.take(5), Some(Gap::Interrupted));
    }

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
