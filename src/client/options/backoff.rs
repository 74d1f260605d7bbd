//! Options for the delays after failures, and for giving up.

use std::time::Duration;

use super::ConnectOptions;
use super::check::backoff_within_reach;
use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::time::within_reach;

impl ConnectOptions {
    /// Gives up after this many failed attempts, counted over all servers since the last connection that lasted a
    /// second; a shorter connection counts as a failed attempt. Default `None`: never. For compatibility `0` means
    /// never too.
    ///
    /// After giving up the client is [`Disconnected`](crate::connection::Status::Disconnected): streams end, calls
    /// fail, buffered messages are reported as lost. [`force_reconnect`](crate::Client::force_reconnect) revives it.
    ///
    /// It does not apply to a first connection that `connect` waits for: see
    /// [`connect_attempts`](ConnectOptions::connect_attempts).
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    ///
    /// let twenty = ConnectOptions::new().max_reconnects(20);
    /// let for_ever = ConnectOptions::new().max_reconnects(None);
    /// # drop((twenty, for_ever));
    /// ```
    pub fn max_reconnects<T: Into<Option<usize>>>(mut self, max_reconnects: T) -> ConnectOptions {
        // 0 has always meant "no limit" in NATS clients; `no_reconnect` switches reconnecting off.
        let max = max_reconnects.into().filter(|&max| max != 0);
        self.config.max_reconnects = max.map(|max| u64::try_from(max).unwrap_or(u64::MAX));
        self
    }

    /// Lets [`connect`](ConnectOptions::connect) make up to this many attempts, over all servers, before it fails. Default
    /// `None`: each server is tried once. Must be at least 1.
    ///
    /// A server that has failed waits by its [`backoff`](ConnectOptions::backoff) before its next attempt. After the last
    /// attempt `connect` fails with kind [`MaxReconnects`](crate::ConnectErrorKind::MaxReconnects), and the error names the
    /// number of attempts and the last error of each server: see [`NotConnected`](crate::client::NotConnected). Wrap
    /// `connect` in `tokio::time::timeout` to limit the time as well.
    ///
    /// [`max_reconnects`](ConnectOptions::max_reconnects) limits later connections only. With
    /// [`retry_on_initial_connect`](ConnectOptions::retry_on_initial_connect), which does not wait for the first
    /// connection, this option has no effect and `max_reconnects` applies.
    ///
    /// ```no_run
    /// use nats_lifeline::options::{Backoff, Jitter};
    /// use nats_lifeline::{ConnectErrorKind, ConnectOptions};
    /// use std::time::Duration;
    ///
    /// # async fn example() {
    /// let wait = Backoff { jitter: Jitter::Added(Duration::from_millis(500)), ..Backoff::fixed(Duration::from_secs(2)) };
    /// match ConnectOptions::new().connect_attempts(10).backoff(wait).connect("nats.example").await {
    ///     Err(error) if error.kind() == ConnectErrorKind::MaxReconnects => eprintln!("{error}"),
    ///     other => drop(other),
    /// }
    /// # }
    /// ```
    pub fn connect_attempts<T: Into<Option<usize>>>(mut self, attempts: T) -> ConnectOptions {
        self.config.first_attempts = attempts.into().map(|max| u64::try_from(max).unwrap_or(u64::MAX));
        self
    }

    /// Sets the delays between failed attempts on one server. Default: 100 ms after the first failure, doubled by
    /// each further one up to 4 s, and half of each delay is random.
    ///
    /// Each server has its own delay: if one of three servers has failed, the next one is dialled immediately.
    /// Shorter delays find a server sooner; longer and more random ones protect a server that many clients return to.
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    /// use nats_lifeline::options::{Backoff, Jitter};
    /// use std::time::Duration;
    ///
    /// let patient = Backoff {
    ///     initial: Duration::from_secs(1),
    ///     factor: 2.0,
    ///     max: Duration::from_secs(30),
    ///     jitter: Jitter::Symmetric(0.3),
    /// };
    /// let options = ConnectOptions::new().backoff(patient);
    /// # drop(options);
    /// ```
    pub fn backoff(mut self, backoff: Backoff) -> ConnectOptions {
        self.config.policy.backoff = backoff_within_reach(backoff);
        self
    }

