//! The table against a model that is too simple to be wrong.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::engine::asked::Asked;
use crate::engine::replay::Replay;
use crate::engine::subscriptions::NewLimit;
use crate::engine::tests::laws::laws;
use crate::engine::{Interest, Purpose, Subscriptions};

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, bool),
    Remove(usize),
    Receive(usize, u64),
    Limit(usize, u64),
    Drain(usize),
    Finish(usize),
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0_usize..6;
    prop_oneof![
        3 => (0_u8..4, any::<bool>()).prop_map(|(subject, queue)| Step::Insert(subject, queue)),
        1 => at.clone().prop_map(Step::Remove),
        5 => (at.clone(), 0_u64..5).prop_map(|(at, n)| Step::Receive(at, n)),
        3 => (at.clone(), 0_u64..12).prop_map(|(at, n)| Step::Limit(at, n)),
        1 => at.clone().prop_map(Step::Drain),
        1 => at.prop_map(Step::Finish),
        2 => Just(Step::Lose),
    ]
}

#[derive(Clone, Debug, Default)]
struct Model {
    subject: String,
    queue: bool,
    received: u64,
    here: u64,
    max: Option<u64>,
    draining: bool,
    finished: bool,
}

proptest! {
    #![proptest_config(laws(600))]

    #[test]
    fn the_table_does_what_the_model_does(steps in vec(step(), 0..80)) {
        let mut table = Subscriptions::<u64>::default();
        let mut model = BTreeMap::<u64, Model>::new();
        let mut last = 0;
        for step in steps {
            let pick = |at: usize| model.keys().copied().nth(at).unwrap_or(999);
            match step {
                Step::Insert(subject, queue) => {
                    last += 1;
                    let subject = format!("subject.{subject}");
                    let interest = Interest { subject: subject.as_bytes(), queue: queue.then_some(b"q"), purpose: Purpose::Messages(None) };
                    table.insert(last, interest, last * 10);
                    model.insert(last, Model { subject, queue, ..Model::default() });
                }
                Step::Remove(at) => {
                    let sid = pick(at);
                    prop_assert_eq!(table.remove(sid).map(|entry| entry.handle), model.remove(&sid).map(|_| sid * 10));
                }
                Step::Receive(at, n) => {
                    let sid = pick(at);
                    let accepted = table.receive(sid, n);
                    let Some(entry) = model.get_mut(&sid) else {
                        prop_assert_eq!(accepted, None);
                        continue;
                    };
                    let wanted = n.min(entry.max.map_or(n, |max| max - entry.received));
                    entry.received += wanted;
                    entry.here += wanted;
                    let accepted = accepted.unwrap();
                    prop_assert_eq!(accepted.count, wanted);
                    let complete = entry.max.filter(|max| *max == entry.received);
                    prop_assert_eq!(accepted.complete, complete);
                    if complete.is_some() {
                        table.remove(sid);
                        model.remove(&sid);
                    }
                }
                Step::Limit(at, max) => {
                    let sid = pick(at);
                    let told = table.limit(sid, max);
                    match model.get_mut(&sid) {
                        Some(entry) if max > entry.received => {
                            let before = entry.max.replace(max);
                            // The server has counted what came over this connection.
                            let here = max - entry.received + entry.here;
                            let expected = match before {
                                _ if entry.draining => NewLimit::Nothing,
                                Some(before) if before < max => NewLimit::Again(here),
                                _ => NewLimit::Number(here),
                            };
                            prop_assert_eq!(told, Some(expected));
                        }
                        _ => prop_assert_eq!(told, None),
                    }
                }
                Step::Drain(at) => {
                    table.set_draining(pick(at));
                    let sid = pick(at);
                    model.entry(sid).and_modify(|entry| entry.draining = true);
                }
                Step::Finish(at) => {
                    let sid = pick(at);
                    table.set_finished(sid);
                    model.entry(sid).and_modify(|entry| entry.finished = true);
                }
                Step::Lose => {
                    let drained: Vec<u64> = model.iter().filter(|(_, entry)| entry.draining).map(|(sid, _)| *sid).collect();
                    prop_assert_eq!(table.connection_lost(), drained);
                    model.values_mut().for_each(|entry| entry.here = 0);
                    // What a new connection is sent, in one piece and in small ones.
                    let mut expected = String::new();
                    for (sid, entry) in model.iter().filter(|(_, entry)| !entry.draining) {
                        let queue = if entry.queue { " q" } else { "" };
                        expected.push_str(&format!("SUB {}{queue} {sid}\r\n", entry.subject));
                        if let Some(max) = entry.max {
                            expected.push_str(&format!("UNSUB {sid} {}\r\n", max - entry.received));
                        }
                    }
                    for size in [1, 30, 1 << 20] {
                        let (mut replay, mut told) = (Replay::new(), Vec::new());
                        while !replay.is_done(&table) {
                            told.extend(replay.piece(&table, &mut Asked::default(), size));
                        }
                        prop_assert_eq!(String::from_utf8(told).unwrap(), expected.as_str());
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(table.sids(), model.keys().copied().collect::<Vec<_>>());
            let unfinished: Vec<u64> = model.iter().filter(|(_, entry)| !entry.finished).map(|(sid, _)| *sid).collect();
            prop_assert_eq!(table.all_finished(), unfinished.is_empty());
            prop_assert_eq!(table.unfinished(), unfinished);
            for (sid, entry) in &model {
                let found = table.get(*sid).unwrap();
                let names = (entry.subject.as_bytes(), entry.queue.then_some(&b"q"[..]));
                prop_assert_eq!(table.names_of(*sid), Some(names));
                prop_assert_eq!(found.received(), entry.received);
                prop_assert_eq!(found.remaining(), entry.max.map(|max| max - entry.received));
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Meanwhile {
    Insert(u64),
    Remove(prop::sample::Index),
    Limit(prop::sample::Index),
    Drain(prop::sample::Index),
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    let one = || any::<prop::sample::Index>();
    prop_oneof![
        2 => (1_u64..50).prop_map(Meanwhile::Insert),
        2 => one().prop_map(Meanwhile::Remove),
        1 => one().prop_map(Meanwhile::Limit),
        1 => one().prop_map(Meanwhile::Drain),
    ]
}

/// The sids in SUBs and those in UNSUBs.
fn sent(piece: &str) -> (Vec<u64>, Vec<u64>) {
    let words = piece.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let (subs, unsubs): (Vec<_>, Vec<_>) = words.partition(|words| words[0] == "SUB");
    let sids = |lines: Vec<Vec<&str>>| lines.iter().map(|words| words[2].parse().unwrap()).collect();
    let of = |lines: &Vec<Vec<&str>>| lines.iter().map(|words| words[1].parse().unwrap()).collect::<Vec<u64>>();
    (sids(subs), of(&unsubs))
}

proptest! {
    #![proptest_config(laws(400))]

    // A limit that is set, a subscription that is made, ended or drained before its turn: all count as if they had been there
    // at the start. Those that were sent are known to be.
    #[test]
    fn a_replay_follows_the_table(
        gaps in vec(1_u64..30, 0..150),
        known in vec(any::<prop::sample::Index>(), 0..4),
        steps in vec((vec(meanwhile(), 0..5), 1_usize..2000), 0..60),
        renamed in any::<bool>(),
    ) {
        let mut table = Subscriptions::<u64>::default();
        let insert = |table: &mut Subscriptions<u64>, sid| {
            table.insert(sid, Interest { subject: b"subject", queue: None, purpose: Purpose::Messages(None) }, sid);
        };
        let mut last = 0;
        for gap in gaps {
            last += gap;
            insert(&mut table, last);
        }
        let sids = table.sids();
        let mut known: Vec<u64> = known.iter().filter(|_| !sids.is_empty()).map(|at| *at.get(&sids)).collect();
        known.sort_unstable();
        known.dedup();
        let (mut replay, mut asked) = (Replay::without(known.clone()), Asked::default());
        if renamed {
            // One refusal, and from then on the subjects of all are indexed.
            asked.refuse((b"other", None, None), &table);
        }
        let (mut told, mut limited) = (Vec::new(), Vec::new());
        let mut steps = steps.into_iter();
        while !replay.is_done(&table) {
            let (meanwhile, size) = steps.next().unwrap_or((Vec::new(), 500));
            for step in meanwhile {
                let sids = table.sids();
                match step {
                    Meanwhile::Insert(gap) => {
                        last += gap;
                        insert(&mut table, last);
                    }
                    _ if sids.is_empty() => {}
                    Meanwhile::Remove(at) => drop(table.remove(*at.get(&sids))),
                    Meanwhile::Limit(at) => drop(table.limit(*at.get(&sids), 100)),
                    Meanwhile::Drain(at) => table.set_draining(*at.get(&sids)),
                }
            }
            let before: Vec<u64> = table.sids().into_iter().filter(|sid| !replay.passed(*sid)).collect();
            let limits: Vec<u64> = before.iter().copied().filter(|sid| table.get(*sid).unwrap().remaining().is_some()).collect();
            let piece = String::from_utf8(replay.piece(&table, &mut asked, size)).unwrap();
            prop_assert!(piece.len() < size + "SUB subject 9999\r\nUNSUB 9999 100\r\n".len());
            let (subs, unsubs) = sent(&piece);
            let fits = before.iter().filter(|sid| !table.get(**sid).unwrap().is_draining()).take(subs.len());
            prop_assert!(subs.iter().eq(fits), "{subs:?} of {before:?}");
            prop_assert!(unsubs.iter().eq(limits.iter().filter(|sid| subs.contains(sid))));
            limited.extend(unsubs);
            told.extend(subs);
        }
        for sid in table.sids() {
            prop_assert!(replay.passed(sid));
            let here = told.contains(&sid) || known.contains(&sid);
            prop_assert!(here || table.get(sid).unwrap().is_draining());
        }
        prop_assert!(told.is_sorted_by(|a, b| a < b));
        prop_assert!(told.iter().all(|sid| asked.awaits(*sid)));
        prop_assert_eq!(replay.replayed, told.len() + known.len());
    }
}

#[test]
fn a_table_that_was_large_gives_its_memory_back() {
    let mut table = Subscriptions::<u64>::default();
    for sid in 0..100_000 {
        table.insert(sid, Interest { subject: b"s", queue: None, purpose: Purpose::Messages(None) }, sid);
    }
    for sid in 0..100_000 {
        table.remove(sid);
    }
    assert!(table.is_empty());
}
