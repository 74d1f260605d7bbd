//! The far end of a measurement, in the process of compare; the measured client has its own process.

mod outages;
mod secure;
mod service;
mod stream;

use crate::Failure;
use crate::frames::{hello, round_trip};
use crate::job::Job;
use crate::tls::Certificate;
use crate::workload::{LAST, Needs, Work, Workload};
use nats_lifeline::testing::{Sink, Source};
use outages::Outages;
use secure::{SecureSink, SecureSource};
use service::Service;
use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// The interval at which a sink is polled. Long enough to cost nothing, and half a per cent of a measurement.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// The same as a child's.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) enum FarEnd {
    Sink(Sink),
    Source(Source),
    SecureSink(SecureSink),
    SecureSource(SecureSource),
    /// A server, and a subscription there to the message after all others.
    Server {
        addr: String,
        last: TcpStream,
    },
    Service(Service),
    /// A server with a stream.
    Stream {
        addr: String,
    },
    Outages(Outages),
}

impl FarEnd {
    pub(crate) fn start(
        workload: &Workload,
        job: &Job,
        server: Option<&str>,
        certificate: &Certificate,
    ) -> Result<Self, Failure> {
        let addr = || server.map(str::to_owned).ok_or("this workload needs a server");
        Ok(match (workload.far_end, workload.work) {
            (Needs::Sink, _) if workload.tls => Self::SecureSink(SecureSink::start(job.payload, certificate)?),
            (Needs::Sink, _) => Self::Sink(Sink::start()?),
            (Needs::Source, _) if workload.tls => {
                Self::SecureSource(SecureSource::start(job.messages, job.payload, certificate)?)
            }
            // One message for each of many connections.
            (Needs::Source, Work::Connect) => Self::Source(Source::start(1, job.payload)?),
            (Needs::Source, _) => Self::Source(Source::start(job.messages, job.payload)?),
            (Needs::Server, Work::Request | Work::Paced) => Self::Service(Service::start(addr()?)?),
            (Needs::Server, _) => {
                let addr = addr()?;
                let mut last = hello(&addr)?;
                round_trip(&mut last, format!("SUB {LAST} 1\r\nPING\r\n").as_bytes())?;
                last.set_read_timeout(Some(PATIENCE))?;
                Self::Server { addr, last }
            }
            (Needs::Stream { files }, work) => {
                let addr = addr()?;
                stream::prepare(&addr, work, files, job)?;
                Self::Stream { addr }
            }
            (Needs::Outages, Work::Replay) => Self::Outages(Outages::replay(job.messages, job.subscriptions)?),
            (Needs::Outages, _) => Self::Outages(Outages::failover(job.messages)?),
        })
    }

    /// Each `host:port`.
    pub(crate) fn servers(&self) -> Vec<String> {
        match self {
            Self::Sink(sink) => vec![sink.addr().to_string()],
            Self::Source(source) => vec![source.addr().to_string()],
            Self::SecureSink(sink) => vec![sink.addr().to_string()],
            Self::SecureSource(source) => vec![source.addr().to_string()],
            Self::Server { addr, .. } | Self::Stream { addr } => vec![addr.clone()],
            Self::Service(service) => vec![service.addr().to_owned()],
            Self::Outages(outages) => outages.servers(),
        }
    }

    /// Waits until the last message has arrived, from any client: the clients' `flush` promise different things. Outages
    /// happen here; returns what they took, in nanoseconds.
    pub(crate) fn see_the_end(&mut self, messages: u64) -> Result<Vec<u64>, Failure> {
        match self {
            Self::Sink(sink) => count(messages, || sink.messages())?,
            Self::SecureSink(sink) => count(messages, || sink.messages())?,
            Self::Server { last, .. } => {
                // One connection's messages are processed in order: this one is after all others.
                if last.read(&mut [0; 256])? == 0 {
                    return Err("the server is gone".into());
                }
            }
            Self::Outages(outages) => return outages.happen(PATIENCE),
            Self::Source(_) | Self::SecureSource(_) | Self::Service(_) | Self::Stream { .. } => {}
        }
        Ok(Vec::new())
    }
}

fn count(messages: u64, seen: impl Fn() -> u64) -> Result<(), Failure> {
    let began = Instant::now();
    while seen() < messages {
        if began.elapsed() > PATIENCE {
            return Err(format!("the sink saw {} of {messages} messages", seen()).into());
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
