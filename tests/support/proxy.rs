//! A byte-precise fault proxy between a client and a server, switchable while it runs.

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::ports::Ports;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Orderly, in both directions.
    Fin,
    /// With a reset, in both directions.
    Rst,
}

/// What the proxy does to one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    frozen: bool,
    bytes_per_second: Option<u64>,
    one_byte_writes: bool,
    cut_at: Option<(u64, Cut)>,
}

/// What the proxy does to new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    /// Nobody listens.
    Refusing,
    /// Accepts, and neither reads nor writes.
    Silent,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    door: Door,
    to_server: Faults,
    to_client: Faults,
    /// Raised to end all connections of this moment.
    cuts: u64,
    cut_how: Cut,
    target: u16,
}

impl Settings {
    fn faults(&self, direction: Direction) -> &Faults {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

/// One connection that came through.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    pub(crate) accepted: Instant,
    pub(crate) to_server: u64,
    pub(crate) to_client: u64,
    pub(crate) open: bool,
    /// Everything that the client sent and the proxy passed on.
    pub(crate) sent: Vec<u8>,
}

impl Passage {
    /// What the client sent, line by line; payloads are lines of their own.
    pub(crate) fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.sent)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

pub(crate) struct Proxy {
    ports: Ports,
    settings: watch::Sender<Settings>,
    passages: Arc<Mutex<Vec<Passage>>>,
    listening: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Forwards to that port of this machine.
    pub(crate) async fn start(target: u16) -> Proxy {
        let ports = Ports::reserve();
        let initial = Settings {
            door: Door::Open,
            to_server: Faults::default(),
            to_client: Faults::default(),
            cuts: 0,
            cut_how: Cut::Rst,
            target,
        };
        let (settings, seen) = watch::channel(initial);
        let (say, listening) = watch::channel(false);
        let passages = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(ports.client(), seen, say, Arc::clone(&passages)));
        let proxy = Proxy {
            ports,
            settings,
            passages,
            listening,
            task,
        };
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

    /// Ends every connection that is open now.
    pub(crate) fn cut(&self, how: Cut) {
        self.settings.send_modify(|settings| {
            settings.cuts += 1;
            settings.cut_how = how;
        });
    }

    /// Ends each connection, those of the future too, when exactly `bytes` have passed in that direction.
    pub(crate) fn cut_at(&self, direction: Direction, bytes: u64, how: Cut) {
        self.change(direction, |faults| faults.cut_at = Some((bytes, how)));
    }

    /// Takes [`Proxy::cut_at`] back.
    pub(crate) fn uncut(&self, direction: Direction) {
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
        self.change(direction, |faults| {
            faults.bytes_per_second = bytes_per_second
        });
    }

    /// Every byte a write of its own.
    pub(crate) fn one_byte_writes(&self, direction: Direction, on: bool) {
        self.change(direction, |faults| faults.one_byte_writes = on);
    }

    /// Closes the listener: connecting is refused until [`Proxy::admit`].
    pub(crate) async fn refuse(&self) {
        self.settings
            .send_modify(|settings| settings.door = Door::Refusing);
        self.listens(false).await;
    }

    /// Accepts connections and leaves them without a word until [`Proxy::admit`].
    pub(crate) fn silence(&self) {
        self.settings
            .send_modify(|settings| settings.door = Door::Silent);
    }

    pub(crate) async fn admit(&self) {
        self.settings
            .send_modify(|settings| settings.door = Door::Open);
        self.listens(true).await;
    }

    /// Every connection so far, in the order in which they came.
    pub(crate) fn passages(&self) -> Vec<Passage> {
        self.passages.lock().unwrap().clone()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.passages.lock().unwrap().len()
    }

    pub(crate) fn open(&self) -> usize {
        self.passages
            .lock()
            .unwrap()
            .iter()
            .filter(|passage| passage.open)
            .count()
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
        self.settings.send_modify(|settings| match direction {
            Direction::ToServer => change(&mut settings.to_server),
            Direction::ToClient => change(&mut settings.to_client),
        });
    }

