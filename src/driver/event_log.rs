//! The log: the events of a connection, in lines that help a person at three in the morning.
//!
//! At `info` an outage takes about ten lines, however long it lasts: the loss, failed attempts (more and more rarely),
//! and the reconnect with a summary. `warn` is for lines that may need action, `debug` for every attempt and the
//! announcements of servers. Nothing is logged per message, and frequent events are summed up.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;
use crate::engine::{Cause, ConnectionEvent, Level, Lost};
use crate::protocol::Info;

/// More frequent events are summed up in the next line about them.
const PAUSE: Duration = Duration::from_secs(1);

/// A line names at most this many servers.
const NAMED: usize = 5;

/// What was logged for one client, to limit the rate.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lost: RateLimit,
    slow: RateLimit,
    too_large: RateLimit,
    errors: RateLimit,
    /// Attempts that a server refused since the last connection.
    refused: u64,
}

/// A rate limit for a frequent event.
#[derive(Debug, Default)]
struct RateLimit {
    reported_at: Option<Instant>,
    unreported: u64,
}

impl RateLimit {
    /// Counts `number` more events. Returns the number since the last line if a line is due now.
    fn happened(&mut self, number: u64, now: Instant) -> Option<u64> {
        self.unreported += number;
        if self.reported_at.is_some_and(|reported_at| now.saturating_duration_since(reported_at) < PAUSE) {
            return None;
        }
        self.reported_at = Some(now);
        Some(std::mem::take(&mut self.unreported))
    }
}

/// Logs a line at the level of the event's projection.
macro_rules! log {
    ($level:expr, $($rest:tt)*) => {
        match $level {
            Level::Debug => tracing::debug!($($rest)*),
            Level::Info => tracing::info!($($rest)*),
            Level::Warn => tracing::warn!($($rest)*),
            Level::Error => tracing::error!($($rest)*),
        }
    };
}

impl EventLog {
    /// Logs an event, if it is worth a line.
    pub(super) fn report(&self, event: &ConnectionEvent) {
        let level = event.projection().level;
        match event {
            ConnectionEvent::Connected { server, attempts } => {
                lock(&self.state).refused = 0;
                log!(level, server, attempts, "connected");
            }
            ConnectionEvent::Reconnected { .. } => {
                lock(&self.state).refused = 0;
                report_reconnected(event, level);
            }
            ConnectionEvent::RecoveryDone { server, flushed, took, .. } => {
                log!(level, server, sent = flushed, took = ?rounded(*took), "all buffered messages have been sent");
            }
            ConnectionEvent::Disconnected { server, cause, in_doubt, buffered, .. } => {
                log!(level, server, %cause, in_doubt, buffered, "disconnected");
            }
            ConnectionEvent::Connecting { server, attempt, .. } => log!(level, server, attempt, "connecting"),
            ConnectionEvent::AttemptFailed { server, attempt, cause, retry_in } => {
                self.report_attempt(level, server, *attempt, cause, *retry_in);
            }
            ConnectionEvent::GaveUp { cause, attempts, servers } => {
                log!(level, %cause, attempts, servers = causes(servers), "gave up reconnecting");
            }
            ConnectionEvent::Lost { lost, .. } => self.report_lost(level, lost),
            ConnectionEvent::LeftInDoubt { messages } => log!(level, messages, "messages were left in doubt"),
            ConnectionEvent::SlowConsumer { sid, dropped } => {
                if let Some(times) = self.due(|state| &mut state.slow) {
                    log!(level, sid, dropped, times, "a subscription is losing messages: its consumer is too slow");
                }
            }
            ConnectionEvent::MessageTooLarge { sid, size, limit, .. } => {
                if let Some(times) = self.due(|state| &mut state.too_large) {
                    log!(level, sid, size, limit, times, "skipped a message over the limit");
                }
            }
            ConnectionEvent::ServerError { server, error } => {
                if let Some(times) = self.due(|state| &mut state.errors) {
                    log!(level, server, %error, times, "the server reported an error");
                }
            }
            ConnectionEvent::BufferHigh { pending, limit } => {
                log!(level, pending, limit, "the reconnect buffer is nearly full");
            }
            ConnectionEvent::BufferLow { pending, limit } => {
                log!(level, pending, limit, "the reconnect buffer has room again");
            }
            ConnectionEvent::ServerNotInPool { server } => {
                log!(level, server, "the callback chose a server that is not in the pool");
            }
            ConnectionEvent::ServerInfo { server, info } => report_info(level, server, info),
            ConnectionEvent::ServersChanged { added, removed } => {
                log!(level, added = names(added), removed = names(removed), "the cluster's servers changed");
            }
            ConnectionEvent::LameDuck { server } => log!(level, server, "the server is about to stop"),
            ConnectionEvent::Draining => log!(level, "draining"),
            ConnectionEvent::Closed { cause } => log!(level, %cause, "closed"),
        }
    }

