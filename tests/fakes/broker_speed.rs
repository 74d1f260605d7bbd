//! The speed of the broker, the sink and the source, with raw sockets at the other end. Figures,
//! not checks: `cargo test --release --test fakes broker_speed -- --ignored --nocapture
//! --test-threads 1`.

use nats_lifeline::testing::{Broker, Sink, Source};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n";

/// Publishes this many messages in blocks of 256 KiB, and waits for the PONG after them.
fn blast(addr: SocketAddr, messages: usize, payload: usize) -> io::Result<()> {
    let mut socket = TcpStream::connect(addr)?;
    let frame = format!("PUB bench.subject {payload}\r\n{}\r\n", "x".repeat(payload));
    let per_block = (256 << 10) / frame.len();
    let block = frame.repeat(per_block);
    socket.write_all(CONNECT)?;
    let mut left = messages;
    while left > 0 {
        let frames = left.min(per_block);
        socket.write_all(&block.as_bytes()[..frames * frame.len()])?;
        left -= frames;
    }
    socket.write_all(b"PING\r\n")?;
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    while !received.ends_with(b"PONG\r\n") {
        let got = socket.read(&mut piece)?;
        assert!(got > 0);
        received.extend_from_slice(&piece[..got]);
    }
    Ok(())
}

/// Subscribes, and reads this many bytes after the PONG.
fn drain(mut socket: TcpStream, bytes: usize) -> io::Result<()> {
    let mut piece = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let got = socket.read(&mut piece)?;
        assert!(got > 0, "{left} bytes missing");
        left = left.saturating_sub(got);
    }
    Ok(())
}

fn subscribed(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(addr)?;
    socket.write_all(CONNECT)?;
    socket.write_all(b"SUB bench.subject 1\r\nPING\r\n")?;
    let mut received = Vec::new();
    let mut byte = [0];
    while !received.ends_with(b"PONG\r\n") {
        socket.read_exact(&mut byte)?;
        received.push(byte[0]);
    }
    Ok(socket)
}

fn through(broker: &Broker, messages: usize, payload: usize, subscribers: usize) -> io::Result<()> {
    let addr = broker.addr();
    let frame = format!("MSG bench.subject 1 {payload}\r\n\r\n").len() + payload;
    let started = Instant::now();
    let mut readers = Vec::new();
    for _ in 0..subscribers {
        let socket = subscribed(addr)?;
        readers.push(thread::spawn(move || drain(socket, messages * frame)));
    }
    blast(addr, messages, payload)?;
    for reader in readers {
        reader.join().map_err(|_| io::Error::other("a subscriber panicked"))??;
    }
    let rate = messages as f64 / started.elapsed().as_secs_f64() / 1e6;
    println!("  {payload:6} B, {subscribers} subscribers: {rate:.2} M published/s");
    Ok(())
}

#[test]
#[ignore = "figures, not checks"]
fn broker() -> io::Result<()> {
    for threads in [1, 2] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        let broker = runtime.block_on(Broker::start())?;
        println!("broker with {threads} threads");
        for (messages, payload, subscribers) in
            [(10_000_000, 16, 0), (10_000_000, 16, 1), (2_000_000, 16, 4), (1_000_000, 1024, 1), (20_000, 65_536, 1)]
        {
            through(&broker, messages, payload, subscribers)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "figures, not checks"]
fn sink_and_source() -> io::Result<()> {
    for (messages, payload) in [(100_000_000, 16), (5_000_000, 1024), (100_000, 65_536)] {
        let sink = Sink::start()?;
        let started = Instant::now();
        blast(sink.addr(), messages, payload)?;
        let rate = messages as f64 / started.elapsed().as_secs_f64() / 1e6;
        assert_eq!(sink.messages(), messages as u64);
        println!("  sink   {payload:6} B: {rate:.2} M/s");

        let source = Source::start(messages as u64, payload)?;
        let frame = format!("MSG bench.subject 1 {payload}\r\n\r\n").len() + payload;
        let mut socket = TcpStream::connect(source.addr())?;
        let mut info = [0; 1];
        while info != *b"\n" {
            socket.read_exact(&mut info)?;
        }
        socket.write_all(CONNECT)?;
        socket.write_all(b"SUB bench.subject 1\r\n")?;
        let started = Instant::now();
        drain(socket, messages * frame)?;
        let rate = messages as f64 / started.elapsed().as_secs_f64() / 1e6;
        println!("  source {payload:6} B: {rate:.2} M/s");
    }
    Ok(())
}
