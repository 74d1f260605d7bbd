//! The SUB line of each subscription, encoded once and kept in the order of the sids, so that a replay copies whole blocks.

use std::collections::VecDeque;

use memchr::{memchr, memrchr};

use crate::protocol;

/// Sids per block: one bit each.
const SPAN: u64 = 64;

/// The SUB lines of all subscriptions. They are also the only copy of subjects and queue groups, without an allocation for each:
/// there may be 100,000 subscriptions.
#[derive(Debug, Default)]
pub(in crate::engine) struct SubLines {
    /// In order, each with its number. None is without a living subscription.
    blocks: VecDeque<(u64, Block)>,
}

/// The lines of up to [`SPAN`] consecutive sids. In its sets of sids, bit n stands for the nth sid of the block.
#[derive(Debug, Default)]
pub(in crate::engine) struct Block {
    /// Whole lines, in order.
    bytes: Vec<u8>,
    /// Those with a line in `bytes`.
    lines: u64,
    /// Those of them whose subscription has not ended. The lines of the others stay until there are more of them than of these, and
    /// more than [`SPARED`].
    living: u64,
    /// Those of them about which a replay has to ask the table, because they have a limit or are draining.
    special: u64,
    /// How many of the lines are not living.
    ended: u32,
}

/// This many lines of ended subscriptions stay in a block, even if there are fewer others: a few lines are not worth the work.
const SPARED: u32 = 8;

/// The number of a sid's block, and its bit there.
fn place(sid: u64) -> (u64, u64) {
    (sid / SPAN, 1 << (sid % SPAN))
}

impl SubLines {
    /// Adds a line. The last sid is usually the largest so far.
    pub(super) fn insert(&mut self, sid: u64, subject: &[u8], queue: Option<&[u8]>) {
        let (number, bit) = place(sid);
        let found = match self.blocks.back() {
            Some((last, _)) if *last == number => Ok(self.blocks.len() - 1),
            _ => self.position(number),
        };
        let at = found.unwrap_or_else(|at| {
            self.shrink_last();
            self.blocks.insert(at, (number, Block::default()));
            at
        });
        if let Some((_, block)) = self.blocks.get_mut(at) {
            block.insert(bit, sid, subject, queue);
        }
    }

    pub(super) fn remove(&mut self, sid: u64) {
        let (number, bit) = place(sid);
        let Ok(at) = self.position(number) else { return };
        let Some((_, block)) = self.blocks.get_mut(at) else { return };
        if block.living & bit == 0 {
            return;
        }
        block.living ^= bit;
        block.special &= !bit;
        block.ended += 1;
        if block.living == 0 {
            self.blocks.remove(at);
        } else if block.ended > SPARED && block.ended > block.living.count_ones() {
            block.purge();
        }
    }

    /// From now on a replay has to ask the table about `sid`.
    pub(super) fn set_special(&mut self, sid: u64) {
        let (number, bit) = place(sid);
        let found = self.position(number).ok().and_then(|at| self.blocks.get_mut(at));
        if let Some((_, block)) = found {
            block.special |= bit & block.living;
        }
    }

    /// `subject` or `subject queue`, as in SUB.
    pub(super) fn interest(&self, sid: u64) -> Option<&[u8]> {
        self.line(sid).map(interest_of)
    }

    /// The whole line.
    pub(super) fn line(&self, sid: u64) -> Option<&[u8]> {
        let (number, bit) = place(sid);
        let (_, block) = self.blocks.get(self.position(number).ok()?)?;
        block.line(bit)
    }

    /// Where the block with this number is, or would be.
    fn position(&self, number: u64) -> Result<usize, usize> {
        let first = self.blocks.front().map_or(0, |(first, _)| *first);
        // It is there if no block before it is missing.
        let most = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
        match self.blocks.get(most) {
            Some((found, _)) if *found == number => Ok(most),
            _ => self.blocks.binary_search_by_key(&number, |(number, _)| *number),
        }
    }

