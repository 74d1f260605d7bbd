//! The bound of storing and fetching: the same requests over a socket, and answers that are only counted.

use crate::Failure;
use crate::child::Done;
use crate::job::Job;
use crate::workload::{CONSUMER, IN_FLIGHT, STORED, STREAM};
use std::io::{Read, Write};
use std::time::Instant;

const INBOX: &str = "SUB _INBOX.raw.* 1\r\n";

fn publish(job: &Job) -> Vec<u8> {
    format!("PUB {STORED} _INBOX.raw.1 {}\r\n{}\r\n", job.payload, "x".repeat(job.payload)).into_bytes()
}

/// Counts line ends, of which every message has two: none of them has one inside.
struct Counter {
    buf: Vec<u8>,
    lines: u64,
}

impl Counter {
    fn new() -> Self {
        Self { buf: vec![0; 1 << 20], lines: 0 }
    }

    /// Reads once.
    fn read(&mut self, socket: &mut impl Read) -> Result<(), Failure> {
        let got = socket.read(&mut self.buf)?;
        if got == 0 {
            return Err("the server is gone".into());
        }
        self.lines += memchr::memchr_iter(b'\n', &self.buf[..got]).count() as u64;
        Ok(())
    }

    /// Reads until this many messages have come since the start.
    fn until(&mut self, messages: u64, socket: &mut impl Read) -> Result<(), Failure> {
        while self.lines < 2 * messages {
            self.read(socket)?;
        }
        Ok(())
    }
}

pub(super) fn one_by_one(socket: &mut (impl Read + Write), job: &Job) -> Result<Done, Failure> {
    let (message, mut answers, mut done) = (publish(job), Counter::new(), Done::default());
    socket.write_all(INBOX.as_bytes())?;
    for number in 1..=job.messages {
        let began = Instant::now();
        socket.write_all(&message)?;
        answers.until(number, socket)?;
        done.times.push(began.elapsed().as_nanos() as u64);
    }
    Ok(done)
}

pub(super) fn many(socket: &mut (impl Read + Write), job: &Job) -> Result<Done, Failure> {
    // An eighth of what may be in flight at a time.
    let piece = (IN_FLIGHT / 8) as u64;
    let (message, mut answers) = (publish(job), Counter::new());
    let block = message.repeat(piece as usize);
    socket.write_all(INBOX.as_bytes())?;
    let mut sent = 0;
    while sent < job.messages {
        let now = piece.min(job.messages - sent);
        answers.until((sent + now).saturating_sub(IN_FLIGHT as u64), socket)?;
        socket.write_all(&block[..now as usize * message.len()])?;
        sent += now;
    }
    answers.until(job.messages, socket)?;
    Ok(Done::default())
}

pub(super) fn fetch(socket: &mut (impl Read + Write), job: &Job) -> Result<Done, Failure> {
    let body = format!("{{\"batch\":{},\"expires\":10000000000}}", job.tasks);
    let request =
        format!("PUB $JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER} _INBOX.raw.1 {}\r\n{body}\r\n", body.len());
    let (mut messages, mut done) = (Counter::new(), Done::default());
    socket.write_all(INBOX.as_bytes())?;
    for number in 1..=job.messages / job.tasks {
        let began = Instant::now();
        socket.write_all(request.as_bytes())?;
        messages.until(number * job.tasks, socket)?;
        done.times.push(began.elapsed().as_nanos() as u64);
    }
    Ok(done)
}
