//! Options, checked and put where they are needed: the engine's configuration and the numbers of the client.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{ConnectOptions, EventCallback};
use crate::client::LongOutageCallback;
use crate::client::error::{ConnectError, ConnectErrorKind};
use crate::driver::{Authenticator, Chooser, Dialer, DriverSettings, Resolver, TlsSettings};
use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::pool::Policy;
use crate::engine::{Config, Identity, OutboxRules, OverflowPolicy, Preferred};
use crate::protocol::{HIGHEST, Limits, SHORT_FRAME, check_subscribe_subject};

/// Longest duration that is used as it is: timers on some platforms can't go further, and `now + Duration::MAX`
/// would overflow. Thirty years, the same as tokio's idea of the far future.
const FAR_FUTURE: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Smallest read buffer; arbitrary, but an INFO of a server without a cluster fits.
const SMALLEST_READ_BUFFER: usize = 512;

/// Shortest allowed `max_control_line`: subject and reply of a plain request, with room. Arbitrary, but the line of a
/// [`SHORT_FRAME`] is not looked at any more.
const SHORTEST_CONTROL_LINE: usize = SHORT_FRAME;

/// What a subscription to replies adds to the inbox prefix: two dots, 22 characters of an id, `*`, a blank and the longest
/// sid.
const INBOX_ARGS: usize = 2 + 22 + 1 + 1 + 20;

/// Shortest allowed silence before a PING: timers are no finer. Arbitrary beyond that.
const SHORTEST_PING_INTERVAL: Duration = Duration::from_millis(1);

/// Shortest allowed line from a server: what servers send by default can be this long.
const SHORTEST_SERVER_LINE: usize = 4096;

/// An option has an invalid value.
///
/// It is the source of a [`ConnectError`] of kind [`Io`](crate::ConnectErrorKind::Io).
///
/// ```no_run
/// use nats_lifeline::{ConnectOptions, options::InvalidOption};
/// use std::time::Duration;
///
/// # async fn example() {
/// let options = ConnectOptions::new().connection_timeout(Duration::ZERO);
/// let error = options.connect("localhost").await.unwrap_err();
/// let invalid = error.source_as::<InvalidOption>().unwrap();
/// assert_eq!(invalid.option, "connection_timeout");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid option {option} = {value}: {rule}")]
#[non_exhaustive]
pub struct InvalidOption {
    /// The option: the name of the method of [`ConnectOptions`].
    pub option: &'static str,
    /// The value, as text.
    pub value: String,
    /// The rule that it violates.
    pub rule: &'static str,
}

/// Checked options.
#[derive(Clone)]
pub(crate) struct Settings {
    /// What the engine must know.
    pub(crate) config: Config,
    /// What may wait to be sent.
    pub(crate) outbox: OutboxRules,
    /// Messages that may wait in one subscription.
    pub(crate) subscription_messages: usize,
    /// Bytes that may wait in one subscription.
    pub(crate) subscription_bytes: usize,
    /// How long reading may pause for a slow consumer.
    pub(crate) slow_consumer_grace: Duration,
    /// Below this the read buffer never shrinks.
    pub(crate) read_buffer: usize,
    /// What inboxes begin with, without the dot behind it.
    pub(crate) inbox_prefix: String,
    /// Limit of a request without its own; `None` waits for ever.
    pub(crate) request_timeout: Option<Duration>,
    /// Limit of a flush.
    pub(crate) flush_timeout: Duration,
    /// Limit of a publish that waits for room.
    pub(crate) publish_timeout: Duration,
    /// Whom to tell events.
    pub(crate) event_callback: Option<EventCallback>,
    /// Whom to tell long outages.
    pub(crate) long_outage_callbacks: Vec<LongOutageCallback>,
    /// What random decisions follow from; `None`: they are different each time.
    pub(crate) random_seed: Option<u64>,
    /// Local end of the connections.
    pub(crate) local_address: Option<SocketAddr>,
    /// Finds addresses instead of the system's resolver.
    pub(crate) resolver: Option<Resolver>,
    /// Makes byte streams instead of look-up and TCP.
    pub(crate) dialer: Option<Dialer>,
    /// Says where the next attempt goes and when.
    pub(crate) chooser: Option<Chooser>,
    /// How links are secured.
    pub(crate) tls: Arc<TlsSettings>,
    /// Who gives credentials.
    pub(crate) authenticator: Option<Authenticator>,
    /// How much is taken from a server.
    pub(crate) limits: Limits,
}

