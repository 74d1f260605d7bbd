//! The log: what happens to the connection, in lines that a person reads at three in the morning.
//!
//! At `info` an outage is some ten lines, however long it lasts: the loss, attempts that fail (fewer and fewer of them), the
//! return with its account. `warn` is what somebody may have to do something about, `debug` every attempt and what servers
//! announce. Nothing is logged per message, and what can happen often is summed up.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;
use crate::engine::{Cause, ConnectionEvent, Lost};
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

impl Story {
    /// Writes what is worth a line.
    pub(super) fn tell(&self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Connected { server, attempts } => {
                lock(&self.state).refused = 0;
                tracing::info!(server, attempts, "connected");
            }
            ConnectionEvent::Reconnected {
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
            } => {
                lock(&self.state).refused = 0;
                let (lost, buffered) = (dropped + expired, still_held);
                tracing::info!(
                    server,
                    downtime = ?rounded(*downtime),
                    attempts,
                    subscriptions,
                    sent = flushed,
                    lost,
                    in_doubt,
                    buffered,
                    "reconnected"
                );
            }
            ConnectionEvent::RecoveryDone { server, flushed, took, .. } => {
                tracing::info!(server, sent = flushed, took = ?rounded(*took), "all buffered messages are sent");
            }
            ConnectionEvent::Disconnected { server, cause, in_doubt, held, .. } => {
                let buffered = held;
                if cause.is_planned() || *cause == Cause::ByUser {
                    tracing::info!(server, %cause, in_doubt, buffered, "disconnected");
                } else {
                    tracing::warn!(server, %cause, in_doubt, buffered, "disconnected");
                }
            }
            ConnectionEvent::AttemptFailed { server, attempt, cause, retry_in } => {
                self.tell_attempt(server, *attempt, cause, *retry_in);
            }
            ConnectionEvent::GaveUp { cause, attempts } => {
                tracing::error!(%cause, attempts, "reconnecting was given up");
            }
            ConnectionEvent::Lost { lost, .. } => self.tell_lost(lost),
            ConnectionEvent::LeftInDoubt { messages } => tracing::warn!(messages, "messages were left in doubt"),
            ConnectionEvent::SlowConsumer { sid, dropped } => {
                let times = lock(&self.state).slow.happened(1, Instant::now());
                if let Some(times) = times {
                    tracing::warn!(
                        sid,
                        dropped,
                        times,
                        "a subscription loses messages, since its consumer is too slow"
                    );
                }
            }
            ConnectionEvent::MessageTooLarge { sid, size, limit, .. } => {
                let times = lock(&self.state).too_large.happened(1, Instant::now());
                if let Some(times) = times {
                    tracing::warn!(sid, size, limit, times, "skipped a message over the limit");
                }
            }
            ConnectionEvent::ServerError { error } => {
                let times = lock(&self.state).errors.happened(1, Instant::now());
                if let Some(times) = times {
                    tracing::warn!(%error, times, "the server reports an error");
                }
            }
            ConnectionEvent::BufferHigh { pending, limit } => {
                tracing::warn!(pending, limit, "the buffer for outages is nearly full");
            }
            ConnectionEvent::ServerNotInPool { server } => {
                tracing::warn!(server, "the callback chose a server that is not in the pool");
            }
            ConnectionEvent::LameDuck { server } => tracing::info!(server, "the server is about to stop"),
            ConnectionEvent::Draining => tracing::info!("draining"),
            ConnectionEvent::Closed { cause } => tracing::info!(%cause, "closed"),
            detail => tell_detail(detail),
        }
    }

    /// The first attempts are worth a line each, and of the others fewer and fewer: the second, the fourth, the eighth.
    fn tell_attempt(&self, server: &str, attempt: u64, cause: &Cause, retry_in: Duration) {
        if cause.is_auth() || matches!(cause, Cause::Credentials(_)) {
            let times = {
                let mut state = lock(&self.state);
                state.refused += 1;
                state.refused
            };
            if times.is_power_of_two() {
                return tracing::warn!(server, attempt, %cause, times, retry_in = ?rounded(retry_in), "the credentials were refused");
            }
        } else if attempt.is_power_of_two() {
            return tracing::info!(server, attempt, %cause, retry_in = ?rounded(retry_in), "an attempt failed");
        }
        tracing::debug!(server, attempt, %cause, retry_in = ?rounded(retry_in), "an attempt failed");
    }

    fn tell_lost(&self, lost: &Lost) {
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
        tracing::warn!(messages, reason, "messages were lost before they were sent");
    }
}

fn tell_detail(event: &ConnectionEvent) {
    match event {
        ConnectionEvent::Connecting { server, attempt, .. } => tracing::debug!(server, attempt, "connecting"),
        ConnectionEvent::ServerInfo { server, info } => {
            let Info { server_name, version, cluster, max_payload, connect_urls, .. } = &**info;
            let (name, cluster, others) = (short(server_name), cluster.as_deref().map(short), connect_urls.len());
            tracing::debug!(
                server,
                name,
                version = short(version),
                cluster,
                max_payload,
                others,
                "the server introduced itself"
            );
        }
        ConnectionEvent::ServersChanged { added, removed } => {
            tracing::debug!(added = names(added), removed = names(removed), "the cluster's servers changed");
        }
        ConnectionEvent::BufferLow { pending, limit } => {
            tracing::debug!(pending, limit, "the buffer for outages has room again");
        }
        _ => {}
    }
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
