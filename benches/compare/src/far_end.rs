//! The far end of a measurement, in this process; the measured client has its own process.

use crate::Failure;
use crate::raw::{hello, round_trip};
pub(crate) use crate::workload::Needs;
use crate::workload::{LAST, SERVICE, Work, Workload};
use nats_lifeline::protocol::{Decoded, Decoder, ServerOp, publish};
use nats_lifeline::testing::{Sink, Source};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Lifeline,
    AsyncNats,
    /// nats.go, if `--go` says where its program is.
    NatsGo,
    /// Raw sockets: the upper bound.
    Raw,
}

impl Contender {
    pub(crate) const ALL: [Self; 4] = [Self::Lifeline, Self::AsyncNats, Self::NatsGo, Self::Raw];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lifeline => "lifeline",
            Self::AsyncNats => "async-nats",
            Self::NatsGo => "nats.go",
            Self::Raw => "raw",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.name() == name)
    }
}

/// The interval at which the sink is polled. Long enough to cost nothing, and half a per cent of a measurement.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// The same as a child's.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) enum FarEnd {
    Sink(Sink),
    Source(Source),
    /// A server, and a subscription there to the message after all others.
    Server {
        addr: String,
        last: TcpStream,
    },
    /// A server, and a responder there.
    Service {
        addr: String,
        responder: Option<JoinHandle<()>>,
        socket: TcpStream,
    },
}

impl FarEnd {
    pub(crate) fn start(workload: &Workload, messages: u64, server: Option<&str>) -> Result<Self, Failure> {
        let addr = || server.map(str::to_owned).ok_or("this workload needs --server");
        Ok(match (workload.far_end, workload.work) {
            (Needs::Sink, _) => Self::Sink(Sink::start()?),
            (Needs::Source, _) => Self::Source(Source::start(messages, workload.payload)?),
            (Needs::Server, Work::Request { .. }) => Self::service(addr()?)?,
            (Needs::Server, _) => {
                let addr = addr()?;
                let mut last = hello(&addr)?;
                round_trip(&mut last, format!("SUB {LAST} 1\r\nPING\r\n").as_bytes())?;
                last.set_read_timeout(Some(PATIENCE))?;
                Self::Server { addr, last }
            }
        })
    }

    fn service(addr: String) -> Result<Self, Failure> {
        let mut socket = hello(&addr)?;
        round_trip(&mut socket, format!("SUB {SERVICE} 1\r\nPING\r\n").as_bytes())?;
        let own = socket.try_clone()?;
        // It ends with its connection.
        let responder = Some(thread::spawn(move || drop(answer(own))));
        Ok(Self::Service { addr, responder, socket })
    }

    /// `host:port`.
    pub(crate) fn addr(&self) -> String {
        match self {
            Self::Sink(sink) => sink.addr().to_string(),
            Self::Source(source) => source.addr().to_string(),
            Self::Server { addr, .. } | Self::Service { addr, .. } => addr.clone(),
        }
    }

    /// Waits until the last message has arrived, from any client: the clients' `flush` promise different things.
    pub(crate) fn wait_for_last(&mut self, messages: u64) -> Result<(), Failure> {
        match self {
            Self::Sink(sink) => {
                let began = Instant::now();
                while sink.messages() < messages {
                    if began.elapsed() > PATIENCE {
                        return Err(format!("the sink saw {} of {messages} messages", sink.messages()).into());
                    }
                    thread::sleep(LOOK_EVERY);
                }
            }
            Self::Server { last, .. } => {
                // One connection's messages are processed in order: this one is after all others.
                let mut byte = [0; 256];
                if last.read(&mut byte)? == 0 {
                    return Err("the server is gone".into());
                }
            }
            Self::Source(_) | Self::Service { .. } => {}
        }
        Ok(())
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        if let Self::Service { responder, socket, .. } = self {
            let _ = socket.shutdown(Shutdown::Both);
            if let Some(responder) = responder.take() {
                let _ = responder.join();
            }
        }
    }
}

/// Answers every request with its own payload; all requests of one read are answered by one write.
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
