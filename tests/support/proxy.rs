//! A byte-precise fault proxy between a client and a server, controlled while it runs.

mod carry;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use tokio::{sync::watch, task::JoinHandle};

use super::ports::Ports;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

/// How to end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Orderly, in both directions.
    Fin,
    /// With a reset, in both directions.
    Rst,
}

/// The proxy's action in one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    frozen: bool,
    bytes_per_second: Option<u64>,
    one_byte_writes: bool,
    cut_at: Option<(u64, Cut)>,
}

/// The proxy's action on new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    /// The port is closed.
    Refusing,
    /// Accepts, but neither reads nor writes.
    Silent,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    door: Door,
    to_server: Faults,
    to_client: Faults,
    /// Incremented to end all current connections.
    cuts: u64,
    cut_how: Cut,
    /// Incremented to end one direction of all current connections.
    hang_ups: u64,
    target: u16,
    /// Keep the client's bytes, for tests to read.
    recording: bool,
    /// A new connection ends earlier ones.
    one_at_a_time: bool,
    /// Read few bytes ahead of those that are passed on.
    narrow: bool,
}

impl Settings {
    fn faults(&self, direction: Direction) -> &Faults {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn faults_mut(&mut self, direction: Direction) -> &mut Faults {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// One connection through the proxy.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    pub(crate) accepted: Instant,
    pub(crate) to_server: u64,
    pub(crate) to_client: u64,
    pub(crate) open: bool,
    /// Everything from the client that the proxy passed on.
    pub(crate) sent: Vec<u8>,
}

impl Passage {
    /// The client's bytes, line by line; payloads are separate lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.sent).lines().map(str::to_owned).collect()
    }
}

/// Gets a copy of the bytes from the client of one connection.
pub(crate) type Reader = Box<dyn FnMut(&[u8]) + Send>;

/// Makes a reader for each connection, in order of arrival.
pub(crate) type Watch = Arc<dyn Fn() -> Reader + Send + Sync>;

pub(crate) struct Proxy {
    ports: Ports,
    settings: Arc<watch::Sender<Settings>>,
    passages: Arc<Mutex<Vec<Passage>>>,
    listening: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Forwards to that port on this machine.
    pub(crate) async fn start(target: u16) -> Proxy {
        Proxy::start_watched(target, Arc::new(|| Box::new(|_| {}))).await
    }

    /// The same, with readers of the client's bytes.
    pub(crate) async fn start_watched(target: u16, watch: Watch) -> Proxy {
        let ports = Ports::reserve();
        let initial = Settings {
            door: Door::Open,
            to_server: Faults::default(),
            to_client: Faults::default(),
            cuts: 0,
            cut_how: Cut::Rst,
            hang_ups: 0,
            target,
            recording: true,
            one_at_a_time: false,
            narrow: false,
        };
        let settings = Arc::new(watch::Sender::new(initial));
        let (say, listening) = watch::channel(false);
        let passages = Arc::new(Mutex::new(Vec::new()));
        let task =
            tokio::spawn(carry::accept(ports.client(), Arc::clone(&settings), say, Arc::clone(&passages), watch));
        let proxy = Proxy { ports, settings, passages, listening, task };
        proxy.listens(true).await;
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports.client()
    }

    /// New connections go to another server.
    pub(crate) fn target(&self, port: u16) {
        self.settings.send_modify(|settings| settings.target = port);
    }

    /// Keeps no bytes from now on, so that it can run for hours.
    pub(crate) fn forget(&self) {
        self.settings.send_modify(|settings| settings.recording = false);
    }

    /// A client that dials has left its last connection: from now on, bytes of that connection that the proxy still
    /// buffers are discarded before the new connection reaches the server. A network that delivers late would be
    /// another test.
    pub(crate) fn one_at_a_time(&self) {
        self.settings.send_modify(|settings| settings.one_at_a_time = true);
    }

    /// From now on the kernel buffers little for the proxy, so that the client soon notices when the proxy stops: its
    /// writes are taken in part or not at all. (At least a packet of the loopback interface: less would be a slow
    /// line.)
    pub(crate) fn narrow(&self) {
        self.settings.send_modify(|settings| settings.narrow = true);
    }

    /// Ends every current connection.
    pub(crate) fn cut(&self, how: Cut) {
        self.settings.send_modify(|settings| {
            settings.cuts += 1;
            settings.cut_how = how;
        });
    }

    /// Ends the servers' direction of all current connections, and still passes on what clients have
    /// sent: bytes that were in flight when a connection ended do arrive.
    pub(crate) fn hang_up(&self) {
        self.settings.send_modify(|settings| settings.hang_ups += 1);
    }

    /// Ends the first connection on which `bytes` have passed in that direction, at exactly that byte. Once.
    pub(crate) fn cut_at(&self, direction: Direction, bytes: u64, how: Cut) {
        self.change(direction, |faults| faults.cut_at = Some((bytes, how)));
    }

    /// Cancels a [`Proxy::cut_at`] that has not happened yet.
    pub(crate) fn never_cut(&self, direction: Direction) {
        self.change(direction, |faults| faults.cut_at = None);
    }

    /// Passes nothing on any more; the kernels' buffers fill up.
    pub(crate) fn freeze(&self, direction: Direction) {
        self.change(direction, |faults| faults.frozen = true);
    }

    pub(crate) fn unfreeze(&self, direction: Direction) {
        self.change(direction, |faults| faults.frozen = false);
    }

    pub(crate) fn throttle(&self, direction: Direction, bytes_per_second: Option<u64>) {
        self.change(direction, |faults| faults.bytes_per_second = bytes_per_second);
    }

    /// Writes each byte separately.
    pub(crate) fn one_byte_writes(&self, direction: Direction, on: bool) {
        self.change(direction, |faults| faults.one_byte_writes = on);
    }

    /// Closes the listener: connecting is refused until [`Proxy::admit`].
    pub(crate) async fn refuse(&self) {
        self.settings.send_modify(|settings| settings.door = Door::Refusing);
        self.listens(false).await;
    }

    /// Accepts connections and sends nothing on them until [`Proxy::admit`].
    pub(crate) fn silence(&self) {
        self.settings.send_modify(|settings| settings.door = Door::Silent);
    }

    pub(crate) async fn admit(&self) {
        self.settings.send_modify(|settings| settings.door = Door::Open);
        self.listens(true).await;
    }

    /// Every connection so far, in order of arrival.
    pub(crate) fn passages(&self) -> Vec<Passage> {
        self.passages.lock().unwrap().clone()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.passages.lock().unwrap().len()
    }

    pub(crate) fn open(&self) -> usize {
        self.passages.lock().unwrap().iter().filter(|passage| passage.open).count()
    }

    /// Bytes passed on by the latest connection.
    pub(crate) fn passed(&self, direction: Direction) -> u64 {
        let passages = self.passages.lock().unwrap();
        passages.last().map_or(0, |passage| match direction {
            Direction::ToServer => passage.to_server,
            Direction::ToClient => passage.to_client,
        })
    }

    fn change(&self, direction: Direction, change: impl FnOnce(&mut Faults)) {
        self.settings.send_modify(|settings| change(settings.faults_mut(direction)));
    }

    async fn listens(&self, wanted: bool) {
        self.listening.clone().wait_for(|now| *now == wanted).await.expect("the proxy runs");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