    /// All sids, ascending, each with `subject` or `subject queue`.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let all = self.blocks_from(0).flat_map(|(first, block)| block.lines_from(first, 0));
        all.map(|line| (line.sid, interest_of(line.bytes)))
    }

    /// Whether there is a subscription with this sid or a larger one.
    pub(in crate::engine) fn reach(&self, sid: u64) -> bool {
        let last = self.blocks.back();
        last.is_some_and(|(number, block)| Sids { first: number * SPAN, set: block.living }.end() > sid)
    }

    /// The blocks that may have lines of `sid` or later ones, each with its first sid.
    pub(in crate::engine) fn blocks_from(&self, sid: u64) -> impl Iterator<Item = (u64, &Block)> {
        let (Ok(at) | Err(at)) = self.position(sid / SPAN);
        self.blocks.range(at..).map(|(number, block)| (number * SPAN, block))
    }

    /// Frees unused memory.
    pub(super) fn shrink(&mut self) {
        self.shrink_last();
        self.blocks.shrink_to_fit();
    }

    /// The other blocks rarely grow any more.
    fn shrink_last(&mut self) {
        if let Some((_, last)) = self.blocks.back_mut() {
            last.bytes.shrink_to_fit();
        }
    }
}

/// A line in a block.
pub(in crate::engine) struct Line<'a> {
    pub(in crate::engine) sid: u64,
    /// With CR LF.
    pub(in crate::engine) bytes: &'a [u8],
    /// Whether the table has to be asked about it.
    pub(in crate::engine) special: bool,
}

impl Block {
    fn insert(&mut self, bit: u64, sid: u64, subject: &[u8], queue: Option<&[u8]>) {
        if self.lines & bit != 0 {
            self.living &= !bit;
            self.purge();
        }
        if self.lines < bit {
            protocol::subscribe(&mut self.bytes, subject, queue, sid);
        } else {
            let mut line = Vec::new();
            protocol::subscribe(&mut line, subject, queue, sid);
            let at: usize = self.all().filter(|(other, _)| *other < bit).map(|(_, line)| line.len()).sum();
            self.bytes.splice(at..at, line);
        }
        self.lines |= bit;
        self.living |= bit;
        self.special &= !bit;
    }

    /// Drops the lines of subscriptions that have ended.
    fn purge(&mut self) {
        let mut kept = Vec::with_capacity(self.bytes.len());
        for (_, line) in self.all().filter(|(bit, _)| self.living & bit != 0) {
            kept.extend_from_slice(line);
        }
        kept.shrink_to_fit();
        (self.bytes, self.lines, self.ended) = (kept, self.living, 0);
    }

    /// All lines, those of ended subscriptions too, each with its bit.
    fn all(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let (mut left, mut rest) = (self.lines, &*self.bytes);
        std::iter::from_fn(move || {
            let bit = left & left.wrapping_neg();
            left ^= bit;
            let end = memchr(b'\n', rest)? + 1;
            let (line, after) = rest.split_at_checked(end)?;
            rest = after;
            Some((bit, line))
        })
    }

    fn line(&self, bit: u64) -> Option<&[u8]> {
        if self.living & bit == 0 {
            return None;
        }
        self.all().find(|(other, _)| *other == bit).map(|(_, line)| line)
    }

    /// All lines together, with their sids, if they are just those that a replay sends from `from` on. `first`: the block's
    /// first sid.
    pub(in crate::engine) fn whole_from(&self, first: u64, from: u64) -> Option<(&[u8], Sids)> {
        let plain = self.special == 0 && self.lines == self.living;
        let begins = first + u64::from(self.lines.trailing_zeros()) >= from;
        (plain && begins).then_some((&*self.bytes, Sids { first, set: self.lines }))
    }

    /// The lines of living subscriptions from `from` on.
    pub(in crate::engine) fn lines_from(&self, first: u64, from: u64) -> impl Iterator<Item = Line<'_>> {
        let living = self.all().filter(|(bit, _)| self.living & bit != 0);
        let lines = living.map(move |(bit, bytes)| {
            let sid = first + u64::from(bit.trailing_zeros());
            Line { sid, bytes, special: self.special & bit != 0 }
        });
        lines.filter(move |line| line.sid >= from)
    }
}

/// Some sids of one block, ascending.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Sids {
    /// The block's first sid.
    first: u64,
    set: u64,
}