    /// Adds a random time up to this to each delay of a TLS server. Default 1 s.
    ///
    /// A TLS handshake costs a server much more than a plain one, so the clients of a cluster that restarts should
    /// return over a longer time. The first redial after a loss is not delayed.
    pub fn tls_reconnect_jitter(mut self, jitter: Duration) -> ConnectOptions {
        self.config.policy.tls_jitter = within_reach(jitter);
        self
    }

    /// Sets the patient policy from guides to NATS: 2 s after the first failure, doubled up to 30 s, each ± 30 %; the
    /// server that was just lost is redialled after 1 s ± 30 %; and after 10 failed attempts the client gives up.
    ///
    /// It sets [`backoff`](ConnectOptions::backoff) and [`max_reconnects`](ConnectOptions::max_reconnects), which can
    /// be changed afterwards.
    ///
    /// ```
    /// let patient_for_ever = nats_lifeline::ConnectOptions::new().patient_reconnect().max_reconnects(None);
    /// # drop(patient_for_ever);
    /// ```
    pub fn patient_reconnect(mut self) -> ConnectOptions {
        let (second, jitter) = (Duration::from_secs(1), Jitter::Symmetric(0.3));
        self.config.policy.backoff = Backoff { jitter, ..Backoff::exponential(2 * second, 30 * second) };
        self.config.policy.redial = second;
        self.config.policy.redial_jitter = jitter;
        self.max_reconnects(10)
    }

    /// Removes a server from the pool after this many failed attempts, counted since its last connection that lasted
    /// a second. Default `None`: never. Must be at least 1.
    ///
    /// Gossip does not add it again; [`set_server_pool`](crate::Client::set_server_pool) and
    /// [`force_reconnect`](crate::Client::force_reconnect) do. When no server is left the client gives up, as after
    /// [`max_reconnects`](ConnectOptions::max_reconnects).
    pub fn max_reconnects_per_server<T: Into<Option<usize>>>(mut self, max: T) -> ConnectOptions {
        self.config.policy.max_per_server = max.into().map(|max| u64::try_from(max).unwrap_or(u64::MAX));
        self
    }

    /// Removes a server from the pool when it has refused the credentials for this long. Default `None`: never.
    ///
    /// The time runs from the first refusal to the last one, as long as every attempt on that server ends with the
    /// same error; any other outcome resets it. In between, the server waits by its
    /// [`backoff`](ConnectOptions::backoff), and each refusal is reported with its cause: as an event, in the log,
    /// and by [`health_snapshot`](crate::Client::health_snapshot). When no server is left, the client gives up with
    /// that error, as after [`max_reconnects`](ConnectOptions::max_reconnects).
    ///
    /// Be generous: servers refuse valid credentials while users are moved, accounts are renewed or a cluster
    /// restarts. `Authentication Timeout` is not a refusal, but a slow connection. The first connection is not
    /// affected: without [`retry_on_initial_connect`](ConnectOptions::retry_on_initial_connect), `connect` fails when
    /// each server has refused once.
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    /// use std::time::Duration;
    ///
    /// let options = ConnectOptions::new().give_up_on_auth_error_after(Duration::from_secs(600));
    /// # drop(options);
    /// ```
    pub fn give_up_on_auth_error_after<T: Into<Option<Duration>>>(mut self, time: T) -> ConnectOptions {
        self.config.policy.give_up_on_auth_after = time.into().map(within_reach);
        self
    }

    /// Keeps trying servers that refuse the credentials, which is the default: the same as
    /// [`give_up_on_auth_error_after(None)`](ConnectOptions::give_up_on_auth_error_after).
    pub fn retry_on_auth_error(self) -> ConnectOptions {
        self.give_up_on_auth_error_after(None)
    }
}
