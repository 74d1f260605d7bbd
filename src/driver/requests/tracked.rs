//! Requests whose outcome somebody other than their reader waits for, and those that nobody reads.
#![cfg_attr(not(feature = "jetstream"), allow(dead_code, reason = "only JetStream has acknowledgements"))]

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
    /// Woken once for each request: when it has its outcome, is given up, or has expired.
    settled: Waker,
    /// The outcomes of requests that nobody reads.
    unread: Mutex<Vec<Unread>>,
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
    pub(crate) fn new(settled: Waker) -> Tracker {
        Tracker { inner: Arc::new(Inner { settled, unread: Mutex::default() }) }
    }

    /// The outcomes of requests that nobody read, since the last call.
    pub(crate) fn take_unread(&self) -> Vec<Unread> {
        std::mem::take(&mut *lock(&self.inner.unread))
    }
}

/// Who waits for the outcome of a request.
#[derive(Debug)]
pub(super) struct Tracked {
    by: Arc<Inner>,
    since: Instant,
}

impl Tracked {
    /// To be woken for an outcome that somebody reads, or that is of no interest.
    pub(super) fn waker(self) -> Waker {
        self.by.settled.clone()
    }

    /// The same for an outcome that nobody reads.
    pub(super) fn settle(self, outcome: Unread) -> Waker {
        lock(&self.by.unread).push(outcome);
        self.waker()
    }
}

impl Requests {
    /// Registers a request to `subject`.
    pub(crate) fn register_tracked(&self, subject: &[u8], tracker: &Tracker, now: Instant) -> Ticket {
        let ticket = self.register(subject, false);
        if let Some(slot) = lock(&self.inner).slot(ticket) {
            slot.tracked = Some(Tracked { by: Arc::clone(&tracker.inner), since: now });
        }
        ticket
    }

    /// Nobody reads the reply. The request goes on until it has its outcome, or expires; a drain does not wait for it.
    pub(crate) fn detach(&self, ticket: Ticket) -> Released {
        let mut inner = lock(&self.inner);
        let Some(slot) = inner.slot(ticket) else { return Released::default() };
        let SlotState::Waiting { sequence, keep, waker } = &mut slot.state else {
            drop(inner);
            return self.release(ticket);
        };
        let (unread, waker) = (SlotState::Unread { sequence: *sequence, keep: *keep }, waker.take());
        slot.state = unread;
        inner.unread += 1;
        let released = Released { last: inner.waiting() == 0, unanswered: None };
        drop(inner);
        drop(waker);
        released
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
                wakers.push(tracked.settle(Unread::Expired));
                over.push(index);
            } else {
                wakers.push(tracked.waker());
            }
        }
        over.into_iter().for_each(|index| inner.free(index));
        oldest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};
    use std::time::Duration;

    use super::*;
    use crate::driver::requests::RequestFailure;
    use crate::engine::EndReason;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counter() -> (Arc<Count>, Tracker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Tracker::new(Waker::from(count)))
    }

    fn woken(count: &Count, wakers: &mut Vec<Waker>) -> usize {
        wakers.drain(..).for_each(Waker::wake);
        count.0.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn whoever_tracks_a_request_is_woken_once_whatever_becomes_of_it() {
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
        requests.release(ticket);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (0, 0));
        // The client ends while one is read and another one is not.
        let (read, unread) = (register(), register());
        assert!(!requests.detach(unread).last);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (0, 1), "a drain waits for one of them");
        requests.end(&EndReason::Closed, &mut wakers);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (2, 1));
        requests.release(read);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (0, 0));
    }

    #[test]
    fn a_request_that_nobody_reads_is_over_with_its_outcome() {
        let ((count, tracker), mut wakers, now) = (counter(), Vec::new(), Instant::now());
        let requests = Requests::default();
        let ticket = requests.register_tracked(b"a", &tracker, now);
        requests.admitted(ticket, 5);
        assert!(requests.detach(ticket).last);
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
        assert!(requests.detach(ticket).last);
        assert_eq!((woken(&count, &mut wakers), requests.waiting()), (1, 0));
        let closed = RequestFailure::Ended(EndReason::Closed);
        let polled = requests.poll(ticket, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, std::task::Poll::Ready(Err(failure)) if failure == closed));
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
        assert!(!requests.detach(unread).last);
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
