//! One session of a client with a nats-server, as a value: bytes in; bytes and facts out. No socket, no lock, no clock.
//!
//! This is the only place in the crate that knows how nats-server treats a client. The broker is built on it, and so are the model
//! servers of the tests. It was compared with nats-server 2.15.1 (`tests/servers/sessions.rs`).
//!
//! | question | file |
//! |---|---|
//! | what is allowed, and what happens on each operation | `mod` |
//! | the table of subscriptions, their counts and limits | `subscriptions` |
//! | what is sent to the client | `output` |
//! | CONNECT | `login` |
//! | NKeys and JWTs | `keys` |
//! | bytes that are too many or make no sense | `judgement` |
//!
//! Everything else stays outside: where a message goes (the caller routes it and calls [`Output::deliver`]), INFO, permissions,
//! faults and time. A caller that wants to refuse an operation looks at it between [`Session::read`] and [`Session::act`].
//!
//! ```
//! # #[cfg(feature = "internals")] {
//! use nats_lifeline::testing::session::{Fact, Output, Read, Session, Settings};
//!
//! let mut session = Session::new(Settings::default());
//! let mut output = Output::default();
//! let mut bytes = &b"CONNECT {\"verbose\":false}\r\nSUB a 1\r\nPING\r\n"[..];
//! while let Ok(Read::Op { op, len }) = session.read(bytes) {
//!     session.act(&op, &mut output).unwrap();
//!     bytes = &bytes[len..];
//! }
//! assert_eq!(output.bytes, b"PONG\r\n");
//! assert_eq!(output.subscriptions.len(), 1);
//! # }
//! ```

mod judgement;
#[cfg(feature = "nkeys")]
mod keys;
mod login;
mod output;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use judgement::Ending;
pub use login::{Credentials, Login};
pub use output::{Delivery, Desk, Output};
pub use subscriptions::{Key, Subscription, Subscriptions};

use crate::protocol::{ClientOp, Decoded, Decoder, PubOp, check_subscribe_subject, err, ok, pong};
use judgement::{args_len, decoder, ignored_line, verdict};

/// What a server is configured with, as far as one session depends on it. The defaults are nats-server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who may log in.
    pub credentials: Credentials,
    /// What the client must sign, if it logs in with a key.
    pub nonce: String,
    /// Whether the server knows headers.
    pub headers: bool,
    /// Whether requests without a listener are answered with status 503, if the client asks for it.
    pub no_responders: bool,
    /// The largest body, headers included, in bytes.
    pub max_payload: usize,
    /// The longest control line, in bytes of its arguments.
    pub max_control_line: usize,
    /// How many subscriptions the session may have; `None` without a limit.
    pub max_subscriptions: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            nonce: String::new(),
            headers: true,
            no_responders: true,
            max_payload: 1 << 20,
            max_control_line: 4096,
            max_subscriptions: None,
        }
    }
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read<'a> {
    /// An operation, in the first `len` bytes.
    Op {
        /// The operation.
        op: ClientOp<'a>,
        /// Its length.
        len: usize,
    },
    /// A line of this length that servers ignore.
    Ignored(usize),
    /// The beginning of an operation, of which at least this many bytes are missing.
    NeedMore(usize),
}

/// What an operation has changed, for callers that route, count and check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    /// Nothing that concerns others.
    Nothing,
    /// A CONNECT was accepted. A second one ends all subscriptions; these are they.
    Connected(Vec<Subscription>),
    /// The first PING after CONNECT was answered. A server may send an INFO now.
    Greeted,
    /// The client answered a PING.
    Pong,
    /// A message was accepted. If it reaches nobody, call [`Session::no_responders`].
    Published(PubOp<'a>),
    /// A new subscription.
    Subscribed {
        /// Its name in the table.
        key: Key,
        /// Its subject, possibly with wildcards.
        subject: &'a [u8],
        /// Its queue group.
        queue: Option<&'a [u8]>,
    },
    /// A `SUB` was refused with this error; the session goes on.
    Refused(&'static str),
    /// An `UNSUB` ended this subscription.
    Unsubscribed(Subscription),
}

/// What a client has said so far, and what it may say next.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    decoder: Decoder,
    /// `None` before the first CONNECT.
    login: Option<Login>,
    /// Its first PING after CONNECT was answered.
    greeted: bool,
}

