//! Options for name look-up and for the byte stream to a server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

use super::ConnectOptions;
use crate::driver::{Dialer, Resolver};
use crate::protocol::ServerAddr;

impl ConnectOptions {
    /// Binds the local end of each connection to this address; port 0 lets the system choose one. Default: the
    /// system chooses both.
    ///
    /// With a fixed port a reconnect can fail while the system still holds the address of the old connection.
    pub fn local_address(mut self, address: SocketAddr) -> ConnectOptions {
        self.driver.local_address = Some(address);
        self
    }

    /// Uses `resolver` to look up the addresses of a host. Default: the system's resolver, on its own thread.
    ///
    /// Its arguments are the host and the port of a server. It is called on every attempt, unless the host is an IP
    /// address. It runs in its own task, within the attempt's
    /// [`connection_timeout`](ConnectOptions::connection_timeout); an error, a panic or an empty list fails the
    /// attempt. The addresses are tried in random order, 250 ms apart, and the first one that answers is used. If it is
    /// not a server, or sends nothing, the others are tried in the remaining time. It must not
    /// [block](ConnectOptions#callbacks).
    ///
    /// ```
    /// use std::net::SocketAddr;
    ///
    /// let options = nats_lifeline::ConnectOptions::new().resolver(|host, port| async move {
    ///     match host.as_str() {
    ///         "nats.internal" => Ok(vec![SocketAddr::from(([10, 0, 0, 7], port)), SocketAddr::from(([10, 0, 0, 8], port))]),
    ///         _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    ///     }
    /// });
    /// # drop(options);
    /// ```
    pub fn resolver<F, Fut>(mut self, resolver: F) -> ConnectOptions
    where
        F: Fn(String, u16) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        self.driver.resolver = Some(Resolver::new(resolver));
        self
    }

    /// Uses `dialer` to open the byte stream to a server: through a proxy, over a Unix socket, inside the process.
    /// Default: a name look-up and TCP.
    ///
    /// It is called on every attempt with the server's address, without a name look-up, also for servers that the
    /// cluster announces. It runs in its own task, within the attempt's
    /// [`connection_timeout`](ConnectOptions::connection_timeout); an error or a panic fails the attempt.
    /// [`local_address`](ConnectOptions::local_address), [`resolver`](ConnectOptions::resolver) and socket options then
    /// have no effect.
    ///
    /// The stream is flushed when nothing more is pending. The connection's task polls its reads and writes, so they
    /// must not block. When a write fails, all bytes of that write count as sent: their messages are in doubt, and
    /// are not sent twice.
    ///
    /// ```no_run
    /// # #[cfg(unix)]
    /// # async fn example() -> Result<(), nats_lifeline::ConnectError> {
    /// use nats_lifeline::ConnectOptions;
    /// use tokio::net::UnixStream;
    ///
    /// let client = ConnectOptions::new()
    ///     .dialer(|_server| UnixStream::connect("/run/nats.sock"))
    ///     .connect("nats://beside.me")
    ///     .await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dialer<F, Fut, S>(mut self, dialer: F) -> ConnectOptions
    where
        F: Fn(ServerAddr) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.driver.dialer = Some(Dialer::new(dialer));
        self
    }
}