impl From<&Settings> for DriverSettings {
    fn from(settings: &Settings) -> Self {
        DriverSettings {
            outbox: settings.outbox.clone(),
            slow_consumer_grace: settings.slow_consumer_grace,
            read_buffer: settings.read_buffer,
            local_address: settings.local_address,
            write_timeout: settings.config.write_timeout,
            resolver: settings.resolver.clone(),
            dialer: settings.dialer.clone(),
            chooser: settings.chooser.clone(),
            tls: settings.tls.clone(),
            authenticator: settings.authenticator.clone(),
            limits: settings.limits,
        }
    }
}

impl ConnectOptions {
    /// Checks every value and sorts them by who needs them.
    pub(crate) fn into_settings(self) -> Result<Settings, ConnectError> {
        self.check().map_err(|invalid| ConnectError::with_source(ConnectErrorKind::Io, invalid))?;
        self.credentials.check().map_err(|fault| ConnectError::with_source(ConnectErrorKind::Authentication, fault))?;
        let ConnectOptions {
            name,
            user,
            password,
            token,
            credentials,
            no_echo,
            verbose,
            pedantic,
            inbox_prefix,
            require_tls,
            tls_first,
            tls,
            retry_on_initial_connect,
            reconnect,
            max_reconnects,
            policy,
            preferred,
            callbacks,
            ignore_discovered_servers,
            prepare_moves,
            handover,
            retain_servers_order,
            local_address,
            resolver,
            dialer,
            event_callback,
            long_outage_callbacks,
            connection_timeout,
            ping_interval,
            max_pings_out,
            write_timeout,
            flush_timeout,
            publish_timeout,
            request_timeout,
            slow_consumer_grace,
            client_capacity: _,
            reconnect_buffer_size,
            reconnect_buffer_messages,
            overflow_policy,
            max_message_age,
            delivery,
            poison_after,
            subscription_capacity,
            subscription_byte_capacity,
            read_buffer_capacity,
            max_control_line,
            limits,
            random_seed,
        } = self;
        let config = Config {
            connect_timeout: connection_timeout.min(FAR_FUTURE),
            ping_interval: ping_interval.min(FAR_FUTURE),
            max_pings_out: u32::try_from(max_pings_out).unwrap_or(u32::MAX),
            write_timeout: write_timeout.min(FAR_FUTURE),
            reconnect,
            max_reconnects: max_reconnects.map(|max| u64::try_from(max).unwrap_or(u64::MAX)),
            retry_on_initial_connect,
            ignore_discovered: ignore_discovered_servers,
            prepare_moves,
            handover,
            retain_order: retain_servers_order,
            policy: within_reach(policy),
            preferred: Preferred {
                timeout: preferred.timeout.min(FAR_FUTURE),
                probe: backoff_within_reach(preferred.probe),
                stable_for: preferred.stable_for.min(FAR_FUTURE),
                ..preferred
            },
            ask_delay: callbacks.asks_delay(),
            ask_server: callbacks.asks_server(),
            delivery,
            poison_after: poison_after.unwrap_or(0),
            require_tls,
            tls_first,
            tls_possible: cfg!(feature = "tls"),
            ask_credentials: credentials.are_asked(),
            max_control_line,
            identity: Identity { name, user, password, token, echo: !no_echo, verbose, pedantic },
            ..Config::default()
        };
        let outbox = OutboxRules {
            cap: reconnect_buffer_size,
            messages: reconnect_buffer_messages,
            overflow: match overflow_policy {
                OverflowPolicy::Wait(limit) => OverflowPolicy::Wait(limit.min(FAR_FUTURE)),
                other => other,
            },
            max_age: max_message_age.map(|age| age.min(FAR_FUTURE)),
            delivery,
        };
        let slow_consumer_grace =
            if ping_interval.is_zero() { slow_consumer_grace } else { slow_consumer_grace.min(ping_interval / 2) };
        Ok(Settings {
            config,
            outbox,
            subscription_messages: subscription_capacity,
            subscription_bytes: subscription_byte_capacity,
            slow_consumer_grace: slow_consumer_grace.min(FAR_FUTURE),
            read_buffer: usize::from(read_buffer_capacity).max(SMALLEST_READ_BUFFER),
            inbox_prefix,
            request_timeout: request_timeout.map(|timeout| timeout.min(FAR_FUTURE)),
            flush_timeout: flush_timeout.min(FAR_FUTURE),
            publish_timeout: publish_timeout.min(FAR_FUTURE),
            event_callback,
            long_outage_callbacks,
            random_seed,
            local_address,
            resolver,
            dialer,
            chooser: callbacks.into_chooser(),
            tls: Arc::new(TlsSettings { wanted: require_tls || tls_first, ..tls }),
            authenticator: credentials.into_authenticator(),
            limits,
        })
    }

