//! The pool: the server that is due first is next, each gets a turn, and gossip keeps the list complete.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

#[cfg(target_os = "linux")]
use super::growth::spent;
use super::pair::addr;
use crate::engine::Cause;
use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::pool::{Failed, Loss, MAX_ADVERTISED, Policy, Pool, ServerId, endpoint};
use crate::engine::tests::laws::laws;

#[derive(Clone, Debug)]
enum Step {
    Fail(usize),
    Connect(usize),
    Lose(usize, bool),
    Hurry,
    Gossip(Vec<u8>),
    Replace(Vec<u8>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..9).prop_map(Step::Fail),
        2 => (0_usize..9).prop_map(Step::Connect),
        2 => (0_usize..9, any::<bool>()).prop_map(|(at, stable)| Step::Lose(at, stable)),
        1 => Just(Step::Hurry),
        2 => vec(0_u8..12, 0..6).prop_map(Step::Gossip),
        1 => vec(0_u8..12, 1..6).prop_map(Step::Replace),
        3 => (0_u64..3000).prop_map(Step::Wait),
    ]
}

fn name(n: u8) -> String {
    format!("n{n}:4222")
}

proptest! {
    #![proptest_config(laws(500))]

    #[test]
    fn the_next_server_is_the_one_that_is_due_earliest(
        first in vec(0_u8..12, 1..6),
        steps in vec(step(), 0..60),
        seed in any::<u64>(),
    ) {
        let rng = &mut SmallRng::seed_from_u64(seed);
        let policy = Policy::default();
        let backoff = policy.backoff;
        let mut now = Instant::now();
        let mut pool = Pool::new(Vec::new(), first.iter().map(|n| addr(&name(*n))).collect(), false, rng);
        // What the pool should know: when each server is due.
        let mut due: Vec<(ServerId, Option<Instant>)> = pool.servers().iter().map(|server| (server.id, None)).collect();
        let mut current = None;
        for step in steps {
            let pick = |at: usize| due.get(at % due.len()).map(|(id, _)| *id);
            let set = |due: &mut Vec<(ServerId, Option<Instant>)>, id, at| {
                due.iter_mut().filter(|entry| entry.0 == id).for_each(|entry| entry.1 = at);
            };
            match step {
                Step::Wait(by) => now += Duration::from_millis(by),
                Step::Fail(at) => {
                    let id = pick(at).unwrap();
                    let Failed { wait, out } = pool.failed(id, Cause::ClosedByServer, &policy, now, rng);
                    prop_assert_eq!(out, None);
                    prop_assert!(wait >= backoff.initial / 2 && wait <= backoff.max);
                    set(&mut due, id, Some(now + wait));
                }
                Step::Connect(at) => {
                    current = pick(at);
                    pool.connected(current.unwrap());
                    prop_assert_eq!(pool.get(current.unwrap()).unwrap().failures, 0);
                }
                Step::Lose(at, stable) => {
                    let id = pick(at).unwrap();
                    let lived = if stable { policy.stable_after } else { Duration::ZERO };
                    let loss = Loss { cause: Cause::ClosedByServer, lived, planned: false };
                    let exact = Backoff { jitter: Jitter::None, ..backoff };
                    let exact = Policy { backoff: exact, redial: Duration::ZERO, ..Policy::default() };
                    prop_assert_eq!(pool.lost(id, loss, &exact, now, rng), None);
                    let server = pool.next(now).filter(|next| next.0 == id);
                    // Its due time can be seen only when it is next; then it must not be in the past.
                    if let (Some((_, Some(at))), false) = (server, stable) {
                        prop_assert!(at >= now + exact.backoff.initial);
                    }
                    let at = if stable { Some(now) } else { None };
                    if stable { set(&mut due, id, at) } else { pool.hurry(); due.iter_mut().for_each(|entry| entry.1 = None) }
                }
                Step::Hurry => {
                    pool.hurry();
                    due.iter_mut().for_each(|entry| entry.1 = None);
                }
                Step::Gossip(told) => {
                    let before: Vec<String> = pool.servers().iter().map(|server| endpoint(&server.addr)).collect();
                    let urls: Vec<String> = told.iter().map(|n| name(*n)).collect();
                    let (added, removed) = pool.gossip(&urls, &addr("seed"), current, false, rng);
                    let after: Vec<String> = pool.servers().iter().map(|server| endpoint(&server.addr)).collect();
                    for gone in &removed {
                        prop_assert!(before.contains(gone) && !after.contains(gone) && !urls.contains(gone));
                    }
                    for fresh in &added {
                        prop_assert!(!before.contains(fresh) && after.contains(fresh) && urls.contains(fresh));
                    }
                    prop_assert_eq!(before.len() + added.len() - removed.len(), after.len());
                    prop_assert!(urls.iter().all(|url| after.contains(url)));
                    prop_assert!(current.is_none_or(|id| due.iter().all(|entry| entry.0 != id) || pool.get(id).is_some()));
                    due.retain(|entry| pool.get(entry.0).is_some());
                }
                Step::Replace(list) => {
                    pool.replace(list.iter().map(|n| addr(&name(*n))).collect());
                    prop_assert!(pool.servers().iter().all(|server| !server.discovered));
                    due.retain(|entry| pool.get(entry.0).is_some());
                }
            }
            for server in pool.servers() {
                if due.iter().all(|entry| entry.0 != server.id) {
                    due.push((server.id, None));
                }
            }
            prop_assert_eq!(due.len(), pool.servers().len(), "an id was used twice, or an endpoint");
            let earliest = due.iter().map(|entry| entry.1).min().unwrap();
            let (id, at) = pool.next(now).unwrap();
            // Of several that are due, one may be better than the earliest; but no due server waits for one that is not.
            let is_due = |at: Option<Instant>| at.is_none_or(|at| at <= now);
            let fits = if is_due(earliest) { is_due(at) } else { at == earliest };
            prop_assert!(fits, "{:?}, {:?}", at, earliest);
            prop_assert!(due.contains(&(id, at)));
        }
    }

    #[test]
    fn everybody_gets_a_turn(count in 1_u8..20, rounds in 1_usize..5, seed in any::<u64>()) {
        let rng = &mut SmallRng::seed_from_u64(seed);
        let mut pool = Pool::new(Vec::new(), (0..count).map(|n| addr(&name(n))).collect(), false, rng);
        let mut seen = Vec::new();
        for _ in 0..usize::from(count) * rounds {
            let (id, _) = pool.next(Instant::now()).unwrap();
            seen.push(id);
            pool.failed(id, Cause::ClosedByServer, &Policy::default(), Instant::now(), rng);
            pool.hurry();
        }
        for round in seen.chunks(usize::from(count)) {
            let mut round = round.to_vec();
            round.sort();
            round.dedup();
            prop_assert_eq!(round.len(), usize::from(count), "somebody was left out of a round");
        }
    }
}

