//! Publishers who wait to hear what becomes of their message, by its sequence number. Nothing of this is on the way of
//! other messages.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use super::lock;
use crate::engine::{DroppedRun, LossReason};

/// All that one client waits for.
#[derive(Debug, Default)]
pub(crate) struct Confirmations {
    inner: Mutex<Inner>,
}

/// No number is in both.
#[derive(Debug, Default)]
struct Inner {
    waiting: BTreeMap<u64, Option<Waker>>,
    settled: BTreeMap<u64, Settled>,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// A PONG covers it.
    Confirmed,
    /// A connection that is gone had taken it, and it is not sent again.
    InDoubt,
    /// It was lost before any connection was given all of it.
    Lost(LossReason),
}

impl Confirmations {
    /// The message with this number was admitted, and somebody waits. Called under the mailbox's lock: nothing can have
    /// become of it yet.
    pub(super) fn register(&self, number: u64) {
        lock(&self.inner).waiting.insert(number, None);
    }

    /// What has become of it; that is told once.
    pub(super) fn poll(&self, number: u64, cx: &mut Context<'_>) -> Poll<Settled> {
        let waker = cx.waker().clone();
        let mut inner = lock(&self.inner);
        if let Some(settled) = inner.settled.remove(&number) {
            return Poll::Ready(settled);
        }
        let old = inner.waiting.insert(number, Some(waker));
        drop(inner);
        drop(old);
        Poll::Pending
    }

    /// Nobody waits any more. What had become of it, if that was known and not told.
    pub(super) fn forget(&self, number: u64) -> Option<Settled> {
        let mut inner = lock(&self.inner);
        let settled = inner.settled.remove(&number);
        let waker = inner.waiting.remove(&number);
        drop(inner);
        drop(waker);
        settled
    }

    /// A PONG covers the messages up to `through`, as far as nothing else became of them before.
    pub(super) fn confirmed(&self, through: u64, wakers: &mut Vec<Waker>) {
        self.settle(Some(through), Settled::Confirmed, wakers);
    }

    /// A connection took messages up to `through` and is gone.
    pub(super) fn handed_over(&self, through: u64, wakers: &mut Vec<Waker>) {
        self.settle(Some(through), Settled::InDoubt, wakers);
    }

    /// Nothing will be heard of anything any more.
    pub(super) fn end(&self, wakers: &mut Vec<Waker>) {
        self.settle(None, Settled::InDoubt, wakers);
    }

    /// Messages were lost while they waited.
    pub(super) fn dropped(&self, runs: &[DroppedRun], wakers: &mut Vec<Waker>) {
        let mut inner = lock(&self.inner);
        for run in runs {
            let settled = if run.handed_over { Settled::InDoubt } else { Settled::Lost(run.reason) };
            let numbers: Vec<u64> = inner.waiting.range(run.numbers.clone()).map(|(number, _)| *number).collect();
            for number in numbers {
                wakers.extend(inner.waiting.remove(&number).flatten());
                inner.settled.insert(number, settled);
            }
        }
    }

    /// How many wait, or were not told yet.
    #[cfg(test)]
    fn len(&self) -> usize {
        let inner = lock(&self.inner);
        inner.waiting.len() + inner.settled.len()
    }

    /// `through`: the last number concerned; `None`: all are.
    fn settle(&self, through: Option<u64>, settled: Settled, wakers: &mut Vec<Waker>) {
        let mut inner = lock(&self.inner);
        let rest = through.map(|through| inner.waiting.split_off(&(through + 1))).unwrap_or_default();
        for (number, waker) in std::mem::replace(&mut inner.waiting, rest) {
            wakers.extend(waker);
            inner.settled.insert(number, settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(waiting: &Confirmations, number: u64) -> Poll<Settled> {
        waiting.poll(number, &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_comes_first_counts_and_is_told_once() {
        let waiting = Confirmations::default();
        (1..=7).for_each(|number| waiting.register(number));
        assert!(poll(&waiting, 1).is_pending());
        let mut wakers = Vec::new();
        waiting.confirmed(2, &mut wakers);
        assert_eq!(wakers.len(), 1, "one had asked already");
        waiting.handed_over(3, &mut wakers);
        let run = |numbers, handed_over| DroppedRun { reason: LossReason::Expired, numbers, handed_over };
        waiting.dropped(&[run(2..=4, true), run(5..=5, false)], &mut wakers);
        waiting.confirmed(6, &mut wakers);
        waiting.end(&mut wakers);
        let told: Vec<_> = (1..=7).map(|number| poll(&waiting, number)).collect();
        let expected = [
            Settled::Confirmed,
            Settled::Confirmed,
            Settled::InDoubt,
            Settled::InDoubt,
            Settled::Lost(LossReason::Expired),
            Settled::Confirmed,
            Settled::InDoubt,
        ];
        assert_eq!(told, expected.map(Poll::Ready));
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn what_nobody_waits_for_leaves_nothing_behind() {
        let waiting = Confirmations::default();
        (1..=3).for_each(|number| waiting.register(number));
        waiting.confirmed(1, &mut Vec::new());
        assert!(poll(&waiting, 2).is_pending());
        let forgotten: Vec<_> = (1..=3).map(|number| waiting.forget(number)).collect();
        assert_eq!(forgotten, [Some(Settled::Confirmed), None, None]);
        assert_eq!(waiting.len(), 0);
        waiting.confirmed(3, &mut Vec::new());
        assert_eq!(waiting.len(), 0);
    }
}
