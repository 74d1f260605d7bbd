//! Dial permits: a process makes a limited number of dials at a time, over all its clients and runtimes (D14).
//!
//! Permits are given out in FIFO order. A waiter that is dropped leaves the queue, and a dropped [`DialPermit`], with
//! or without a connection, goes to the next waiter.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// The number of permits. D14: enough for any start, and a program with a thousand clients does not fill the
/// server's backlog, or its own table of descriptors, in one instant.
const MOST: usize = 64;

/// After waiting this long, dial without a permit: the holders may hang, or belong to clients of a runtime that is not
/// running, and must not keep a client from a healthy server. Arbitrary: six attempts that hang, one after the other.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The permits of this process.
pub(super) static DIAL_PERMITS: LazyLock<DialPermits> = LazyLock::new(|| DialPermits::new(MOST, LONGEST_WAIT));

/// A fixed number of permits, and the queue for them.
#[derive(Debug)]
pub(super) struct DialPermits {
    free: Semaphore,
    longest_wait: Duration,
}

/// The right to dial, until it is dropped.
#[derive(Debug)]
pub(super) struct DialPermit {
    _permit: Option<SemaphorePermit<'static>>,
}

impl DialPermits {
    fn new(most: usize, longest_wait: Duration) -> DialPermits {
        DialPermits { free: Semaphore::new(most), longest_wait }
    }

    /// A permit, if one is free and nobody is waiting for it.
    pub(super) fn free(&'static self) -> Option<DialPermit> {
        self.free.try_acquire().ok().map(|permit| DialPermit { _permit: Some(permit) })
    }

    /// A permit for an attempt that continues at another address; it never waits.
    pub(super) fn extra(&'static self) -> DialPermit {
        self.free().unwrap_or(DialPermit { _permit: None })
    }

    /// Waits for a permit, after all earlier waiters.
    pub(super) async fn wait(&'static self) -> DialPermit {
        // The semaphore is never closed.
        let permit = timeout(self.longest_wait, self.free.acquire()).await.ok().and_then(Result::ok);
        DialPermit { _permit: permit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(most: usize, longest_wait: Duration) -> &'static DialPermits {
        Box::leak(Box::new(DialPermits::new(most, longest_wait)))
    }

    // N8, D14
    #[tokio::test]
    async fn permits_are_given_out_in_the_order_of_asking() {
        let permits = permits(1, LONGEST_WAIT);
        let first = permits.free().unwrap();
        assert!(permits.free().is_none());
        let (sender, mut started) = tokio::sync::mpsc::unbounded_channel();
        let mut waiting = Vec::new();
        for n in 0..5 {
            let sender = sender.clone();
            waiting.push(tokio::spawn(async move {
                let _permit = permits.wait().await;
                sender.send(n).unwrap();
                tokio::task::yield_now().await;
            }));
            tokio::task::yield_now().await;
        }
        // A waiter that gives up neither keeps a permit nor passes one on.
        waiting.remove(2).abort();
        tokio::task::yield_now().await;
        drop(first);
        for n in [0, 1, 3, 4] {
            assert_eq!(started.recv().await, Some(n));
        }
        for task in waiting {
            task.await.unwrap();
        }
        assert!(permits.free().is_some());
    }

    // N8, D14
    #[tokio::test]
    async fn a_permit_for_a_waiter_that_is_gone_goes_to_the_next() {
        let permits = permits(1, LONGEST_WAIT);
        let first = permits.free().unwrap();
        let mut gone = Box::pin(permits.wait());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(gone.as_mut().poll(&mut cx).is_pending());
        let next = tokio::spawn(permits.wait());
        tokio::task::yield_now().await;
        drop(first);
        assert!(permits.free().is_none(), "it belongs to the first waiter, which has not been polled");
        drop(gone);
        drop(next.await.unwrap());
        assert!(permits.free().is_some());
    }

    // N8, D14
    #[tokio::test]
    async fn hung_dials_do_not_delay_others_forever() {
        let permits = permits(1, Duration::from_millis(50));
        let stuck = permits.free().unwrap();
        let without = permits.wait().await;
        assert!(without._permit.is_none());
        drop((stuck, without));
        assert!(permits.wait().await._permit.is_some());
    }
}