    /// Counts one more event. Returns the number since the last line about it, if a line is due now.
    fn due(&self, which: impl FnOnce(&mut State) -> &mut RateLimit) -> Option<u64> {
        which(&mut lock(&self.state)).happened(1, Instant::now())
    }

    /// Logs the first, second, fourth, eighth attempt and so on at a level that operators see, so that the reason of an
    /// outage is in the log before its end.
    fn report_attempt(&self, level: Level, server: &str, attempt: u64, cause: &Cause, retry_in: Duration) {
        let retry_in = rounded(retry_in);
        if level == Level::Warn {
            let times = {
                let mut state = lock(&self.state);
                state.refused += 1;
                state.refused
            };
            if times.is_power_of_two() {
                return log!(level, server, attempt, %cause, times, ?retry_in, "the server refused the credentials");
            }
        }
        let level = if level == Level::Debug && attempt.is_power_of_two() { Level::Info } else { Level::Debug };
        log!(level, server, attempt, %cause, ?retry_in, "attempt failed");
    }

    fn report_lost(&self, level: Level, lost: &Lost) {
        let Some(messages) = lock(&self.state).lost.happened(lost.total(), Instant::now()) else { return };
        let Lost { overflow, expired, too_large, no_headers, poison, closed, .. } = *lost;
        let reasons = [
            ("overflow", overflow),
            ("expired", expired),
            ("too large", too_large),
            ("no headers", no_headers),
            ("poison", poison),
            ("closed", closed),
        ];
        let reason = reasons.into_iter().find(|(_, count)| *count > 0).map_or("refused", |(reason, _)| reason);
        log!(level, messages, reason, "messages were lost before they were sent");
    }
}

fn report_reconnected(event: &ConnectionEvent, level: Level) {
    if let ConnectionEvent::Reconnected {
        server,
        downtime,
        attempts,
        subscriptions,
        flushed,
        dropped,
        expired,
        in_doubt,
        still_buffered,
        ..
    } = event
    {
        let (downtime, lost, buffered) = (rounded(*downtime), dropped + expired, still_buffered);
        log!(
            level,
            server,
            ?downtime,
            attempts,
            subscriptions,
            sent = flushed,
            lost,
            in_doubt,
            buffered,
            "reconnected"
        );
    }
}

fn report_info(level: Level, server: &str, info: &Info) {
    let Info { server_name, version, cluster, max_payload, connect_urls, .. } = info;
    let (name, version, cluster) = (short(server_name), short(version), cluster.as_deref().map(short));
    let others = connect_urls.len();
    log!(level, server, name, version, cluster, max_payload, others, "received server info");
}

/// Rounds to milliseconds.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis().try_into().unwrap_or(u64::MAX))
}

/// The first names, and the number of the others.
fn names(servers: &[String]) -> String {
    let mut text: Vec<&str> = servers.iter().take(NAMED).map(String::as_str).collect();
    let more = format!("{} more", servers.len().saturating_sub(NAMED));
    if servers.len() > NAMED {
        text.push(&more);
    }
    text.join(" ")
}

/// The first servers with their last errors, and the number of the others.
fn causes(servers: &[(String, Cause)]) -> String {
    let mut text: Vec<String> =
        servers.iter().take(NAMED).map(|(server, cause)| format!("{server}: {cause}")).collect();
    if servers.len() > NAMED {
        text.push(format!("{} more", servers.len() - NAMED));
    }
    text.join("; ")
}

/// A server's own text, shortened for a line.
fn short(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
