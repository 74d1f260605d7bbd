//! Options for preferred servers: nearer, larger, or reserved for this client.

use std::io;
use std::time::Duration;

use super::ConnectOptions;
use super::check::backoff_within_reach;
use crate::client::servers::servers;
use crate::engine::backoff::Backoff;
use crate::engine::time::within_reach;
use crate::protocol::ToServerAddrs;

impl ConnectOptions {
    /// Sets preferred servers: they are dialled before the others, and the client returns to them. Default: none.
    ///
    /// They need not be among the servers given to `connect`; those are the others. Whenever a server is dialled, a
    /// preferred one goes first if it is due by its [`backoff`](ConnectOptions::backoff). It has less time than the
    /// others ([`preferred_timeout`](ConnectOptions::preferred_timeout)), so when a preferred server is lost, the
    /// others are tried soon. After [`set_server_pool`](crate::Client::set_server_pool), servers of the new pool that
    /// are named here are preferred.
    ///
    /// While another server is connected, the preferred ones are probed: 5 s after connecting, and then less and less
    /// often, down to once a minute ([`failback_probe`](ConnectOptions::failback_probe)). When one has answered, and
    /// the connection to it has lasted 10 s ([`failback_stability`](ConnectOptions::failback_stability)), the client
    /// moves to it. No message is lost or in doubt, see [`handover`](ConnectOptions::handover), and
    /// [`Disconnected`](crate::connection::ConnectionEvent::Disconnected) has the cause
    /// [`Failback`](crate::connection::Cause::Failback). During the probe there are two connections.
    ///
    /// Failed probes are reported as [`AttemptFailed`](crate::connection::ConnectionEvent::AttemptFailed) while the
    /// client is connected. They count towards
    /// [`max_reconnects_per_server`](ConnectOptions::max_reconnects_per_server), and not towards
    /// [`max_reconnects`](ConnectOptions::max_reconnects). The client does not move back with
    /// [`no_failback`](ConnectOptions::no_failback) or [`no_prepared_moves`](ConnectOptions::no_prepared_moves), or if
    /// callbacks choose the server or the delay.
    ///
    /// # Errors
    ///
    /// If an address cannot be parsed, or is one for WebSocket (`ws`, `wss`), which cannot be dialled.
    ///
    /// ```
    /// # fn example() -> std::io::Result<()> {
    /// let options = nats_lifeline::ConnectOptions::new().preferred_servers("nats://nats.same-zone.example")?;
    /// // … .connect(["nats://one.example", "nats://two.example"].as_slice())
    /// # drop(options);
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn preferred_servers<A: ToServerAddrs>(mut self, addrs: A) -> io::Result<ConnectOptions> {
        self.config.preferred.servers = servers(addrs)?;
        Ok(self)
    }

    /// Limits an attempt on a [preferred server](ConnectOptions::preferred_servers), from the look-up to the first
    /// PONG. Default 2 s; must be longer than zero. It applies while there are other servers, and if it is shorter
    /// than the [`connection_timeout`](ConnectOptions::connection_timeout).
    pub fn preferred_timeout(mut self, timeout: Duration) -> ConnectOptions {
        self.config.preferred.timeout = within_reach(timeout);
        self
    }

    /// Does not move back to a [preferred server](ConnectOptions::preferred_servers) while another server is connected:
    /// the client stays until it loses that server or leaves it for another reason. Default: it moves back.
    pub fn no_failback(mut self) -> ConnectOptions {
        self.config.preferred.failback = false;
        self
    }

    /// Sets when a [preferred server](ConnectOptions::preferred_servers) is probed: this long after connecting to
    /// another server, and after each failed probe. Default: 5 s, doubled by each failed probe up to 60 s, and half
    /// of each delay is random.
    ///
    /// A connection to a preferred server that lasted less than the longest delay counts as a failed probe, so the
    /// client returns less and less often to a server that keeps failing.
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    /// use nats_lifeline::options::Backoff;
    /// use std::time::Duration;
    ///
    /// # fn example() -> std::io::Result<()> {
    /// let options = ConnectOptions::new()
    ///     .preferred_servers("nats.same-zone.example")?
    ///     .failback_probe(Backoff::fixed(Duration::from_secs(30)))
    ///     .failback_stability(Duration::from_secs(60));
    /// # drop(options);
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    pub fn failback_probe(mut self, probe: Backoff) -> ConnectOptions {
        self.config.preferred.probe = backoff_within_reach(probe);
        self
    }

    /// Sets how long the connection to a [preferred server](ConnectOptions::preferred_servers) must last,
    /// alongside the current one, before the client moves to it. Default 10 s; zero moves immediately.
    pub fn failback_stability(mut self, stability: Duration) -> ConnectOptions {
        self.config.preferred.stable_for = within_reach(stability);
        self
    }
}
