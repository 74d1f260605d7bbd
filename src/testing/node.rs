//! The parts of a broker: the port, the connections and the counters; starting and stopping.

use super::builder::Settings;
use super::cluster::Fabric;
use super::connection::{Close, Connection};
use super::faults::Faults;
use super::greeting::say_info;
use super::lock;
use super::reading::Reading;
use super::session::{self, Ending};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// How long a busy port is retried.
const PORT_PATIENCE: Duration = Duration::from_secs(10);

/// How many accept times are kept. Arbitrary: more than any test looks at, and bounded.
const ACCEPT_TIMES: usize = 65_536;

/// The part of a broker that its tasks share.
pub(super) struct Node {
    pub(super) settings: Settings,
    pub(super) fabric: Arc<Fabric>,
    pub(super) addr: SocketAddr,
    pub(super) faults: Faults,
    pub(super) counters: Counters,
    pub(super) max_payload: AtomicUsize,
    pub(super) max_connections: AtomicUsize,
    /// A connection or subscription came or went.
    pub(super) changed: Notify,
    connections: Mutex<BTreeMap<u64, Arc<Connection>>>,
    next_id: AtomicU64,
    server_id: Mutex<String>,
    door: Mutex<Door>,
    up: AtomicBool,
    lame_duck: AtomicBool,
    runtime: Handle,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) accept_times: Mutex<VecDeque<Instant>>,
    pub(super) messages_in: AtomicU64,
    pub(super) messages_out: AtomicU64,
}

/// The port. At most one of `listener` and `reserved` is there.
#[derive(Default)]
struct Door {
    listener: Option<TcpListener>,
    /// Bound but not listening: connection attempts are refused, and nobody else gets the port, not
    /// even as the near end of a connection to itself.
    reserved: Option<TcpSocket>,
    refusing: bool,
    /// Grows whenever the port is closed, so that an accepting task sees that it must stop.
    epoch: u64,
    tasks: Vec<AbortHandle>,
}

