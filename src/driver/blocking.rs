//! Blocking work, such as reading a file or looking up a name, on detached threads of our own.
//!
//! The work would stop the runtime if it ran there, and the end of a runtime waits for tokio's blocking pool. There is
//! one thread per key, however many callers wait for it: a mount that hangs costs one thread, and not one per attempt.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::lock;

/// A thread that has not returned after this long may be stuck forever, on a pipe without a writer or a mount that is
/// gone. Then another one is started, since the path may lead elsewhere by now, and the next after twice that time.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Jobs of one kind, by key.
pub(crate) struct Blocking<K, T> {
    /// The name of the threads.
    name: &'static str,
    running: Mutex<BTreeMap<K, Job<T>>>,
    /// Threads started so far, over all keys.
    started: AtomicU64,
}

#[derive(Debug)]
struct Job<T> {
    since: Instant,
    /// Threads started for this job.
    threads: u32,
    /// The number of the newest thread.
    newest: u64,
    waiting: Vec<oneshot::Sender<T>>,
}

/// A job that a caller waits for.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    /// When the job began.
    #[cfg_attr(not(any(feature = "tls", feature = "nkeys")), allow(dead_code, reason = "for files"))]
    pub(super) since: Instant,
    receiver: oneshot::Receiver<T>,
}

/// Proof that the code runs on one of these threads, where blocking is allowed.
#[derive(Debug)]
pub(crate) struct Thread(());

impl<K, T> Blocking<K, T>
where
    K: Ord + Clone + Send + 'static,
    T: Clone + Send + 'static,
{
    pub(crate) const fn new(name: &'static str) -> Blocking<K, T> {
        Blocking { name, running: Mutex::new(BTreeMap::new()), started: AtomicU64::new(0) }
    }

    /// Starts `work` for `key`, unless it is already running. If it panics, the panic is dropped and the job counts as
    /// abandoned.
    /// # Errors
    ///
    /// If no thread can be started.
    pub(crate) fn start<F>(&'static self, key: K, work: F) -> io::Result<Pending<T>>
    where
        F: FnOnce(&Thread, &K) -> T + Send + 'static,
    {
        let now = Instant::now();
        let (sender, receiver) = oneshot::channel();
        // Receivers that are gone are dropped, with their wakers, outside of the lock.
        let left;
        let number;
        {
            let mut running = lock(&self.running);
            let job = running.entry(key.clone()).or_insert_with(|| Job {
                since: now,
                threads: 0,
                newest: 0,
                waiting: Vec::new(),
            });
            let (closed, waiting): (Vec<_>, _) =
                std::mem::take(&mut job.waiting).into_iter().partition(oneshot::Sender::is_closed);
            (left, job.waiting) = (closed, waiting);
            job.waiting.push(sender);
            let patience = STUCK_AFTER.saturating_mul(2_u32.saturating_pow(job.threads.saturating_sub(1)));
            if job.threads > 0 && now.saturating_duration_since(job.since) < patience {
                return Ok(Pending { since: job.since, receiver });
            }
            job.since = now;
            job.threads += 1;
            number = self.started.fetch_add(1, Ordering::Relaxed);
            job.newest = number;
        }
        drop(left);
        let name = key.clone();
        let started = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&Thread(()), &name)));
            let waiting = self.finish(&name, number);
            if let Ok(outcome) = outcome {
                for waiting in waiting {
                    // A caller that gave up has dropped its receiver.
                    let _ = waiting.send(outcome.clone());
                }
            }
        });
        match started {
            Ok(_detached) => Ok(Pending { since: now, receiver }),
            Err(error) => {
                drop(self.finish(&key, number));
                Err(error)
            }
        }
    }

    /// Thread `number` has ended. Returns the callers that wait for it: none, if it was given up as stuck.
    fn finish(&self, key: &K, number: u64) -> Vec<oneshot::Sender<T>> {
        let mut running = lock(&self.running);
        match running.get_mut(key) {
            Some(job) if job.newest == number => running.remove(key).map(|job| job.waiting).unwrap_or_default(),
            Some(job) => {
                job.threads = job.threads.saturating_sub(1);
                Vec::new()
            }
            None => Vec::new(),
        }
    }
}

