//! Waiting for a future on the caller's thread, without a runtime (D34).

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::client::alone;
use crate::driver::lock;

/// Nothing arrived in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing arrived in time")]
pub struct TimedOut;

/// The thread of a client, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home(u64);

thread_local! {
    /// The client whose thread this is; 0: none.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

impl Home {
    pub(super) fn new() -> Home {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Home(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes this thread the client's.
    pub(super) fn settle(self) {
        HERE.set(self.0);
    }

    /// Waits for `future`, which depends on the client's thread.
    ///
    /// # Panics
    ///
    /// On that thread.
    #[track_caller]
    pub(super) fn wait<F: Future>(self, future: F) -> F::Output {
        self.leave();
        let mut future = pin!(future);
        loop {
            if let Some(output) = wait_until(future.as_mut(), None) {
                return output;
            }
        }
    }

    /// [`wait`](Home::wait) for `limit` at most.
    #[track_caller]
    pub(super) fn wait_for<F: Future>(self, limit: Duration, future: F) -> Result<F::Output, TimedOut> {
        self.leave();
        wait_until(future, Instant::now().checked_add(limit)).ok_or(TimedOut)
    }

    #[track_caller]
    fn leave(self) {
        assert!(
            HERE.get() != self.0,
            "a call of the blocking client on its own thread would wait for itself: callbacks can use `async_client`"
        );
    }
}

/// The output of `future`, if it is ready already.
pub(super) fn now<F: Future>(future: F) -> Option<F::Output> {
    match poll(pin!(tokio::task::unconstrained(future)), Waker::noop()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    alone::on_this_thread(|| future.poll(&mut Context::from_waker(waker)))
}

/// The output of `future`; `None` if it is not ready at `until`.
fn wait_until<F: Future>(future: F, until: Option<Instant>) -> Option<F::Output> {
    // A future of tokio would leave its wake-up to the runtime of this thread when it has used up its budget, and that
    // runtime is blocked.
    let mut future = pin!(tokio::task::unconstrained(future));
    // Most calls are ready immediately, and cost no allocation.
    if let Poll::Ready(output) = poll(future.as_mut(), Waker::noop()) {
        return Some(output);
    }
    let signal = Arc::new(Signal::default());
    let waker = Waker::from(Arc::clone(&signal));
    let mut in_time = true;
    loop {
        // After the deadline it is polled once more: an output that is there counts.
        if let Poll::Ready(output) = poll(future.as_mut(), &waker) {
            return Some(output);
        }
        if !in_time {
            return None;
        }
        in_time = signal.wait(until);
    }
}

/// Wakes one waiting thread. Not `unpark`, whose token other code on that thread may be using.
#[derive(Debug, Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Waits until woken since the last time. `false`: it is `until`.
    fn wait(&self, until: Option<Instant>) -> bool {
        let mut woken = lock(&self.woken);
        while !std::mem::take(&mut *woken) {
            let Some(until) = until else {
                woken = self.changed.wait(woken).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            woken = self.changed.wait_timeout(woken, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *lock(&self.woken) = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use super::*;

    #[test]
    fn a_future_is_polled_again_after_it_was_woken_whatever_unparks_the_thread() {
        std::thread::current().unpark();
        let mut polls = 0;
        let future = poll_fn(|cx| {
            polls += 1;
            let waker = cx.waker().clone();
            match polls {
                1 => Poll::Pending,
                2 => {
                    std::thread::spawn(move || waker.wake());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        });
        Home::new().wait(future);
        assert_eq!(polls, 3, "the first poll costs no allocation, and so is repeated; the last follows the wake-up");
    }

    #[test]
    fn a_deadline_ends_the_wait_and_an_output_at_the_deadline_counts() {
        let home = Home::new();
        assert_eq!(home.wait_for(Duration::from_millis(20), pending::<()>()), Err(TimedOut));
        assert_eq!(home.wait_for(Duration::ZERO, ready(1)), Ok(1));
        assert_eq!(home.wait_for(Duration::MAX, ready(2)), Ok(2));
    }

    #[test]
    fn yielding_inside_of_a_runtime_does_not_wait_for_that_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let yields = async {
                for _ in 0..3 {
                    alone::yield_once().await;
                }
            };
            assert_eq!(Home::new().wait_for(Duration::from_secs(20), yields), Ok(()));
        });
    }
}
