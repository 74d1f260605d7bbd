//! The far end of a receiving benchmark: it sends messages that were encoded before.

use super::threads::{INFO, Threads};
use crate::protocol::{ClientOp, Decoded, Decoder, HeaderMap, message};
use bytes::Bytes;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// The approximate size of a write, in bytes: whole frames, and at least one.
const BLOCK: usize = 256 << 10;

/// A server that answers every SUB with a number of equal messages, as fast as the client reads
/// them.
///
/// They have the subject of the SUB, unchanged. PINGs are answered between two blocks of messages of
/// about 256 KiB, UNSUB ends the messages of its subscription, and published messages are discarded.
/// It runs on its own threads, not on the runtime of the client under test, and stops when dropped.
///
/// ```
/// use nats_lifeline::testing::Source;
/// use std::io::{Read, Write};
///
/// let source = Source::start(1_000, 16)?;
/// let mut client = std::net::TcpStream::connect(source.addr())?;
/// client.write_all(b"CONNECT {}\r\nSUB a 1\r\nPING\r\n")?;
/// let mut received = Vec::new();
/// while !received.ends_with(b"PONG\r\n") {
///     let mut byte = [0];
///     client.read_exact(&mut byte)?;
///     received.extend_from_slice(&byte);
/// }
/// let messages = received.windows(8).filter(|bytes| bytes == b"MSG a 1 ").count();
/// assert_eq!(messages, 1_000);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it stops it"]
pub struct Source {
    threads: Threads,
    sent: Arc<AtomicU64>,
}

impl Source {
    /// Starts it on a free port of 127.0.0.1, with `messages` for each SUB, of `payload` bytes each.
    ///
    /// # Errors
    ///
    /// When no port is free or no thread can be started.
    pub fn start(messages: u64, payload: usize) -> io::Result<Self> {
        Self::start_with_headers(messages, payload, &HeaderMap::new())
    }

    /// As [`start`](Self::start), with these headers in each message; none if the map is empty.
    ///
    /// # Errors
    ///
    /// When no port is free or no thread can be started.
    pub fn start_with_headers(messages: u64, payload: usize, headers: &HeaderMap) -> io::Result<Self> {
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let headers = (!headers.is_empty()).then(|| headers.wire());
        let load = Load { messages, payload, headers };
        let threads = Threads::start("source", move |socket| serve(socket, &load, &counter))?;
        Ok(Self { threads, sent })
    }

    /// `nats://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.threads.addr)
    }

    /// The address that it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.threads.addr
    }

    /// The number of messages that the system has accepted for sending, over all subscriptions.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }
}

/// Orders from the reading thread to the writing one.
enum Order {
    Pong,
    Begin { subject: Vec<u8>, sid: u64 },
    End { sid: u64 },
}

/// The messages of each subscription.
#[derive(Debug, Clone)]
struct Load {
    messages: u64,
    /// Bytes.
    payload: usize,
    headers: Option<Bytes>,
}

fn serve(mut socket: TcpStream, load: &Load, sent: &Arc<AtomicU64>) -> io::Result<()> {
    socket.write_all(format!("INFO {INFO} \r\n").as_bytes())?;
    let (orders, taken) = channel();
    let mut writing = Writing { socket: socket.try_clone()?, load: load.clone(), sent: Arc::clone(sent) };
    let writer = thread::Builder::new().name("source-out".to_owned()).spawn(move || {
        // It ends with the connection, whichever of the two ends first.
        let _ = writing.follow(&taken);
        let _ = writing.socket.shutdown(Shutdown::Both);
    })?;
    let result = listen(&mut socket, &orders);
    drop(orders);
    let _ = socket.shutdown(Shutdown::Both);
    let _ = writer.join();
    result
}

fn listen(socket: &mut TcpStream, orders: &Sender<Order>) -> io::Result<()> {
    let mut decoder = Decoder::default();
    let mut received = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let got = match socket.read(&mut piece)? {
            0 => return Ok(()),
            got => got,
        };
        received.extend_from_slice(piece.get(..got).unwrap_or_default());
        let mut used = 0;
        loop {
            let bytes = received.get(used..).unwrap_or_default();
            let decoded = decoder.decode_client(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
            let Decoded::Op { op, len } = decoded else {
                break;
            };
            used += len;
            let order = match op {
                ClientOp::Ping => Order::Pong,
                ClientOp::Sub { subject, sid, .. } => Order::Begin { subject: subject.to_vec(), sid },
                ClientOp::Unsub { sid, max: None } => Order::End { sid },
                _ => continue,
            };
            orders.send(order).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        received.drain(..used);
    }
}

struct Writing {
    socket: TcpStream,
    load: Load,
    sent: Arc<AtomicU64>,
}

/// A subscription that has not been sent all of its messages.
struct Blast {
    sid: u64,
    left: u64,
    block: Vec<u8>,
    frame: usize,
}

impl Writing {
    /// Orders come first; between them, one block for each subscription in turn.
    fn follow(&mut self, orders: &Receiver<Order>) -> io::Result<()> {
        let mut blasts: Vec<Blast> = Vec::new();
        loop {
            let order = if blasts.is_empty() {
                match orders.recv() {
                    Ok(order) => Some(order),
                    Err(_) => return Ok(()),
                }
            } else {
                orders.try_recv().ok()
            };
            match order {
                Some(Order::Pong) => {
                    // A PONG means that what was ordered before it is on its way.
                    self.round(&mut blasts)?;
                    self.socket.write_all(b"PONG\r\n")?;
                }
                Some(Order::Begin { subject, sid }) => blasts.push(self.blast(&subject, sid)),
                Some(Order::End { sid }) => blasts.retain(|blast| blast.sid != sid),
                None => self.round(&mut blasts)?,
            }
        }
    }

    fn blast(&self, subject: &[u8], sid: u64) -> Blast {
        let mut block = Vec::new();
        let Load { messages, payload, headers } = &self.load;
        let payload = vec![b'x'; *payload];
        message(&mut block, subject, sid, None, headers.as_deref(), &payload);
        let frame = block.len();
        let frames = (BLOCK / frame).max(1);
        let block = block.repeat(frames);
        Blast { sid, left: *messages, block, frame }
    }

    fn round(&mut self, blasts: &mut Vec<Blast>) -> io::Result<()> {
        for blast in blasts.iter_mut() {
            let whole = (blast.block.len() / blast.frame) as u64;
            let frames = whole.min(blast.left);
            let end = usize::try_from(frames).map_or(blast.block.len(), |frames| frames * blast.frame);
            self.socket.write_all(blast.block.get(..end).unwrap_or_default())?;
            blast.left -= frames;
            self.sent.fetch_add(frames, Ordering::Release);
        }
        blasts.retain(|blast| blast.left > 0);
        Ok(())
    }
}
