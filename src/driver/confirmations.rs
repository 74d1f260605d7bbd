//! Publishers that wait for the outcome of their message, by its sequence number. Other messages never touch this.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use super::lock;
use crate::engine::{DroppedRun, LossReason, RefusedName};
use crate::protocol::ErrKind;

/// All waiting publishers of one client.
#[derive(Debug, Default)]
pub(crate) struct Confirmations {
    inner: Mutex<Inner>,
    /// Hashes subjects, so that they need not be stored.
    hasher: RandomState,
}

/// A number is never in both.
#[derive(Debug, Default)]
struct Inner {
    waiting: BTreeMap<u64, Waiting>,
    settled: BTreeMap<u64, Settled>,
}

/// One waiting publisher.
#[derive(Debug)]
struct Waiting {
    subject: Named,
    waker: Option<Waker>,
}

/// The hashes of a message's subject and reply subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    subject: u64,
    reply: Option<u64>,
}

/// The outcome of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// A PONG covers it.
    Confirmed,
    /// It was sent on a connection that was lost, and is not sent again.
    InDoubt,
    /// It was lost before it was sent completely.
    Lost(LossReason),
    /// The server refused it.
    Refused(ErrKind),
}

impl Confirmations {
    /// The message with this number was admitted, and a publisher waits for it. Called under the mailbox's lock, so it
    /// cannot have an outcome yet.
    pub(super) fn register(&self, number: u64, subject: Named) {
        lock(&self.inner).waiting.insert(number, Waiting { subject, waker: None });
    }

    /// Hashes a subject and a reply subject.
    pub(super) fn named(&self, subject: &[u8], reply: Option<&[u8]>) -> Named {
        let number = |subject: &[u8]| self.hasher.hash_one(subject);
        Named { subject: number(subject), reply: reply.map(number) }
    }

    /// The outcome, which is returned once.
    pub(super) fn poll(&self, number: u64, cx: &mut Context<'_>) -> Poll<Settled> {
        let waker = cx.waker().clone();
        let mut inner = lock(&self.inner);
        if let Some(settled) = inner.settled.remove(&number) {
            return Poll::Ready(settled);
        }
        let old = inner.waiting.get_mut(&number).map(|waiting| waiting.waker.replace(waker));
        drop(inner);
        drop(old);
        Poll::Pending
    }

    /// Stops waiting. Returns the outcome if it is known and was not returned yet.
    pub(super) fn forget(&self, number: u64) -> Option<Settled> {
        let mut inner = lock(&self.inner);
        let settled = inner.settled.remove(&number);
        let waiting = inner.waiting.remove(&number);
        drop(inner);
        drop(waiting);
        settled
    }

    /// A PONG covers the messages up to `through` that have no outcome yet.
    pub(super) fn confirmed(&self, through: u64, wakers: &mut Vec<Waker>) {
        self.settle(Some(through), Settled::Confirmed, wakers);
    }

    /// A connection that is lost had taken the messages up to `through`.
    pub(super) fn handed_over(&self, through: u64, wakers: &mut Vec<Waker>) {
        self.settle(Some(through), Settled::InDoubt, wakers);
    }

    /// No further outcome will be reported.
    pub(super) fn end(&self, wakers: &mut Vec<Waker>) {
        self.settle(None, Settled::InDoubt, wakers);
    }

    /// Messages were lost while buffered.
    pub(super) fn dropped(&self, runs: &[DroppedRun], wakers: &mut Vec<Waker>) {
        let mut inner = lock(&self.inner);
        for run in runs {
            let settled = if run.handed_over { Settled::InDoubt } else { Settled::Lost(run.reason) };
            let numbers: Vec<u64> = inner.waiting.range(run.numbers.clone()).map(|(number, _)| *number).collect();
            for number in numbers {
                inner.settle_one(number, settled.clone(), wakers);
            }
        }
    }

