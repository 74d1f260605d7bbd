//! The state of a broker: its port, its connections, and the other brokers of its cluster.

use super::connection::{Connection, Connections};
use super::hosting::Host;
use super::lock;
use super::router::Router;
use super::shared::{Settings, Shared};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// How long a busy port is retried.
const PORT_PATIENCE: Duration = Duration::from_secs(10);

/// A broker without its handle: its tasks share it.
pub(super) struct Node {
    pub(super) shared: Arc<Shared>,
    pub(super) fabric: Arc<Fabric>,
    pub(super) addr: SocketAddr,
    pub(super) connections: Arc<Connections>,
    pub(super) server_id: Mutex<String>,
    pub(super) door: Mutex<Door>,
    pub(super) up: AtomicBool,
    pub(super) lame_duck: AtomicBool,
    pub(super) runtime: Handle,
}

/// The port. At most one of `listener` and `reserved` is there.
#[derive(Default)]
pub(super) struct Door {
    pub(super) listener: Option<TcpListener>,
    /// Bound but not listening: connection attempts are refused, and nobody else gets the port, not
    /// even as the near end of a connection to itself.
    pub(super) reserved: Option<TcpSocket>,
    pub(super) refusing: bool,
    /// Grows whenever the port is closed, so that an accepting task sees that it must stop.
    pub(super) epoch: u64,
    pub(super) tasks: Vec<AbortHandle>,
}

/// What the brokers of a cluster share. A single broker has one of its own.
pub(super) struct Fabric {
    /// `None` for a single broker.
    pub(super) name: Option<String>,
    /// One for all: a message goes straight to every subscriber, whichever broker it is connected to.
    pub(super) router: Arc<Router<Arc<Connection>>>,
    /// One for all.
    pub(super) host: Host,
    members: Mutex<Vec<Weak<Node>>>,
}

impl Fabric {
    pub(super) fn new(name: Option<String>, jetstream: bool) -> Self {
        let router = Arc::new(Router::new());
        Self { name, host: Host::new(jetstream, Arc::clone(&router)), router, members: Mutex::default() }
    }

    pub(super) fn join(&self, node: &Arc<Node>) {
        lock(&self.members).push(Arc::downgrade(node));
    }

    pub(super) fn members(&self) -> Vec<Arc<Node>> {
        let mut members = lock(&self.members);
        members.retain(|node| node.strong_count() > 0);
        members.iter().filter_map(Weak::upgrade).collect()
    }

    /// The complete list, with the broker's own address first unless it is about to stop. A single
    /// broker sends none.
    pub(super) fn connect_urls(&self, node: &Node, without_own: bool) -> Vec<String> {
        if self.name.is_none() {
            return Vec::new();
        }
        let members = self.members();
        let others = members.iter().filter(|other| other.addr != node.addr);
        let mut urls: Vec<String> =
            others.filter(|other| other.is_up() && !other.is_lame_duck()).map(|other| other.addr.to_string()).collect();
        if !without_own && !urls.is_empty() {
            urls.insert(0, node.addr.to_string());
        }
        urls
    }
}

impl Node {
    /// Makes a node and reserves its port.
    pub(super) async fn bind(settings: Settings, fabric: Arc<Fabric>, port: u16) -> io::Result<Arc<Self>> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let reserved = patiently(|| reserve(wanted)).await?;
        let shared = Arc::new(Shared::new(settings));
        let connections = Connections::new(Arc::clone(&shared), Arc::clone(&fabric.router));
        let node = Arc::new(Self {
            fabric: Arc::clone(&fabric),
            addr: reserved.local_addr()?,
            shared,
            connections,
            server_id: Mutex::default(),
            door: Mutex::new(Door { reserved: Some(reserved), ..Door::default() }),
            up: AtomicBool::new(false),
            lame_duck: AtomicBool::new(false),
            runtime: Handle::current(),
        });
        fabric.join(&node);
        Ok(node)
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    pub(super) fn is_lame_duck(&self) -> bool {
        self.lame_duck.load(Ordering::Acquire)
    }

    pub(super) fn server_id(&self) -> String {
        lock(&self.server_id).clone()
    }
}

impl std::fmt::Debug for Fabric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fabric").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Binds the address without listening.
pub(super) fn reserve(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections from before a restart may linger. On other systems the option would steal the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Retries while the port is busy, for 10 seconds at most.
pub(super) async fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        match work() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < PORT_PATIENCE => {
                sleep(Duration::from_millis(10)).await;
            }
            done => return done,
        }
    }
}

/// A random number, from the seed of the standard library's hashes.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
