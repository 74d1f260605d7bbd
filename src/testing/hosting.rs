//! JetStream in a broker, or in the brokers of a cluster: from connections to the model, and back by the router.

use super::connection::Connection;
use super::jetstream::{JetStream, Out};
use super::lock;
use super::node::{Node, random};
use super::router::Router;
use crate::protocol::PubOp;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The model, and what it is connected with.
pub(super) struct Host {
    /// Whether the brokers have JetStream.
    pub(super) on: bool,
    router: Arc<Router<Arc<Connection>>>,
    /// Locked before connections and the router: what the model publishes is queued under this lock, in its order.
    state: Mutex<State>,
    /// Something is due earlier than before.
    earlier: Notify,
}

struct State {
    model: JetStream,
    /// When the timers will wake up.
    next: Option<Instant>,
    out: Vec<Out>,
}

impl Host {
    pub(super) fn new(on: bool, router: Arc<Router<Arc<Connection>>>) -> Self {
        let mut model = JetStream::new(random());
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        model.set_calendar(now(), since_1970);
        let state = Mutex::new(State { model, next: None, out: Vec::new() });
        Self { on, router, state, earlier: Notify::new() }
    }

    /// The server starts, perhaps again.
    pub(super) fn restart(&self, server_name: &str) {
        self.turn(|model, _, _| {
            model.set_server_name(server_name);
            model.restart(now());
        });
    }

    /// A client has published a message. Returns whether JetStream has received it.
    pub(super) fn publish(&self, message: &PubOp<'_>) -> bool {
        self.on && self.turn(|model, interest, out| model.handle(message, now(), interest, out))
    }

    /// The clock or the subscriptions have changed.
    pub(super) fn tick(&self) {
        if self.on {
            self.turn(|model, interest, out| model.tick(now(), interest, out));
        }
    }

    /// Works with the model, and sends what it publishes.
    pub(super) fn turn<R>(&self, work: impl FnOnce(&mut JetStream, &dyn Fn(&str) -> bool, &mut Vec<Out>) -> R) -> R {
        let interest = |subject: &str| {
            let route = self.router.find(subject.as_bytes());
            !route.plain.is_empty() || !route.groups.is_empty()
        };
        let mut state = lock(&self.state);
        let State { model, next, out } = &mut *state;
        let done = work(model, &interest, out);
        for message in out.drain(..) {
            self.deliver(&message);
        }
        let due = model.next_deadline(now()).map(Instant::from_std);
        let earlier = due.is_some_and(|due| next.is_none_or(|next| due < next));
        *next = due;
        drop(state);
        if earlier {
            self.earlier.notify_waiters();
        }
        done
    }

    /// Looks at the model.
    pub(super) fn look<R>(&self, look: impl FnOnce(&JetStream) -> R) -> R {
        look(&lock(&self.state).model)
    }

    fn deliver(&self, out: &Out) {
        let message = out.as_op();
        let route = self.router.find(out.to.as_bytes());
        let send = |connection: &Connection, key| {
            let queued = connection.deliver(key, &message);
            if queued.is_some_and(|queued| queued.wake) {
                connection.wake();
            }
            queued.is_some()
        };
        for interest in &route.plain {
            send(&interest.connection, interest.key);
        }
        for group in &route.groups {
            let first = usize::try_from(random() % group.len().max(1) as u64).unwrap_or(0);
            let mut members = group.iter().cycle().skip(first).take(group.len());
            // If all of them have ended, the message goes to nobody.
            let _ = members.any(|member| send(&member.connection, member.key));
        }
    }
}

/// The timer of one broker: does what is due. In a cluster each broker has one, and any of them may do it.
pub(super) async fn run(node: Arc<Node>) {
    let host = &node.fabric.host;
    loop {
        let mut earlier = std::pin::pin!(host.earlier.notified());
        earlier.as_mut().enable();
        let next = lock(&host.state).next;
        let due = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = earlier => continue,
            () = due => {}
        }
        if node.shared.faults.is_frozen() {
            // Late, as all that a frozen process does.
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else {
            host.tick();
        }
    }
}

/// On tokio's clock.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}
