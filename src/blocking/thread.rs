//! The thread of a client: a runtime of its own, from connecting until the last handle is dropped.

use std::future::Future;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};

use super::wait::Home;
use crate::{Client, ConnectError, ConnectErrorKind};

/// How long callbacks may still run after the connection has ended; then they are dropped. Arbitrary.
const CALLBACKS_WITHIN: Duration = Duration::from_secs(1);

type Connected = Result<Client, ConnectError>;

/// Starts a thread that runs `connect` and then drives the connection. Returns when `connect` is done.
pub(super) fn start<F: Future<Output = Connected>>(
    connect: impl FnOnce() -> F + Send + 'static,
) -> Result<(Client, Home), ConnectError> {
    let home = Home::new();
    let (sender, connected) = sync_channel(1);
    let thread = std::thread::Builder::new().name("nats-lifeline".to_owned());
    // Detached: it ends by itself, and dropping the last handle must not wait for it.
    let _detached = thread.spawn(move || {
        home.settle();
        run(connect, sender);
    });
    _detached.map_err(failed)?;
    match connected.recv() {
        Ok(connected) => connected.map(|client| (client, home)),
        Err(_) => Err(failed(io::Error::other("the thread of the client panicked"))),
    }
}

fn failed(error: io::Error) -> ConnectError {
    ConnectError::with_source(ConnectErrorKind::Io, error)
}

fn run<F: Future<Output = Connected>>(connect: impl FnOnce() -> F, sender: SyncSender<Connected>) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // The caller waits for it.
            let _ = sender.send(Err(failed(error)));
            return;
        }
    };
    runtime.block_on(async {
        let connected = connect().await;
        let status = connected.as_ref().ok().map(Client::status_watch);
        let _ = sender.send(connected);
        // A panic from here on ends the connection's task, which ends all waiting calls and streams.
        drop(sender);
        if let Some(status) = status {
            status.gone().await;
        }
        let (began, metrics) = (Instant::now(), Handle::current().metrics());
        while metrics.num_alive_tasks() > 0 && began.elapsed() < CALLBACKS_WITHIN {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    // A callback may have left blocking work behind.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_thread_is_an_error() {
        let error = start(|| async { panic!("as it may") }).unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Io);
        assert!(error.to_string().contains("the thread of the client panicked"), "{error}");
    }
}
