//! Limits how many messages wait for their acknowledgements.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::client::{Answer, Tracker};
use crate::{Client, RequestError};

/// A limit of pending acknowledgements. A permit is taken with [`take`](AckLimit::take), and comes back by the tracker: with the
/// acknowledgement, with the failure, when the future is given up before the message was sent, or after the timeout.
#[derive(Debug, Clone)]
pub(in crate::jetstream) struct AckLimit {
    permits: Arc<Permits>,
    /// Gives the permits back.
    back: Tracker,
    most: u32,
    timeout: Duration,
}

#[derive(Debug)]
struct Permits {
    free: Semaphore,
    /// Acknowledgements that have come, or never will, and whose permits are not back yet.
    settled: Arc<AtomicUsize>,
    /// No acknowledgement expires before then; `None`: not known. A lower bound, since new ones expire later.
    quiet_until: Mutex<Option<Instant>>,
}

impl Wake for Permits {
    fn wake(self: Arc<Self>) {
        self.free.add_permits(self.settled.swap(0, Ordering::AcqRel));
    }
}

impl AckLimit {
    /// At most `most` acknowledgements are pending, each for `timeout` at most.
    pub(in crate::jetstream) fn new(most: usize, timeout: Duration) -> AckLimit {
        let most = u32::try_from(most.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let (free, settled) = (Semaphore::new(most as usize), Arc::default());
        let permits = Arc::new(Permits { free, settled: Arc::clone(&settled), quiet_until: Mutex::new(None) });
        AckLimit { back: Tracker::new(Waker::from(Arc::clone(&permits)), settled), permits, most, timeout }
    }

    /// Takes a permit if there is one now.
    pub(in crate::jetstream) fn try_take(&self) -> Option<&Tracker> {
        let permit = self.permits.free.try_acquire().ok()?;
        permit.forget();
        Some(&self.back)
    }

    /// Takes a permit if there is one now, or would be if those of acknowledgements that took too long were back.
    pub(in crate::jetstream) fn take_now(&self, client: &Client) -> Option<&Tracker> {
        self.try_take().or_else(|| {
            self.expire(client);
            self.try_take()
        })
    }

    /// Takes a permit, and waits for it until `deadline`.
    pub(in crate::jetstream) async fn take(&self, client: &Client, deadline: Option<Instant>) -> Option<&Tracker> {
        match self.try_take() {
            None => self.wait(client, 1, deadline).await.then_some(&self.back),
            taken => taken,
        }
    }

    /// The outcomes of messages whose acknowledgement nobody awaited, since the last call.
    pub(in crate::jetstream) fn take_unread(&self, client: &Client) -> Vec<Result<Answer, RequestError>> {
        client.take_unread(&self.back)
    }

    /// Waits until no acknowledgement is pending.
    pub(in crate::jetstream) async fn all_back(&self, client: &Client) {
        if self.wait(client, self.most, None).await {
            self.permits.free.add_permits(self.most as usize);
        }
    }

    /// Waits for permits, and takes them. Those of acknowledgements that never came come back meanwhile.
    async fn wait(&self, client: &Client, count: u32, deadline: Option<Instant>) -> bool {
        let mut acquiring = std::pin::pin!(self.permits.free.acquire_many(count));
        loop {
            let expires = self.expire(client);
            let until = expires.into_iter().chain(deadline).min();
            match client.until(until, acquiring.as_mut()).await {
                Some(Ok(permits)) => {
                    permits.forget();
                    return true;
                }
                // The semaphore is never closed.
                Some(Err(_)) => return false,
                None if deadline.is_some_and(|deadline| deadline <= Client::clock()) => return false,
                None if client.has_ended() => return false,
                None => {}
            }
        }
    }

    /// Takes back the permits of acknowledgements that took too long. Returns when that has to be looked at again.
    pub(in crate::jetstream) fn expire(&self, client: &Client) -> Option<Instant> {
        let now = Client::clock();
        let known = *self.quiet_until();
        if let Some(until) = known.filter(|until| *until > now) {
            return Some(until);
        }
        // A clock that is younger than the timeout has nothing to expire.
        let oldest = now.checked_sub(self.timeout).and_then(|before| client.expire(&self.back, before));
        let next = oldest.unwrap_or(now).checked_add(self.timeout);
        *self.quiet_until() = next;
        next
    }

    fn quiet_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.permits.quiet_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
