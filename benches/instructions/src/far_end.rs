//! The far end of the client under valgrind, in the process that started it, so that its work is not counted.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, PubOp, matches, message};
use nats_lifeline::testing::{Sink, Source};

use crate::Failure;
use crate::consumer::Consumer;
use crate::operation::Work;

/// It stops with this value, or with the process.
pub(crate) enum FarEnd {
    Sink(Sink),
    Source(Source),
    /// Answers requests and stored messages.
    Responder(SocketAddr),
}

impl FarEnd {
    /// `messages` is what a source sends.
    pub(crate) fn start(work: Work, messages: u64) -> Result<Self, Failure> {
        Ok(match work {
            Work::Receive { payload } | Work::ReceiveBatch { payload } => {
                Self::Source(Source::start(messages, payload)?)
            }
            Work::Request { .. } => Self::Responder(responder(Answers::Echo)?),
            Work::Store { .. } => Self::Responder(responder(Answers::Stored)?),
            Work::Pull { payload, .. } => {
                Self::Responder(responder(Answers::Consumer(Consumer { payload: vec![0; payload], delivered: 0 }))?)
            }
            _ => Self::Sink(Sink::start()?),
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Sink(sink) => sink.addr(),
            Self::Source(source) => source.addr(),
            Self::Responder(addr) => *addr,
        }
    }
}

/// What a server answers to messages with a reply subject.
enum Answers {
    /// Their payload.
    Echo,
    /// As a stream does.
    Stored,
    Consumer(Consumer),
}

/// What a stream answers to a message.
const STORED: &[u8] = br#"{"stream":"ORDERS","seq":1048576}"#;

impl Answers {
    /// `sid` is the client's subscription to the reply subject.
    fn answer(&mut self, request: &PubOp<'_>, sid: u64, answers: &mut Vec<u8>) {
        let Some(reply) = request.reply else { return };
        match self {
            Self::Echo => message(answers, reply, sid, None, None, request.payload),
            Self::Stored => message(answers, reply, sid, None, None, STORED),
            Self::Consumer(consumer) => consumer.answer(request, reply, sid, answers),
        }
    }
}

/// A server with one connection, which answers all requests. A broker's routes, tasks and wakers would make the time of an answer,
/// and so the client's wake-ups, less regular.
fn responder(answers: Answers) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let addr = listener.local_addr()?;
    // It ends with its connection.
    thread::spawn(move || listener.accept().map_err(Failure::from).and_then(|(socket, _)| answer(socket, answers)));
    Ok(addr)
}

fn answer(mut socket: TcpStream, mut with: Answers) -> Result<(), Failure> {
    socket.set_nodelay(true)?;
    socket.write_all(
        b"INFO {\"server_id\":\"R\",\"version\":\"2.15.1\",\"headers\":true,\"max_payload\":1048576} \r\n",
    )?;
    let mut decoder = Decoder::default();
    let (mut received, mut answers) = (Vec::new(), Vec::new());
    let (mut piece, mut subscriptions) = (vec![0; 64 << 10], Vec::new());
    loop {
        let got = socket.read(&mut piece)?;
        if got == 0 {
            return Ok(());
        }
        received.extend_from_slice(&piece[..got]);
        let mut used = 0;
        while let Decoded::Op { op, len } = decoder.decode_client(&received[used..])? {
            match op {
                ClientOp::Sub { subject, sid, .. } => subscriptions.push((subject.to_vec(), sid)),
                ClientOp::Pub(request) => {
                    let wants = |(subject, _): &&(Vec<u8>, u64)| matches(subject, request.reply.unwrap_or_default());
                    if let Some((_, sid)) = subscriptions.iter().find(wants) {
                        with.answer(&request, *sid, &mut answers);
                    }
                }
                ClientOp::Ping => answers.extend_from_slice(b"PONG\r\n"),
                _ => {}
            }
            used += len;
        }
        received.drain(..used);
        socket.write_all(&answers)?;
        answers.clear();
    }
}
