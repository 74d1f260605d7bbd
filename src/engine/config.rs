//! The engine's settings: every number that steers it, with its unit, default and source.

use std::time::Duration;

use super::pool::Policy;
use super::pool::backoff::Backoff;
use crate::protocol::{Secret, ServerAddr};

/// The settings of one [`Engine`](super::Engine), fixed for its life.
///
/// [`Default`] gives the documented defaults; `client::ConnectOptions` is the builder that users see.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How long one attempt may take from the start of the name look-up to the first PONG. Default 5 s.
    pub connect_timeout: Duration,
    /// After this much silence from the server a PING is sent. Default 20 s; `None`: no PING while idle.
    pub ping_interval: Option<Duration>,
    /// A connection is dead when a PING has gone unanswered, with no byte received, for this many intervals. Default 2.
    pub max_pings_out: u32,
    /// A connection is dead when the transport takes no byte for this long although some are waiting. Default 10 s.
    pub write_timeout: Duration,
    /// Whether a lost connection is replaced at all. Default true.
    pub reconnect: bool,
    /// The client gives up after this many failed attempts over all servers since the last stable connection. Default: no
    /// limit.
    pub max_reconnects: Option<u64>,
    /// Whether the first connection is retried like a lost one, instead of failing when each server was tried once.
    pub retry_on_initial_connect: bool,
    /// How many attempts the first connection has before the client gives up, where it is not retried like a lost one. Default:
    /// one on each server.
    pub first_attempts: Option<u64>,
    /// Whether servers named by INFO's `connect_urls` are left out of the pool. Default false.
    pub ignore_discovered: bool,
    /// Whether the servers stay in the user's order; otherwise the pool is shuffled once. Default false.
    pub retain_order: bool,
    /// How long servers wait after failures and losses, and when they leave the pool.
    pub policy: Policy,
    /// Preferred servers, and how the client returns to them.
    pub preferred: Preferred,
    /// Whether callbacks choose the delay before each attempt, by [`Effect::Choose`](super::Effect::Choose). Default false.
    pub ask_delay: bool,
    /// Whether callbacks choose the server of each attempt. Default false.
    pub ask_server: bool,
    /// Whether a server must speak TLS, whatever its address says. Default false.
    pub require_tls: bool,
    /// Whether the TLS handshake comes before the server's INFO. Default false.
    pub tls_first: bool,
    /// Whether the driver can do [`Effect::Upgrade`](super::Effect::Upgrade). Default true.
    pub tls_possible: bool,
    /// Whether credentials are asked for on each attempt, by [`Effect::Authenticate`](super::Effect::Authenticate). Default
    /// false.
    pub ask_credentials: bool,
    /// `Reconnected` is reported no later than this after the subscriptions were written, even if buffered messages are still
    /// waiting. Default 1 s.
    pub announce_after: Duration,
    /// How long [`close`](super::Engine::close) waits for the last PONG. Default 1 s.
    pub close_grace: Duration,
    /// Whether a planned move makes the next connection before it leaves the present one, and whether a server in lame duck
    /// mode is left early. Default true.
    pub prepare_moves: bool,
    /// What plain subscriptions get during a prepared move. Default: no message twice.
    pub handover: Handover,
    /// The rules of the outbox.
    pub outbox: OutboxRules,
    /// After this many connections in a row that ended with the same message first among what they were given, that message
    /// counts as poison and is removed. Default 5; `None`: never. Two would be too few: a large frame on a bad line is easily
    /// cut twice in a row.
    pub poison_after: Option<u32>,
    /// Longest control line that a server accepts from a client, arguments only. Default 4096 (`MAX_CONTROL_LINE_SIZE` in the
    /// server's `const.go`).
    pub max_control_line: usize,
    /// What CONNECT says about this client.
    pub identity: Identity,
}

/// What happens to a message that finds no room while no server is connected.
///
/// With a buffer size of 0 nothing is buffered, so nothing can be dropped, and the first three are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// It is refused immediately and the caller keeps it. The default: no accepted message is lost.
    #[default]
    Error,
    /// It is accepted, and the oldest buffered messages are dropped to make room: for values of which only the latest matter.
    /// Dropped messages count as `lost.overflow` and are returned by an event.
    DropOldest,
    /// It is accepted and dropped itself: for values of which the first matter. It is counted and returned likewise.
    DropNewest,
    /// Publishing waits for room, in FIFO order and at most this long; then the message is refused. Calls that can't wait
    /// (`try_publish`, the `Sink`) are refused immediately.
    Wait(Duration),
}

