//! Requests whose outcome somebody other than their reader waits for, and those that nobody reads.
#![cfg_attr(not(feature = "jetstream"), allow(dead_code, reason = "only JetStream has acknowledgements"))]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Instant;

use super::{Released, RequestFailure, Requests, SlotState, Ticket};
use crate::driver::lock;
use crate::driver::reads::Share;

/// Somebody who waits for the outcomes of requests, whatever they are.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Woken when `settled` is no longer 0.
    waker: Waker,
    /// How many requests are over of which its owner does not know yet: they have their outcome, were given up, or have
    /// expired.
    settled: Arc<AtomicUsize>,
    /// The outcomes of requests that nobody reads.
    unread: Mutex<Vec<Unread>>,
    /// Whether there may be any, so that nobody has to look in vain.
    has_unread: AtomicBool,
}

/// The outcome of a request that nobody read.
#[derive(Debug)]
pub(crate) enum Unread {
    Reply(Share),
    Failed(RequestFailure),
    /// None came in time.
    Expired,
}

impl Tracker {
    /// The owner of `waker` takes the number out of `settled`.
    pub(crate) fn new(waker: Waker, settled: Arc<AtomicUsize>) -> Tracker {
        Tracker {
            inner: Arc::new(Inner { waker, settled, unread: Mutex::default(), has_unread: AtomicBool::new(false) }),
        }
    }

    /// The outcomes of requests that nobody read, since the last call.
    pub(crate) fn take_unread(&self) -> Vec<Unread> {
        if !self.inner.has_unread.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut unread = lock(&self.inner.unread);
        self.inner.has_unread.store(false, Ordering::Relaxed);
        std::mem::take(&mut unread)
    }
}

/// Who waits for the outcome of a request.
#[derive(Debug)]
pub(super) struct Tracked {
    by: Arc<Inner>,
    since: Instant,
}

impl Tracked {
    /// The request is over, and somebody reads its outcome, or nobody wants it. Returns whom to wake, once for all requests
    /// that are over until then.
    pub(super) fn settle(self) -> Option<Waker> {
        (self.by.settled.fetch_add(1, Ordering::AcqRel) == 0).then(|| self.by.waker.clone())
    }

    /// The same for an outcome that nobody reads.
    pub(super) fn settle_unread(self, outcome: Unread) -> Option<Waker> {
        let mut unread = lock(&self.by.unread);
        unread.push(outcome);
        self.by.has_unread.store(true, Ordering::Relaxed);
        drop(unread);
        self.settle()
    }
}

impl Requests {
    /// Registers a request to `subject`.
    pub(crate) fn register_tracked(&self, subject: &[u8], tracker: &Tracker, now: Instant) -> Ticket {
        let tracked = Tracked { by: Arc::clone(&tracker.inner), since: now };
        self.place(subject, false, Some(tracked), SlotState::waiting(false))
    }

    /// Nobody reads the reply. The request goes on until it has its outcome, or expires; a drain does not wait for it. If it has expired
    /// already, it is over. `None`: its outcome is there, and remains.
    pub(crate) fn detach(&self, ticket: Ticket) -> Option<Released> {
        let mut inner = lock(&self.inner);
        let Some(slot) = inner.slot(ticket) else { return Some(Released::default()) };
        let SlotState::Waiting { sequence, keep, waker } = &mut slot.state else { return None };
        let tracked = slot.tracked.is_some();
        let (unread, waker) = (SlotState::Unread { sequence: *sequence, keep: *keep }, waker.take());
        match tracked {
            true => {
                slot.state = unread;
                inner.unread += 1;
            }
            false => inner.free(ticket.index),
        }
        let released = Released { last: inner.waiting() == 0, unanswered: None, tracked };
        drop(inner);
        drop(waker);
        Some(released)
    }

    /// Requests that were tracked since `before` or longer are not tracked any more: `wakers` gets one for each of them. A
    /// request that nobody reads ends. Returns since when the oldest of the others is tracked.
    pub(crate) fn expire(&self, tracker: &Tracker, before: Instant, wakers: &mut Vec<Waker>) -> Option<Instant> {
        let mut inner = lock(&self.inner);
        let (mut oldest, mut over) = (None, Vec::new());
        for (slot, index) in inner.slots.iter_mut().zip(0..) {
            let Some(tracked) = slot.tracked.take_if(|tracked| Arc::ptr_eq(&tracked.by, &tracker.inner)) else {
                continue;
            };
            if tracked.since > before {
                oldest = oldest.into_iter().chain([tracked.since]).min();
                slot.tracked = Some(tracked);
                continue;
            }
            if matches!(slot.state, SlotState::Unread { .. }) {
                wakers.extend(tracked.settle_unread(Unread::Expired));
                over.push(index);
            } else {
                wakers.extend(tracked.settle());
            }
        }
        over.into_iter().for_each(|index| inner.free(index));
        oldest
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Wake};
    use std::time::Duration;

