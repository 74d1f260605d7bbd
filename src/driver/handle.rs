//! What keeps a connection alive, and what ends when it is dropped.

use std::io;
use std::sync::Arc;

use tokio::runtime;

use super::command::Command;
use super::mailbox::Shared;
use super::requests::Ticket;
use super::settings::DriverSettings;
use super::task::Task;
use crate::engine::{Config, EndReason, Engine};
use crate::protocol::ServerAddr;

/// Keeps the connection alive: clients, subscribers and requests share one, and dropping the last closes.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.bar(EndReason::Closed);
        self.shared.command(Command::Close);
    }
}

/// Starts the task of a new client on the current runtime. It does nothing until [`Command::Connect`]. `Err`: there is no
/// runtime.
pub(crate) fn spawn(
    config: Config,
    servers: Vec<ServerAddr>,
    settings: DriverSettings,
    seed: u64,
) -> io::Result<Arc<Handle>> {
    let runtime = runtime::Handle::try_current()
        .map_err(|_| io::Error::other("connecting needs a tokio runtime: there is none on this thread"))?;
    let shared = Arc::new(Shared::new(settings));
    let engine = Engine::new(config, servers, seed);
    runtime.spawn(Task::new(shared.clone(), engine).run());
    Ok(Arc::new(Handle { shared }))
}

/// A request that is waited for; dropping it forgets the request.
#[derive(Debug)]
pub(crate) struct Waiting {
    handle: Arc<Handle>,
    /// `None`: it was given up.
    ticket: Option<Ticket>,
}

impl Waiting {
    pub(crate) fn new(handle: Arc<Handle>, ticket: Ticket) -> Waiting {
        Waiting { handle, ticket: Some(ticket) }
    }

    /// Forgets the request. Tells whether it certainly was not sent and never will be.
    pub(crate) fn give_up(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else {
            return false;
        };
        let shared = &self.handle.shared;
        let released = shared.requests.release(ticket);
        let unsent = match released.unanswered {
            None => false,
            Some(0) => true,
            // If it was not sent yet, nobody needs it any more.
            Some(sequence) => shared.withdraw(sequence),
        };
        if released.last && shared.barred().is_some() {
            // A drain may be waiting for the last request.
            shared.wake();
        }
        unsent
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.give_up();
    }
}
