//! The far end of a publishing benchmark: it counts messages and discards them.

use super::threads::{INFO, Threads};
use memchr::memchr;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The size of a read, in bytes.
const BUFFER: usize = 1 << 20;

/// A server that discards everything published to it, as fast as it can.
///
/// It sends INFO, finds the end of each frame, counts messages, and answers PINGs in order, so that
/// a flush confirms the messages before it. It ignores subscriptions. It runs on its own threads, not
/// on the runtime of the client under test, and stops when dropped.
///
/// ```
/// use nats_lifeline::testing::Sink;
/// use std::io::{Read, Write};
///
/// let sink = Sink::start()?;
/// let mut client = std::net::TcpStream::connect(sink.addr())?;
/// client.write_all(b"CONNECT {}\r\nPUB a 2\r\nhi\r\nPING\r\n")?;
/// let mut received = Vec::new();
/// while !received.ends_with(b"PONG\r\n") {
///     let mut byte = [0];
///     client.read_exact(&mut byte)?;
///     received.extend_from_slice(&byte);
/// }
/// assert_eq!(sink.messages(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it stops it"]
pub struct Sink {
    threads: Threads,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Sink {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no port is free or no thread can be started.
    pub fn start() -> io::Result<Self> {
        let counts = Arc::new(Counts::default());
        let for_threads = Arc::clone(&counts);
        let threads = Threads::start("sink", move |socket| swallow(socket, &for_threads))?;
        Ok(Self { threads, counts })
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

    /// The number of messages received. It is up to date before each PONG. A message counts when its
    /// control line has been read.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.counts.messages.load(Ordering::Acquire)
    }

    /// The number of bytes received, of all operations.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Acquire)
    }
}

/// One connection, until it ends or sends something invalid.
fn swallow(mut socket: TcpStream, counts: &Counts) -> io::Result<()> {
    socket.write_all(format!("INFO {INFO} \r\n").as_bytes())?;
    let mut buf = vec![0; BUFFER];
    let mut filled = 0;
    let mut scan = Scan::default();
    let mut answers = Vec::new();
    loop {
        let got = match socket.read(buf.get_mut(filled..).unwrap_or_default())? {
            0 => return Ok(()),
            got => got,
        };
        filled += got;
        let bytes = buf.get(..filled).unwrap_or_default();
        let used = scan.skim(bytes, &mut answers);
        buf.copy_within(used..filled, 0);
        filled -= used;
        counts.messages.fetch_add(std::mem::take(&mut scan.messages), Ordering::Release);
        counts.bytes.fetch_add(got as u64, Ordering::Release);
        if !answers.is_empty() {
            socket.write_all(&answers)?;
            answers.clear();
        }
        if scan.broken || filled == buf.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// Finds the ends of frames and checks nothing else.
#[derive(Debug, Default)]
struct Scan {
    messages: u64,
    /// Bytes of a body, CR LF included, that have not arrived.
    skip: usize,
    /// The last control line of a PUB or HPUB with its line end, and the size of its body with CR
    /// LF. Most programs publish the same subject and size many times; comparing is cheaper than
    /// reading.
    last_line: Vec<u8>,
    last_size: usize,
    broken: bool,
}

impl Scan {
    /// Returns the number of bytes that it is done with.
    fn skim(&mut self, bytes: &[u8], answers: &mut Vec<u8>) -> usize {
        let mut at = self.skip.min(bytes.len());
        self.skip -= at;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if !self.last_line.is_empty() && rest.starts_with(&self.last_line) {
                at += self.last_line.len() + self.body(rest, self.last_line.len());
                continue;
            }
            let Some(end) = memchr(b'\n', rest) else {
                break;
            };
            let (line, _) = rest.split_at(end + 1);
            match line {
                [b'P' | b'p', b'U' | b'u', ..] | [b'H' | b'h', ..] => {
                    let Some(size) = size(line) else {
                        self.broken = true;
                        return at;
                    };
                    self.last_line.clear();
                    self.last_line.extend_from_slice(line);
                    self.last_size = size + 2;
                    at += line.len() + self.body(rest, line.len());
                    continue;
                }
                [b'P' | b'p', b'I' | b'i', ..] => answers.extend_from_slice(b"PONG\r\n"),
                _ => {}
            }
            at += line.len();
        }
        at
    }

    /// How much of the body has arrived; the rest is skipped later.
    #[inline]
    fn body(&mut self, rest: &[u8], line: usize) -> usize {
        self.messages += 1;
        let there = rest.len() - line;
        if there < self.last_size {
            self.skip = self.last_size - there;
            return there;
        }
        // The frame must end where its control line says, or the counts would be wrong.
        let end = line + self.last_size;
        if rest.get(end - 2..end) != Some(b"\r\n") {
            self.broken = true;
            // Nothing more is checked.
            return there;
        }
        self.last_size
    }
}

/// The number at the end of a control line.
fn size(line: &[u8]) -> Option<usize> {
    let line = line.trim_ascii_end();
    let start = line.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    std::str::from_utf8(line.get(start..)?).ok()?.parse().ok()
}
