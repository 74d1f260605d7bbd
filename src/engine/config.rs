//! What the engine must know beforehand: every number that steers it, with its unit, default and source.

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
    /// A connection is dead when the transport takes no byte for this long although some wait. Default 10 s.
    pub write_timeout: Duration,
    /// Whether a lost connection is replaced at all. Default true.
    pub reconnect: bool,
    /// So many failed attempts over all servers, since the last stable connection, end the search. Default: no limit.
    pub max_reconnects: Option<u64>,
    /// Whether the first connection is retried like a lost one, instead of failing when each server was tried once.
    pub retry_on_initial_connect: bool,
    /// Whether servers named by INFO's `connect_urls` are left out of the pool. Default false.
    pub ignore_discovered: bool,
    /// Whether the user's order is kept; otherwise the pool is shuffled once. Default false.
    pub retain_order: bool,
    /// How long servers wait after failures and losses, and when they leave the pool.
    pub policy: Policy,
    /// Servers that are better than others.
    pub preferred: Preferred,
    /// Whether the delay before each attempt is asked for, by [`Effect::Choose`](super::Effect::Choose). Default false.
    pub ask_delay: bool,
    /// Whether the server of each attempt is asked for, as above. Default false.
    pub ask_server: bool,
    /// Whether a server must speak TLS, whatever its address says. Default false.
    pub require_tls: bool,
    /// Whether TLS is begun before the server has said anything. Default false.
    pub tls_first: bool,
    /// Whether the driver can do [`Effect::Upgrade`](super::Effect::Upgrade). Default true.
    pub tls_possible: bool,
    /// Whether credentials are asked for in each attempt, by [`Effect::Authenticate`](super::Effect::Authenticate).
    /// Default false.
    pub ask_credentials: bool,
    /// `Reconnected` is reported this long after the subscriptions were written, even when buffered messages
    /// still wait. Default 1 s.
    pub announce_after: Duration,
    /// How long [`close`](super::Engine::close) waits for the last PONG. Default 1 s.
    pub close_grace: Duration,
    /// Whether a planned move makes its next connection before it leaves the present one, and whether a server that says that
    /// it will stop is left early. Default true.
    pub prepare_moves: bool,
    /// What plain subscriptions get during a prepared move. Default: nothing twice.
    pub handover: Handover,
    /// The rules of the outbox with which the engine exchanges.
    pub outbox: OutboxRules,
    /// So many connections in a row may end with the same message at the front of what they were given; then it is taken for
    /// the reason, and lost alone. Default 5; `None`: never. Two would be too few: a large frame on a bad line is cut twice
    /// in a row without any guilt.
    pub poison_after: Option<u32>,
    /// Longest control line that a server accepts from us, arguments only. Default 4096
    /// (`MAX_CONTROL_LINE_SIZE` in the server's `const.go`).
    pub max_control_line: usize,
    /// What CONNECT says about this client.
    pub identity: Identity,
}

/// What happens to a message for which there is no room while no server is connected.
///
/// With a buffer size of 0 nothing is buffered, so nothing can be dropped: then the first three are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// It is refused immediately, and the caller keeps it. The default: nothing that was accepted is lost.
    #[default]
    Error,
    /// It is accepted, and those that have waited longest are dropped to make room: for values of which only the latest
    /// count. What is dropped is counted as `lost.overflow` and handed back by an event.
    DropOldest,
    /// It is accepted and dropped itself: for values of which the first count. It is counted and handed back likewise.
    DropNewest,
    /// Publishing waits for room, first come, first served, for this long at most; then the message is refused. What can't
    /// wait (`try_publish`, the `Sink`) is refused immediately.
    Wait(Duration),
}

/// What a plain subscription gets while the client moves from one server to another as planned. Queue groups
/// and replies to requests are at both servers for a moment, and lose nothing by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handover {
    /// It leaves the old server before the new one has it: nothing twice, and a gap of about a round trip. The
    /// default.
    #[default]
    Exclusive,
    /// Both servers know it until the others of their cluster do, which is given 50 ms: no gap, and what is published meanwhile
    /// comes twice.
    Overlap,
}

/// What becomes of messages that the transport has taken and no PONG has confirmed when their connection is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryMode {
    /// They are in doubt, counted, and never sent again. The default: nothing arrives twice.
    #[default]
    AtMostOnce,
    /// They are kept until a PONG confirms them, and sent again from the first unconfirmed on: nothing is lost by a lost
    /// connection, and some messages may arrive twice, in order each time.
    ///
    /// What is then given up all the same, by the overflow policy, the age limit, poison or the next server's limits, counts as
    /// lost and is handed back; the server that is gone may have processed it. Only what is still unconfirmed at the end
    /// counts as in doubt.
    AtLeastOnce,
}

/// The rules of one [`Outbox`](super::Outbox), fixed for its life.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRules {
    /// Bytes that may be buffered while no server is connected; 0 admits nothing then. Default 8 MiB.
    pub cap: usize,
    /// Messages that may be buffered then. Default: no limit but the bytes.
    pub messages: Option<u64>,
    /// What happens beyond that. Default: an error.
    pub overflow: OverflowPolicy,
    /// What has been buffered for longer when a server is there again is not sent. Default: no limit.
    pub max_age: Option<Duration>,
    /// What becomes of messages that are in doubt when a connection is lost. Default: they are not sent again.
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

/// Servers that are better than others, and how they are come back to.
#[derive(Clone, Debug, PartialEq)]
pub struct Preferred {
    /// The servers. They are dialled before the others that are due. Default: none.
    pub servers: Vec<ServerAddr>,
    /// How long an attempt on one of them may take while there are others, if that is less than the connect timeout. Default
    /// 2 s.
    pub timeout: Duration,
    /// Whether a client that is connected to another server moves back. Default true.
    pub failback: bool,
    /// When a preferred server is probed: this long after the connection to another one, and after each probe that failed. A
    /// stay at a preferred server that was shorter than the longest delay counts as a failed probe, so that a client does not
    /// go back and forth with a server that dies again and again. Default 5 s × 2 up to 60 s, half of it random.
    pub probe: Backoff,
    /// How long the connection to a preferred server must have lived before the client moves to it. Default 10 s.
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