    use super::*;
    use crate::driver::requests::RequestFailure;
    use crate::engine::EndReason;

    /// The owner of a tracker.
    #[derive(Default)]
    struct Count {
        settled: Arc<AtomicUsize>,
        known: AtomicUsize,
        woken: AtomicUsize,
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::Relaxed);
            self.known.fetch_add(self.settled.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn counter() -> (Arc<Count>, Tracker) {
        let count = Arc::new(Count::default());
        let tracker = Tracker::new(Waker::from(Arc::clone(&count)), Arc::clone(&count.settled));
        (count, tracker)
    }

    /// How many requests the owner has learned of.
    fn woken(count: &Count, wakers: &mut Vec<Waker>) -> usize {
        wakers.drain(..).for_each(Waker::wake);
        count.known.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn whoever_tracks_a_request_knows_that_it_is_over_whatever_becomes_of_it() {
        let ((count, tracker), mut wakers, now) = (counter(), Vec::new(), Instant::now());
        let requests = Requests::default();
        let register = || requests.register_tracked(b"a", &tracker, now);
        // Given up.
        assert!(requests.release(register()).last);
        assert_eq!(woken(&count, &mut wakers), 1);
        // Failed, and then read.
        let ticket = register();
        requests.admitted(ticket, 5);
        requests.handed_over(5, 1, &mut wakers);
        assert_eq!(woken(&count, &mut wakers), 1);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(requests.poll(ticket, &mut cx).is_ready());
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (0, 0));
        // The client ends while one is read and another one is not.
        let (read, unread) = (register(), register());
        assert!(!requests.detach(unread).unwrap().last);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (0, 1), "a drain waits for one of them");
        requests.end(&EndReason::Closed, &mut wakers);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (2, 1));
        requests.release(read);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (0, 0));
        // Of many that are over, one wakes.
        let both = [register(), register()];
        count.woken.store(0, Ordering::Relaxed);
        requests.end(&EndReason::Closed, &mut wakers);
        assert_eq!((woken(&count, &mut wakers), count.woken.load(Ordering::Relaxed)), (2, 1));
        for ticket in both {
            requests.release(ticket);
        }
    }

    #[test]
    fn a_request_that_nobody_reads_is_over_with_its_outcome() {
        let ((count, tracker), mut wakers, now) = (counter(), Vec::new(), Instant::now());
        let requests = Requests::default();
        let ticket = requests.register_tracked(b"a", &tracker, now);
        requests.admitted(ticket, 5);
        assert!(requests.detach(ticket).unwrap().last);
        requests.handed_over(4, 1, &mut wakers);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (0, 0));
        assert!(tracker.take_unread().is_empty());
        requests.handed_over(5, 1, &mut wakers);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (1, 0));
        let lost = RequestFailure::ConnectionLost { in_doubt: 1 };
        assert!(matches!(&tracker.take_unread()[..], [Unread::Failed(failure)] if *failure == lost));
        // Its outcome came first.
        let ticket = requests.register_tracked(b"a", &tracker, now);
        requests.end(&EndReason::Closed, &mut wakers);
        assert!(requests.detach(ticket).is_none());
        assert_eq!(woken(&count, &mut wakers), 1);
        let closed = RequestFailure::Ended(EndReason::Closed);
        let polled = requests.poll(ticket, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, std::task::Poll::Ready((Err(failure), _)) if failure == closed));
        assert!(tracker.take_unread().is_empty(), "it can still be read");
    }

    #[test]
    fn requests_expire_for_those_who_track_them() {
        let ((count, tracker), (others, other), mut wakers) = (counter(), counter(), Vec::new());
        let (requests, now) = (Requests::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let kept = requests.register_tracked(b"a", &tracker, at(1));
        let unread = requests.register_tracked(b"a", &tracker, at(2));
        requests.register_tracked(b"a", &tracker, at(3));
        requests.register_tracked(b"a", &other, at(0));
        assert!(!requests.detach(unread).unwrap().last);
        assert_eq!(requests.expire(&tracker, at(0), &mut wakers), Some(at(1)));
        assert_eq!(woken(&count, &mut wakers), 0);
        assert_eq!(requests.expire(&tracker, at(2), &mut wakers), Some(at(3)));
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (2, 3));
        assert!(matches!(&tracker.take_unread()[..], [Unread::Expired]));
        assert_eq!(lock(&requests.inner).unread, 0, "it is over");
        assert!(requests.poll(kept, &mut Context::from_waker(Waker::noop())).is_pending(), "it may still be answered");
        requests.release(kept);
        assert_eq!((woken(&count, &mut wakers), woken(&others, &mut wakers)), (0, 0));
        assert_eq!(requests.expire(&tracker, at(3), &mut wakers), None);
    }
}
