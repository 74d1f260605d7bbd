//! The bound: the same bytes over a blocking socket, encoded in advance or not decoded at all; over rustls if TLS is wanted.

mod stored;

use crate::Failure;
use crate::child::Done;
use crate::frames::{self, CONNECT, dial, hello, round_trip};
use crate::job::Job;
use crate::tls;
use crate::workload::{LAST, SERVICE, SUBJECT, Work};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

/// How much is written or read at a time, in bytes: as much as nats-lifeline writes under load, or more.
const BLOCK: usize = 1 << 20;

/// For TLS: as much as fits into the caches.
const TLS_BLOCK: usize = 128 << 10;

type Prepared = Box<dyn FnOnce() -> Result<Done, Failure>>;

/// Connects and encodes; the result does the work.
pub(crate) fn prepare(job: &Job) -> Result<Prepared, Failure> {
    let job = job.clone();
    let addr = job.server()?.to_owned();
    match job.work()? {
        Work::Connect => return Ok(Box::new(move || connects(&addr, job.messages))),
        Work::Replay => return replay(&addr, &job),
        _ => {}
    }
    match &job.ca {
        None => work_on(hello(&addr)?, job, BLOCK),
        Some(ca) => {
            let mut secure = tls::connect(ca, dial(&addr)?)?;
            secure.write_all(CONNECT.as_bytes())?;
            work_on(secure, job, TLS_BLOCK)
        }
    }
}

fn work_on(mut socket: impl Read + Write + 'static, job: Job, size: usize) -> Result<Prepared, Failure> {
    round_trip(&mut socket, b"PING\r\n")?;
    Ok(match job.work()? {
        work if work.publishes() => {
            let one = frames::publish(SUBJECT, work.with_headers(), &vec![b'x'; job.payload]);
            let block = one.repeat((size / one.len()).max(1));
            Box::new(move || blast(&mut socket, &job, &block, one.len()))
        }
        Work::Subscribe | Work::SubscribeBatch => Box::new(move || swallow(&mut socket, &job, size)),
        Work::Request => Box::new(move || ask(&mut socket, &job)),
        Work::Store => Box::new(move || stored::one_by_one(&mut socket, &job)),
        Work::StoreMany => Box::new(move || stored::many(&mut socket, &job)),
        Work::Fetch => Box::new(move || stored::fetch(&mut socket, &job)),
        _ => return Err("no raw sockets for this".into()),
    })
}

fn blast(socket: &mut impl Write, job: &Job, block: &[u8], one: usize) -> Result<Done, Failure> {
    let per_block = (block.len() / one) as u64;
    let mut left = job.messages;
    while left > 0 {
        let frames = left.min(per_block);
        socket.write_all(&block[..frames as usize * one])?;
        left -= frames;
    }
    if job.last {
        socket.write_all(&frames::publish(LAST, false, b""))?;
    }
    Ok(Done::default())
}

fn swallow(socket: &mut (impl Read + Write), job: &Job, size: usize) -> Result<Done, Failure> {
    let mut left = frames::message(job.payload).len() as u64 * job.messages;
    let mut buf = vec![0; size];
    socket.write_all(format!("SUB {SUBJECT} 1\r\n").as_bytes())?;
    while left > 0 {
        let got = socket.read(&mut buf)?;
        if got == 0 {
            return Err("the source is gone".into());
        }
        left = left.saturating_sub(got as u64);
    }
    Ok(Done::default())
}

fn ask(socket: &mut (impl Read + Write), job: &Job) -> Result<Done, Failure> {
    let payload = "x".repeat(job.payload);
    let question = format!("PUB {SERVICE} _INBOX.raw.1 {}\r\n{payload}\r\n", payload.len());
    let end = format!("\r\n{payload}\r\n");
    socket.write_all(b"SUB _INBOX.raw.* 1\r\n")?;
    round_trip(socket, b"PING\r\n")?;
    let mut times = Vec::with_capacity(job.messages as usize);
    for _ in 0..job.messages {
        let began = Instant::now();
        socket.write_all(question.as_bytes())?;
        let mut read = 0;
        let mut buf = [0; 512];
        // One answer is in flight, with a payload of the same size.
        while !buf[..read].ends_with(end.as_bytes()) {
            match socket.read(buf.get_mut(read..).unwrap_or_default())? {
                0 => return Err("the server is gone, or the answer is wrong".into()),
                got => read += got,
            }
        }
        times.push(began.elapsed().as_nanos() as u64);
    }
    Ok(Done { times, ..Done::default() })
}

/// Everything that a client must send goes out in one write, without a PING.
fn connects(addr: &str, number: u64) -> Result<Done, Failure> {
    let mut done = Done::default();
    let greeting = format!("{CONNECT}SUB {SUBJECT} 1\r\n");
    for _ in 0..number {
        let began = Instant::now();
        let mut socket = TcpStream::connect(addr)?;
        let mut buf = [0; 4096];
        // INFO comes in one piece.
        let _ = socket.read(&mut buf)?;
        socket.write_all(greeting.as_bytes())?;
        let _ = socket.read(&mut buf)?;
        done.times.push(began.elapsed().as_nanos() as u64);
    }
    Ok(done)
}

/// After each end of the connection it connects, and writes all SUBs.
fn replay(addr: &str, job: &Job) -> Result<Prepared, Failure> {
    let (addr, subs) = (addr.to_owned(), frames::idle_subscriptions(job.subscriptions));
    let mut socket = hello(&addr)?;
    socket.write_all(&subs)?;
    round_trip(&mut socket, b"PING\r\n")?;
    let again = move || -> Result<(), Failure> {
        loop {
            // Until the far end closes it.
            let _ = socket.read(&mut [0; 64]);
            socket = hello(&addr)?;
            socket.write_all(&subs)?;
        }
    };
    Ok(Box::new(move || {
        // It ends with the process.
        thread::spawn(again);
        Ok(Done::default())
    }))
}