impl Sids {
    /// The sid after the last one.
    pub(in crate::engine) fn end(&self) -> u64 {
        self.first + SPAN - u64::from(self.set.leading_zeros())
    }
}

impl Iterator for Sids {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let sid = (self.set != 0).then(|| self.first + u64::from(self.set.trailing_zeros()));
        self.set &= self.set.wrapping_sub(1);
        sid
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.set.count_ones() as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Sids {}

/// What stands between `SUB` and the sid.
fn interest_of(line: &[u8]) -> &[u8] {
    let end = memrchr(b' ', line).unwrap_or_default();
    line.get(b"SUB ".len()..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::tests::laws::laws;

    /// What `from` and the following lines are, by the blocks.
    fn replayed(lines: &SubLines, from: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for (first, block) in lines.blocks_from(from) {
            let each: Vec<Line<'_>> = block.lines_from(first, from).collect();
            if let Some((whole, sids)) = block.whole_from(first, from) {
                assert_eq!(whole, each.iter().flat_map(|line| line.bytes).copied().collect::<Vec<u8>>());
                assert_eq!(sids.len(), each.len());
                assert_eq!(sids.end(), each.last().unwrap().sid + 1);
                assert!(sids.eq(each.iter().map(|line| line.sid)));
            }
            each.iter().for_each(|line| out.extend_from_slice(line.bytes));
        }
        out
    }

    proptest! {
        #![proptest_config(laws(400))]

        #[test]
        fn lines_are_those_of_a_map(steps in vec((0_u64..200, 0_u8..5), 0..200), from in 0_u64..200) {
            let (mut lines, mut model) = (SubLines::default(), BTreeMap::new());
            for (sid, step) in steps {
                if step < 3 {
                    let subject = "subject.".repeat(usize::from(step) + 1);
                    let queue = (step == 1).then_some("group");
                    lines.insert(sid, subject.as_bytes(), queue.map(str::as_bytes));
                    let interest = [&*subject, queue.unwrap_or_default()].join(" ").trim_end().to_owned();
                    model.insert(sid, interest);
                } else {
                    lines.remove(sid);
                    model.remove(&sid);
                }
                prop_assert_eq!(lines.interest(sid), model.get(&sid).map(String::as_bytes));
            }
            prop_assert!(lines.iter().eq(model.iter().map(|(sid, interest)| (*sid, interest.as_bytes()))));
            let later = || model.range(from..);
            let expected: String = later().map(|(sid, interest)| format!("SUB {interest} {sid}\r\n")).collect();
            prop_assert_eq!(String::from_utf8(replayed(&lines, from)).unwrap(), expected);
            prop_assert_eq!(lines.reach(from), later().next().is_some());
            // Ended ones take no more room than the others, or very little.
            for (_, block) in &lines.blocks {
                prop_assert_eq!(block.ended, (block.lines & !block.living).count_ones());
                prop_assert!(block.ended <= block.living.count_ones().max(SPARED) && block.living != 0);
            }
        }
    }

    #[test]
    fn only_a_block_without_exceptions_is_copied_whole() {
        let mut lines = SubLines::default();
        (1..=3).for_each(|sid| lines.insert(sid, b"a", None));
        let whole =
            |lines: &SubLines, from| lines.blocks[0].1.whole_from(0, from).map(|(_, sids)| sids.collect::<Vec<_>>());
        assert_eq!(whole(&lines, 0), Some(vec![1, 2, 3]));
        assert_eq!(whole(&lines, 1), Some(vec![1, 2, 3]));
        assert_eq!(whole(&lines, 2), None);
        lines.set_special(2);
        assert_eq!(whole(&lines, 0), None);
        let special =
            |lines: &SubLines| lines.blocks[0].1.lines_from(0, 0).map(|line| line.special).collect::<Vec<_>>();
        assert_eq!(special(&lines), [false, true, false]);
        // The sid does not come back, but a new subscription would not have the limits of an old one.
        lines.insert(2, b"b", None);
        assert_eq!(whole(&lines, 0), Some(vec![1, 2, 3]));
        lines.remove(3);
        assert_eq!(whole(&lines, 0), None);
    }
}
