//! Options that say how a server's address becomes a byte stream.

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
    /// With a fixed port a reconnect can fail for as long as the system holds the old connection's address.
    pub fn local_address(mut self, address: SocketAddr) -> ConnectOptions {
        self.local_address = Some(address);
        self
    }

    /// Asks `resolver` for the addresses of a host instead of the system. Default: the system's resolver, on a thread of
    /// its own.
    ///
    /// It gets host and port of a server and is asked anew for every attempt, unless the host is an address already. It
    /// runs in a task of its own, within the attempt's [`connection_timeout`](ConnectOptions::connection_timeout); an
    /// error, a panic or an empty list fails the attempt. The addresses are tried in random order, each 250 ms after the
    /// one before it, and the first to answer is taken. If what answered is no server, or says nothing, the others are tried in
    /// the time that is left. It must not [block](ConnectOptions#callbacks).
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
        self.resolver = Some(Resolver::new(resolver));
        self
    }

    /// Has `dialer` make the byte stream to a server: through a proxy, over a Unix socket, inside the process. Default:
    /// the host is looked up and connected to with TCP.
    ///
    /// It is called for every attempt with the server's address, of which nothing was looked up. It runs in a task of its
    /// own, within the attempt's [`connection_timeout`](ConnectOptions::connection_timeout); an error or a panic fails the
    /// attempt. [`local_address`](ConnectOptions::local_address), [`resolver`](ConnectOptions::resolver) and socket
    /// options have no effect then. Servers that the cluster tells about are dialled with it too.
    ///
    /// The stream is flushed when nothing more waits to be written. Reading and writing are polled by the connection's
    /// task, so they must not block. When a write fails, all bytes of that write count as taken: what was in them is in
    /// doubt, and is not sent twice.
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
        self.dialer = Some(Dialer::new(dialer));
        self
    }
}
