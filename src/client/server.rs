//! Servers of the pool, as users see them.

use std::fmt;
use std::time::Duration;

use crate::engine::pool;
use crate::protocol::ServerAddr;

/// A server of the pool, with its history.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address.
    pub addr: ServerAddr,
    /// Failed attempts since it was last connected.
    pub failed_attempts: usize,
    /// Whether it was ever connected.
    pub did_connect: bool,
    /// Whether it was announced by the cluster rather than named by the user.
    pub is_discovered: bool,
    /// The last error.
    pub last_error: Option<String>,
}

/// The next server to dial: the answer of a
/// [`reconnect_to_server_callback`](crate::ConnectOptions::reconnect_to_server_callback).
#[derive(Clone, Debug)]
pub struct ReconnectToServer {
    /// A server of the pool.
    pub addr: ServerAddr,
    /// How long to wait first. `None`: until the server is due by its backoff; zero: no wait.
    pub delay: Option<Duration>,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.addr, f)
    }
}

impl Server {
    pub(super) fn of(server: pool::Server) -> Server {
        Server {
            addr: server.addr,
            failed_attempts: usize::try_from(server.failures).unwrap_or(usize::MAX),
            did_connect: server.did_connect,
            is_discovered: server.discovered,
            last_error: server.last_error.map(|cause| cause.to_string()),
        }
    }
}
