//! A bounded queue of events for one listener: what is not read in time is summed up, and no change of state is lost.

use std::collections::{BTreeSet, VecDeque};

use super::event::ConnectionEvent;
use super::projection::Kept;
use crate::engine::outbox::RETURNED_BYTES;

/// Events for one listener, up to a capacity.
///
/// When it is full, the oldest outage after the head, from `Disconnected` to `Reconnected`, is folded into the next one: the
/// first cause stays; downtime, attempts, messages in doubt, flushed and lost are added up; `folded` counts the outages that
/// were removed. Their details are dropped. If there is no such pair, the oldest detail is dropped, an attempt for instance; an
/// event that counts something is added to the next of its kind.
///
/// So `Connected`/`Reconnected` and `Disconnected` alternate whatever the listener reads when, the newest event is never lost,
/// and every sum over the events is exact.
#[derive(Debug)]
pub struct EventQueue {
    events: VecDeque<ConnectionEvent>,
    capacity: usize,
    /// Bytes of lost messages in the events; never more than [`RETURNED_BYTES`].
    returned_bytes: usize,
    /// Bytes of foreign text in the events. Beyond [`FOREIGN_TEXT`], details are dropped.
    foreign: usize,
}

/// How many bytes of foreign text wait for a listener: INFOs, names of servers, errors. Arbitrary.
const FOREIGN_TEXT: usize = 1024 * 1024;

/// The smallest capacity, which holds what can't be folded: a head, one whole pair and the beginning of the next, `Draining`,
/// `Closed`, and one of each kind that counts something.
const SMALLEST: usize = 16;

impl EventQueue {
    /// An empty queue of at most `capacity` events, and never less than 16.
    pub fn new(capacity: usize) -> EventQueue {
        EventQueue { events: VecDeque::new(), capacity: capacity.max(SMALLEST), returned_bytes: 0, foreign: 0 }
    }

    /// How many events wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The oldest event.
    pub fn pop(&mut self) -> Option<ConnectionEvent> {
        let event = self.events.pop_front()?;
        self.returned_bytes -= event.returned_bytes();
        self.foreign -= event.weight();
        Some(event)
    }

    /// Adds an event, and makes room if there is none.
    pub fn push(&mut self, mut event: ConnectionEvent) {
        if self.returned_bytes + event.returned_bytes() > RETURNED_BYTES {
            event.keep_counts_only();
        }
        self.returned_bytes += event.returned_bytes();
        self.foreign += event.weight();
        self.events.push_back(event);
        if self.events.len() > self.capacity && !self.fold_oldest_outage() && !self.drop_oldest_detail() {
            self.add_up(|_| true);
        }
        while self.foreign > FOREIGN_TEXT && self.lighten() {}
    }

    /// Drops foreign text. `false`: there is nothing left to drop.
    fn lighten(&mut self) -> bool {
        self.add_up(|event| event.weight() > 0)
            || self.drop_oldest(|event| event.projection().kept == Kept::Detail && event.weight() > 0)
            || self.fold_oldest_outage()
    }

    /// The position of the next event for which this is true, starting at `from`.
    fn find(&self, from: usize, like: impl Fn(&ConnectionEvent) -> bool) -> Option<usize> {
        self.events.iter().skip(from).position(like).map(|at| at + from)
    }

    fn fold_oldest_outage(&mut self) -> bool {
        let lost = |event: &ConnectionEvent| matches!(event, ConnectionEvent::Disconnected { .. });
        let found = |event: &ConnectionEvent| matches!(event, ConnectionEvent::Reconnected { .. });
        let pair = |from| {
            let begin = self.find(from, lost)?;
            Some((begin, self.find(begin, found)?))
        };
        let Some((begin, end)) = pair(1) else { return false };
        let Some((next_begin, next_end)) = pair(end) else { return false };
        let mut kept = Vec::new();
        let mut halves = Vec::new();
        for event in self.events.drain(begin..next_begin) {
            self.foreign -= event.weight();
            match event.projection().kept {
                Kept::Half => halves.push(event),
                // It led to nothing: the outage has ended after all.
                Kept::Sum if matches!(event, ConnectionEvent::GaveUp { .. }) => {}
                Kept::Sum | Kept::Once => kept.push(event),
                Kept::Detail => {}
            }
        }
        let removed = next_begin - begin;
        let mut halves = halves.into_iter();
        if let (Some(first), Some(mut second)) = (halves.next(), halves.next()) {
            kept.retain(|event| !finish(&mut second, event));
            for (at, older) in [(next_begin - removed, first), (next_end - removed, second)] {
                if let Some(newer) = self.events.get_mut(at) {
                    absorb(newer, &older, &mut self.foreign);
                }
            }
        }
        for event in kept.into_iter().rev() {
            // It is added to the next of its kind; if there is none it stays, one of each kind.
            let foreign = &mut self.foreign;
            let mut newer = self.events.iter_mut().skip(begin);
            if !(event.projection().kept == Kept::Sum && newer.any(|newer| absorb(newer, &event, foreign))) {
                self.foreign += event.weight();
                self.events.insert(begin, event);
            }
        }
        true
    }

