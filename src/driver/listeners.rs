//! Listeners of the connection's events, each with its own bounded queue.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::event_log::EventLog;
use super::guard::wake;
use super::lock;
use super::spans::Spans;
use crate::engine::{ConnectionEvent, EventQueue};

/// Events kept for a listener that does not read (D17); [`EventQueue`] describes what happens beyond that.
const CAPACITY: usize = 1024;

/// Fewer listeners than this are not searched for dropped ones.
const FEW: usize = 16;

/// All listeners of one client.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    log: EventLog,
    pub(super) spans: Spans,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    listeners: Vec<Weak<Listener>>,
    /// The number at which dropped listeners are removed.
    clean_at: usize,
}

#[derive(Debug)]
struct Listener {
    filter: EventFilter,
    state: Mutex<State>,
}

/// Which events a listener gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventFilter {
    /// The first of a series of repeated events.
    Edges,
    /// Each repeated event, as async-nats's callback does.
    Repetitions,
}

#[derive(Debug)]
struct State {
    queue: EventQueue,
    waker: Option<Waker>,
    ended: bool,
}

impl Listeners {
    /// A new listener, which gets all events from now on.
    pub(crate) fn listen(&self, filter: EventFilter, ended: bool) -> Events {
        let state = State { queue: EventQueue::new(CAPACITY), waker: None, ended };
        let listener = Arc::new(Listener { filter, state: Mutex::new(state) });
        let mut list = lock(&self.list);
        // Not on every call: there may be many listeners, and more all the time.
        if list.listeners.len() >= list.clean_at {
            list.listeners.retain(|listener| listener.strong_count() > 0);
            list.clean_at = FEW.max(list.listeners.len() * 2);
        }
        list.listeners.push(Arc::downgrade(&listener));
        drop(list);
        Events { listener }
    }

    /// Sends an event to all listeners.
    pub(super) fn emit(&self, event: &ConnectionEvent) {
        self.spans.around(event, || self.log.report(event));
        for listener in self.alive() {
            listener.push(event);
        }
    }

    /// Sends a repeated event to the listeners that asked for repetitions.
    pub(super) fn repeat(&self, event: &ConnectionEvent) {
        for listener in self.alive().iter().filter(|listener| listener.filter == EventFilter::Repetitions) {
            listener.push(event);
        }
    }

    /// No event follows.
    pub(super) fn end(&self) {
        for listener in self.alive() {
            let waker = {
                let mut state = lock(&listener.state);
                state.ended = true;
                state.waker.take()
            };
            if let Some(waker) = waker {
                wake(waker);
            }
        }
    }

    fn alive(&self) -> Vec<Arc<Listener>> {
        lock(&self.list).listeners.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Listener {
    fn push(&self, event: &ConnectionEvent) {
        let waker = {
            let mut state = lock(&self.state);
            state.queue.push(event.clone());
            state.waker.take()
        };
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

/// The events of a client since this stream was created, in order. It ends after [`Closed`](ConnectionEvent::Closed),
/// and does not keep the connection alive.
///
/// Up to 1,024 events are kept for a listener that does not read. Beyond that the oldest outages are folded into one
/// event, and `folded` counts the outages that were folded into it. Their first cause is kept; downtime, attempts, and
/// messages in doubt, flushed and lost are added up; other details are dropped. No change of state is lost, and every
/// sum over the events stays exact.
#[derive(Debug)]
#[must_use = "events are collected only while this is kept"]
pub struct Events {
    listener: Arc<Listener>,
}

impl Events {
    /// The next event; `None` after the last one. Cancelling the call loses nothing.
    pub async fn recv(&mut self) -> Option<ConnectionEvent> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<ConnectionEvent> {
        lock(&self.listener.state).queue.pop()
    }
}

impl Stream for Events {
    type Item = ConnectionEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionEvent>> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.listener.state);
        if let Some(event) = state.queue.pop() {
            return Poll::Ready(Some(event));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        Poll::Pending
    }
}
