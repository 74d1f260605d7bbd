//! How the client responds to failures and losses of servers.

use std::time::Duration;

use super::backoff::{Backoff, Jitter};

/// How the client responds to failures and losses.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Delays between failed attempts on one server. Default 100 ms × 2 up to 4 s, equal jitter.
    pub backoff: Backoff,
    /// Added to these delays for TLS, uniformly random up to this: handshakes are expensive for a server that many clients
    /// return to. Default 1 s.
    pub tls_jitter: Duration,
    /// A connection that lived this long is stable: its server's penalty is cleared. Default 1 s.
    pub stable_after: Duration,
    /// How long after the loss of a stable connection its server is dialled again. Default 250 ms.
    pub redial: Duration,
    /// How that delay is spread. Default full, so that the clients of a restarted server don't all return at the same moment.
    pub redial_jitter: Jitter,
    /// After this many failed attempts since its last stable connection, a server is removed from the pool. Default: no limit.
    pub max_per_server: Option<u64>,
    /// A server that has refused our credentials for this long, with the same error every time, is removed from the pool.
    /// Default: no limit. Time counts and not attempts, because users are moved, renewed and loaded while clients reconnect.
    pub give_up_on_auth_after: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            backoff: Backoff::exponential(Duration::from_millis(100), Duration::from_secs(4)),
            tls_jitter: Duration::from_secs(1),
            stable_after: Duration::from_secs(1),
            redial: Duration::from_millis(250),
            redial_jitter: Jitter::Full,
            max_per_server: None,
            give_up_on_auth_after: None,
        }
    }
}
