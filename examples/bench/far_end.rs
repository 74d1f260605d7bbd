//! The peer of the clients: a sink, source or broker in this process, or a real server.

use std::io;

use nats_lifeline::ToServerAddrs;
use nats_lifeline::testing::{Broker, Sink, Source};
use tokio::runtime::{Builder, Runtime};

use crate::args::{Args, Work};
use crate::headers;

pub(crate) enum FarEnd {
    Sink(Sink),
    Source(Source),
    Broker {
        broker: Broker,
        /// Its own runtime, so that its CPU time can be separated from the clients'. It runs as long as this value
        /// lives.
        _runtime: Runtime,
    },
    Server(String),
}

impl FarEnd {
    pub(crate) fn start(args: &Args) -> io::Result<FarEnd> {
        if let Some(url) = &args.server {
            return Ok(FarEnd::Server(url.clone()));
        }
        Ok(match args.work {
            Work::Pub => FarEnd::Sink(Sink::start()?),
            Work::Sub => {
                let headers = headers(args).unwrap_or_default();
                FarEnd::Source(Source::start_with_headers(args.share(0, args.clients), args.size, &headers)?)
            }
            Work::PubSub | Work::Request => {
                let runtime = Builder::new_multi_thread().thread_name("broker").enable_all().build()?;
                FarEnd::Broker { broker: runtime.block_on(Broker::start())?, _runtime: runtime }
            }
        })
    }

    pub(crate) fn url(&self) -> String {
        match self {
            FarEnd::Sink(sink) => sink.url(),
            FarEnd::Source(source) => source.url(),
            FarEnd::Broker { broker, .. } => broker.url(),
            FarEnd::Server(url) => url.clone(),
        }
    }

    /// Its name in the report, without a password.
    pub(crate) fn name(&self) -> String {
        match self {
            FarEnd::Sink(_) => "a sink in this process".to_owned(),
            FarEnd::Source(_) => "a source in this process".to_owned(),
            FarEnd::Broker { .. } => "the broker in this process".to_owned(),
            FarEnd::Server(url) => match url.to_server_addrs() {
                Ok(servers) => servers.map(|server| server.to_string()).collect::<Vec<_>>().join(", "),
                Err(error) => error.to_string(),
            },
        }
    }

    /// The number of published messages that it has counted, if it counts.
    pub(crate) fn counted(&self) -> Option<u64> {
        match self {
            FarEnd::Sink(sink) => Some(sink.messages()),
            FarEnd::Broker { broker, .. } => Some(broker.messages_in()),
            FarEnd::Source(_) | FarEnd::Server(_) => None,
        }
    }
}
