//! Timers of calls. A call on the connection's runtime uses that runtime's timers; any other call uses a thread of our
//! own, since the connection's runtime may not be running and the caller's may have no timers.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::Sleep;

use super::guard::wake;
use super::lock;

/// A timer that any executor can poll.
#[derive(Debug)]
pub(crate) struct Timer {
    at: Instant,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A timer of the connection's runtime.
    Runtime(Alarm),
    /// An entry of the thread, by its place among the waiters.
    Thread(Option<Place>),
}

type Place = (Instant, u64);

impl Timer {
    /// `connection`: the connection's runtime.
    pub(super) fn new(at: Instant, connection: &Handle) -> Timer {
        let source = if is_here(connection) { Source::runtime(at, connection) } else { Source::Thread(None) };
        Timer { at, source }
    }

    pub(crate) fn reset(&mut self, at: Instant) {
        self.at = at;
        match &mut self.source {
            Source::Runtime(alarm) => alarm.sleep.as_mut().reset(at.into()),
            Source::Thread(place) => {
                if let Some(place) = place.take() {
                    CLOCK.leave(place);
                }
            }
        }
    }

    pub(super) fn poll(&mut self, connection: &Handle, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.source, Source::Runtime(_)) && !is_here(connection) {
            // It was made on that runtime, and is polled elsewhere.
            self.source = Source::Thread(None);
        }
        match &mut self.source {
            Source::Runtime(alarm) => alarm.poll(cx),
            Source::Thread(place) => {
                if self.at <= Instant::now() {
                    return Poll::Ready(());
                }
                if !CLOCK.enter(self.at, place, cx.waker().clone()) {
                    // No thread can be started.
                    self.source = Source::runtime(self.at, connection);
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }
}

/// Timers whose calls were over in time, kept for the next ones: to move a timer later costs much less than to remove it from
/// the runtime's and to add another. One that is not used again fires for nobody.
#[derive(Debug, Default)]
pub(super) struct SpareTimers(Mutex<Vec<Timer>>);

/// At most this many are kept: a program seldom waits for more at a time.
const SPARE: usize = 64;

impl SpareTimers {
    /// A timer that fires at `at`.
    pub(super) fn timer(&self, at: Instant, connection: &Handle) -> Timer {
        let spare = if is_here(connection) { lock(&self.0).pop() } else { None };
        match spare {
            Some(mut spare) => {
                spare.reset(at);
                spare
            }
            None => Timer::new(at, connection),
        }
    }

    /// Takes a timer back.
    pub(super) fn keep(&self, timer: Timer, connection: &Handle) {
        let Source::Runtime(alarm) = &timer.source else { return };
        if !is_here(connection) {
            return;
        }
        alarm.caller.set(None);
        let mut spare = lock(&self.0);
        if spare.len() < SPARE {
            spare.push(timer);
        }
    }

    /// Frees them.
    pub(super) fn clear(&self) {
        let spare = std::mem::take(&mut *lock(&self.0));
        drop(spare);
    }
}

impl Source {
    fn runtime(at: Instant, connection: &Handle) -> Source {
        let _runtime = connection.enter();
        let sleep = Box::pin(tokio::time::sleep_until(at.into()));
        let caller = Arc::new(Caller::default());
        Source::Runtime(Alarm { sleep, waker: Waker::from(Arc::clone(&caller)), caller })
    }
}

/// A timer of the runtime, which knows its caller only through a waker of ours: it can let go of the caller without being
/// polled, which panics once the runtime has ended.
#[derive(Debug)]
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    waker: Waker,
    caller: Arc<Caller>,
}

impl Alarm {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.caller.set(Some(cx.waker().clone()));
        self.sleep.as_mut().poll(&mut Context::from_waker(&self.waker))
    }
}

/// Whom an alarm wakes; `None`: nobody.
#[derive(Debug, Default)]
struct Caller(Mutex<Option<Waker>>);

impl Caller {
    fn set(&self, waker: Option<Waker>) {
        let old = std::mem::replace(&mut *lock(&self.0), waker);
        // Dropped outside of the lock: it may be the user's own.
        drop(old);
    }
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        let waker = lock(&self.0).take();
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Source::Thread(Some(place)) = self.source {
            CLOCK.leave(place);
        }
    }
}

/// Whether this code runs on `runtime`.
fn is_here(runtime: &Handle) -> bool {
    Handle::try_current().is_ok_and(|here| here.id() == runtime.id())
}

static CLOCK: Clock =
    Clock { inner: Mutex::new(Inner { waiters: BTreeMap::new(), next: 0, runs: false }), sooner: Condvar::new() };

/// The thread, which exists while there are waiters, and a little longer.
struct Clock {
    inner: Mutex<Inner>,
    /// A waiter was added before those that the thread knows.
    sooner: Condvar,
}

struct Inner {
    waiters: BTreeMap<Place, Waker>,
    next: u64,
    /// Whether the thread exists.
    runs: bool,
}

/// The thread ends after this time without waiters. Arbitrary.
const IDLE: Duration = Duration::from_secs(10);

impl Clock {
    /// Wakes `waker` at `at`, replacing the entry at `place`. `false`: there is no thread.
    fn enter(&'static self, at: Instant, place: &mut Option<Place>, waker: Waker) -> bool {
        let mut inner = lock(&self.inner);
        if !inner.runs {
            let started = std::thread::Builder::new().name("nats-lifeline-timer".to_owned()).spawn(|| self.run());
            if started.is_err() {
                return false;
            }
            inner.runs = true;
        }
        let key = *place.get_or_insert_with(|| {
            inner.next += 1;
            (at, inner.next)
        });
        let first = inner.waiters.first_key_value().is_none_or(|(first, _)| key < *first);
        let old = inner.waiters.insert(key, waker);
        drop(inner);
        // Dropped outside of the lock: it may be the user's own.
        drop(old);
        if first {
            self.sooner.notify_one();
        }
        true
    }

    fn leave(&self, place: Place) {
        let old = lock(&self.inner).waiters.remove(&place);
        drop(old);
    }

    fn run(&self) {
        let mut inner = lock(&self.inner);
        loop {
            let now = Instant::now();
            let due = inner.waiters.first_entry().filter(|first| first.key().0 <= now).map(|first| first.remove());
            if let Some(due) = due {
                drop(inner);
                wake(due);
                inner = lock(&self.inner);
                continue;
            }
            let next = inner.waiters.first_key_value().map(|((at, _), _)| at.saturating_duration_since(now));
            let (woken, over) = self.wait(inner, next.unwrap_or(IDLE));
            inner = woken;
            if next.is_none() && over && inner.waiters.is_empty() {
                inner.runs = false;
                return;
            }
        }
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>, patience: Duration) -> (MutexGuard<'a, Inner>, bool) {
        let (inner, result) = self.sooner.wait_timeout(inner, patience).unwrap_or_else(PoisonError::into_inner);
        (inner, result.timed_out())
    }
}
