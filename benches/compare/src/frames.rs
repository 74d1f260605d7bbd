//! The protocol's lines, as much as raw sockets and far ends need of it.

use crate::Failure;
use crate::workload::{HEADERS, IDLE, SUBJECT};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Ends with CR LF.
pub(crate) const CONNECT: &str =
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";

/// Of a far end, with CR LF.
pub(crate) fn info(tls: bool) -> String {
    let tls = if tls { ",\"tls_required\":true" } else { "" };
    format!(
        "INFO {{\"server_id\":\"COMPARE\",\"server_name\":\"COMPARE\",\"version\":\"2.15.1\",\"proto\":1,\
         \"headers\":true,\"max_payload\":67108864{tls}}} \r\n"
    )
}

/// A whole PUB or HPUB.
pub(crate) fn publish(subject: &str, headers: bool, payload: &[u8]) -> Vec<u8> {
    let mut block = String::new();
    if headers {
        block.push_str("NATS/1.0\r\n");
        for (name, value) in HEADERS {
            block.push_str(&format!("{name}: {value}\r\n"));
        }
        block.push_str("\r\n");
    }
    let total = block.len() + payload.len();
    let line = if block.is_empty() {
        format!("PUB {subject} {total}\r\n")
    } else {
        format!("HPUB {subject} {} {total}\r\n", block.len())
    };
    [line.as_bytes(), block.as_bytes(), payload, b"\r\n"].concat()
}

/// A whole MSG of the first subscription.
pub(crate) fn message(payload: usize) -> Vec<u8> {
    [format!("MSG {SUBJECT} 1 {payload}\r\n").as_bytes(), &vec![b'x'; payload], b"\r\n"].concat()
}

/// The SUBs of a replay, in one piece.
pub(crate) fn idle_subscriptions(number: u64) -> Vec<u8> {
    (0..number).flat_map(|number| format!("SUB {IDLE}{number} {}\r\n", number + 1).into_bytes()).collect()
}

/// Connects, reads INFO, sends CONNECT.
pub(crate) fn hello(addr: &str) -> Result<TcpStream, Failure> {
    let mut socket = dial(addr)?;
    socket.write_all(CONNECT.as_bytes())?;
    Ok(socket)
}

/// Connects and reads INFO.
pub(crate) fn dial(addr: &str) -> Result<TcpStream, Failure> {
    let mut socket = TcpStream::connect(addr)?;
    socket.set_nodelay(true)?;
    until(&mut socket, b"\n")?;
    Ok(socket)
}

/// Sends something that ends with a PING, and waits for the PONG.
pub(crate) fn round_trip(socket: &mut (impl Read + Write), ping: &[u8]) -> Result<(), Failure> {
    socket.write_all(ping)?;
    until(socket, b"PONG\r\n")
}

/// Byte by byte, so that nothing after the end is read.
pub(crate) fn until(socket: &mut impl Read, end: &[u8]) -> Result<(), Failure> {
    let mut received = Vec::new();
    let mut byte = [0];
    while !received.ends_with(end) {
        socket.read_exact(&mut byte)?;
        received.push(byte[0]);
    }
    Ok(())
}
