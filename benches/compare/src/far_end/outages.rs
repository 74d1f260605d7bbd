//! Servers that close their connections, and time what the client does then.

use crate::Failure;
use crate::frames::info;
use memchr::memchr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A read ends after this time without bytes, to look whether there is something else to do.
const LOOK: Duration = Duration::from_millis(5);

/// A connection's life before it is closed. In `replay` what the client waits for afterwards does not count.
const SHORT_LIFE: Duration = Duration::from_millis(150);

/// In `failover` it does. A server that loses every connection within a second looks broken to nats-lifeline, which then
/// avoids it for a while.
const LIFE: Duration = Duration::from_millis(1_100);

/// What the thread is to do.
const WAIT: u8 = 0;
const BEGIN: u8 = 1;
const END: u8 = 2;

type Times = Result<Vec<u64>, String>;

pub(crate) struct Outages {
    servers: Vec<SocketAddr>,
    phase: Arc<AtomicU8>,
    times: Receiver<Times>,
}

impl Outages {
    /// One server, which closes the connection `number` times. A time is from the accepted connection to the last one of
    /// the subscriptions.
    pub(crate) fn replay(number: u64, subscriptions: u64) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Self::start(vec![listener.local_addr()?], move |phase, serving| {
            *serving = Some(Session::accept(&listener)?);
            let mut times = Vec::new();
            let session = serving.as_mut().ok_or(ErrorKind::NotConnected)?;
            session.serve(|_| phase.load(Ordering::Acquire) != WAIT)?;
            for _ in 0..number {
                session.live(SHORT_LIFE)?;
                session.close();
                let (socket, _) = listener.accept()?;
                let began = Instant::now();
                *session = Session::greet(socket)?;
                session.serve(|session| session.subscriptions >= subscriptions)?;
                times.push(began.elapsed().as_nanos() as u64);
            }
            Ok(times)
        })
    }

    /// Two servers; the one with the client dies, `number` times. A time is from then to the first message at the other.
    pub(crate) fn failover(number: u64) -> Result<Self, Failure> {
        let listeners = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
        let addrs = [listeners[0].local_addr()?, listeners[1].local_addr()?];
        let mut listeners = listeners.map(Some);
        Self::start(addrs.to_vec(), move |phase, serving| {
            let (mut at, session) = either(&listeners)?;
            let session = serving.insert(session);
            session.serve(|_| phase.load(Ordering::Acquire) != WAIT)?;
            let mut times = Vec::new();
            for _ in 0..number {
                session.live(LIFE)?;
                let next = 1 - at;
                let began = Instant::now();
                // Nothing listens there until the client is at the other server.
                listeners[at] = None;
                session.close();
                *session = Session::accept(listeners[next].as_ref().ok_or(ErrorKind::NotConnected)?)?;
                session.serve(|session| session.messages > 0)?;
                times.push(began.elapsed().as_nanos() as u64);
                listeners[at] = Some(TcpListener::bind(addrs[at])?);
                at = next;
            }
            Ok(times)
        })
    }

    fn start(
        servers: Vec<SocketAddr>,
        script: impl FnOnce(&AtomicU8, &mut Option<Session>) -> io::Result<Vec<u64>> + Send + 'static,
    ) -> Result<Self, Failure> {
        let phase = Arc::new(AtomicU8::new(WAIT));
        let (result, times) = channel();
        let own = Arc::clone(&phase);
        thread::Builder::new().name("outages".to_owned()).spawn(move || {
            let mut serving = None;
            let done = script(&own, &mut serving).map_err(|error| format!("far end: {error}"));
            let _ = result.send(done);
            // The client stays connected until it ends.
            if let Some(session) = &mut serving {
                let _ = session.serve(|_| own.load(Ordering::Acquire) == END);
            }
        })?;
        Ok(Self { servers, phase, times })
    }

    pub(crate) fn servers(&self) -> Vec<String> {
        self.servers.iter().map(SocketAddr::to_string).collect()
    }

    pub(crate) fn happen(&self, patience: Duration) -> Result<Vec<u64>, Failure> {
        self.phase.store(BEGIN, Ordering::Release);
        Ok(self.times.recv_timeout(patience)??)
    }
}

impl Drop for Outages {
    fn drop(&mut self) {
        self.phase.store(END, Ordering::Release);
    }
}

/// The server that the client chose, and the session there.
fn either(listeners: &[Option<TcpListener>; 2]) -> io::Result<(usize, Session)> {
    for listener in listeners.iter().flatten() {
        listener.set_nonblocking(true)?;
    }
    let (at, socket) = loop {
        let accepted =
            listeners.iter().enumerate().find_map(|(at, listener)| Some((at, listener.as_ref()?.accept().ok()?)));
        match accepted {
            Some((at, (socket, _))) => break (at, socket),
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    for listener in listeners.iter().flatten() {
        listener.set_nonblocking(false)?;
    }
    socket.set_nonblocking(false)?;
    Ok((at, Session::greet(socket)?))
}

/// A connection: PINGs are answered, SUBs and messages are counted.
struct Session {
    socket: TcpStream,
    buf: Vec<u8>,
    filled: usize,
    subscriptions: u64,
    messages: u64,
}

impl Session {
    fn accept(listener: &TcpListener) -> io::Result<Self> {
        Self::greet(listener.accept()?.0)
    }

    fn greet(mut socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LOOK))?;
        socket.write_all(info(false).as_bytes())?;
        Ok(Self { socket, buf: vec![0; 256 << 10], filled: 0, subscriptions: 0, messages: 0 })
    }

    fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn live(&mut self, time: Duration) -> io::Result<()> {
        let began = Instant::now();
        self.serve(|_| began.elapsed() > time)
    }

    fn serve(&mut self, enough: impl Fn(&Self) -> bool) -> io::Result<()> {
        while !enough(self) {
            match self.socket.read(&mut self.buf[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(got) => self.filled += got,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(error) => return Err(error),
            }
            let mut used = 0;
            while let Some(len) = self.next(used)? {
                used += len;
            }
            self.buf.copy_within(used..self.filled, 0);
            self.filled -= used;
        }
        Ok(())
    }

    /// Reads one operation; `None` if it has not arrived completely.
    fn next(&mut self, at: usize) -> io::Result<Option<usize>> {
        let bytes = &self.buf[at..self.filled];
        let Some(end) = memchr(b'\n', bytes) else { return Ok(None) };
        let mut len = end + 1;
        match bytes {
            [b'P', b'I', ..] => self.socket.write_all(b"PONG\r\n")?,
            [b'S', ..] => self.subscriptions += 1,
            [b'P', b'U', ..] | [b'H', ..] => {
                let line = bytes[..end].trim_ascii_end();
                let size = line.rsplit(|byte| *byte == b' ').next().and_then(|size| std::str::from_utf8(size).ok());
                let size: usize = size.and_then(|size| size.parse().ok()).ok_or(ErrorKind::InvalidData)?;
                len += size + 2;
                if bytes.len() < len {
                    return Ok(None);
                }
                self.messages += 1;
            }
            _ => {}
        }
        Ok(Some(len))
    }
}
