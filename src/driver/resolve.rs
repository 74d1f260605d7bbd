//! Names to addresses, on threads of our own.
//!
//! The system's resolver blocks, for half a minute where it has a bad day. On tokio's blocking pool such a look-up
//! would hold up the end of the whole runtime, so it gets a detached thread, one per name however many wait for it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex};

use tokio::sync::oneshot;

use super::dialer::Resolver;
use super::lock;
use crate::protocol::ServerAddr;

type Answer = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// Look-ups that are going on, by host and port, and who waits for each.
type Running = HashMap<(String, u16), Vec<oneshot::Sender<Answer>>>;

static RUNNING: LazyLock<Mutex<Running>> = LazyLock::new(Mutex::default);

/// All addresses of `addr`, in the resolver's order. `own`: the user's, instead of the system's.
pub(super) async fn resolve(addr: &ServerAddr, own: Option<&Resolver>) -> Answer {
    let (host, port) = (addr.host(), addr.port());
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if let Some(own) = own {
        let found = own.resolve(host, port).await?;
        return if found.is_empty() { Err(no_address()) } else { Ok(found) };
    }
    let (sender, receiver) = oneshot::channel();
    let key = (host.to_owned(), port);
    let first = {
        let mut running = lock(&RUNNING);
        let waiting = running.entry(key.clone()).or_default();
        waiting.push(sender);
        waiting.len() == 1
    };
    if first {
        let name = key.clone();
        let started = std::thread::Builder::new().name("nats-lookup".to_owned()).spawn(move || {
            let answer: Answer = (name.0.as_str(), name.1)
                .to_socket_addrs()
                .map(Iterator::collect)
                .map_err(Arc::new)
                .and_then(|found: Vec<_>| if found.is_empty() { Err(no_address()) } else { Ok(found) });
            finish(&name, &answer);
        });
        if let Err(error) = started {
            finish(&key, &Err(Arc::new(error)));
        }
    }
    receiver.await.unwrap_or_else(|_| Err(Arc::new(io::Error::other("the look-up was abandoned"))))
}

fn no_address() -> Arc<io::Error> {
    Arc::new(io::Error::other("the name has no address"))
}

fn finish(key: &(String, u16), answer: &Answer) {
    let waiting = lock(&RUNNING).remove(key).unwrap_or_default();
    for sender in waiting {
        // Who has given up has dropped its receiver.
        let _ = sender.send(answer.clone());
    }
}

impl ServerAddr {
    /// Looks the host up.
    ///
    /// # Errors
    ///
    /// What the system's resolver says.
    pub async fn socket_addrs(&self) -> io::Result<impl Iterator<Item = SocketAddr> + '_> {
        match resolve(self, None).await {
            Ok(found) => Ok(found.into_iter()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }
}