    async fn listens(&self, wanted: bool) {
        self.listening
            .clone()
            .wait_for(|now| *now == wanted)
            .await
            .expect("the proxy runs");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes connections while the door allows it. Dropping the set ends them all.
async fn accept(
    port: u16,
    mut settings: watch::Receiver<Settings>,
    say: watch::Sender<bool>,
    passages: Arc<Mutex<Vec<Passage>>>,
) {
    let mut connections = JoinSet::new();
    loop {
        if settings.borrow_and_update().door == Door::Refusing {
            say.send_replace(false);
            if settings.changed().await.is_err() {
                return;
            }
            continue;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .expect("a reserved port");
        say.send_replace(true);
        while settings.borrow_and_update().door != Door::Refusing {
            tokio::select! {
                changed = settings.changed() => if changed.is_err() { return },
                accepted = listener.accept() => if let Ok((client, _)) = accepted {
                    let number = {
                        let mut passages = passages.lock().unwrap();
                        passages.push(Passage { accepted: Instant::now(), to_server: 0, to_client: 0, open: true, sent: Vec::new() });
                        passages.len() - 1
                    };
                    connections.spawn(connection(client, settings.clone(), Arc::clone(&passages), number));
                }
            }
        }
    }
}

/// Carries one connection to its end.
async fn connection(
    mut client: TcpStream,
    mut settings: watch::Receiver<Settings>,
    passages: Arc<Mutex<Vec<Passage>>>,
    number: usize,
) {
    let now = *settings.borrow_and_update();
    if now.door == Door::Silent {
        // Held open, without a word, until it is cut or the proxy is dropped.
        while settings.borrow_and_update().cuts == now.cuts {
            if settings.changed().await.is_err() {
                break;
            }
        }
    } else if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, now.target)).await {
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let end = {
            let (client_reads, client_writes) = client.split();
            let (server_reads, server_writes) = server.split();
            let count = |direction, bytes: &[u8]| {
                let passage = &mut passages.lock().unwrap()[number];
                match direction {
                    Direction::ToServer => {
                        passage.to_server += bytes.len() as u64;
                        passage.sent.extend_from_slice(bytes);
                    }
                    Direction::ToClient => passage.to_client += bytes.len() as u64,
                }
            };
            let up = pump(
                Direction::ToServer,
                client_reads,
                server_writes,
                settings.clone(),
                now.cuts,
                &count,
            );
            let down = pump(
                Direction::ToClient,
                server_reads,
                client_writes,
                settings.clone(),
                now.cuts,
                &count,
            );
            tokio::try_join!(up, down).err()
        };
        match end {
            Some(Cut::Rst) => {
                let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
                let _ = SockRef::from(&server).set_linger(Some(Duration::ZERO));
            }
            Some(Cut::Fin) => {
                passages.lock().unwrap()[number].open = false;
                let _ = tokio::join!(client.shutdown(), server.shutdown());
                // Unread bytes in a socket that is closed would turn its FIN into a RST.
                let rest = async { tokio::join!(discard(&mut client), discard(&mut server)) };
                let _ = tokio::time::timeout(Duration::from_secs(1), rest).await;
            }
            None => {}
        }
    } else {
        // A proxy in front of a dead server: the client sees a reset instead of a refusal.
        let _ = SockRef::from(&client).set_linger(Some(Duration::ZERO));
    }
    passages.lock().unwrap()[number].open = false;
}

/// Moves bytes one way. Ok at the end of the stream, which it passes on; Err when the connection is to be cut.
async fn pump(
    direction: Direction,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut settings: watch::Receiver<Settings>,
    cuts: u64,
    count: &impl Fn(Direction, &[u8]),
) -> Result<(), Cut> {
    let mut buffer = vec![0; 64 * 1024];
    let mut passed = 0_u64;
    loop {
        let now = *settings.borrow_and_update();
        let faults = *now.faults(direction);
        if now.cuts != cuts {
            return Err(now.cut_how);
        }
        let mut room = buffer.len();
        if let Some((at, how)) = faults.cut_at {
            if passed >= at {
                return Err(how);
            }
            room = room.min(usize::try_from(at - passed).unwrap_or(usize::MAX));
        }
        if let Some(rate) = faults.bytes_per_second {
            room = room.min(usize::try_from(rate / 50).unwrap_or(usize::MAX).max(1));
        }
        if faults.frozen {
            let _ = settings.changed().await;
            continue;
        }
        let read = tokio::select! {
            changed = settings.changed() => {
                if changed.is_err() {
                    return Err(Cut::Rst);
                }
                continue;
            }
            read = from.read(&mut buffer[..room]) => read,
        };
        let bytes = match read {
            Ok(0) => {
                let _ = to.shutdown().await;
                return Ok(());
            }
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(Cut::Rst),
            Err(_) => return Err(Cut::Fin),
        };
        let mut left = bytes;
        while !left.is_empty() {
            let piece = if faults.one_byte_writes {
                &left[..1]
            } else {
                left
            };
            let written = tokio::select! {
                biased;
                how = told_to_cut(&mut settings, cuts) => return Err(how),
                written = to.write(piece) => written,
            };
            match written {
                Ok(written) => {
                    count(direction, &left[..written]);
                    left = &left[written..];
                }
                Err(_) => return Err(Cut::Rst),
            }
            if faults.one_byte_writes {
                tokio::task::yield_now().await;
            }
        }
        passed += bytes.len() as u64;
        if let Some(rate) = faults.bytes_per_second {
            tokio::time::sleep(Duration::from_secs_f64(bytes.len() as f64 / rate as f64)).await;
        }
    }
}

/// Ready when this connection is told to end, also while a write is stuck.
async fn told_to_cut(settings: &mut watch::Receiver<Settings>, cuts: u64) -> Cut {
    match settings.wait_for(|settings| settings.cuts != cuts).await {
        Ok(settings) => settings.cut_how,
        Err(_) => Cut::Rst,
    }
}

async fn discard(stream: &mut TcpStream) {
    let mut sink = [0; 16 * 1024];
    while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
}