/// What a plain subscription gets during a planned move. Queue groups and the inboxes of requests are at both servers for a
/// moment, and lose nothing by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handover {
    /// It leaves the old server before the new one has it: no message twice, and a gap of about a round trip. The default.
    #[default]
    Exclusive,
    /// Both servers have it until the rest of the cluster knows about the new one, for which 50 ms are allowed: no gap, but
    /// messages published in that time come twice.
    Overlap,
}

/// What becomes of messages that the transport had taken, and no PONG confirmed, when their connection is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryMode {
    /// They are in doubt, counted, and never sent again. The default: nothing arrives twice.
    #[default]
    AtMostOnce,
    /// They are kept until a PONG confirms them, and are sent again from the first unconfirmed one on: a lost connection loses
    /// nothing, and some messages may arrive twice, in order each time.
    ///
    /// Messages that are then dropped after all, by the overflow policy, the age limit, as poison or by the next server's
    /// limits, count as lost and are returned; the previous server may have processed them. Only what is still unconfirmed at
    /// the end counts as in doubt.
    AtLeastOnce,
}

/// The rules of one [`Outbox`](super::Outbox), fixed for its life.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRules {
    /// Bytes that may be buffered while no server is connected; 0: nothing is buffered. Default 8 MiB.
    pub cap: usize,
    /// Messages that may be buffered in that time. Default: no limit other than the bytes.
    pub messages: Option<u64>,
    /// What happens beyond these limits. Default: an error.
    pub overflow: OverflowPolicy,
    /// Messages that were buffered for longer are not sent. Default: no limit.
    pub max_age: Option<Duration>,
    /// What becomes of unconfirmed messages when a connection is lost. Default: they are in doubt, and not sent again.
    pub delivery: DeliveryMode,
}

impl Default for OutboxRules {
    fn default() -> Self {
        OutboxRules {
            cap: 8 * 1024 * 1024,
            messages: None,
            overflow: OverflowPolicy::Error,
            max_age: None,
            delivery: DeliveryMode::AtMostOnce,
        }
    }
}

/// The part of CONNECT that does not depend on the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// Connection name, shown in the server's monitoring.
    pub name: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Token.
    pub token: Option<Secret>,
    /// Whether the server sends us what we publish ourselves.
    pub echo: bool,
    /// Whether the server acknowledges each operation with `+OK`.
    pub verbose: bool,
    /// Whether the server checks subjects more strictly.
    pub pedantic: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            connect_timeout: Duration::from_secs(5),
            ping_interval: Some(Duration::from_secs(20)),
            max_pings_out: 2,
            write_timeout: Duration::from_secs(10),
            reconnect: true,
            max_reconnects: None,
            retry_on_initial_connect: false,
            first_attempts: None,
            ignore_discovered: false,
            retain_order: false,
            policy: Policy::default(),
            preferred: Preferred::default(),
            ask_delay: false,
            ask_server: false,
            require_tls: false,
            tls_first: false,
            tls_possible: true,
            ask_credentials: false,
            announce_after: Duration::from_secs(1),
            close_grace: Duration::from_secs(1),
            prepare_moves: true,
            handover: Handover::default(),
            outbox: OutboxRules::default(),
            poison_after: Some(5),
            max_control_line: 4096,
            identity: Identity { echo: true, ..Identity::default() },
        }
    }
}

/// Preferred servers, and how the client returns to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Preferred {
    /// The servers. When due, they are dialled before the others. Default: none.
    pub servers: Vec<ServerAddr>,
    /// How long an attempt on one of them may take while there are other servers, if that is less than the connect timeout.
    /// Default 2 s.
    pub timeout: Duration,
    /// Whether a client that is connected to another server moves back. Default true.
    pub failback: bool,
    /// When a preferred server is probed: this long after connecting to another one, and after each failed probe. A stay at a
    /// preferred server that was shorter than the longest delay counts as a failed probe, so that the client does not flap with
    /// a server that keeps dying. Default 5 s × 2 up to 60 s, half of it random.
    pub probe: Backoff,
    /// How long the connection to a preferred server must have lasted before the client moves to it. Default 10 s.
    pub stable_for: Duration,
}

impl Default for Preferred {
    fn default() -> Self {
        Preferred {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            failback: true,
            probe: Backoff::exponential(Duration::from_secs(5), Duration::from_secs(60)),
            stable_for: Duration::from_secs(10),
        }
    }
}