    fn check(&self) -> Result<(), InvalidOption> {
        const LONGER_THAN_ZERO: &str = "must be longer than zero";
        const AT_LEAST_ONE: &str = "must be at least 1";
        for (option, value) in [
            ("connection_timeout", self.connection_timeout),
            ("write_timeout", self.write_timeout),
            ("preferred_timeout", self.preferred.timeout),
            ("flush_timeout", self.flush_timeout),
            ("publish_timeout", self.publish_timeout),
        ] {
            rule(option, &value, LONGER_THAN_ZERO, !value.is_zero())?;
        }
        let interval = self.ping_interval;
        let kept = interval.is_zero() || interval >= SHORTEST_PING_INTERVAL;
        rule("ping_interval", &interval, "must be zero (none while idle) or at least 1ms", kept)?;
        if let OverflowPolicy::Wait(limit) = self.overflow_policy {
            rule("overflow_policy", &self.overflow_policy, "must wait longer than zero", !limit.is_zero())?;
        }
        if let Some(losses) = self.poison_after {
            rule("poison_after", &losses, "must be at least 2", losses >= 2)?;
        }
        if let Some(age) = self.max_message_age {
            rule("max_message_age", &age, LONGER_THAN_ZERO, !age.is_zero())?;
        }
        if let Some(messages) = self.reconnect_buffer_messages {
            rule("reconnect_buffer_messages", &messages, AT_LEAST_ONE, messages > 0)?;
        }
        if let Some(timeout) = self.request_timeout {
            rule("request_timeout", &timeout, "must be longer than zero (None waits for ever)", !timeout.is_zero())?;
        }
        for (option, value) in [
            ("max_pings_out", self.max_pings_out),
            ("subscription_capacity", self.subscription_capacity),
            ("subscription_byte_capacity", self.subscription_byte_capacity),
        ] {
            rule(option, &value, AT_LEAST_ONE, value > 0)?;
        }
        let line = self.max_control_line;
        rule("max_control_line", &line, "must be at least 128 bytes", line >= SHORTEST_CONTROL_LINE)?;
        let Limits { line, headers, total } = self.limits;
        let lines = SHORTEST_SERVER_LINE..=HIGHEST;
        rule("limits.line", &line, "must be from 4096 bytes to 1 GiB", lines.contains(&line))?;
        rule(
            "limits.headers",
            &headers,
            "must be at least 1 byte and at most 1 GiB",
            (1..=HIGHEST).contains(&headers),
        )?;
        rule("limits.total", &total, "must be at least 1 byte and at most 1 GiB", (1..=HIGHEST).contains(&total))?;
        rule(
            "custom_inbox_prefix",
            &self.inbox_prefix,
            "must be a subject without wildcards, blanks and empty tokens",
            is_inbox_prefix(&self.inbox_prefix),
        )?;
        rule(
            "custom_inbox_prefix",
            &self.inbox_prefix,
            "must be at least 46 bytes shorter than max_control_line, for what an inbox and its subscription add",
            self.inbox_prefix.len().saturating_add(INBOX_ARGS) <= self.max_control_line,
        )?;
        check_backoff(&self.policy.backoff, ["backoff.factor", "backoff.initial", "backoff.jitter"])?;
        let names = ["failback_probe.factor", "failback_probe.initial", "failback_probe.jitter"];
        check_backoff(&self.preferred.probe, names)
    }
}

fn check_backoff(backoff: &Backoff, names: [&'static str; 3]) -> Result<(), InvalidOption> {
    let Backoff { initial, factor, max, jitter } = *backoff;
    rule(names[0], &factor, "must be a number of at least 1", factor.is_finite() && factor >= 1.0)?;
    rule(names[1], &initial, "must be at most the longest delay", initial <= max)?;
    if let Jitter::Symmetric(share) = jitter {
        rule(names[2], &share, "must be a number of at least 0", share.is_finite() && share >= 0.0)?;
    }
    Ok(())
}

fn within_reach(policy: Policy) -> Policy {
    let backoff = backoff_within_reach(policy.backoff);
    Policy { backoff, tls_jitter: policy.tls_jitter.min(FAR_FUTURE), ..policy }
}

fn backoff_within_reach(backoff: Backoff) -> Backoff {
    Backoff { initial: backoff.initial.min(FAR_FUTURE), max: backoff.max.min(FAR_FUTURE), ..backoff }
}

fn rule(option: &'static str, value: &dyn fmt::Debug, rule: &'static str, kept: bool) -> Result<(), InvalidOption> {
    if kept { Ok(()) } else { Err(InvalidOption { option, value: format!("{value:?}"), rule }) }
}

/// Whether inboxes can begin with `prefix`: something to subscribe to, and not more than one thing.
fn is_inbox_prefix(prefix: &str) -> bool {
    check_subscribe_subject(prefix.as_bytes()).is_ok() && !prefix.split('.').any(|token| token == "*" || token == ">")
}