impl Session {
    /// A session that has just begun.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { decoder: decoder(&settings), settings, login: None, greeted: false }
    }

    /// What the client asked for in its last CONNECT; `None` before the first.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whether the client gets what it publishes itself.
    #[inline]
    #[must_use]
    pub fn echo(&self) -> bool {
        self.login.as_ref().is_none_or(|login| login.echo)
    }

    /// The largest body that is accepted now.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.settings.max_payload
    }

    /// Changes the largest body. What was read of an operation must be given to [`read`](Self::read) again.
    pub fn set_max_payload(&mut self, bytes: usize) {
        self.settings.max_payload = bytes;
        self.decoder = decoder(&self.settings);
    }

    /// Changes how many subscriptions the session may have. It keeps those that it has.
    pub fn set_max_subscriptions(&mut self, most: Option<usize>) {
        self.settings.max_subscriptions = most;
    }

    /// Reads one operation off the front. The contract is [`Decoder`]'s: after [`Read::NeedMore`] the same bytes come again, and
    /// more.
    ///
    /// # Errors
    ///
    /// How the session ends, when the client may not say this.
    #[inline]
    pub fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<Read<'a>, Ending> {
        // The first byte is enough (`parser.go`, `OP_START`).
        if self.login.is_none() && !self.settings.credentials.is_empty() && !matches!(bytes, [] | [b'C' | b'c', ..]) {
            return Err(Ending::UNAUTHORIZED);
        }
        match self.decoder.decode_client(bytes) {
            Ok(Decoded::Op { op, len }) => {
                let most = self.settings.max_control_line;
                if len > most && args_len(&op, bytes, len) > most {
                    return Err(Ending::LINE_TOO_LONG);
                }
                Ok(Read::Op { op, len })
            }
            Ok(Decoded::NeedMore(missing)) => Ok(Read::NeedMore(missing)),
            // A server ignores `+OK`. A client does not say it, so the decoder does not know it.
            Err(_) if bytes.starts_with(b"+") => ignored_line(bytes),
            Err(error) => Err(verdict(&error)),
        }
    }

    /// Acts on an operation. What the client is answered goes to the output.
    ///
    /// # Errors
    ///
    /// How the session ends.
    #[inline]
    pub fn act<'a>(&mut self, op: &ClientOp<'a>, desk: &mut impl Desk) -> Result<Fact<'a>, Ending> {
        match *op {
            ClientOp::Pub(message) => self.publish(message, desk),
            ClientOp::Ping => self.ping(desk),
            ClientOp::Pong => Ok(Fact::Pong),
            ClientOp::Sub { subject, queue, sid } => self.subscribe(subject, queue, sid, desk),
            ClientOp::Unsub { sid, max } => self.unsubscribe(sid, max, desk),
            ClientOp::Connect(json) => self.connect(json, desk),
        }
    }

    /// A message reached nobody. If the client wants to know, it gets status 503 on the subscription that waits for the answer.
    ///
    /// # Errors
    ///
    /// When the session is over.
    pub fn no_responders(&self, message: &PubOp<'_>, desk: &mut impl Desk) -> Result<(), Ending> {
        let wanted = self.login.as_ref().is_some_and(|login| login.no_responders);
        let Some(reply) = message.reply.filter(|_| wanted) else { return Ok(()) };
        open(desk, |output| output.no_responders(message.subject, reply))
    }

    /// Whether operations are answered with `+OK`. A client that has not said CONNECT gets it (`defaultOpts`).
    fn verbose(&self) -> bool {
        self.login.as_ref().is_none_or(|login| login.verbose)
    }

    #[inline]
    fn publish<'a>(&self, message: PubOp<'a>, desk: &mut impl Desk) -> Result<Fact<'a>, Ending> {
        if message.headers.is_some() && !self.login.as_ref().is_some_and(|login| login.headers) {
            // The client did not ask for headers (`processHeaderPub`).
            return Err(Ending::Silent);
        }
        if self.verbose() {
            // Before what it delivers, to this client too (`processInboundClientMsg`).
            open(desk, |output| ok(&mut output.bytes))?;
        }
        Ok(Fact::Published(message))
    }

    fn ping(&mut self, desk: &mut impl Desk) -> Result<Fact<'static>, Ending> {
        open(desk, |output| pong(&mut output.bytes))?;
        if self.login.is_none() || self.greeted {
            return Ok(Fact::Nothing);
        }
        self.greeted = true;
        Ok(Fact::Greeted)
    }

    fn connect(&mut self, json: &[u8], desk: &mut impl Desk) -> Result<Fact<'static>, Ending> {
        let login = Login::accept(json, &self.settings)?;
        let (verbose, headers) = (login.verbose, login.headers);
        let again = self.login.replace(login).is_some();
        let dropped = open(desk, |output| {
            output.set_headers(headers);
            if verbose {
                ok(&mut output.bytes);
            }
            // Seen on 2.15, not on 2.9.
            if again { output.subscriptions.clear() } else { Vec::new() }
        })?;
        Ok(Fact::Connected(dropped))
    }

    fn subscribe<'a>(
        &self,
        subject: &'a [u8],
        queue: Option<&'a [u8]>,
        sid: u64,
        desk: &mut impl Desk,
    ) -> Result<Fact<'a>, Ending> {
        let (most, verbose) = (self.settings.max_subscriptions, self.verbose());
        open(desk, |output| {
            let table = &mut output.subscriptions;
            // The order is `processSubEx`'s: a full table refuses a live sid too, and a live sid accepts any subject.
            let fault = if most.is_some_and(|most| table.len() >= most) {
                Some("maximum subscriptions exceeded")
            } else if table.by_sid(sid).is_none() && check_subscribe_subject(subject).is_err() {
                Some("Invalid Subject")
            } else {
                None
            };
            if let Some(text) = fault {
                err(&mut output.bytes, text);
                return Fact::Refused(text);
            }
            let made = table.subscribe(sid, subject, queue);
            if verbose {
                ok(&mut output.bytes);
            }
            made.map_or(Fact::Nothing, |key| Fact::Subscribed { key, subject, queue })
        })
    }

    fn unsubscribe(&self, sid: u64, max: Option<u64>, desk: &mut impl Desk) -> Result<Fact<'static>, Ending> {
        let verbose = self.verbose();
        let ended = open(desk, |output| {
            if verbose {
                ok(&mut output.bytes);
            }
            output.subscriptions.unsubscribe(sid, max)
        })?;
        Ok(ended.map_or(Fact::Nothing, Fact::Unsubscribed))
    }
}

/// Works with the output, unless the session has been ended from outside.
fn open<R>(desk: &mut impl Desk, work: impl FnOnce(&mut Output) -> R) -> Result<R, Ending> {
    desk.open(work).ok_or(Ending::Silent)
}
