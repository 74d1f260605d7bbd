//! An in-memory server for tests on a paused clock: nothing waits for sockets, so delays are exactly as planned.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use nats_lifeline::ConnectOptions;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream},
    sync::watch,
    time::Instant,
};

use super::fake::INFO;

/// When the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Immediately.
    Accepted,
    /// After INFO.
    Greeted,
    /// After the PONG of the handshake.
    Connected,
    /// Never, except by [`Memory::cut`].
    Cut,
}

/// All clones are the same server.
#[derive(Clone)]
pub(crate) struct Memory {
    until: Until,
    cuts: watch::Sender<u64>,
    dials: Arc<Mutex<Vec<Instant>>>,
}

impl Memory {
    pub(crate) fn new(until: Until) -> Memory {
        Memory { until, cuts: watch::Sender::new(0), dials: Arc::default() }
    }

    /// Options with which a client connects to this server, whatever its address.
    pub(crate) fn options(&self) -> ConnectOptions {
        let server = self.clone();
        ConnectOptions::new().dialer(move |_| {
            let server = server.clone();
            async move { io::Result::Ok(server.accept()) }
        })
    }

    /// Ends every current connection.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The times at which it was dialled.
    pub(crate) fn dials(&self) -> Vec<Instant> {
        self.dials.lock().unwrap().clone()
    }

    fn accept(&self) -> DuplexStream {
        self.dials.lock().unwrap().push(Instant::now());
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (until, mut cuts) = (self.until, self.cuts.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                _ = cuts.changed() => {}
                _ = serve(theirs, until) => {}
            }
        });
        ours
    }
}

/// Sends INFO, and answers every PING.
async fn serve(stream: DuplexStream, until: Until) -> io::Result<()> {
    if until == Until::Accepted {
        return Ok(());
    }
    let mut stream = BufReader::new(stream);
    stream.write_all(INFO.as_bytes()).await?;
    if until == Until::Greeted {
        return Ok(());
    }
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        if line.trim_end() == "PING" {
            stream.write_all(b"PONG\r\n").await?;
            if until == Until::Connected {
                return Ok(());
            }
        }
        line.clear();
    }
    Ok(())
}

/// The largest number of `times` within any `window`.
pub(crate) fn busiest(times: &[Instant], window: Duration) -> usize {
    let within = |from: &Instant| times.iter().filter(|at| *at >= from && at.duration_since(*from) < window).count();
    times.iter().map(within).max().unwrap_or(0)
}
