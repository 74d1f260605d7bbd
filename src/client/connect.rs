//! Connecting: checks the options, starts the task and waits for the first connection.

use std::sync::Arc;

use rand::Rng;

use super::callback;
use super::client::Client;
use super::error::{ConnectError, ConnectErrorKind, NotConnected};
use super::options::ConnectOptions;
use super::outages;
use super::servers::servers;
use super::subscribe_options::SubscribeOptions;
use crate::driver::{self, Command, EventFilter, Events, Shared};
use crate::engine::{Cause, Config, ConnectionEvent, Status};
use crate::protocol::{ErrKind, ToServerAddrs};

pub(crate) async fn connect<A: ToServerAddrs>(addrs: A, options: ConnectOptions) -> Result<Client, ConnectError> {
    let mut settings = options.checked()?;
    let addrs = servers(addrs).map_err(|error| ConnectError::with_source(ConnectErrorKind::ServerParse, error))?;
    if addrs.is_empty() && settings.config.preferred.servers.is_empty() {
        return Err(ConnectError::with_source(ConnectErrorKind::ServerParse, "the list of servers is empty"));
    }
    let retry = settings.config.retry_on_initial_connect;
    let limit = settings.config.first_attempts;
    // Only the engine keeps the secrets.
    let identity = std::mem::take(&mut settings.config.identity);
    let config = Config { identity, ..settings.config.clone() };
    settings.driver.inbox = SubscribeOptions::default_limits(&settings);
    settings.driver.publish_timeout = settings.publish_timeout;
    let seed = settings.random_seed.unwrap_or_else(|| rand::rng().next_u64());
    let handle = driver::spawn(config, addrs, settings.driver.clone(), seed)?;
    if let Some(callback) = settings.event_callback.clone() {
        callback::run(handle.shared.events(EventFilter::Repetitions), callback);
    }
    for callback in settings.long_outage_callbacks.clone() {
        outages::run(handle.shared.events(EventFilter::Edges), callback);
    }
    let shared = handle.shared.clone();
    let client = Client::new(handle, settings);
    // The names of the failed servers are in the events only.
    let mut attempts = (!retry).then(|| shared.events(EventFilter::Edges));
    let mut status = shared.watch_status();
    shared.begin_connect_span();
    shared.command(Command::Connect);
    if retry {
        // Returns only after the first attempt has started.
        let _ = status.changed().await;
        return Ok(client);
    }
    // From here on, dropping this future drops the client, and so ends the task.
    loop {
        // The sender lives in `shared`, so there is always one.
        let _ = status.changed().await;
        let state = *status.borrow_and_update();
        match state {
            Status::Connected => return Ok(client),
            Status::Disconnected | Status::Closed => return Err(failure(&shared, attempts.as_mut(), limit).await),
            Status::Connecting | Status::Reconnecting | Status::Draining => {}
        }
    }
}

/// Why the first connection failed. `limit`: how many attempts it had, if that was configured.
async fn failure(shared: &Arc<Shared>, attempts: Option<&mut Events>, limit: Option<u64>) -> ConnectError {
    let cause = shared.last_error().unwrap_or(Cause::NoServers);
    let mut kind = match &cause {
        Cause::TimedOut { .. } | Cause::Server(ErrKind::AuthenticationTimeout) => ConnectErrorKind::TimedOut,
        Cause::Dns(_) => ConnectErrorKind::Dns,
        Cause::Tls(_) => ConnectErrorKind::Tls,
        Cause::Credentials(_) => ConnectErrorKind::Authentication,
        Cause::Server(kind) if kind.is_auth() => ConnectErrorKind::AuthorizationViolation,
        _ => ConnectErrorKind::Io,
    };
    let mut tried = NotConnected::new(cause);
    let Some(events) = attempts else { return ConnectError::with_source(kind, tried) };
    // The state changes before the events that led to it are reported.
    while let Some(event) = events.recv().await {
        match event {
            ConnectionEvent::AttemptFailed { server, cause, .. } => tried.add(server, cause),
            ConnectionEvent::GaveUp { attempts, .. } => {
                tried.total(attempts);
                if limit.is_some_and(|limit| attempts >= limit) {
                    kind = ConnectErrorKind::MaxReconnects;
                }
                break;
            }
            ConnectionEvent::Closed { .. } => break,
            _ => {}
        }
    }
    ConnectError::with_source(kind, tried)
}
