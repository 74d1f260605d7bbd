//! The record of a connection: its last changes of state with their reasons, and when it was up and down.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

use super::lock;
use super::utc::utc;
use crate::engine::{Cause, ConnectionEvent, EndReason, Fault, Projection, Status, counted};
use crate::protocol::{cut, kept, shown};

/// State changes that are kept. Arbitrary: some hours of a flapping connection, in some tens of KiB.
const CHANGES: usize = 128;

/// Changes of the pool that are kept. Arbitrary too.
const TOPOLOGY: usize = 128;

/// At most this many bytes of server names in them: a cluster may be large, or lie. The last change is always kept.
const TOPOLOGY_BYTES: usize = 512 * 1024;

/// The record of one client, updated with each event of its connection, which is rare.
#[derive(Debug, Default)]
pub(crate) struct Record {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    changes: VecDeque<StateChange>,
    topology: VecDeque<TopologyChange>,
    /// Bytes of the names in `topology`.
    topology_bytes: usize,
    health: Known,
}

/// The data of a health snapshot, besides the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Failed or running attempts since the last connection.
    pub(crate) attempts: u64,
    pub(crate) last_connected_at: Option<SystemTime>,
    pub(crate) last_disconnected_at: Option<SystemTime>,
    pub(crate) last_error: Option<String>,
    /// Connections lost.
    pub(crate) disconnects: u64,
    /// Errors: failed attempts, errors of the server, unplanned losses.
    pub(crate) errors: u64,
}

/// One change of a client's state, with its reason: an entry of [`recovery_log`](crate::Client::recovery_log).
///
/// [`Display`](std::fmt::Display) makes one line of text of it, with the time in UTC.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StateChange {
    /// When it happened, by the wall clock.
    pub at: SystemTime,
    /// The new state.
    pub status: Status,
    /// `host:port` of the server that was connected or lost.
    pub server: Option<String>,
    /// Why a connection was lost, why reconnecting was given up, why the client ended, or a summary of the outage.
    pub reason: Option<String>,
    /// Failed attempts in this state.
    pub failed_attempts: u64,
    /// The server and the cause of the last of them.
    pub last_failure: Option<String>,
}

/// One change of the server pool, made by the cluster or by the failures of a server: an entry of
/// [`topology_log`](crate::Client::topology_log).
///
/// [`Display`](std::fmt::Display) makes one line of text of it, with the time in UTC.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopologyChange {
    /// When it happened, by the wall clock.
    pub at: SystemTime,
    /// Servers that were added to the pool, as `host:port`.
    pub added: Vec<String>,
    /// Servers that were removed from it.
    pub removed: Vec<String>,
}

impl Record {
    /// Records an event. `at`: the time by the wall clock.
    pub(super) fn write(&self, event: &ConnectionEvent, at: SystemTime) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let seen = event.projection();
        state.count(event, &seen, at);
        state.note(event, &seen, at);
        if let ConnectionEvent::ServersChanged { added, removed } = event {
            state.note_topology(TopologyChange { at, added: added.clone(), removed: removed.clone() });
        }
    }

    /// Records an error without an event: a failed health check.
    pub(crate) fn note_error(&self, error: &str) {
        let mut guard = lock(&self.state);
        guard.health.errors += 1;
        guard.health.last_error = Some(cut(error).into_owned());
    }

    pub(crate) fn known(&self) -> Known {
        lock(&self.state).health.clone()
    }

    pub(crate) fn topology(&self) -> Vec<TopologyChange> {
        lock(&self.state).topology.iter().cloned().collect()
    }

    pub(crate) fn changes(&self) -> Vec<StateChange> {
        lock(&self.state).changes.iter().cloned().collect()
    }
}

impl State {
    fn note_topology(&mut self, change: TopologyChange) {
        self.topology_bytes += change.weight();
        self.topology.push_back(change);
        while self.topology.len() > TOPOLOGY || (self.topology_bytes > TOPOLOGY_BYTES && self.topology.len() > 1) {
            if let Some(oldest) = self.topology.pop_front() {
                self.topology_bytes -= oldest.weight();
            }
        }
    }

    fn count(&mut self, event: &ConnectionEvent, seen: &Projection<'_>, at: SystemTime) {
        let health = &mut self.health;
        match event {
            ConnectionEvent::Connecting { attempt, .. } => health.attempts = *attempt,
            ConnectionEvent::Disconnected { .. } => {
                health.disconnects += 1;
                health.last_disconnected_at = Some(at);
            }
            _ if seen.status == Some(Status::Connected) => {
                health.attempts = 0;
                health.last_connected_at = Some(at);
            }
            _ => {}
        }
        let error = match seen.fault {
            Some(Fault::Line { server, cause }) => format!("{server}: {cause}"),
            Some(Fault::Server(error)) => error.to_string(),
            // Concerns only one subscription.
            Some(Fault::SlowConsumer | Fault::MessageTooLarge) | None => return,
        };
        health.errors += 1;
        health.last_error = Some(kept(error));
    }

