//! Requests with more than one reply: a queue in the slot.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::{RequestFailure, Requests, SlotState, Ticket};
use crate::driver::lock;
use crate::driver::reads::Share;
use crate::engine::EndReason;

/// Limits of the unread replies: their number, and their bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManyLimits {
    pub(crate) replies: usize,
    pub(crate) bytes: usize,
}

/// A request with more than one reply. Unread replies are within `limits`, except that one reply may always wait.
#[derive(Debug)]
pub(super) struct Many {
    /// The sequence number of its message in the outbox; 0 until it is admitted.
    pub(super) sequence: u64,
    /// It is still awaited after the connection that sent it was lost.
    pub(super) keep: bool,
    replies: VecDeque<Share>,
    /// Bytes of the replies.
    bytes: usize,
    limits: ManyLimits,
    /// Why there are no more replies after the queued ones.
    failure: Option<RequestFailure>,
    waker: Option<Waker>,
}

impl Many {
    /// Queues a reply. Beyond the limits the request ends, so that no reply is left out silently.
    pub(super) fn push(&mut self, reply: Share) -> Option<Waker> {
        if self.failure.is_some() {
            return None;
        }
        let fits = self.replies.len() < self.limits.replies && self.bytes + reply.bytes() <= self.limits.bytes;
        if fits || self.replies.is_empty() {
            self.bytes += reply.bytes();
            self.replies.push_back(reply);
        } else {
            self.failure = Some(RequestFailure::Ended(EndReason::SlowConsumer));
        }
        self.waker.take()
    }

    pub(super) fn fail(&mut self, failure: &RequestFailure) -> Option<Waker> {
        self.failure.get_or_insert_with(|| failure.clone());
        self.waker.take()
    }
}

impl Requests {
    /// Registers a request with many replies. `keep`: as for a request with one reply.
    pub(crate) fn register_many(&self, subject: &[u8], limits: ManyLimits, keep: bool) -> Ticket {
        let replies = VecDeque::new();
        let many = Many { sequence: 0, keep, replies, bytes: 0, limits, failure: None, waker: None };
        self.place(subject, false, None, SlotState::Many(Box::new(many)))
    }

    /// The next reply.
    pub(crate) fn poll_many(&self, ticket: Ticket, cx: &mut Context<'_>) -> Poll<Result<Share, RequestFailure>> {
        let own = cx.waker().clone();
        let mut inner = lock(&self.inner);
        let Some(SlotState::Many(many)) = inner.state(ticket) else {
            return Poll::Ready(Err(RequestFailure::Ended(EndReason::Closed)));
        };
        if let Some(reply) = many.replies.pop_front() {
            many.bytes -= reply.bytes();
            return Poll::Ready(Ok(reply));
        }
        if let Some(failure) = &many.failure {
            return Poll::Ready(Err(failure.clone()));
        }
        let old = many.waker.replace(own);
        drop(inner);
        drop(old);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(replies: usize, bytes: usize) -> ManyLimits {
        ManyLimits { replies, bytes }
    }

    fn reply(payload: &'static [u8]) -> Share {
        Share::of(b"_INBOX.a", None, None, payload)
    }

    fn poll(requests: &Requests, ticket: Ticket) -> Poll<Result<Vec<u8>, RequestFailure>> {
        let polled = requests.poll_many(ticket, &mut Context::from_waker(Waker::noop()));
        polled.map_ok(|share| share.first().payload().to_vec())
    }

    fn push(requests: &Requests, ticket: Ticket, payload: &'static [u8]) {
        let mut inner = lock(&requests.inner);
        let Some(SlotState::Many(many)) = inner.state(ticket) else { panic!("it waits") };
        drop(many.push(reply(payload)));
    }

    #[test]
    fn replies_come_in_order_and_the_failure_after_them() {
        let requests = Requests::default();
        let ticket = requests.register_many(b"a", limits(2, 1 << 20), false);
        requests.admitted(ticket, 7);
        assert!(poll(&requests, ticket).is_pending());
        push(&requests, ticket, b"1");
        push(&requests, ticket, b"2");
        let mut wakers = Vec::new();
        requests.handed_over(6, 1, &mut wakers);
        requests.handed_over(7, 1, &mut wakers);
        // Replies after the failure are ignored.
        push(&requests, ticket, b"3");
        assert_eq!(poll(&requests, ticket), Poll::Ready(Ok(b"1".to_vec())));
        assert_eq!(poll(&requests, ticket), Poll::Ready(Ok(b"2".to_vec())));
        let lost = RequestFailure::ConnectionLost { in_doubt: 1 };
        assert_eq!(poll(&requests, ticket), Poll::Ready(Err(lost)));
    }

    // Fault H2. Replies were counted, and our replies were small.
    #[test]
    fn replies_are_limited_in_bytes_and_one_that_is_larger_alone_comes() {
        let requests = Requests::default();
        let ticket = requests.register_many(b"a", limits(1000, 100), false);
        push(&requests, ticket, &[b'x'; 200]);
        push(&requests, ticket, b"too much");
        assert_eq!(poll(&requests, ticket), Poll::Ready(Ok(vec![b'x'; 200])));
        assert_eq!(poll(&requests, ticket), Poll::Ready(Err(RequestFailure::Ended(EndReason::SlowConsumer))));

        let ticket = requests.register_many(b"a", limits(1000, 100), false);
        for _ in 0..1000 {
            push(&requests, ticket, &[b'x'; 30]);
            push(&requests, ticket, &[b'y'; 30]);
            assert_eq!(poll(&requests, ticket), Poll::Ready(Ok(vec![b'x'; 30])), "what is read makes room");
            assert_eq!(poll(&requests, ticket), Poll::Ready(Ok(vec![b'y'; 30])));
        }
        assert!(poll(&requests, ticket).is_pending());
    }

    #[test]
    fn beyond_the_limit_it_ends_and_what_is_released_is_gone() {
        let requests = Requests::default();
        let ticket = requests.register_many(b"a", limits(1, 1 << 20), true);
        requests.admitted(ticket, 7);
        push(&requests, ticket, b"1");
        push(&requests, ticket, b"2");
        requests.handed_over(7, 1, &mut Vec::new());
        assert_eq!(poll(&requests, ticket), Poll::Ready(Ok(b"1".to_vec())));
        assert_eq!(poll(&requests, ticket), Poll::Ready(Err(RequestFailure::Ended(EndReason::SlowConsumer))));
        assert_eq!(requests.waiting(), 1);
        assert!(requests.release(ticket).last);
        assert_eq!(requests.waiting(), 0);
        let closed = RequestFailure::Ended(EndReason::Closed);
        assert_eq!(poll(&requests, ticket), Poll::Ready(Err(closed)));
    }
}