impl Node {
    /// Makes a node and reserves its port.
    pub(super) async fn bind(settings: Settings, fabric: Arc<Fabric>, port: u16) -> io::Result<Arc<Self>> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let reserved = patiently(|| reserve(wanted)).await?;
        let node = Arc::new(Self {
            fabric: Arc::clone(&fabric),
            addr: reserved.local_addr()?,
            faults: Faults::default(),
            counters: Counters::default(),
            max_payload: AtomicUsize::new(settings.session.max_payload),
            max_connections: AtomicUsize::new(settings.max_connections),
            settings,
            changed: Notify::new(),
            connections: Mutex::default(),
            next_id: AtomicU64::new(1),
            server_id: Mutex::default(),
            door: Mutex::new(Door { reserved: Some(reserved), ..Door::default() }),
            up: AtomicBool::new(false),
            lame_duck: AtomicBool::new(false),
            runtime: Handle::current(),
        });
        fabric.join(&node);
        Ok(node)
    }

    /// Opens the port and starts work.
    pub(super) async fn start(self: &Arc<Self>) -> io::Result<()> {
        *lock(&self.server_id) = format!("LIFELINE{:016X}{:016X}", random(), random());
        self.lame_duck.store(false, Ordering::Release);
        self.up.store(true, Ordering::Release);
        if let Err(error) = patiently(|| self.open()).await {
            self.up.store(false, Ordering::Release);
            return Err(error);
        }
        let housekeeping = super::housekeeping::run(Arc::clone(self));
        self.spawn_until_stop(housekeeping);
        self.fabric.announce();
        Ok(())
    }

    /// Stops everything: the port, the connections and the tasks.
    pub(super) fn stop(&self, how: Close) {
        let was_up = self.up.swap(false, Ordering::AcqRel);
        self.close_door(&mut lock(&self.door));
        self.close_all(how);
        if was_up {
            self.fabric.announce();
        }
        let tasks = std::mem::take(&mut lock(&self.door).tasks);
        for task in tasks {
            task.abort();
        }
    }

    pub(super) fn refuse(self: &Arc<Self>, on: bool) {
        let mut door = lock(&self.door);
        door.refusing = on;
        if on {
            self.close_door(&mut door);
            return;
        }
        drop(door);
        if self.open().is_err() {
            let node = Arc::clone(self);
            self.spawn_until_stop(async move {
                // If that fails, the test finds that nothing listens.
                let _ = patiently(|| node.open()).await;
            });
        }
    }

    pub(super) fn lame_duck(self: &Arc<Self>) {
        if !self.is_up() || self.lame_duck.swap(true, Ordering::AcqRel) {
            return;
        }
        self.close_door(&mut lock(&self.door));
        self.fabric.announce();
        let node = Arc::clone(self);
        self.spawn_until_stop(async move {
            sleep(node.settings.lame_duck_grace).await;
            for connection in node.all() {
                connection.close(Close::Plain);
                // nats-server spreads them over minutes; a test has no use for that.
                sleep(Duration::from_millis(5)).await;
            }
            node.stop(Close::Plain);
        });
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

    /// The settings of a session that begins now.
    pub(super) fn session_settings(&self) -> session::Settings {
        let max_payload = self.max_payload.load(Ordering::Acquire);
        session::Settings { max_payload, ..self.settings.session.clone() }
    }

    fn spawn_until_stop(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.runtime.spawn(task).abort_handle();
        let mut door = lock(&self.door);
        door.tasks.retain(|task| !task.is_finished());
        door.tasks.push(task);
    }

    /// Opens the port, unless it is open or must be closed.
    fn open(self: &Arc<Self>) -> io::Result<()> {
        let mut door = lock(&self.door);
        if door.listener.is_some() || door.refusing || !self.is_up() || self.is_lame_duck() {
            return Ok(());
        }
        let socket = match door.reserved.take() {
            Some(socket) => socket,
            None => reserve(self.addr)?,
        };
        let _runtime = self.runtime.enter();
        door.listener = Some(socket.listen(1024)?);
        let epoch = door.epoch;
        drop(door);
        self.spawn_until_stop(Arc::clone(self).accept(epoch));
        Ok(())
    }

    fn close_door(&self, door: &mut Door) {
        door.epoch += 1;
        if door.listener.take().is_some() {
            // If another process is faster, opening the port is retried.
            door.reserved = reserve(self.addr).ok();
        }
    }

    async fn accept(self: Arc<Self>, epoch: u64) {
        loop {
            self.faults.while_set(&self.faults.no_accept).await;
            let accepted = poll_fn(|cx| {
                let door = lock(&self.door);
                match &door.listener {
                    Some(listener) if door.epoch == epoch => listener.poll_accept(cx).map(Some),
                    _ => Poll::Ready(None),
                }
            });
            match accepted.await {
                None => return,
                Some(Ok((socket, peer))) => {
                    self.faults.while_set(&self.faults.no_accept).await;
                    self.welcome(socket, peer, epoch);
                }
                // Most likely no descriptor is left. Some will be free again.
                Some(Err(_)) => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn welcome(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, epoch: u64) {
        // If it can't be set, small frames are delayed, and that is all.
        let _ = socket.set_nodelay(true);
        // Under this lock, so that nothing is counted or added after the port is closed: the task that
        // closes it must find every connection that came through it.
        let door = lock(&self.door);
        if door.epoch != epoch {
            return;
        }
        self.count_accepted();
        if self.faults.close_on_accept.load(Ordering::Acquire) {
            return;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let connection = Connection::new(Arc::clone(self), id, peer, socket);
        let mut connections = lock(&self.connections);
        let full = connections.len() >= self.max_connections.load(Ordering::Acquire);
        connections.insert(id, Arc::clone(&connection));
        drop(connections);
        drop(door);
        self.changed.notify_waiters();
        let writer = self.runtime.spawn(Arc::clone(&connection).write_out());
        connection.own(writer.abort_handle());
        connection.say(|out| say_info(out, self, &connection, false));
        if full {
            connection.finish(Ending::Says("maximum connections exceeded"));
        } else if self.faults.close_after_info.load(Ordering::Acquire) {
            connection.finish(Ending::Silent);
        } else {
            let reading = Reading::new(Arc::clone(&connection));
            connection.own(self.runtime.spawn(reading.run()).abort_handle());
        }
    }

    fn count_accepted(&self) {
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        let mut times = lock(&self.counters.accept_times);
        if times.len() == ACCEPT_TIMES {
            times.pop_front();
        }
        times.push_back(Instant::now());
    }

    /// All connections, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Connection>> {
        lock(&self.connections).values().map(Arc::clone).collect()
    }

    pub(super) fn each(&self, work: impl Fn(&Connection)) {
        for connection in self.all() {
            work(&connection);
        }
    }

    pub(super) fn remove(&self, id: u64) {
        lock(&self.connections).remove(&id);
        self.changed.notify_waiters();
    }

    pub(super) fn close_all(&self, how: Close) -> usize {
        let connections = self.all();
        for connection in &connections {
            connection.close(how);
        }
        connections.len()
    }

    pub(super) fn push_info(&self) {
        for connection in self.all() {
            if connection.takes_info.load(Ordering::Acquire) {
                connection.say(|out| say_info(out, self, &connection, false));
            }
        }
    }
}

/// Binds the address without listening.
fn reserve(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections from before a restart may linger. On other systems the option would steal the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

/// Retries while the port is busy, for 10 seconds at most.
async fn patiently<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
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