    fn note(&mut self, event: &ConnectionEvent, seen: &Projection<'_>, at: SystemTime) {
        let Some(mut status) = seen.status else {
            return;
        };
        let last = self.changes.back().map(|change| change.status);
        match event {
            ConnectionEvent::Connecting { .. } if !matches!(last, None | Some(Status::Disconnected)) => return,
            ConnectionEvent::AttemptFailed { server, cause, .. } => {
                if last == Some(Status::Connecting) {
                    self.push(StateChange::new(at, status, None, None));
                }
                if let Some(change) = self.changes.back_mut() {
                    change.failed_attempts += 1;
                    change.last_failure = Some(kept(format!("{server}: {cause}")));
                }
                return;
            }
            // The end follows, and has its own line.
            ConnectionEvent::Disconnected { cause: Cause::ByUser, .. } => return,
            // A draining client continues to drain.
            ConnectionEvent::Disconnected { .. } if last == Some(Status::Draining) => status = Status::Draining,
            _ => {}
        }
        let (server, reason) = details(event);
        self.push(StateChange::new(at, status, server.cloned(), reason));
    }

    fn push(&mut self, change: StateChange) {
        if self.changes.len() == CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }
}

impl TopologyChange {
    fn weight(&self) -> usize {
        self.added.iter().chain(&self.removed).map(|name| name.len() + size_of::<String>()).sum()
    }
}

impl std::fmt::Display for TopologyChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&utc(self.at))?;
        self.added.iter().try_for_each(|server| write!(f, " +{}", shown(server)))?;
        self.removed.iter().try_for_each(|server| write!(f, " -{}", shown(server)))
    }
}

/// The server of a change, and its details.
fn details(event: &ConnectionEvent) -> (Option<&String>, Option<String>) {
    match event {
        ConnectionEvent::Connected { server, attempts } => (Some(server), Some(format!("attempt {attempts}"))),
        ConnectionEvent::Reconnected { server, downtime, attempts, subscriptions, flushed, still_buffered, .. } => {
            let subscriptions = counted(*subscriptions as u64, "subscription");
            let flushed = counted(*flushed, "buffered message");
            let cost = format!(
                "after {downtime:.1?}, attempt {attempts}, {subscriptions}, {flushed} sent, {still_buffered} to be sent"
            );
            (Some(server), Some(cost))
        }
        ConnectionEvent::Disconnected { server, cause, in_doubt, buffered, .. } => {
            (Some(server), Some(format!("{cause}; {in_doubt} in doubt, {buffered} buffered")))
        }
        ConnectionEvent::GaveUp { cause, attempts, .. } => {
            (None, Some(format!("gave up after {}: {cause}", counted(*attempts, "failed attempt"))))
        }
        ConnectionEvent::Closed { cause } => (None, Some(end(cause))),
        _ => (None, None),
    }
}

fn end(reason: &EndReason) -> String {
    match reason {
        EndReason::Closed => "by the user".to_owned(),
        reason => reason.to_string(),
    }
}

impl StateChange {
    fn new(at: SystemTime, status: Status, server: Option<String>, reason: Option<String>) -> StateChange {
        let (server, reason) = (server.map(kept), reason.map(kept));
        StateChange { at, status, server, reason, failed_attempts: 0, last_failure: None }
    }
}

