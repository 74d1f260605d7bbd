//! Reports of a stream of messages, for those who listen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Cx, Poll, Waker};

use crate::jetstream::decide::pull::Report;

/// A listener that does not read loses the oldest reports beyond this many.
const KEPT: usize = 64;

#[derive(Debug, Default)]
struct Queue {
    reports: VecDeque<Report>,
    is_closed: bool,
    waker: Option<Waker>,
}

type Shared = Arc<Mutex<Queue>>;

/// The end of the stream of messages.
#[derive(Debug, Default)]
pub(in crate::jetstream) struct Reports {
    listeners: Vec<Shared>,
}

impl Reports {
    pub(in crate::jetstream) fn listener(&mut self) -> Listener {
        let queue = Shared::default();
        self.listeners.retain(|listener| Arc::strong_count(listener) > 1);
        self.listeners.push(Arc::clone(&queue));
        Listener { queue }
    }

    pub(in crate::jetstream) fn tell(&mut self, report: Report) {
        self.listeners.retain(|listener| Arc::strong_count(listener) > 1);
        for listener in &self.listeners {
            let mut queue = lock(listener);
            if queue.reports.len() == KEPT {
                queue.reports.pop_front();
            }
            queue.reports.push_back(report);
            wake(queue);
        }
    }

    /// Nothing more comes.
    pub(in crate::jetstream) fn close(&mut self) {
        for listener in self.listeners.drain(..) {
            let mut queue = lock(&listener);
            queue.is_closed = true;
            wake(queue);
        }
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.close();
    }
}

/// The listener's end.
#[derive(Debug)]
pub(in crate::jetstream) struct Listener {
    queue: Shared,
}

impl Listener {
    pub(in crate::jetstream) fn poll_next(&mut self, cx: &mut Cx<'_>) -> Poll<Option<Report>> {
        // Cloned outside of the lock, because it is a user's code.
        let waker = cx.waker().clone();
        let mut queue = lock(&self.queue);
        match queue.reports.pop_front() {
            Some(report) => Poll::Ready(Some(report)),
            None if queue.is_closed => Poll::Ready(None),
            None => {
                let old = queue.waker.replace(waker);
                drop(queue);
                drop(old);
                Poll::Pending
            }
        }
    }
}

fn wake(mut queue: MutexGuard<'_, Queue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn lock(queue: &Shared) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
