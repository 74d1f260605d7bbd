//! Resolves names on threads of our own: the system's resolver blocks, sometimes for half a minute.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use super::blocking::Blocking;
use super::dialer::Resolver;
use crate::protocol::ServerAddr;

type Answer = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// Look-ups in progress, by host and port.
static LOOKUPS: Blocking<(String, u16), Answer> = Blocking::new("nats-lookup");

/// All addresses of `addr`, in the resolver's order. `own`: a user's resolver, instead of the system's.
pub(super) async fn resolve(addr: &ServerAddr, own: Option<&Resolver>) -> Answer {
    let (host, port) = (addr.host(), addr.port());
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if let Some(own) = own {
        let found = own.resolve(host, port).await?;
        return if found.is_empty() { Err(no_address()) } else { Ok(found) };
    }
    let mut pending = LOOKUPS.start((host.to_owned(), port), |_, (host, port)| look_up(host, *port))?;
    pending.outcome().await.unwrap_or_else(|| Err(Arc::new(io::Error::other("the look-up was abandoned"))))
}

fn look_up(host: &str, port: u16) -> Answer {
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    if found.is_empty() { Err(no_address()) } else { Ok(found) }
}

fn no_address() -> Arc<io::Error> {
    Arc::new(io::Error::other("the name resolves to no address"))
}

impl ServerAddr {
    /// Looks the host up.
    ///
    /// # Errors
    ///
    /// The error of the system's resolver.
    pub async fn socket_addrs(&self) -> io::Result<impl Iterator<Item = SocketAddr> + '_> {
        match resolve(self, None).await {
            Ok(found) => Ok(found.into_iter()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}
