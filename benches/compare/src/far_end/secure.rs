//! A sink and a source behind TLS, which ends here: no proxy competes for the processors.

use crate::Failure;
use crate::frames::{info, message, publish};
use crate::tls::{Certificate, Secure};
use crate::workload::SUBJECT;
use nats_lifeline::protocol::{ClientOp, Decoded, Decoder};
use rustls::ServerConfig;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The size of a read, in bytes.
const BUFFER: usize = 256 << 10;

/// The approximate size of a write, in bytes.
const BLOCK: usize = 128 << 10;

/// Counts and discards.
pub(crate) struct SecureSink {
    addr: SocketAddr,
    messages: Arc<AtomicU64>,
}

impl SecureSink {
    pub(crate) fn start(payload: usize, certificate: &Certificate) -> Result<Self, Failure> {
        let messages = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&messages);
        let expected = publish(SUBJECT, false, &vec![b'x'; payload]);
        let addr = serve(certificate, move |socket| swallow(socket, &expected, &count))?;
        Ok(Self { addr, messages })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Acquire)
    }
}

/// Sends a number of messages for each SUB.
pub(crate) struct SecureSource {
    addr: SocketAddr,
}

impl SecureSource {
    pub(crate) fn start(messages: u64, payload: usize, certificate: &Certificate) -> Result<Self, Failure> {
        let one = message(payload);
        Ok(Self { addr: serve(certificate, move |socket| pour(socket, &one, messages))? })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Serves one connection, of the only client that there is; the thread ends with it.
fn serve(
    certificate: &Certificate,
    work: impl FnOnce(Secure) -> Result<(), Failure> + Send + 'static,
) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    let config = certificate.config();
    thread::spawn(move || {
        // The client reports it if this fails.
        let _ = accept(&listener, &config).and_then(work);
    });
    Ok(addr)
}

fn accept(listener: &TcpListener, config: &Arc<ServerConfig>) -> Result<Secure, Failure> {
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    socket.write_all(info(true).as_bytes())?;
    Certificate::accept(config, socket)
}

/// Frames that are as expected are compared, which is cheaper than reading them.
fn swallow(mut socket: Secure, expected: &[u8], count: &AtomicU64) -> Result<(), Failure> {
    let mut decoder = Decoder::default();
    let mut buf = vec![0; BUFFER];
    let (mut filled, mut answers) = (0, Vec::new());
    loop {
        match socket.read(&mut buf[filled..])? {
            0 => return Ok(()),
            got => filled += got,
        }
        let (mut used, mut messages) = (0, 0);
        loop {
            let bytes = &buf[used..filled];
            if bytes.starts_with(expected) {
                messages += 1;
                used += expected.len();
                continue;
            }
            // A part of an expected frame, or another operation.
            if bytes.is_empty() || expected.starts_with(bytes) {
                break;
            }
            let Decoded::Op { op, len } = decoder.decode_client(bytes)? else { break };
            if let ClientOp::Ping = op {
                answers.extend_from_slice(b"PONG\r\n");
            }
            used += len;
        }
        buf.copy_within(used..filled, 0);
        filled -= used;
        count.fetch_add(messages, Ordering::Release);
        if !answers.is_empty() {
            socket.write_all(&answers)?;
            answers.clear();
        }
    }
}

fn pour(mut socket: Secure, one: &[u8], messages: u64) -> Result<(), Failure> {
    let mut decoder = Decoder::default();
    let per_block = (BLOCK / one.len()).max(1) as u64;
    let block = one.repeat(per_block as usize);
    let (mut received, mut piece) = (Vec::new(), vec![0; 4096]);
    loop {
        match socket.read(&mut piece)? {
            0 => return Ok(()),
            got => received.extend_from_slice(&piece[..got]),
        }
        let mut used = 0;
        while let Decoded::Op { op, len } = decoder.decode_client(&received[used..])? {
            used += len;
            match op {
                ClientOp::Ping => socket.write_all(b"PONG\r\n")?,
                ClientOp::Sub { .. } => {
                    let mut left = messages;
                    while left > 0 {
                        let frames = left.min(per_block);
                        socket.write_all(&block[..frames as usize * one.len()])?;
                        left -= frames;
                    }
                }
                _ => {}
            }
        }
        received.drain(..used);
    }
}
