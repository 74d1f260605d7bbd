//! The upper bound: the same bytes over a blocking socket, encoded in advance or not decoded at all.

use crate::Failure;
use crate::child::{Done, Job};
use crate::workload::{Headers, LAST, Needs, SERVICE, SUBJECT, Work, frame};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// How much is written or read at a time, in bytes: as much as nats-lifeline writes under load, or more.
const BLOCK: usize = 1 << 20;

const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";

/// A socket after CONNECT.
pub(crate) struct Connection {
    socket: TcpStream,
    /// The bytes that are written repeatedly, and the number of messages in them.
    block: Vec<u8>,
    per_block: u64,
}

impl Connection {
    pub(crate) fn open(job: &Job) -> Result<Self, Failure> {
        let mut socket = hello(&job.addr)?;
        let (mut block, mut per_block) = (Vec::new(), 0);
        if let Work::Publish { headers, .. } = job.workload.work {
            let one = frame(SUBJECT, headers, &vec![b'x'; job.workload.payload]);
            per_block = (BLOCK / one.len()).max(1) as u64;
            block = one.repeat(per_block as usize);
        }
        round_trip(&mut socket, b"PING\r\n")?;
        Ok(Self { socket, block, per_block })
    }

    pub(crate) fn work(&mut self, job: &Job) -> Result<Done, Failure> {
        match job.workload.work {
            Work::Publish { .. } => self.blast(job),
            Work::Subscribe => self.swallow(job),
            Work::Request { .. } => self.ask(job),
            Work::Loop => Err("no raw sockets for this".into()),
        }
    }

    fn blast(&mut self, job: &Job) -> Result<Done, Failure> {
        let one = self.block.len() / self.per_block as usize;
        let mut left = job.messages;
        while left > 0 {
            let frames = left.min(self.per_block);
            self.socket.write_all(&self.block[..frames as usize * one])?;
            left -= frames;
        }
        if job.workload.far_end == Needs::Server {
            self.socket.write_all(&frame(LAST, Headers::No, b""))?;
        }
        Ok(Done::default())
    }

    fn swallow(&mut self, job: &Job) -> Result<Done, Failure> {
        let one = format!("MSG {SUBJECT} 1 {}\r\n\r\n", job.workload.payload).len() + job.workload.payload;
        let mut left = one as u64 * job.messages;
        let mut buf = vec![0; BLOCK];
        self.socket.write_all(format!("SUB {SUBJECT} 1\r\n").as_bytes())?;
        while left > 0 {
            let got = self.socket.read(&mut buf)?;
            if got == 0 {
                return Err("the source is gone".into());
            }
            left = left.saturating_sub(got as u64);
        }
        Ok(Done::default())
    }

    fn ask(&mut self, job: &Job) -> Result<Done, Failure> {
        let payload = "x".repeat(job.workload.payload);
        let question = format!("PUB {SERVICE} _INBOX.raw.1 {}\r\n{payload}\r\n", payload.len());
        self.socket.write_all(b"SUB _INBOX.raw.* 1\r\n")?;
        round_trip(&mut self.socket, b"PING\r\n")?;
        let mut round_trips = Vec::with_capacity(job.messages as usize);
        for _ in 0..job.messages {
            let began = Instant::now();
            self.socket.write_all(question.as_bytes())?;
            let mut read = 0;
            let mut buf = [0; 512];
            // One answer is in flight, with a payload of the same size.
            while !buf[..read].ends_with(format!("\r\n{payload}\r\n").as_bytes()) {
                match self.socket.read(buf.get_mut(read..).unwrap_or_default())? {
                    0 => return Err("the server is gone, or the answer is wrong".into()),
                    got => read += got,
                }
            }
            round_trips.push(began.elapsed().as_nanos() as u64);
        }
        Ok(Done { round_trips, ..Done::default() })
    }
}

/// Connects, reads INFO, sends CONNECT.
pub(crate) fn hello(addr: &str) -> Result<TcpStream, Failure> {
    let mut socket = TcpStream::connect(addr)?;
    socket.set_nodelay(true)?;
    until(&mut socket, b"\n")?;
    socket.write_all(CONNECT.as_bytes())?;
    Ok(socket)
}

/// Sends something that ends with a PING, and waits for the PONG.
pub(crate) fn round_trip(socket: &mut TcpStream, ping: &[u8]) -> Result<(), Failure> {
    socket.write_all(ping)?;
    until(socket, b"PONG\r\n")
}

fn until(socket: &mut TcpStream, end: &[u8]) -> Result<(), Failure> {
    let mut received = Vec::new();
    let mut byte = [0];
    while !received.ends_with(end) {
        socket.read_exact(&mut byte)?;
        received.push(byte[0]);
    }
    Ok(())
}
