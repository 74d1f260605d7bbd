//! Checks of option values, and values that follow from several options.

use std::fmt;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use super::ConnectOptions;
use crate::client::error::{ConnectError, ConnectErrorKind};
use crate::engine::OverflowPolicy;
use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::time::within_reach;
use crate::protocol::{HIGHEST, Limits, SHORT_FRAME, check_subscribe_subject};

/// Shortest allowed `max_control_line`: subject and reply of a plain request, with room. Arbitrary, except that the
/// line of a [`SHORT_FRAME`] is not checked again.
const SHORTEST_CONTROL_LINE: usize = SHORT_FRAME;

/// What a subscription to replies adds to the inbox prefix: two dots, 22 characters of an id, `*`, a blank and the
/// longest sid.
const INBOX_ARGS: usize = 2 + 22 + 1 + 1 + 20;

/// Shortest allowed silence before a PING: the resolution of timers.
const SHORTEST_PING_INTERVAL: Duration = Duration::from_millis(1);

/// Shortest allowed line from a server: servers send lines of this length by default.
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

impl ConnectOptions {
    /// Checks every value, and applies what follows from several options.
    pub(crate) fn checked(mut self) -> Result<ConnectOptions, ConnectError> {
        self.check().map_err(|invalid| ConnectError::with_source(ConnectErrorKind::Io, invalid))?;
        self.credentials.check().map_err(|fault| ConnectError::with_source(ConnectErrorKind::Authentication, fault))?;
        let ConnectOptions { config, driver, credentials, callbacks, .. } = &mut self;
        config.tls_possible = cfg!(feature = "tls");
        config.ask_credentials = credentials.are_asked();
        driver.authenticator = take(credentials).into_authenticator();
        config.ask_delay = callbacks.asks_delay();
        config.ask_server = callbacks.asks_server();
        driver.chooser = take(callbacks).into_chooser();
        driver.write_timeout = config.write_timeout;
        Arc::make_mut(&mut driver.tls).required = config.require_tls || config.tls_first;
        if let Some(interval) = config.ping_interval {
            // A longer pause would look like a dead server.
            driver.slow_consumer_grace = driver.slow_consumer_grace.min(interval / 2);
        }
        Ok(self)
    }

    pub(super) fn check(&self) -> Result<(), InvalidOption> {
        const LONGER_THAN_ZERO: &str = "must be longer than zero";
        const AT_LEAST_ONE: &str = "must be at least 1";
        for (option, value) in [
            ("connection_timeout", self.config.connect_timeout),
            ("write_timeout", self.config.write_timeout),
            ("preferred_timeout", self.config.preferred.timeout),
            ("flush_timeout", self.flush_timeout),
            ("publish_timeout", self.publish_timeout),
        ] {
            rule(option, &value, LONGER_THAN_ZERO, !value.is_zero())?;
        }
        if let Some(interval) = self.config.ping_interval {
            let kept = interval >= SHORTEST_PING_INTERVAL;
            rule("ping_interval", &interval, "must be at least 1ms (None sends no PING while idle)", kept)?;
        }
        if let OverflowPolicy::Wait(limit) = self.config.outbox.overflow {
            rule("overflow_policy", &self.config.outbox.overflow, "must wait longer than zero", !limit.is_zero())?;
        }
        if let Some(losses) = self.config.poison_after {
            rule("poison_after", &losses, "must be at least 2", losses >= 2)?;
        }
        if let Some(age) = self.config.outbox.max_age {
            rule("max_message_age", &age, LONGER_THAN_ZERO, !age.is_zero())?;
        }
        if let Some(messages) = self.config.outbox.messages {
            rule("reconnect_buffer_messages", &messages, AT_LEAST_ONE, messages > 0)?;
        }
        if let Some(max) = self.config.first_attempts {
            rule("connect_attempts", &max, AT_LEAST_ONE, max > 0)?;
        }
        if let Some(max) = self.config.policy.max_per_server {
            rule("max_reconnects_per_server", &max, AT_LEAST_ONE, max > 0)?;
        }
        if let Some(timeout) = self.request_timeout {
            rule("request_timeout", &timeout, "must be longer than zero (None waits for ever)", !timeout.is_zero())?;
        }
        for (option, value) in [
            ("max_pings_out", self.config.max_pings_out as usize),
            ("subscription_capacity", self.subscription_messages),
            ("subscription_byte_capacity", self.subscription_bytes),
        ] {
            rule(option, &value, AT_LEAST_ONE, value > 0)?;
        }
        let line = self.config.max_control_line;
        rule("max_control_line", &line, "must be at least 128 bytes", line >= SHORTEST_CONTROL_LINE)?;
        let Limits { line, headers, total } = self.driver.limits;
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
            "must be at least 46 bytes shorter than max_control_line, since an inbox and its subscription add 46 bytes",
            self.inbox_prefix.len().saturating_add(INBOX_ARGS) <= self.config.max_control_line,
        )?;
        check_backoff(&self.config.policy.backoff, ["backoff.factor", "backoff.initial", "backoff.jitter"])?;
        let names = ["failback_probe.factor", "failback_probe.initial", "failback_probe.jitter"];
        check_backoff(&self.config.preferred.probe, names)
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

pub(super) fn backoff_within_reach(backoff: Backoff) -> Backoff {
    let jitter = match backoff.jitter {
        Jitter::Added(most) => Jitter::Added(within_reach(most)),
        other => other,
    };
    Backoff { initial: within_reach(backoff.initial), max: within_reach(backoff.max), jitter, ..backoff }
}

fn rule(option: &'static str, value: &dyn fmt::Debug, rule: &'static str, kept: bool) -> Result<(), InvalidOption> {
    if kept { Ok(()) } else { Err(InvalidOption { option, value: format!("{value:?}"), rule }) }
}

/// Whether inboxes can begin with `prefix`: a valid subject without wildcards.
fn is_inbox_prefix(prefix: &str) -> bool {
    check_subscribe_subject(prefix.as_bytes()).is_ok() && !prefix.split('.').any(|token| token == "*" || token == ">")
}
