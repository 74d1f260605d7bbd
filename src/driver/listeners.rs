//! Who listens to the connection's events, each with a bounded queue of its own.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::lock;
use crate::engine::ConnectionEvent;

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
            let waker = {
                let mut queue = lock(&listener.state);
                queue.push(event.clone());
                queue.waker.take()
            };
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
    fn push(&mut self, event: ConnectionEvent) {
        self.events.push_back(event);
        if self.events.len() <= CAPACITY {
            return;
        }
        if let Some(detail) = self.events.iter().position(|event| !is_transition(event)) {
            self.events.remove(detail);
        } else if self.events.len() > 2 {
            // All are transitions, which alternate: the two behind the head are a pair.
            self.events.drain(1..3);
        }
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
        lock(&self.listener.state).events.pop_front()
    }
}

impl Stream for Events {
    type Item = ConnectionEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionEvent>> {
        let waker = cx.waker().clone();
        let mut queue = lock(&self.listener.state);
        if let Some(event) = queue.events.pop_front() {
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
