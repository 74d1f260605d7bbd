//! Sorting: whichever way a message is read, and however the bytes were split, its subscription gets it.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::driver::inbox::{Next, WhenFull};
use crate::engine::{Config, Interest, Purpose};
use crate::protocol::{Decoded, Limits, ServerOp, message};

const LIMITS: InboxLimits = InboxLimits { messages: usize::MAX, bytes: usize::MAX, when_full: WhenFull::DropNewest };

/// Subscriptions 1 to 3, and no others.
fn engine() -> Engine<Sink> {
    let mut engine = Engine::new(Config::default(), Vec::new(), 1);
    for sid in 1..=3 {
        let interest = Interest { subject: b"a.>", queue: None, purpose: Purpose::Messages(None) };
        engine.subscribe(sid, interest, Sink::Inbox(Arc::new(Inbox::new(None))), true);
    }
    engine
}

/// What a message consists of: its sid, subject, reply subject, header block and payload.
type Parts = (u64, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>);

/// A message as a server sends it, or nearly: in runs of the same subject and sid, with slight differences.
fn frame(rng: &mut SmallRng, (sid, subject): (u64, &str), out: &mut Vec<u8>) -> Parts {
    let payload = vec![b'a' + rng.random_range(0..26); [0, 1, 9, 10, 16, 16, 99, 100].choose(rng).copied().unwrap()];
    let size = payload.len();
    let block = rng.random_bool(0.1).then(|| {
        // The same length, and only the first is well-formed.
        [b"NATS/1.0\r\nA: b\r\n\r\n", b"NATS/1.0\r\nA; b\r\n\r\n", b"NATS/1,0\nA: b\n\r\n\r\n"]
            .choose(rng)
            .unwrap()
            .to_vec()
    });
    let reply = rng.random_bool(0.05).then(|| rng.random_range(0..20).to_string().into_bytes());
    if block.is_some() || reply.is_some() {
        message(out, subject.as_bytes(), sid, reply.as_deref(), block.as_deref(), &payload);
    } else {
        let line = match rng.random_range(0..40) {
            0 => format!("MSG {subject} {sid} 0{size}\r\n"),
            1 => format!("MSG {subject} 0{sid} {size}\r\n"),
            2 => format!("MSG {subject}  {sid} {size}\r\n"),
            3 => format!("MSG {subject}\t{sid} {size}\r\n"),
            4 => format!("MSG {subject} {sid} {size} \r\n"),
            5 => format!("msg {subject} {sid} {size}\r\n"),
            6 => format!("MSG {subject} {sid} {size}\n"),
            7 => format!("MSG {subject} {sid} {size:019}\r\n"),
            8 => format!("MSG {subject} {sid} {size:020}\r\n"),
            _ => format!("MSG {subject} {sid} {size}\r\n"),
        };
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(&payload);
        out.extend_from_slice(b"\r\n");
    }
    (sid, subject.as_bytes().to_vec(), reply, block, payload)
}

/// Frames of random runs, and what they say.
fn stream(rng: &mut SmallRng) -> (Vec<u8>, Vec<Parts>) {
    let long = format!("a.{}", "x".repeat(60));
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..rng.random_range(1..12) {
        // 0, 9 and 11 are nobody's. Sids and subjects are the beginnings of others.
        let sid = [1, 1, 2, 3, 9, 11, 0].choose(rng).copied().unwrap();
        let subject = ["a.b", "a.b", "a.bc", "a.é", &long].choose(rng).copied().unwrap();
        for _ in 0..[1, 1, 2, 20, 60].choose(rng).copied().unwrap() {
            expected.push(frame(rng, (sid, subject), &mut bytes));
        }
    }
    (bytes, expected)
}

/// Reads as much of `buf` as the task does in one turn. Returns what it consumes.
fn read(sorter: &mut Sorter, decoder: &mut Decoder, buf: &[u8], table: &mut Subscriptions<Sink>, alike: bool) -> usize {
    let mut at = 0;
    loop {
        match decoder.decode_server(&buf[at..]) {
            Ok(Decoded::Op { op: ServerOp::Msg(message), len }) => {
                sorter.push(&message, buf, table);
                at += len;
                if alike {
                    at = sorter.push_alike(buf, at, decoder);
                }
            }
            Ok(Decoded::NeedMore(_)) => return at,
            other => panic!("{other:?}"),
        }
    }
}

