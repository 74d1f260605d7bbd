//! An index of subscriptions by subject and queue group, built when a server refuses one: before that it would waste memory.

use std::collections::BTreeSet;

/// Sids by `subject` or `subject queue`, as in SUB. No subject contains a blank, which sorts before every character that may be
/// in one.
#[derive(Debug, Default)]
pub(super) struct Names {
    sids: BTreeSet<(Box<[u8]>, u64)>,
}

impl Names {
    pub(super) fn add(&mut self, interest: &[u8], sid: u64) {
        self.sids.insert((interest.into(), sid));
    }

    pub(super) fn remove(&mut self, interest: &[u8], sid: u64) {
        self.sids.remove(&(interest.into(), sid));
    }

    /// Those with this subject and this queue group, ascending.
    pub(super) fn exactly(&self, subject: &[u8], queue: Option<&[u8]>) -> impl Iterator<Item = u64> {
        let interest = interest(subject, queue);
        let last = interest.clone();
        self.sids.range((interest, 0)..=(last, u64::MAX)).map(|(_, sid)| *sid)
    }

    /// Those with this subject in any queue group.
    pub(super) fn grouped(&self, subject: &[u8]) -> impl Iterator<Item = u64> {
        let (first, last) = ([subject, b" "].concat(), [subject, b"!"].concat());
        self.sids.range((first.into(), 0)..(last.into(), 0)).map(|(_, sid)| *sid)
    }
}

/// `subject` or `subject queue`.
pub(super) fn interest(subject: &[u8], queue: Option<&[u8]>) -> Box<[u8]> {
    match queue {
        Some(queue) => [subject, b" ", queue].concat().into(),
        None => subject.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_subject_are_its_own_and_plain_is_not_among_them() {
        let mut names = Names::default();
        let all = [("a", None), ("a", Some("q")), ("a.b", None), ("a", Some("r")), ("a!", None), ("a\u{1}", Some("q"))];
        for ((subject, queue), sid) in all.into_iter().zip(1..) {
            names.add(&interest(subject.as_bytes(), queue.map(str::as_bytes)), sid);
        }
        names.add(b"a q", 7);
        assert_eq!(names.exactly(b"a", Some(b"q")).collect::<Vec<_>>(), [2, 7]);
        assert_eq!(names.exactly(b"a", None).collect::<Vec<_>>(), [1]);
        assert_eq!(names.grouped(b"a").collect::<Vec<_>>(), [2, 7, 4]);
        names.remove(b"a q", 2);
        assert_eq!(names.exactly(b"a", Some(b"q")).collect::<Vec<_>>(), [7]);
    }
}
