//! Why no server was connected: every server that was tried, with its cause and a hint.

use std::error;
use std::fmt;
use std::io;

use crate::engine::Cause;
use crate::protocol::{ProtocolError, shown};

/// The servers that [`connect`](crate::connect) tried, each with the cause of its last failure: the source of a
/// [`ConnectError`](crate::ConnectError). Its own source is the decisive cause.
///
/// ```no_run
/// use nats_lifeline::client::NotConnected;
///
/// # async fn example() {
/// if let Err(error) = nats_lifeline::connect(vec!["a.example", "b.example:4333"]).await {
///     for (server, cause) in error.source_as::<NotConnected>().into_iter().flat_map(NotConnected::attempts) {
///         eprintln!("{server}: {cause}");
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct NotConnected {
    attempts: Vec<(String, Cause)>,
    /// Attempts on all servers together.
    total: u64,
    last: Cause,
}

/// The text names at most this many servers; [`NotConnected::attempts`] has them all.
const NAMED: usize = 10;

impl NotConnected {
    /// `last`: why the client gave up.
    pub(crate) fn new(last: Cause) -> NotConnected {
        NotConnected { attempts: Vec::new(), total: 0, last }
    }

    /// Adds a failed attempt; only the last one of each server is kept.
    pub(crate) fn add(&mut self, server: String, cause: Cause) {
        match self.attempts.iter_mut().find(|(known, _)| *known == server) {
            Some((_, known)) => *known = cause,
            None => self.attempts.push((server, cause)),
        }
    }

    /// How many attempts there were.
    pub(crate) fn total(&mut self, attempts: u64) {
        self.total = attempts;
    }

    /// How many attempts failed, on all servers together; 0 if there was none.
    pub fn total_attempts(&self) -> u64 {
        self.total.max(self.attempts.len() as u64)
    }

    /// `host:port` of each server, in the order of their first attempts, and why it was not connected.
    pub fn attempts(&self) -> impl Iterator<Item = (&str, &Cause)> {
        self.attempts.iter().map(|(server, cause)| (server.as_str(), cause))
    }
}

impl fmt::Debug for NotConnected {
    /// The text of `Display`: a `main` that returns the error of [`connect`](crate::connect) shows this, and the hint helps most
    /// when somebody starts a program for the first time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NotConnected").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempts.is_empty() {
            return self.last.fmt(f);
        }
        if self.total_attempts() > self.attempts.len() as u64 {
            write!(f, "after {} attempts: ", self.total_attempts())?;
        }
        for (number, (server, cause)) in self.attempts().take(NAMED).enumerate() {
            let between = if number == 0 { "" } else { "; " };
            write!(f, "{between}{}: {cause}", shown(server))?;
            if let Some(hint) = hint(cause) {
                write!(f, " ({hint})")?;
            }
        }
        match self.attempts.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl error::Error for NotConnected {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.last)
    }
}

/// What to check first.
fn hint(cause: &Cause) -> Option<&'static str> {
    match cause {
        Cause::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Some("nothing listens on this port: is the server running, and is this its client port, 4222 by default?")
        }
        Cause::Protocol(ProtocolError::UnknownOp { start }) => match start.as_bytes() {
            [b'H', b'T', b'T', b'P', ..] => Some(
                "this is a web server: use the NATS server's client port, 4222 by default, not its monitoring port",
            ),
            [0x15 | 0x16, 0x03, ..] => Some("this port expects TLS from the first byte: see tls_first"),
            _ => Some("this is not a NATS server"),
        },
        Cause::TimedOut { stage, .. } if stage.starts_with("waiting for INFO") => Some(
            "the port accepts connections but sends nothing; a NATS server sends first: is it a web server or a proxy?",
        ),
        Cause::TimedOut { stage, .. } if stage.starts_with("looking up") => {
            Some("no answer: is the address right, and does a firewall block it?")
        }
        _ => None,
    }
}