/// The messages of each group, with the sid of their group.
fn sorted(sorter: &Sorter, buf: &[u8]) -> Vec<Parts> {
    let mut all = Vec::new();
    for group in &sorter.groups {
        let share = copied(&sorter.ranges, buf, group);
        assert_eq!((share.count(), share.bytes()), (group.count as usize, group.bytes));
        let before = all.len();
        all.extend(share.messages().map(|raw| {
            let (reply, block) = (raw.reply_bytes().map(<[u8]>::to_vec), raw.header_bytes().map(<[u8]>::to_vec));
            (group.sid, raw.subject_bytes().to_vec(), reply, block, raw.payload_bytes().to_vec())
        }));
        assert_eq!(all.len() - before, share.count());
        assert_eq!(share.messages().map(|raw| raw.len()).sum::<usize>(), group.bytes);
    }
    all
}

#[test]
fn a_run_of_messages_is_sorted_like_single_ones_however_the_bytes_are_split() {
    for seed in 0..80 {
        let rng = &mut SmallRng::seed_from_u64(seed);
        let (bytes, expected) = stream(rng);
        let largest = [1, 40, 1000, 8000, usize::MAX].choose(rng).copied().unwrap();
        let sizes: Vec<usize> = (0..bytes.len()).map(|_| rng.random_range(1..=largest.min(bytes.len()))).collect();
        for alike in [false, true] {
            let mut engine = engine();
            let mut sorter = Sorter::new(Arc::default(), LIMITS);
            let mut decoder = Decoder::new(Limits::default());
            let (mut buf, mut fed, mut got, mut count) = (Vec::new(), 0, Vec::new(), 0);
            for size in &sizes {
                let more = *size.min(&(bytes.len() - fed));
                buf.extend_from_slice(&bytes[fed..fed + more]);
                fed += more;
                sorter.begin();
                let consumed = read(&mut sorter, &mut decoder, &buf, &mut engine.subscriptions, alike);
                got.extend(sorted(&sorter, &buf));
                count += sorter.messages();
                buf.drain(..consumed);
            }
            assert_eq!((buf.len(), count), (0, expected.len() as u64), "seed {seed}");
            for sid in 1..=3 {
                let of = |all: &[Parts]| all.iter().filter(|parts| parts.0 == sid).cloned().collect::<Vec<_>>();
                assert_eq!(of(&got), of(&expected), "seed {seed}, alike {alike}, subscription {sid}");
            }
            assert!(got.iter().all(|parts| (1..=3).contains(&parts.0)));
        }
    }
}

/// The inbox of a subscription.
fn inbox(engine: &Engine<Sink>, sid: u64) -> Arc<Inbox> {
    match &engine.subscriptions.get(sid).unwrap().handle {
        Sink::Inbox(inbox) => inbox.clone(),
        Sink::Requests => unreachable!("no test has one"),
    }
}

// Fault E4, its sibling: a message over 1 KiB beside a large one kept that one alive.
#[test]
fn a_message_beside_a_large_one_is_kept_without_it() {
    let sizes = [700_000, 2000, 16, 100_000, 1100, 0, 300_000, 2000, 2000, 90_000, 90_000];
    let runs = [vec![(1, 5_000_000)], vec![(1, 2000); 2000], sizes.map(|size| (1, size)).to_vec(), {
        let both = sizes.iter().flat_map(|size| [(1, *size), (2, size / 10)]);
        both.collect()
    }];
    for (run, messages) in runs.iter().enumerate() {
        let (mut buf, mut expected) = (BytesMut::new(), Vec::new());
        for (number, (sid, size)) in messages.iter().enumerate() {
            let (mut bytes, payload) = (Vec::new(), vec![number as u8; *size]);
            message(&mut bytes, b"a.b", *sid, None, None, &payload);
            buf.extend_from_slice(&bytes);
            expected.push((*sid, payload));
        }
        let (all, allocated) = (buf.len(), buf.capacity());
        let (mut engine, mut sorter) = (engine(), Sorter::new(Arc::default(), LIMITS));
        sorter.begin();
        let mut decoder = Decoder::new(Limits::default());
        let consumed = read(&mut sorter, &mut decoder, &buf, &mut engine.subscriptions, true);
        sorter.deliver(&mut buf, consumed, allocated, &mut engine, &mut Delivered::default());
        for sid in 1..=2 {
            let (inbox, mut got) = (inbox(&engine, sid), Vec::new());
            while let Some(Next::Share { share, .. }) = inbox.try_next() {
                for raw in share.messages() {
                    let kept = share.kept_alive();
                    let most = if raw.len() >= all / 4 { all } else { (raw.len() + 100).max(150 * 1024) };
                    assert!(kept <= most, "run {run}: {} bytes keep {kept} alive", raw.len());
                    got.push((sid, raw.payload_bytes().to_vec()));
                }
            }
            let of = expected.iter().filter(|(to, _)| *to == sid);
            assert!(got.iter().eq(of), "run {run}, subscription {sid}");
        }
    }
}
