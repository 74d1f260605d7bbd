//! The peer of the clients: a sink, source or broker in this process, or a real server.

use std::io;
#[cfg(feature = "ring")]
use std::net::SocketAddr;

use nats_lifeline::testing::{Broker, Sink, Source};
use nats_lifeline::{Client, ConnectOptions, ToServerAddrs};
use tokio::runtime::{Builder, Runtime};

use crate::args::{Args, Work};
#[cfg(feature = "ring")]
use crate::tls::Tls;
use crate::{Error, headers};

pub(crate) struct FarEnd {
    pub(crate) kind: Kind,
    #[cfg(feature = "ring")]
    tls: Option<Tls>,
    options: ConnectOptions,
}

pub(crate) enum Kind {
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
    pub(crate) fn start(args: &Args) -> Result<FarEnd, Error> {
        let kind = Kind::start(args)?;
        #[cfg_attr(not(feature = "ring"), allow(unused_mut))]
        let mut options = ConnectOptions::new();
        #[cfg(feature = "ring")]
        let tls = kind.addr().filter(|_| args.tls).map(Tls::start).transpose()?;
        #[cfg(feature = "ring")]
        if args.tls {
            options =
                args.ca.iter().fold(options.require_tls(true), |options, ca| options.add_root_certificates(ca.clone()));
            if let Some(tls) = &tls {
                options = options.tls_client_config(tls.client.clone());
            }
        }
        Ok(FarEnd {
            kind,
            #[cfg(feature = "ring")]
            tls,
            options,
        })
    }

    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        Ok(self.options.clone().connect(self.url()).await?)
    }

    /// Connects `count` clients.
    pub(crate) async fn clients(&self, count: usize) -> Result<Vec<Client>, Error> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.connect().await?);
        }
        Ok(clients)
    }

    fn url(&self) -> String {
        #[cfg(feature = "ring")]
        if let Some(tls) = &self.tls {
            return tls.url();
        }
        match &self.kind {
            Kind::Sink(sink) => sink.url(),
            Kind::Source(source) => source.url(),
            Kind::Broker { broker, .. } => broker.url(),
            Kind::Server(url) => url.clone(),
        }
    }

    /// Its name in the report, without a password.
    pub(crate) fn name(&self) -> String {
        match &self.kind {
            Kind::Sink(_) => "a sink in this process".to_owned(),
            Kind::Source(_) => "a source in this process".to_owned(),
            Kind::Broker { .. } => "the broker in this process".to_owned(),
            Kind::Server(url) => match url.to_server_addrs() {
                Ok(servers) => servers.map(|server| server.to_string()).collect::<Vec<_>>().join(", "),
                Err(error) => error.to_string(),
            },
        }
    }

    /// The number of published messages that it has counted, if it counts.
    pub(crate) fn counted(&self) -> Option<u64> {
        match &self.kind {
            Kind::Sink(sink) => Some(sink.messages()),
            Kind::Broker { broker, .. } => Some(broker.messages_in()),
            Kind::Source(_) | Kind::Server(_) => None,
        }
    }
}

impl Kind {
    fn start(args: &Args) -> io::Result<Kind> {
        if let Some(url) = &args.server {
            return Ok(Kind::Server(url.clone()));
        }
        Ok(match args.work {
            Work::Pub => Kind::Sink(Sink::start()?),
            Work::Sub => {
                let headers = headers(args).unwrap_or_default();
                Kind::Source(Source::start_with_headers(args.share(0), args.size, &headers)?)
            }
            Work::PubSub | Work::Request => {
                let runtime = Builder::new_multi_thread().thread_name("broker").enable_all().build()?;
                Kind::Broker { broker: runtime.block_on(Broker::start())?, _runtime: runtime }
            }
        })
    }

    /// Its address, if it is in this process.
    #[cfg(feature = "ring")]
    fn addr(&self) -> Option<SocketAddr> {
        match self {
            Kind::Sink(sink) => Some(sink.addr()),
            Kind::Source(source) => Some(source.addr()),
            Kind::Broker { broker, .. } => Some(broker.addr()),
            Kind::Server(_) => None,
        }
    }
}
