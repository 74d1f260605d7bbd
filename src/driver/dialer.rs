//! User-supplied replacements for the look-up and the dialling.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::protocol::ServerAddr;

/// A byte stream that can be read and written.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

type Answer<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Opens the byte stream to a server.
#[derive(Clone)]
pub(crate) struct Dialer(Arc<dyn Fn(ServerAddr) -> Answer<Box<dyn ByteStream>> + Send + Sync>);

impl Dialer {
    pub(crate) fn new<F, Fut, S>(dial: F) -> Dialer
    where
        F: Fn(ServerAddr) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Dialer(Arc::new(move |addr| {
            let stream = dial(addr);
            Box::pin(async move { Ok(Box::new(stream.await?) as Box<dyn ByteStream>) })
        }))
    }

    pub(super) async fn dial(&self, addr: ServerAddr) -> io::Result<Box<dyn ByteStream>> {
        let Dialer(dial) = self.clone();
        in_own_task("dialer", async move { dial(addr).await }).await
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

/// Finds the addresses of a host.
#[derive(Clone)]
pub(crate) struct Resolver(Arc<dyn Fn(String, u16) -> Answer<Vec<SocketAddr>> + Send + Sync>);

impl Resolver {
    pub(crate) fn new<F, Fut>(resolve: F) -> Resolver
    where
        F: Fn(String, u16) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Resolver(Arc::new(move |host, port| Box::pin(resolve(host, port))))
    }

    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let Resolver(resolve) = self.clone();
        let host = host.to_owned();
        in_own_task("resolver", async move { resolve(host, port).await }).await
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// Runs a user's code in its own task, where it may block or panic without affecting the connection. Dropping this
/// ends it.
async fn in_own_task<T: Send + 'static>(
    what: &str,
    code: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<T> {
    let mut tasks = JoinSet::new();
    tasks.spawn(code);
    match tasks.join_next().await {
        Some(Ok(outcome)) => outcome,
        _ => Err(io::Error::other(format!("the {what} panicked"))),
    }
}