impl std::fmt::Display for StateChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", utc(self.at), self.status)?;
        if let Some(server) = &self.server {
            write!(f, " {}", shown(server))?;
        }
        if let Some(reason) = &self.reason {
            write!(f, ": {}", shown(reason))?;
        }
        if let (1.., Some(failure)) = (self.failed_attempts, &self.last_failure) {
            write!(f, "; {} failed, the last: {}", counted(self.failed_attempts, "attempt"), shown(failure))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn failed(server: &str) -> ConnectionEvent {
        let (cause, retry_in) = (Cause::NoServers, Duration::ZERO);
        ConnectionEvent::AttemptFailed { server: server.to_owned(), attempt: 1, cause, retry_in }
    }

    fn connecting(attempt: u64) -> ConnectionEvent {
        ConnectionEvent::Connecting { server: "a".to_owned(), attempt, waited: Duration::ZERO }
    }

    #[test]
    fn state_changes_are_lines_with_reasons_and_attempts_only_count() {
        let record = Record::default();
        let events = [
            connecting(1),
            failed("a"),
            connecting(2),
            failed("b"),
            ConnectionEvent::Connected { server: "a".to_owned(), attempts: 3 },
            ConnectionEvent::Disconnected {
                server: "a".to_owned(),
                cause: Cause::ClosedByServer,
                in_doubt: 1,
                buffered: 2,
                folded: 0,
            },
            connecting(1),
            failed("a"),
            ConnectionEvent::GaveUp { cause: Cause::NoServers, attempts: 1, servers: Vec::new() },
            connecting(2),
            ConnectionEvent::Draining,
            ConnectionEvent::Closed { cause: EndReason::Drained },
        ];
        for (second, event) in events.iter().enumerate() {
            record.write(event, at(second as u64));
        }
        let lines: Vec<String> = record.changes().iter().map(|change| change.to_string()[11..].to_owned()).collect();
        assert_eq!(
            lines,
            [
                "00:00:00.000Z connecting",
                "00:00:01.000Z reconnecting; 2 attempts failed, the last: b: no servers in the pool",
                "00:00:04.000Z connected a: attempt 3",
                "00:00:05.000Z reconnecting a: closed by the server; 1 in doubt, 2 buffered; 1 attempt failed, the last: a: no \
                 servers in the pool",
                "00:00:08.000Z disconnected: gave up after 1 failed attempt: no servers in the pool",
                "00:00:09.000Z connecting",
                "00:00:10.000Z draining",
                "00:00:11.000Z closed: drained",
            ]
        );
        let known = record.known();
        assert_eq!((known.attempts, known.disconnects, known.errors), (2, 1, 4));
        assert_eq!((known.last_connected_at, known.last_disconnected_at), (Some(at(4)), Some(at(5))));
        assert_eq!(known.last_error.as_deref(), Some("a: no servers in the pool"));
    }

    #[test]
    fn a_long_outage_is_one_line_and_only_the_last_changes_are_kept() {
        let record = Record::default();
        for _ in 0..10_000 {
            record.write(&connecting(1), at(0));
            record.write(&failed("a"), at(0));
        }
        assert_eq!(record.changes().len(), 2);
        for second in 0..1000 {
            record.write(&ConnectionEvent::Draining, at(second));
        }
        let changes = record.changes();
        assert_eq!((changes.len(), changes.last().map(|change| change.at)), (CHANGES, Some(at(999))));
    }

    // Faults H1, H5
    #[test]
    fn long_and_malicious_texts_are_cut_and_escaped() {
        let record = Record::default();
        let name = |number: usize| format!("{number}\u{1b}[2J{}", "x".repeat(4000));
        for number in 0..3000 {
            let (added, removed) = ((0..30).map(name).collect(), vec![name(number)]);
            record.write(&ConnectionEvent::ServersChanged { added, removed }, at(0));
            record.write(&failed(&name(number)), at(0));
            record.write(&ConnectionEvent::Connected { server: name(number), attempts: 1 }, at(0));
        }
        let topology = record.topology();
        let bytes: usize = topology.iter().map(TopologyChange::weight).sum();
        assert!((1..=TOPOLOGY_BYTES).contains(&bytes), "{bytes} bytes");
        let changes = record.changes();
        let shown: Vec<String> =
            changes.iter().map(ToString::to_string).chain(topology.iter().map(ToString::to_string)).collect();
        assert!(!shown.iter().any(|line| line.contains(char::is_control)), "{:?}", shown.first());
        let texts = changes.iter().flat_map(|change| [&change.server, &change.reason, &change.last_failure]);
        let longest = texts.flatten().map(String::len).max();
        assert!(longest.is_some_and(|longest| longest < 1100), "{longest:?}");
        assert!(record.known().last_error.is_some_and(|error| error.len() < 1100));
    }

    #[test]
    fn changes_announced_by_the_cluster_are_kept() {
        let record = Record::default();
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        for second in 0..1000 {
            let (added, removed) = (names(&["b:4222", "c:4222"]), names(&["a:4222"]));
            record.write(&ConnectionEvent::ServersChanged { added, removed }, at(second));
        }
        assert!(record.changes().is_empty(), "the state is as it was");
        let log = record.topology();
        assert_eq!(log.len(), TOPOLOGY);
        assert_eq!(log[TOPOLOGY - 1].to_string()[11..], *"00:16:39.000Z +b:4222 +c:4222 -a:4222");
    }
}