#[test]
fn a_server_named_twice_is_there_once() {
    let rng = &mut SmallRng::seed_from_u64(1);
    let pool = Pool::new(Vec::new(), vec![addr("a"), addr("u:p@a"), addr("A"), addr("b")], true, rng);
    assert_eq!(pool.servers().len(), 2);
}

#[test]
fn gossip_cannot_grow_the_pool_without_end() {
    let rng = &mut SmallRng::seed_from_u64(1);
    let mut pool = Pool::new(Vec::new(), vec![addr("a")], true, rng);
    let urls: Vec<String> = (0..5000).map(|n| format!("h{n}:1")).collect();
    pool.gossip(&urls, &addr("a"), None, true, rng);
    assert_eq!(pool.servers().len(), 1 + MAX_ADVERTISED);
    // The server we are connected to stays, whatever the next INFO says.
    for n in 0..10 {
        let stays = pool.servers().last().map(|server| server.id);
        let urls: Vec<String> = (0..5000).map(|other| format!("h{n}-{other}:1")).collect();
        pool.gossip(&urls, &addr("a"), stays, true, rng);
        assert!(pool.servers().len() <= MAX_ADVERTISED + 2);
    }
}

/// The processor time of `work`, so that others on this machine don't count.
#[cfg(target_os = "linux")]
fn cost(work: impl FnOnce()) -> Duration {
    let before = spent();
    work();
    spent() - before
}

// Fault D7: our largest pool had twelve servers, and the one test with thousands only counted them.
#[test]
#[cfg(target_os = "linux")]
fn lists_of_thousands_are_merged_in_linear_time() {
    let names = |from: usize, count: usize| (from..from + count).map(|n| format!("h{n}:1")).collect::<Vec<_>>();
    let addrs = |from, count| names(from, count).iter().map(|name| addr(name)).collect::<Vec<_>>();
    let rng = &mut SmallRng::seed_from_u64(1);
    let mut costs = Vec::new();
    // The same number of servers in all, in lists of a thousand and in one.
    for (size, lists) in [(1_000, 16), (16_000, 1)] {
        let (servers, others, urls) = (addrs(0, size), addrs(size / 2, size), names(size / 2, size));
        let mut pool = Pool::new(Vec::new(), servers.clone(), false, rng);
        let made = cost(|| (0..lists).for_each(|_| drop(Pool::new(others.clone(), servers.clone(), false, rng))));
        let replaced = cost(|| (0..lists).for_each(|_| pool.replace(others.clone())));
        let told = cost(|| (0..lists).for_each(|_| drop(pool.gossip(&urls, &addr("seed"), None, false, rng))));
        costs.push([made, replaced, told]);
    }
    // About as much; comparing each with each would be sixteen times as much.
    for (small, large) in costs[0].iter().zip(&costs[1]) {
        assert!(*large < *small * 6, "{costs:?}");
    }
}
