//! Who listens to the connection's events, each with a bounded queue of its own.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::lock;
use crate::engine::{ConnectionEvent, HANDED_BACK};

/// Events kept for a listener that does not read. Arbitrary; see [`Queue::push`] for what goes first.
const CAPACITY: usize = 1024;

/// All listeners of one client.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    list: Mutex<Vec<Weak<Listener>>>,
}

#[derive(Debug, Default)]
struct Listener {
    state: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<ConnectionEvent>,
    /// Bytes of lost messages in the events.
    handed_back: usize,
    waker: Option<Waker>,
    ended: bool,
}

impl Listeners {
    /// A new listener, which gets everything from now on.
    pub(crate) fn listen(&self, ended: bool) -> Events {
        let listener = Arc::new(Listener::default());
        lock(&listener.state).ended = ended;
        let mut list = lock(&self.list);
        list.retain(|listener| listener.strong_count() > 0);
        list.push(Arc::downgrade(&listener));
        Events { listener }
    }

    pub(super) fn emit(&self, event: &ConnectionEvent) {
        tracing::debug!(?event, "connection");
        for listener in self.alive() {
            let (waker, _gone) = {
                let mut queue = lock(&listener.state);
                let gone = queue.push(event.clone());
                (queue.waker.take(), gone)
            };
            // What is gone may hold payloads, and is dropped here, where no lock is held.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// No event follows.
    pub(super) fn end(&self) {
        for listener in self.alive() {
            let waker = {
                let mut queue = lock(&listener.state);
                queue.ended = true;
                queue.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn alive(&self) -> Vec<Arc<Listener>> {
        lock(&self.list).iter().filter_map(Weak::upgrade).collect()
    }
}

impl Queue {
    /// A full queue loses details before it loses transitions, and transitions only in pairs, so that `Connected` and
    /// `Disconnected` still alternate and the last event agrees with the state (invariant I9).
    fn push(&mut self, mut event: ConnectionEvent) -> Vec<ConnectionEvent> {
        let mut gone = Vec::new();
        if self.handed_back + event.handed_back() > HANDED_BACK {
            gone.push(event.clone());
            event.keep_counts_only();
        }
        self.handed_back += event.handed_back();
        self.events.push_back(event);
        if self.events.len() <= CAPACITY {
            return gone;
        }
        if let Some(detail) = self.events.iter().position(|event| !is_transition(event)) {
            let detail = self.events.remove(detail);
            self.handed_back -= detail.as_ref().map_or(0, ConnectionEvent::handed_back);
            gone.extend(detail);
        } else if self.events.len() > 2 {
            // All are transitions, which alternate: the two behind the head are a pair.
            gone.extend(self.events.drain(1..3));
        }
        gone
    }

    fn pop(&mut self) -> Option<ConnectionEvent> {
        let event = self.events.pop_front()?;
        self.handed_back -= event.handed_back();
        Some(event)
    }
}

fn is_transition(event: &ConnectionEvent) -> bool {
    matches!(
        event,
        ConnectionEvent::Connected { .. }
            | ConnectionEvent::Reconnected { .. }
            | ConnectionEvent::Disconnected { .. }
            | ConnectionEvent::Draining
            | ConnectionEvent::Closed { .. }
    )
}

/// The events of a client from the moment at which this was made, in order. It ends after
/// [`Closed`](ConnectionEvent::Closed), and does not keep the connection alive.
///
/// Up to 1,024 events wait for a listener that does not read; beyond that details are dropped first, and
/// transitions only in pairs.
#[derive(Debug)]
pub struct Events {
    listener: Arc<Listener>,
}

impl Events {
    /// The next event; `None` after the last. Cancelling it loses nothing.
    pub async fn recv(&mut self) -> Option<ConnectionEvent> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<ConnectionEvent> {
        lock(&self.listener.state).pop()
    }
}

impl Stream for Events {
    type Item = ConnectionEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionEvent>> {
        let waker = cx.waker().clone();
        let mut queue = lock(&self.listener.state);
        if let Some(event) = queue.pop() {
            return Poll::Ready(Some(event));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        let old = queue.waker.replace(waker);
        drop(queue);
        drop(old);
        Poll::Pending
    }
}
