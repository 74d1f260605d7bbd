//! The queue of events: whatever is read when, changes of state alternate, sums are exact, and the newest event is there.

use std::time::Duration;

use proptest::prelude::*;

use crate::engine::tests::laws::laws;
use crate::engine::{Cause, ConnectionEvent, EventQueue, Lost, LostMessages};

/// A client's life in events, in an order in which an engine can report them.
#[derive(Debug, Default)]
struct Life {
    connected: bool,
    number: u64,
    /// Messages still buffered since the last `Reconnected`.
    still_buffered: u64,
}

/// What all events together count.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    lost_connections: u64,
    found_connections: u64,
    downtime: Duration,
    attempts: u64,
    in_doubt: [u64; 2],
    flushed: u64,
    lost: Lost,
    dropped: u64,
    expired: u64,
}

impl Sums {
    fn add(&mut self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Disconnected { in_doubt, folded, .. } => {
                self.lost_connections += 1 + folded;
                self.in_doubt[0] += in_doubt;
            }
            ConnectionEvent::Reconnected {
                downtime, attempts, flushed, dropped, expired, in_doubt, folded, ..
            } => {
                self.found_connections += 1 + folded;
                self.downtime += *downtime;
                self.attempts += attempts;
                self.flushed += flushed;
                self.dropped += dropped;
                self.expired += expired;
                self.in_doubt[1] += in_doubt;
            }
            ConnectionEvent::RecoveryDone { late, .. } => self.flushed += late,
            ConnectionEvent::Lost { lost, .. } => self.lost = self.lost.plus(lost),
            _ => {}
        }
    }
}

impl Life {
    /// The next event; `choice` selects it from those that are possible.
    fn next(&mut self, choice: u8, n: u64) -> ConnectionEvent {
        self.number += 1;
        let server = format!("{}:4222", self.number);
        match (choice % 10, self.connected) {
            (0..=2, true) => {
                self.connected = false;
                self.still_buffered = 0;
                ConnectionEvent::Disconnected {
                    server,
                    cause: Cause::ClosedByServer,
                    in_doubt: n,
                    buffered: n,
                    folded: 0,
                }
            }
            (0..=2, false) => {
                self.connected = true;
                self.still_buffered = n % 2;
                ConnectionEvent::Reconnected {
                    server,
                    previous: None,
                    downtime: Duration::from_millis(n),
                    attempts: n,
                    subscriptions: 1,
                    flushed: n,
                    dropped: n / 2,
                    expired: n / 3,
                    in_doubt: n,
                    rtt: Duration::ZERO,
                    still_buffered: self.still_buffered,
                    folded: 0,
                }
            }
            (3, true) if self.still_buffered > 0 => {
                let late = std::mem::take(&mut self.still_buffered);
                ConnectionEvent::RecoveryDone { server, flushed: 9, late, took: Duration::ZERO }
            }
            (4, _) => ConnectionEvent::Lost {
                lost: Lost { too_large: n, ..Lost::default() },
                messages: LostMessages::default(),
            },
            (5, _) => ConnectionEvent::ServersChanged { added: vec![server], removed: vec![] },
            (6, false) => ConnectionEvent::GaveUp { cause: Cause::NoServers, attempts: n, servers: Vec::new() },
            (7, false) => ConnectionEvent::Connecting { server, attempt: n, waited: Duration::ZERO },
            (8, true) => ConnectionEvent::slow_consumer(n, n),
            _ => {
                let retry_in = Duration::ZERO;
                ConnectionEvent::AttemptFailed { server, attempt: n, cause: Cause::NoServers, retry_in }
            }
        }
    }
}

fn transition(event: &ConnectionEvent) -> Option<bool> {
    match event {
        ConnectionEvent::Reconnected { .. } => Some(true),
        ConnectionEvent::Disconnected { .. } => Some(false),
        _ => None,
    }
}

