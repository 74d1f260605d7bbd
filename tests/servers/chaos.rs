//! The example `chaos`, ten seconds of each mode: real servers, real faults, and an account of every message.
//!
//! `cargo run --release --example chaos -- --minutes 10` is the same for longer.

#[path = "../../examples/chaos/trial/mod.rs"]
mod trial;

use clap::Parser;
use nats_lifeline::Message;
use trial::args::Args;
use trial::leaving::Leaving;
use trial::letter::Letter;
use trial::record::{Claim, Record};

/// Fewer messages than the example sends: tests are not optimised, and several run at the same time.
const RATE: &str = "1000";

async fn kept(mode: &str, delivery: &str) {
    let words = ["chaos", "--seconds", "10", "--rate", RATE, "--mode", mode, "--delivery", delivery];
    let args = Args::try_parse_from(words).unwrap();
    let account = trial::run(&args).await.unwrap();
    assert_eq!(account.broken(), Vec::<String>::new(), "{mode}, {delivery}, --seed {}", args.seed);
    assert!(account.sums.received > 0, "nothing came");
    assert!(account.stats.disconnects + account.subscriber.disconnects > 0, "no client was affected");
}

// Scenario 56: I1, I2, I3, I4, I5, N1, promise 3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_once_every_message_through_a_bad_network_is_accounted_for() {
    kept("cut", "at-most-once").await;
}

// Scenario 56: I1, I2, I5, promise 3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_least_once_a_bad_network_loses_nothing() {
    kept("cut", "at-least-once").await;
}

// Scenario 1: I1, I2, I3, promise 3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_come_and_go_cause_no_damage_and_no_duplicates() {
    kept("cluster", "at-most-once").await;
}

/// Records messages of one publisher: the number, the earliest connection of the message, and the latest one so far.
fn record(messages: &[(u64, u64, u64)]) -> Record {
    let mut record = Record::default();
    for (number, era, by_now) in messages.iter().copied() {
        record.note(Some(Letter { from: 0, number, era }), by_now);
    }
    record
}

/// Received, duplicated, out of order, late.
fn sums(record: &Record) -> [u64; 4] {
    let sums = record.sums();
    [sums.received, sums.duplicated, sums.out_of_order, sums.late]
}

#[test]
fn the_record_detects_duplicates_and_messages_out_of_order() {
    assert_eq!(sums(&record(&[(0, 1, 1), (1, 1, 1), (3, 1, 2)])), [3, 0, 0, 0], "a gap is not out of order");
    assert_eq!(sums(&record(&[(0, 1, 1), (0, 1, 1)])), [1, 1, 0, 0]);
    assert_eq!(sums(&record(&[(1, 1, 1), (0, 1, 1)])), [2, 0, 1, 0], "both left on the first connection");
    assert_eq!(sums(&record(&[(1, 2, 2), (0, 2, 2)])), [2, 0, 1, 0], "both were published while it was lost");
    assert_eq!(sums(&record(&[(1, 1, 2), (0, 1, 2)])), [2, 0, 0, 1], "the later one may have left on the second");
    let mut moved = record(&[(5, 1, 1)]);
    moved.moved();
    moved.note(Some(Letter { from: 0, number: 4, era: 1 }), 1);
    assert_eq!(sums(&moved), [2, 0, 0, 0], "another connection of the subscriber");
    moved.note(None, 1);
    assert_eq!(moved.corrupted, 1);
}

#[test]
fn the_record_holds_a_flush_to_its_result() {
    let mut record = record(&[(0, 1, 1), (1, 1, 1), (3, 1, 1)]);
    record.claim(Claim { from: 0, numbers: 0..2 });
    record.mark(1);
    record.claim(Claim { from: 0, numbers: 2..4 });
    record.mark(2);
    record.came(1);
    assert_eq!((record.covered, record.uncovered), (2, 0));
    record.claim(Claim { from: 7, numbers: 0..3 });
    record.came(2);
    assert_eq!((record.covered, record.uncovered), (4, 1), "number 2 is not there");
    record.mark(3);
    record.came(3);
    assert_eq!((record.covered, record.uncovered), (7, 4), "nothing arrived from there");
}

#[test]
fn messages_sent_out_of_order_are_detected() {
    let left = |at_most_once, connections: &[&[u64]]| {
        let leaving = Leaving::default();
        let watch = leaving.watch();
        let readers: Vec<_> = connections.iter().map(|_| watch()).collect();
        for (mut reader, numbers) in readers.into_iter().zip(connections) {
            reader(b"CONNECT {}\r\nPING\r\n");
            for number in *numbers {
                let payload = Letter { from: 1, number: *number, era: 1 }.payload();
                let mut frame = format!("PUB a {}\r\n", payload.len()).into_bytes();
                frame.extend_from_slice(&payload);
                frame.extend_from_slice(b"\r\n");
                let (front, rest) = frame.split_at(frame.len() / 2);
                reader(front);
                reader(rest);
            }
        }
        leaving.disordered(at_most_once)
    };
    assert_eq!(left(true, &[&[0, 1, 4], &[], &[5, 9]]), 0, "gaps are not out of order");
    assert_eq!(left(true, &[&[0, 2, 1]]), 1, "within a connection");
    assert_eq!(left(true, &[&[0, 1, 1]]), 1, "twice");
    assert_eq!(left(true, &[&[0, 3], &[], &[2, 4]]), 1, "over connections");
    assert_eq!(left(false, &[&[0, 3], &[2, 4], &[6, 5]]), 1, "at least once only within one");
}

#[test]
fn a_letter_shows_every_change() {
    for number in 0..500 {
        let letter = Letter { from: 2, number, era: 9 };
        let payload = letter.payload();
        let came = |payload: Vec<u8>, headers| {
            let message = Message { payload: payload.into(), headers, ..message() };
            Letter::of(&message)
        };
        assert_eq!(came(payload.to_vec(), letter.headers()), Some(letter));
        let mut changed = payload.to_vec();
        let at = number as usize % changed.len();
        changed[at] ^= 0x10;
        assert_eq!(came(changed, letter.headers()), None, "a bit of byte {at}");
        assert_eq!(came(payload[..payload.len() - 1].to_vec(), letter.headers()), None, "cut off");
        let other = Letter { number: number + 1, ..letter };
        assert_eq!(came(payload.to_vec(), other.headers()), (number % 4 > 1).then_some(letter), "other headers");
    }
}

fn message() -> Message {
    Message {
        subject: "a".into(),
        reply: None,
        payload: Default::default(),
        headers: None,
        status: None,
        description: None,
        length: 0,
    }
}