    /// The server has refused the messages with these subjects among the numbers `after + 1..=through`. Messages up to
    /// `again` may have been sent on an earlier connection too.
    pub(super) fn refused(&self, names: &[RefusedName], after: u64, again: u64, through: u64, wakers: &mut Vec<Waker>) {
        let number = |name: &RefusedName| self.hasher.hash_one(name.subject.as_bytes());
        let names: HashMap<(bool, u64), &RefusedName> =
            names.iter().map(|name| ((name.reply, number(name)), name)).collect();
        let mut inner = lock(&self.inner);
        let waiting = inner.waiting.range(after + 1..through.saturating_add(1).max(after + 1));
        let refused = waiting.filter_map(|(number, Waiting { subject: Named { subject, reply }, .. })| {
            let name = names.get(&(false, *subject)).or_else(|| names.get(&(true, (*reply)?)))?;
            let refused = || Settled::Refused(name.error());
            Some((*number, if *number <= again { Settled::InDoubt } else { refused() }))
        });
        for (number, settled) in refused.collect::<Vec<_>>() {
            inner.settle_one(number, settled, wakers);
        }
    }

    /// The number of waiting publishers and unreturned outcomes.
    #[cfg(test)]
    fn len(&self) -> usize {
        let inner = lock(&self.inner);
        inner.waiting.len() + inner.settled.len()
    }

    /// `through`: the last number concerned; `None` settles all.
    fn settle(&self, through: Option<u64>, settled: Settled, wakers: &mut Vec<Waker>) {
        let mut inner = lock(&self.inner);
        let rest = through.map(|through| inner.waiting.split_off(&(through + 1))).unwrap_or_default();
        for (number, waiting) in std::mem::replace(&mut inner.waiting, rest) {
            wakers.extend(waiting.waker);
            inner.settled.insert(number, settled.clone());
        }
    }
}

impl Inner {
    fn settle_one(&mut self, number: u64, settled: Settled, wakers: &mut Vec<Waker>) {
        if let Some(waiting) = self.waiting.remove(&number) {
            wakers.extend(waiting.waker);
            self.settled.insert(number, settled);
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
    fn the_first_outcome_counts_and_is_returned_once() {
        let waiting = Confirmations::default();
        (1..=7).for_each(|number| waiting.register(number, waiting.named(b"a", None)));
        assert!(poll(&waiting, 1).is_pending());
        let mut wakers = Vec::new();
        waiting.confirmed(2, &mut wakers);
        assert_eq!(wakers.len(), 1, "one was polled already");
        waiting.handed_over(3, &mut wakers);
        let run = |numbers, handed_over| DroppedRun { reason: LossReason::Expired, numbers, handed_over };
        waiting.dropped(&[run(2..=4, true), run(5..=5, false)], &mut wakers);
        waiting.confirmed(6, &mut wakers);
        waiting.end(&mut wakers);
        let outcomes: Vec<_> = (1..=7).map(|number| poll(&waiting, number)).collect();
        let expected = [
            Settled::Confirmed,
            Settled::Confirmed,
            Settled::InDoubt,
            Settled::InDoubt,
            Settled::Lost(LossReason::Expired),
            Settled::Confirmed,
            Settled::InDoubt,
        ];
        assert_eq!(outcomes, expected.map(Poll::Ready));
        assert_eq!(waiting.len(), 0);
    }

    #[test]
    fn messages_without_a_waiting_publisher_leave_no_entry() {
        let waiting = Confirmations::default();
        (1..=3).for_each(|number| waiting.register(number, waiting.named(b"a", None)));
        waiting.confirmed(1, &mut Vec::new());
        assert!(poll(&waiting, 2).is_pending());
        let forgotten: Vec<_> = (1..=3).map(|number| waiting.forget(number)).collect();
        assert_eq!(forgotten, [Some(Settled::Confirmed), None, None]);
        assert_eq!(waiting.len(), 0);
        waiting.confirmed(3, &mut Vec::new());
        assert_eq!(waiting.len(), 0);
    }
}
