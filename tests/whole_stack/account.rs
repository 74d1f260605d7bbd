//! The account of a world: each message, each connection, each event.

use std::collections::{BTreeMap, BTreeSet};

use nats_lifeline::Server;
use nats_lifeline::client::SendFault;
use nats_lifeline::connection::{Cause, ConnectionEvent, LossReason, Stats};

use crate::cluster::{Cluster, address};
use crate::content::Id;
use crate::plan::Plan;
use crate::users::{Book, Outcome};

/// I1, I3, I4, promise 3.
pub(crate) fn messages(plan: &Plan, cluster: &Cluster, book: &Book, stats: &Stats, taken: Option<u64>) {
    assert!(stats.balances(), "{stats:?}");
    if let Some(taken) = taken.filter(|_| plan.tls.is_none() && !plan.resends) {
        assert_eq!(stats.confirmed + stats.in_doubt, taken, "what is in doubt, and what was taken whole: {stats:?}");
    }
    assert_eq!((stats.waiting, stats.unconfirmed), (0, 0), "{stats:?}");
    let times = |id: &Id| cluster.processed.get(id).copied().unwrap_or(0);
    let gone = |id: &Id| times(id) == 0 && !book.lost.contains_key(id);
    let mut missing: Vec<Id> = book.accepted.keys().copied().filter(gone).collect();
    for (id, outcome) in &book.outcomes {
        match outcome {
            Outcome::Confirmed => assert!(times(id) > 0, "{id:?} was confirmed, and never seen"),
            Outcome::NotSent(fault) => {
                assert_eq!(times(id), 0, "{id:?} was handed back, and sent all the same");
                let lost = book.lost.get(id).map(|(reason, _)| *reason);
                let said = match fault {
                    Some(SendFault::Expired) => Some(LossReason::Expired),
                    Some(SendFault::Dropped) => Some(LossReason::Overflow),
                    _ => None,
                };
                assert_eq!(lost, said, "{id:?}: what the event and what the outcome say");
            }
            Outcome::InDoubt if gone(id) => missing.push(*id),
            Outcome::InDoubt => {}
        }
    }
    let arrived = cluster.processed.len() as u64;
    if plan.resends {
        assert!(missing.is_empty(), "lost at least once: {missing:?}");
        assert_eq!(stats.in_doubt, 0, "{stats:?}");
        assert!(arrived >= stats.confirmed, "{arrived} have arrived: {stats:?}");
    } else {
        let twice: Vec<&Id> = cluster.processed.iter().filter(|(_, times)| **times > 1).map(|(id, _)| id).collect();
        assert!(twice.is_empty(), "twice at most once: {twice:?}");
        assert_eq!(stats.resent, 0, "{stats:?}");
        assert!(missing.len() as u64 <= stats.in_doubt, "{} are missing, {stats:?}: {missing:?}", missing.len());
        let bounds = stats.confirmed..=stats.confirmed + stats.in_doubt;
        assert!(bounds.contains(&arrived), "{arrived} have arrived: {stats:?}");
    }
    if plan.calm {
        assert!(missing.is_empty(), "missing, and nothing has happened: {missing:?}");
        assert_eq!((stats.in_doubt, stats.resent, stats.lost.total()), (0, 0, 0), "nothing has happened: {stats:?}");
        assert_eq!(arrived, stats.accepted, "what has arrived, and what was accepted");
    }
}

/// I2: within a connection nothing is left out but what was given up, and the next goes on after what the last one got, or,
/// at least once, at most where its unconfirmed messages began.
pub(crate) fn order(plan: &Plan, cluster: &Cluster, book: &Book) {
    let mut next: BTreeMap<char, u64> = BTreeMap::new();
    let lost = |who, mut numbers: std::ops::Range<u64>| numbers.all(|number| book.lost.contains_key(&(who, number)));
    for (at, conn) in cluster.conns.iter().enumerate() {
        let mut here: BTreeMap<char, u64> = BTreeMap::new();
        for (who, number) in conn.processed.iter().copied().filter(|(who, _)| matches!(who, 'a' | 'b')) {
            let so_far = next.get(&who).copied().unwrap_or(0);
            match here.get(&who).copied() {
                Some(expected) => {
                    let fits = number >= expected && lost(who, expected..number);
                    assert!(fits, "connection {at}: {who} {number}, where {expected} was next");
                }
                None if plan.resends => {
                    assert!(
                        number <= so_far || lost(who, so_far..number),
                        "connection {at}: {who} {so_far} was left out"
                    );
                }
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

/// I9.
pub(crate) fn events(plan: &Plan, stats: &Stats, events: &[ConnectionEvent]) {
    let mut up = false;
    let mut doubts = 0;
    for event in events {
        match event {
            ConnectionEvent::Connected { .. } | ConnectionEvent::Reconnected { folded: 0, .. } => {
                assert!(!up, "connected twice: {events:#?}");
                up = true;
            }
            ConnectionEvent::Disconnected { in_doubt, cause, folded: 0, .. } => {
                assert!(up, "lost twice: {events:#?}");
                up = false;
                doubts += in_doubt;
                let planned = matches!(cause, Cause::LameDuck | Cause::Forced | Cause::Failback | Cause::ByUser);
                assert!(planned || !plan.calm, "nothing has happened, and a connection was lost: {event:?}");
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

/// The pool at the end, when all servers are there, is what the user has named and what there is; and the events tell how it
/// came to be.
pub(crate) fn pool(plan: &Plan, pool: &[Server], events: &[ConnectionEvent]) {
    let endpoint = |server: &Server| format!("{}:{}", server.addr.host(), server.addr.port());
    let names: BTreeSet<String> = pool.iter().map(endpoint).collect();
    assert_eq!(names, (0..plan.servers).map(address).collect(), "the pool at the end");
    let named = (0..plan.named).chain(plan.preferred).map(address).collect::<BTreeSet<_>>();
    for server in pool {
        assert_eq!(server.is_discovered, !named.contains(&endpoint(server)), "{server:?}");
    }
    let mut told = named.clone();
    for event in events {
        if let ConnectionEvent::ServersChanged { added, removed, .. } = event {
            for server in removed {
                assert!(told.remove(server) && !named.contains(server), "{server} was removed: {events:#?}");
            }
            for server in added {
                assert!(told.insert(server.clone()), "{server} was added, and was there: {events:#?}");
            }
        }
    }
    assert_eq!(told, names, "what the events say, and what the pool says");
}