fn number(event: &ConnectionEvent) -> u64 {
    let (ConnectionEvent::Reconnected { server, .. } | ConnectionEvent::Disconnected { server, .. }) = event else {
        return 0;
    };
    server.split(':').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

proptest! {
    #![proptest_config(laws(400))]

    #[test]
    fn sums_are_exact_and_transitions_alternate_whatever_is_read_when(
        steps in proptest::collection::vec((any::<u8>(), 0_u64..9, 0_u8..8), 1..600),
        capacity in 0_usize..40,
        eager in 0_u8..4,
    ) {
        let mut queue = EventQueue::new(capacity);
        let mut life = Life { connected: true, ..Life::default() };
        let (mut told, mut heard) = (Sums::default(), Sums::default());
        let mut read = Vec::new();
        let mut newest = None;
        let mut last = None;
        for (choice, n, reads) in steps {
            let event = life.next(choice, n);
            told.add(&event);
            last = transition(&event).or(last);
            newest = Some(event.clone());
            queue.push(event);
            prop_assert!(queue.len() <= capacity.max(16), "{} events", queue.len());
            if reads < eager {
                read.extend(queue.pop());
            }
        }
        read.extend(std::iter::from_fn(|| queue.pop()));
        let mut state = true;
        let mut numbers = vec![0];
        for event in &read {
            heard.add(event);
            if let Some(connected) = transition(event) {
                prop_assert!(connected != state, "the same twice: {read:#?}");
                state = connected;
                numbers.push(number(event));
            }
        }
        prop_assert_eq!(heard, told);
        prop_assert_eq!(state, last.unwrap_or(true), "the last transition agrees with the state");
        prop_assert!(numbers.is_sorted(), "out of order: {:?}", numbers);
        let kind = |event: &ConnectionEvent| std::mem::discriminant(event);
        prop_assert_eq!(read.last().map(kind), newest.as_ref().map(kind), "the newest event is there");
    }
}

fn lost(server: &str, cause: Cause) -> ConnectionEvent {
    ConnectionEvent::Disconnected { server: server.to_owned(), cause, in_doubt: 1, buffered: 7, folded: 0 }
}

fn found(server: &str, previous: &str) -> ConnectionEvent {
    ConnectionEvent::Reconnected {
        server: server.to_owned(),
        previous: Some(previous.to_owned()),
        downtime: Duration::from_secs(1),
        attempts: 2,
        subscriptions: 3,
        flushed: 4,
        dropped: 5,
        expired: 6,
        in_doubt: 1,
        rtt: Duration::from_millis(7),
        still_buffered: 8,
        folded: 0,
    }
}

#[test]
fn a_full_queue_folds_the_oldest_outage_after_the_head_into_the_next() {
    let mut queue = EventQueue::new(16);
    for outage in 0..8 {
        queue.push(lost(&format!("{outage}"), Cause::Stale { silent: Duration::from_secs(outage) }));
        queue.push(found(&format!("{}", outage + 1), &format!("{outage}")));
    }
    queue.push(ConnectionEvent::Draining);
    let read: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    // The head, its other half, and the first pair after it, folded from two outages.
    assert_eq!(read.len(), 15);
    assert_eq!(read[0], lost("0", Cause::Stale { silent: Duration::ZERO }));
    assert_eq!(read[1], found("1", "0"));
    let ConnectionEvent::Disconnected { server, cause, in_doubt, buffered, folded } = &read[2] else {
        panic!("{:?}", read[2])
    };
    assert_eq!((server.as_str(), *in_doubt, *buffered, *folded), ("1", 2, 7, 1));
    assert_eq!(*cause, Cause::Stale { silent: Duration::from_secs(1) });
    let ConnectionEvent::Reconnected { server, previous, downtime, attempts, flushed, still_buffered, folded, .. } =
        &read[3]
    else {
        panic!("{:?}", read[3])
    };
    assert_eq!((server.as_str(), previous.as_deref()), ("3", Some("1")));
    assert_eq!((downtime.as_secs(), *attempts, *flushed, *still_buffered, *folded), (2, 4, 8, 8, 1));
    assert_eq!(read[14], ConnectionEvent::Draining);
}

#[test]
fn an_outage_without_end_loses_its_oldest_attempts_first() {
    let mut queue = EventQueue::new(16);
    queue.push(lost("a", Cause::Forced));
    for attempt in 1..=100 {
        queue.push(ConnectionEvent::Connecting { server: "b".to_owned(), attempt, waited: Duration::ZERO });
    }
    assert_eq!(queue.len(), 16);
    assert_eq!(queue.pop(), Some(lost("a", Cause::Forced)));
    assert!(matches!(queue.pop(), Some(ConnectionEvent::Connecting { attempt: 86, .. })));
}