    fn drop_oldest_detail(&mut self) -> bool {
        self.drop_oldest(|event| event.projection().kept == Kept::Detail)
    }

    fn drop_oldest(&mut self, like: impl Fn(&ConnectionEvent) -> bool) -> bool {
        // The newest event shows the state of the connection.
        let newest = self.events.len() - 1;
        let Some(event) = self.find(1, like).filter(|at| *at < newest).and_then(|at| self.events.remove(at)) else {
            return false;
        };
        self.foreign -= event.weight();
        true
    }

    /// Only events that are never lost and those that count something are left: counts of one kind are added up.
    fn add_up(&mut self, like: impl Fn(&ConnectionEvent) -> bool) -> bool {
        for at in 1..self.events.len().saturating_sub(1) {
            let Some(event) =
                self.events.get(at).filter(|event| event.projection().kept == Kept::Sum && like(event)).cloned()
            else {
                continue;
            };
            let before = self.events.iter_mut().take(at).skip(1).rev().any(|older| finish(older, &event));
            let foreign = &mut self.foreign;
            if before || self.events.iter_mut().skip(at + 1).any(|newer| absorb(newer, &event, foreign)) {
                self.foreign -= event.weight();
                self.events.remove(at);
                return true;
            }
        }
        false
    }
}

/// `event` ends the recovery that `reconnected` announced: its counts are added there.
fn finish(reconnected: &mut ConnectionEvent, event: &ConnectionEvent) -> bool {
    match (reconnected, event) {
        (ConnectionEvent::Reconnected { flushed, still_buffered, .. }, ConnectionEvent::RecoveryDone { late, .. }) => {
            *flushed += late;
            *still_buffered = 0;
            true
        }
        _ => false,
    }
}

/// Adds what `older` counts to `newer`, if that is of the same kind. `foreign` counts the text in both.
fn absorb(newer: &mut ConnectionEvent, older: &ConnectionEvent, foreign: &mut usize) -> bool {
    if std::mem::discriminant(newer) != std::mem::discriminant(older) {
        return false;
    }
    *foreign -= newer.weight();
    let absorbed = put_into(newer, older);
    *foreign += newer.weight();
    absorbed
}

fn put_into(newer: &mut ConnectionEvent, older: &ConnectionEvent) -> bool {
    match (newer, older) {
        (
            ConnectionEvent::Disconnected { server, cause, in_doubt, buffered: _, folded },
            ConnectionEvent::Disconnected {
                server: first_server,
                cause: first_cause,
                in_doubt: before,
                buffered: _,
                folded: more,
            },
        ) => {
            server.clone_from(first_server);
            cause.clone_from(first_cause);
            *in_doubt += before;
            *folded += more + 1;
        }
        (newer @ ConnectionEvent::Reconnected { .. }, older @ ConnectionEvent::Reconnected { .. }) => {
            fold_reconnected(newer, older);
        }
        (
            ConnectionEvent::Lost { lost, messages },
            ConnectionEvent::Lost { lost: before, messages: messages_before },
        ) => {
            *lost = lost.plus(before);
            *messages = messages_before.followed_by(messages);
        }
        (ConnectionEvent::LeftInDoubt { messages }, ConnectionEvent::LeftInDoubt { messages: before }) => {
            *messages += before;
        }
        (
            ConnectionEvent::ServersChanged { added, removed },
            ConnectionEvent::ServersChanged { added: added_before, removed: removed_before },
        ) => {
            let mut all_added = without(added_before, removed);
            let mut all_removed = without(removed_before, added);
            all_added.extend(without(added, removed_before));
            all_removed.extend(without(removed, added_before));
            (*added, *removed) = (all_added, all_removed);
        }
        (ConnectionEvent::GaveUp { .. }, ConnectionEvent::GaveUp { .. }) => {}
        _ => return false,
    }
    true
}

/// The outage that `newer` ends is added to the one that `older` ended.
fn fold_reconnected(newer: &mut ConnectionEvent, older: &ConnectionEvent) {
    let (
        ConnectionEvent::Reconnected {
            server: _,
            previous,
            downtime,
            attempts,
            subscriptions: _,
            flushed,
            dropped,
            expired,
            in_doubt,
            rtt: _,
            still_buffered: _,
            folded,
        },
        ConnectionEvent::Reconnected {
            server: _,
            previous: first,
            downtime: down_before,
            attempts: attempts_before,
            subscriptions: _,
            flushed: flushed_before,
            dropped: dropped_before,
            expired: expired_before,
            in_doubt: in_doubt_before,
            rtt: _,
            still_buffered: _,
            folded: more,
        },
    ) = (newer, older)
    else {
        return;
    };

    previous.clone_from(first);
    *downtime = downtime.saturating_add(*down_before);
    *attempts += attempts_before;
    *flushed += flushed_before;
    *dropped += dropped_before;
    *expired += expired_before;
    *in_doubt += in_doubt_before;
    *folded += more + 1;
}

/// The entries that are in `these` and not in `those`.
fn without(these: &[String], those: &[String]) -> Vec<String> {
    let those: BTreeSet<&String> = those.iter().collect();
    these.iter().filter(|this| !those.contains(this)).cloned().collect()
}
