//! The account of a world: each message, each connection, each event.

use std::collections::BTreeMap;

use nats_lifeline::connection::{ConnectionEvent, Stats};

use crate::content::Id;
use crate::plan::Plan;
use crate::server::Server;
use crate::users::{Book, Outcome};

pub(crate) fn check(plan: &Plan, server: &Server, book: &Book, stats: &Stats, came: &[Id], events: &[ConnectionEvent]) {
    assert!(server.complaints.is_empty(), "{:#?}", server.complaints);
    messages(plan, server, book, stats);
    order(plan, server);
    received(server, came);
    alternation(stats, events);
}

/// I1, I3, I4, promise 3.
fn messages(plan: &Plan, server: &Server, book: &Book, stats: &Stats) {
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.waiting, stats.unconfirmed, stats.lost.total()), (0, 0, 0), "{stats:?}");
    let times = |id: &Id| server.processed.get(id).copied().unwrap_or(0);
    let accepted = book.accepted.iter().flat_map(|(who, count)| (0..*count).map(|number| (*who, number)));
    let mut missing: Vec<Id> = accepted.filter(|id| times(id) == 0).collect();
    for (id, outcome) in &book.outcomes {
        match outcome {
            Outcome::Confirmed => assert!(times(id) > 0, "{id:?} was confirmed, and never seen"),
            Outcome::NotSent => assert_eq!(times(id), 0, "{id:?} was handed back, and sent all the same"),
            Outcome::InDoubt if times(id) == 0 => missing.push(*id),
            Outcome::InDoubt => {}
        }
    }
    let arrived = server.processed.len() as u64;
    if plan.resends {
        assert!(missing.is_empty(), "lost at least once: {missing:?}");
        assert_eq!((stats.confirmed, stats.in_doubt), (stats.accepted, 0), "{stats:?}");
        assert!(arrived >= stats.confirmed, "{arrived} have arrived: {stats:?}");
    } else {
        let twice: Vec<&Id> = server.processed.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id).collect();
        assert!(twice.is_empty(), "twice at most once: {twice:?}");
        assert_eq!(stats.resent, 0, "{stats:?}");
        assert!(missing.len() as u64 <= stats.in_doubt, "{} are missing, {stats:?}: {missing:?}", missing.len());
        let bounds = stats.confirmed..=stats.confirmed + stats.in_doubt;
        assert!(bounds.contains(&arrived), "{arrived} have arrived: {stats:?}");
    }
}

/// I2: within a connection nothing is left out, and the next goes on behind what the last was given, or, at least once, at
/// most where its unconfirmed messages began.
fn order(plan: &Plan, server: &Server) {
    let mut next: BTreeMap<char, u64> = BTreeMap::new();
    for (at, conn) in server.conns.iter().enumerate() {
        let mut here: BTreeMap<char, u64> = BTreeMap::new();
        for (who, number) in conn.processed.iter().copied().filter(|(who, _)| matches!(who, 'a' | 'b')) {
            let expected = here.get(&who).copied();
            let so_far = next.get(&who).copied().unwrap_or(0);
            match expected {
                Some(expected) => assert_eq!(number, expected, "connection {at} leaves messages of {who} out"),
                None if plan.resends => assert!(number <= so_far, "connection {at}: {who} {so_far} was left out"),
                None => assert!(number >= so_far, "connection {at}: {who} {number} after {so_far}"),
            }
            here.insert(who, number + 1);
        }
        for (who, number) in here {
            let next = next.entry(who).or_default();
            *next = number.max(*next);
        }
    }
}

/// What the subscriber got is what the connections sent it, one after the other, each from its beginning, and the last one's to
/// its end.
fn received(server: &Server, came: &[Id]) {
    // Where we may be: `(connection, messages of it)`.
    let mut places = vec![(0, 0)];
    for (index, id) in came.iter().enumerate() {
        let mut then = Vec::new();
        for (at, taken) in &places {
            let sent = |at: usize, taken: usize| server.conns[at].sent.get(taken) == Some(id);
            if sent(*at, *taken) {
                then.push((*at, taken + 1));
            }
            then.extend((at + 1..server.conns.len()).filter(|at| sent(*at, 0)).map(|at| (at, 1)));
        }
        then.sort_unstable();
        then.dedup();
        assert!(!then.is_empty(), "message {index}, {id:?}, was not the next of any connection");
        places = then;
    }
    let last = server.conns.len() - 1;
    assert!(
        places.contains(&(last, server.conns[last].sent.len())),
        "the last connection's messages have not all come"
    );
}

/// I9.
fn alternation(stats: &Stats, events: &[ConnectionEvent]) {
    let mut up = false;
    let mut doubts = 0;
    for event in events {
        match event {
            ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { folded: 0, .. } => {
                assert!(!up, "connected twice: {events:#?}");
                up = true;
            }
            ConnectionEvent::Disconnected { in_doubt, folded: 0, .. } => {
                assert!(up, "lost twice: {events:#?}");
                up = false;
                doubts += in_doubt;
            }
            ConnectionEvent::Reconnected { .. } | ConnectionEvent::Disconnected { .. } => {
                panic!("folded before a reader that is prompt: {event:?}")
            }
            _ => {}
        }
    }
    assert_eq!(doubts, stats.in_doubt, "what the events say, and what the account says");
    assert!(matches!(events.last(), Some(ConnectionEvent::Closed { .. })), "{:?}", events.last());
}
