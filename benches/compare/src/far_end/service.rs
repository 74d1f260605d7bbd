//! A responder on a real server: a raw socket that answers every request with its own payload.

use crate::Failure;
use crate::frames::{hello, round_trip};
use crate::workload::SERVICE;
use nats_lifeline::protocol::{Decoded, Decoder, ServerOp, publish};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};

pub(crate) struct Service {
    addr: String,
    socket: TcpStream,
    responder: Option<JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start(addr: String) -> Result<Self, Failure> {
        let mut socket = hello(&addr)?;
        round_trip(&mut socket, format!("SUB {SERVICE} 1\r\nPING\r\n").as_bytes())?;
        let own = socket.try_clone()?;
        // It ends with its connection.
        let responder = Some(thread::spawn(move || drop(answer(own))));
        Ok(Self { addr, socket, responder })
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(responder) = self.responder.take() {
            let _ = responder.join();
        }
    }
}

/// All requests of one read are answered by one write.
fn answer(mut socket: TcpStream) -> Result<(), Failure> {
    let mut decoder = Decoder::default();
    let (mut received, mut answers) = (Vec::new(), Vec::new());
    let mut piece = vec![0; 64 << 10];
    loop {
        let got = socket.read(&mut piece)?;
        if got == 0 {
            return Ok(());
        }
        received.extend_from_slice(&piece[..got]);
        let mut used = 0;
        while let Decoded::Op { op, len } = decoder.decode_server(&received[used..])? {
            match op {
                ServerOp::Msg(message) => {
                    publish(&mut answers, message.reply.unwrap_or_default(), None, None, message.payload);
                }
                ServerOp::Ping => answers.extend_from_slice(b"PONG\r\n"),
                _ => {}
            }
            used += len;
        }
        received.drain(..used);
        socket.write_all(&answers)?;
        answers.clear();
    }
}
