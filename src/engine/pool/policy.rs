//! How failures and losses of servers are answered.

use std::time::Duration;

use super::backoff::{Backoff, Jitter};

/// How failures and losses are answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Delays between failed attempts on one server. Default 100 ms × 2 up to 4 s, equal jitter.
    pub backoff: Backoff,
    /// What is added to them where TLS is spoken, uniformly random up to this: handshakes are dear to a server that many
    /// come back to. Default 1 s.
    pub tls_jitter: Duration,
    /// A connection that lived this long is stable: its server's penalty is cleared. Default 1 s.
    pub stable_after: Duration,
    /// The server whose stable connection was just lost is redialled after this. Default 250 ms.
    pub redial: Duration,
    /// How that is spread. Default full, so that the clients of a restarted server don't come back in one instant.
    pub redial_jitter: Jitter,
    /// This many failed attempts on one server, since its last stable connection, take it out of the pool. Default: no
    /// limit.
    pub max_per_server: Option<u64>,
    /// A server that has refused our credentials for this long, in the same words every time, is taken out of the pool.
    /// Default: no limit. Time counts and not tries: users are moved, renewed and loaded while clients reconnect.
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
