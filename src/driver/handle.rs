//! The handles that keep a connection alive, and what dropping them ends.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime;

use super::command::Command;
use super::confirmations::{Named, Settled};
use super::mailbox::Shared;
use super::reads::Share;
use super::requests::{Released, RequestFailure, Ticket};
use super::settings::DriverSettings;
use super::task::Task;
use crate::engine::{Config, EndReason, Engine};
use crate::protocol::ServerAddr;

/// Keeps the connection alive: clients, subscribers and requests share one, and dropping the last one closes.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// How long calls that send something wait for room.
    pub(crate) fn publish_timeout(&self) -> Duration {
        self.shared.settings.publish_timeout
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.refuse_subscriptions(EndReason::Closed);
        self.shared.command(Command::Close);
    }
}

/// Starts the task of a new client on the current runtime. The task does nothing until [`Command::Connect`]. Fails if
/// there is no runtime.
pub(crate) fn spawn(
    config: Config,
    servers: Vec<ServerAddr>,
    settings: DriverSettings,
    seed: u64,
) -> io::Result<Arc<Handle>> {
    let runtime = runtime::Handle::try_current()
        .map_err(|_| io::Error::other("connecting needs a tokio runtime, but this thread has none"))?;
    let shared = Arc::new(Shared::new(settings, config.outbox.clone()));
    let engine = Engine::new(config, servers, seed);
    runtime.spawn(Task::new(shared.clone(), engine).run());
    Ok(Arc::new(Handle { shared }))
}

/// A pending request; dropping it forgets the request.
#[derive(Debug)]
pub(crate) struct Waiting {
    handle: Arc<Handle>,
    /// `None` once it is over or given up.
    ticket: Option<Ticket>,
}

impl Waiting {
    pub(crate) fn new(handle: Arc<Handle>, ticket: Ticket) -> Waiting {
        Waiting { handle, ticket: Some(ticket) }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// The reply.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Share, RequestFailure>> {
        let Some(ticket) = self.ticket else {
            return Poll::Ready(Err(RequestFailure::Ended(EndReason::Closed)));
        };
        self.shared().requests.poll(ticket, cx).map(|(outcome, released)| {
            self.ticket = None;
            self.wake_drain(released);
            outcome
        })
    }

    /// The request was admitted with this sequence number.
    #[cfg(feature = "jetstream")]
    pub(crate) fn admitted(&self, number: u64) {
        if let Some(ticket) = self.ticket {
            self.shared().requests.admitted(ticket, number);
        }
    }

    /// The next reply of many.
    pub(crate) fn poll_many(&self, cx: &mut Context<'_>) -> Poll<Result<Share, RequestFailure>> {
        match self.ticket {
            Some(ticket) => self.shared().requests.poll_many(ticket, cx),
            None => Poll::Ready(Err(RequestFailure::Ended(EndReason::Closed))),
        }
    }

    /// Nobody reads the reply any more. Unlike one that is given up, the request is sent all the same. Returns whether somebody who
    /// tracks it learns of its outcome; `None`: that has just come, and can be read.
    #[cfg(feature = "jetstream")]
    pub(crate) fn detach(&mut self) -> Option<bool> {
        let Some(ticket) = self.ticket else { return Some(false) };
        let released = self.shared().requests.detach(ticket)?;
        self.ticket = None;
        self.wake_drain(released);
        Some(released.tracked)
    }

    /// A drain may be waiting for the last request.
    fn wake_drain(&self, released: Released) {
        if released.last && self.shared().closed_reason().is_some() {
            self.shared().wake();
        }
    }

    /// Forgets the request. Returns whether it certainly was not sent and never will be.
    pub(crate) fn give_up(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else {
            return false;
        };
        let shared = &self.handle.shared;
        let released = shared.requests.release(ticket);
        let unsent = match released.unanswered {
            None => false,
            Some(0) => true,
            // If it was not sent yet, it need not be sent any more.
            Some(sequence) => shared.withdraw(sequence),
        };
        self.wake_drain(released);
        unsent
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// A message whose outcome a publisher waits for; dropping it ends the wait, and the message stays.
#[derive(Debug)]
pub(crate) struct Confirming {
    handle: Arc<Handle>,
    subject: Named,
    /// The message's number; 0 until it is admitted.
    number: AtomicU64,
}

impl Confirming {
    pub(crate) fn new(handle: Arc<Handle>, subject: &[u8], reply: Option<&[u8]>) -> Confirming {
        let subject = handle.shared.confirmations.named(subject, reply);
        Confirming { handle, subject, number: AtomicU64::new(0) }
    }

    /// The message was admitted, in this critical section of the mailbox.
    pub(crate) fn admitted(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
        self.handle.shared.confirmations.register(number, self.subject);
    }

    /// The outcome of the message, after it was admitted.
    pub(crate) async fn settled(&self) -> Settled {
        let number = self.number.load(Ordering::Relaxed);
        poll_fn(|cx| self.handle.shared.confirmations.poll(number, cx)).await
    }

    /// Withdraws the message if none of it was given to a connection. Returns its outcome; `None`: it was never sent,
    /// and never will be.
    pub(crate) fn give_up(self) -> Option<Settled> {
        let number = self.number.load(Ordering::Relaxed);
        let shared = &self.handle.shared;
        if number == 0 || shared.withdraw(number) {
            return None;
        }
        Some(shared.confirmations.forget(number).unwrap_or(Settled::InDoubt))
    }
}

impl Drop for Confirming {
    fn drop(&mut self) {
        let number = *self.number.get_mut();
        if number != 0 {
            self.handle.shared.confirmations.forget(number);
        }
    }
}
