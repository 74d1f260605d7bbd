//! Options for servers that are better than the others: nearer, larger, or the only ones that should be used at all.

use std::io;
use std::time::Duration;

use super::ConnectOptions;
use crate::engine::backoff::Backoff;
use crate::protocol::ToServerAddrs;

impl ConnectOptions {
    /// Names servers that are better than the others: they are dialled first, and come back to. Default: none.
    ///
    /// They need not be among those given to `connect`, which are the others. Whenever a server is dialled, a preferred one
    /// goes first if it is due by its [`backoff`](ConnectOptions::backoff), and has less time than the others
    /// ([`preferred_timeout`](ConnectOptions::preferred_timeout)); so when a preferred server is lost, the others follow at
    /// once. A pool that is replaced by [`set_server_pool`](crate::Client::set_server_pool) prefers those of its servers that
    /// are named here.
    ///
    /// While another server is connected, the preferred ones are probed, 5 s after the connection and then ever more rarely
    /// up to every minute ([`failback_probe`](ConnectOptions::failback_probe)). When one has answered, and the connection to
    /// it has lived for 10 s ([`failback_stability`](ConnectOptions::failback_stability)), the client moves to it: nothing is
    /// lost or in doubt, see [`prepare_moves`](ConnectOptions::prepare_moves), and the cause that
    /// [`Disconnected`](crate::connection::ConnectionEvent::Disconnected) tells is
    /// [`Failback`](crate::connection::Cause::Failback). Meanwhile there are two connections. Probes that fail are told as
    /// [`AttemptFailed`](crate::connection::ConnectionEvent::AttemptFailed), while the client is connected; they count towards
    /// [`max_reconnects_per_server`](ConnectOptions::max_reconnects_per_server), and not towards
    /// [`max_reconnects`](ConnectOptions::max_reconnects). There is no moving back where `prepare_moves` is off, where
    /// callbacks choose the server or the delay, or with [`failback(false)`](ConnectOptions::failback).
    ///
    /// # Errors
    ///
    /// On the first address that can't be read.
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
        self.preferred.servers = addrs.to_server_addrs()?.collect();
        Ok(self)
    }

    /// Limits an attempt on a [preferred server](ConnectOptions::preferred_servers), from the look-up to the first PONG.
    /// Default 2 s; must be longer than zero. It applies while there are other servers, and if it is shorter than the
    /// [`connection_timeout`](ConnectOptions::connection_timeout).
    pub fn preferred_timeout(mut self, timeout: Duration) -> ConnectOptions {
        self.preferred.timeout = timeout;
        self
    }

    /// Says whether a client that is connected elsewhere moves back to a
    /// [preferred server](ConnectOptions::preferred_servers) when there is one. Default `true`. With `false` it stays where
    /// it is until it loses that server or leaves it for another reason.
    pub fn failback(mut self, failback: bool) -> ConnectOptions {
        self.preferred.failback = failback;
        self
    }

    /// Sets how long after the connection to another server, and after each probe that failed, a
    /// [preferred server](ConnectOptions::preferred_servers) is probed. Default: 5 s, doubled by each probe that fails up to
    /// 60 s, and half of each delay is random.
    ///
    /// A stay at a preferred server that was shorter than the longest delay counts as a probe that failed, so that a server
    /// that dies again and again is come back to ever more rarely.
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    /// use nats_lifeline::engine::backoff::Backoff;
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
        self.preferred.probe = probe;
        self
    }

    /// Sets how long the connection to a [preferred server](ConnectOptions::preferred_servers) must have lived, beside the
    /// present one, before the client moves to it. Default 10 s; zero moves at once.
    pub fn failback_stability(mut self, stability: Duration) -> ConnectOptions {
        self.preferred.stable_for = stability;
        self
    }
}
