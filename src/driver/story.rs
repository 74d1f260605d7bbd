//! The log: what happens to the connection, in lines that a person reads at three in the morning.
//!
//! At `info` an outage is some ten lines, however long it lasts: the loss, attempts that fail (fewer and fewer of them), the
//! return with its account. `warn` is what somebody may have to do something about, `debug` every attempt and what servers
//! announce. Nothing is logged per message, and what can happen often is summed up.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;
use crate::engine::{Cause, ConnectionEvent, Level, Lost};
use crate::protocol::Info;

/// What happens more often than this is summed up in the next line about it.
const PAUSE: Duration = Duration::from_secs(1);

/// So many names of servers are in one line.
const NAMED: usize = 5;

/// What was said of one client, so that it is not said too often.
#[derive(Debug, Default)]
pub(super) struct Story {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lost: Often,
    slow: Often,
    too_large: Often,
    errors: Often,
    /// Attempts that a server refused since the last connection.
    refused: u64,
}

/// Something that may happen all the time.
#[derive(Debug, Default)]
struct Often {
    said: Option<Instant>,
    unsaid: u64,
}

impl Often {
    /// It has happened `number` times more. How often since it was said last, if it is to be said now.
    fn happened(&mut self, number: u64, now: Instant) -> Option<u64> {
        self.unsaid += number;
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < PAUSE) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

/// A line at the level that the event's projection asks for.
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

impl Story {
    /// Writes what is worth a line.
    pub(super) fn tell(&self, event: &ConnectionEvent) {
        let level = event.projection().level;
        match event {
            ConnectionEvent::Connected { server, attempts } => {
                lock(&self.state).refused = 0;
                log!(level, server, attempts, "connected");
            }
            ConnectionEvent::Reconnected { .. } => {
                lock(&self.state).refused = 0;
                tell_reconnected(event, level);
            }
            ConnectionEvent::RecoveryDone { server, flushed, took, .. } => {
                log!(level, server, sent = flushed, took = ?rounded(*took), "all buffered messages are sent");
            }
            ConnectionEvent::Disconnected { server, cause, in_doubt, held, .. } => {
                log!(level, server, %cause, in_doubt, buffered = held, "disconnected");
            }
            ConnectionEvent::Connecting { server, attempt, .. } => log!(level, server, attempt, "connecting"),
            ConnectionEvent::AttemptFailed { server, attempt, cause, retry_in } => {
                self.tell_attempt(level, server, *attempt, cause, *retry_in);
            }
            ConnectionEvent::GaveUp { cause, attempts } => log!(level, %cause, attempts, "reconnecting was given up"),
            ConnectionEvent::Lost { lost, .. } => self.tell_lost(level, lost),
            ConnectionEvent::LeftInDoubt { messages } => log!(level, messages, "messages were left in doubt"),
            ConnectionEvent::SlowConsumer { sid, dropped } => {
                if let Some(times) = self.often(|state| &mut state.slow) {
                    log!(level, sid, dropped, times, "a subscription loses messages, since its consumer is too slow");
                }
            }
            ConnectionEvent::MessageTooLarge { sid, size, limit, .. } => {
                if let Some(times) = self.often(|state| &mut state.too_large) {
                    log!(level, sid, size, limit, times, "skipped a message over the limit");
                }
            }
            ConnectionEvent::ServerError { error } => {
                if let Some(times) = self.often(|state| &mut state.errors) {
                    log!(level, %error, times, "the server reports an error");
                }
            }
            ConnectionEvent::BufferHigh { pending, limit } => {
                log!(level, pending, limit, "the buffer for outages is nearly full");
            }
            ConnectionEvent::BufferLow { pending, limit } => {
                log!(level, pending, limit, "the buffer for outages has room again");
            }
            ConnectionEvent::ServerNotInPool { server } => {
                log!(level, server, "the callback chose a server that is not in the pool");
            }
            ConnectionEvent::ServerInfo { server, info } => tell_info(level, server, info),
            ConnectionEvent::ServersChanged { added, removed } => {
                log!(level, added = names(added), removed = names(removed), "the cluster's servers changed");
            }
            ConnectionEvent::LameDuck { server } => log!(level, server, "the server is about to stop"),
            ConnectionEvent::Draining => log!(level, "draining"),
            ConnectionEvent::Closed { cause } => log!(level, %cause, "closed"),
        }
    }

    /// It has happened once more. How often since the last line about it, if there is to be one now.
    fn often(&self, which: impl FnOnce(&mut State) -> &mut Often) -> Option<u64> {
        which(&mut lock(&self.state)).happened(1, Instant::now())
    }

    /// Of many attempts, the first, the second, the fourth, the eighth and so on are worth a line in an operator's log: an outage
    /// whose reason is only told at its end helps nobody.
    fn tell_attempt(&self, level: Level, server: &str, attempt: u64, cause: &Cause, retry_in: Duration) {
        let retry_in = rounded(retry_in);
        if level == Level::Warn {
            let times = {
                let mut state = lock(&self.state);
                state.refused += 1;
                state.refused
            };
            if times.is_power_of_two() {
                return log!(level, server, attempt, %cause, times, ?retry_in, "the credentials were refused");
            }
        }
        let level = if level == Level::Debug && attempt.is_power_of_two() { Level::Info } else { Level::Debug };
        log!(level, server, attempt, %cause, ?retry_in, "an attempt failed");
    }

    fn tell_lost(&self, level: Level, lost: &Lost) {
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

fn tell_reconnected(event: &ConnectionEvent, level: Level) {
    if let ConnectionEvent::Reconnected {
        server,
        downtime,
        attempts,
        subscriptions,
        flushed,
        dropped,
        expired,
        in_doubt,
        still_held,
        ..
    } = event
    {
        let (downtime, lost, buffered) = (rounded(*downtime), dropped + expired, still_held);
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

fn tell_info(level: Level, server: &str, info: &Info) {
    let Info { server_name, version, cluster, max_payload, connect_urls, .. } = info;
    let (name, version, cluster) = (short(server_name), short(version), cluster.as_deref().map(short));
    let others = connect_urls.len();
    log!(level, server, name, version, cluster, max_payload, others, "the server introduced itself");
}

/// To the millisecond.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis().try_into().unwrap_or(u64::MAX))
}

/// The first names, and how many more there are.
fn names(servers: &[String]) -> String {
    let mut text: Vec<&str> = servers.iter().take(NAMED).map(String::as_str).collect();
    let more = format!("{} more", servers.len().saturating_sub(NAMED));
    if servers.len() > NAMED {
        text.push(&more);
    }
    text.join(" ")
}

/// A server's own text, as far as it is worth a place in a line.
fn short(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
