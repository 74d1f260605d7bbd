//! Who listens to the connection's events, each with a bounded queue of its own.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::guard::wake;
use super::lock;
use super::story::Story;
use crate::engine::{ConnectionEvent, EventQueue};

/// Events kept for a listener that does not read (D17); see [`EventQueue`] for what becomes of more.
const CAPACITY: usize = 1024;

/// Fewer listeners than this are not looked through for those that are gone.
const FEW: usize = 16;

/// All listeners of one client.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    story: Story,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    listeners: Vec<Weak<Listener>>,
    /// When there are so many, those that are gone are forgotten.
    look: usize,
}

#[derive(Debug)]
struct Listener {
    filter: EventFilter,
    state: Mutex<State>,
}

/// How often a listener is told what goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventFilter {
    /// That it has begun.
    Edges,
    /// Each time, as the callback of async-nats is.
    Repetitions,
}

#[derive(Debug)]
struct State {
    queue: EventQueue,
    waker: Option<Waker>,
    ended: bool,
}

impl Listeners {
    /// A new listener, which gets everything from now on.
    pub(crate) fn listen(&self, filter: EventFilter, ended: bool) -> Events {
        let state = State { queue: EventQueue::new(CAPACITY), waker: None, ended };
        let listener = Arc::new(Listener { filter, state: Mutex::new(state) });
        let mut list = lock(&self.list);
        // Not each time: there may be many, and more all the time.
        if list.listeners.len() >= list.look {
            list.listeners.retain(|listener| listener.strong_count() > 0);
            list.look = FEW.max(list.listeners.len() * 2);
        }
        list.listeners.push(Arc::downgrade(&listener));
        drop(list);
        Events { listener }
    }

    /// Tells everybody.
    pub(super) fn emit(&self, event: &ConnectionEvent) {
        self.story.tell(event);
        for listener in self.alive() {
            listener.tell(event);
        }
    }

    /// The same has happened again, which some want to know.
    pub(super) fn repeat(&self, event: &ConnectionEvent) {
        for listener in self.alive().iter().filter(|listener| listener.filter == EventFilter::Repetitions) {
            listener.tell(event);
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
    fn tell(&self, event: &ConnectionEvent) {
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

/// The events of a client since this was created, in order. It ends after [`Closed`](ConnectionEvent::Closed), and
/// does not keep the connection alive.
///
/// Up to 1,024 events wait for a listener that does not read. Beyond that the oldest outages are folded into one, and
/// `folded` counts those that are no longer there. The first cause stays; downtime, attempts, and messages in doubt,
/// flushed and lost are added up; other details go. No transition is lost, and every sum over the events stays exact.
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