impl<T> Pending<T> {
    /// The result; `None` if the job was abandoned.
    pub(crate) async fn outcome(&mut self) -> Option<T> {
        (&mut self.receiver).await.ok()
    }

    /// The result, if it is there within `limit`. Outside of a runtime there is no timer to wait with, and no limit.
    ///
    /// # Errors
    ///
    /// If it takes longer, or the job was abandoned.
    pub(crate) async fn outcome_within(&mut self, limit: Duration) -> io::Result<T> {
        let outcome = if Handle::try_current().is_ok() {
            tokio::time::timeout(limit, self.outcome()).await
        } else {
            Ok(self.outcome().await)
        };
        match outcome {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => Err(io::Error::other("reading the file was abandoned")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("not read within {limit:?}"))),
        }
    }

    /// The result, if it is available already.
    #[cfg_attr(not(any(feature = "tls", feature = "nkeys")), allow(dead_code, reason = "for files"))]
    pub(super) fn outcome_now(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    // Fault B1: the number of threads per attempt could have been counted, and was not.
    #[tokio::test]
    async fn a_hung_job_has_one_thread_and_forgets_callers_that_gave_up() {
        static JOBS: Blocking<&str, u32> = Blocking::new("test");
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let (release, gate) = mpsc::channel::<()>();
        let mut first = JOBS
            .start("hangs", move |_, _| {
                STARTED.fetch_add(1, Ordering::Relaxed);
                let _ = gate.recv();
                7
            })
            .unwrap();
        for _ in 0..1000 {
            drop(JOBS.start("hangs", |_, _| STARTED.fetch_add(1, Ordering::Relaxed)).unwrap());
        }
        let mut last = JOBS.start("hangs", |_, _| 8).unwrap();
        assert_eq!((first.since, JOBS.running.lock().unwrap()["hangs"].waiting.len()), (last.since, 2));
        assert_eq!(first.outcome_now(), None);
        // Other keys are not delayed.
        assert_eq!(JOBS.start("works", |_, _| 9).unwrap().outcome().await, Some(9));
        release.send(()).unwrap();
        assert_eq!((first.outcome().await, last.outcome().await), (Some(7), Some(7)));
        assert_eq!(STARTED.load(Ordering::Relaxed), 1);
        assert_eq!(JOBS.start("hangs", |_, _| 10).unwrap().outcome().await, Some(10));
    }

    #[tokio::test]
    async fn a_job_that_panics_is_abandoned_and_can_be_restarted() {
        static JOBS: Blocking<&str, u32> = Blocking::new("test");
        assert_eq!(JOBS.start("panics", |_, _| panic!("as it may")).unwrap().outcome().await, None);
        assert_eq!(JOBS.start("panics", |_, _| 1).unwrap().outcome().await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_job_gets_more_threads_less_and_less_often() {
        static JOBS: Blocking<&str, u32> = Blocking::new("test");
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let (_keep, gate) = mpsc::channel::<()>();
        let gate = std::sync::Arc::new(Mutex::new(gate));
        let mut pending = Vec::new();
        for _ in 0..100 {
            let gate = gate.clone();
            let stuck = move |_: &Thread, _: &&str| {
                let _ = gate.lock().unwrap().recv();
                STARTED.fetch_add(1, Ordering::Relaxed)
            };
            pending.push(JOBS.start("stuck", stuck).unwrap());
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        // In a thousand seconds: at 0, 60, 180, 420 and 900.
        assert_eq!(JOBS.running.lock().unwrap()["stuck"].threads, 5);
        assert_eq!(JOBS.start("stuck", |_, _| 5).unwrap().outcome_now(), None);
    }
}
