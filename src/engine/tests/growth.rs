//! Anything that a peer or a user can repeat costs no more the hundred-thousandth time than the first.
//!
//! Each is done n times and 4n times: with a pass over everything for each, the second takes sixteen times as long. The factor
//! is generous and the shortest of several runs counts, so that a busy machine does not matter.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::pair::{PONG, Pair, eof};
use crate::engine::{ConnectionEvent, EventQueue, Lost, LostMessages, OutboxRules};
use crate::protocol::ErrKind;

/// `run` repeats its work as often as its argument says.
#[track_caller]
fn grows_linearly(times: u64, run: impl Fn(u64)) {
    let shortest = |times: u64| -> Duration {
        let runs = (0..3).map(|_| {
            let begun = spent();
            run(times);
            spent().saturating_sub(begun)
        });
        runs.min().unwrap_or_default()
    };
    let (few, many) = (shortest(times), shortest(4 * times));
    // The clock of a thread may tick in milliseconds.
    assert!(many < few * 10 + Duration::from_millis(20), "{times} times take {few:?}, {} times {many:?}", 4 * times);
}

/// The processor time of this thread, where that is known: others don't count then.
pub(super) fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn subject(number: u64) -> &'static str {
    Box::leak(format!("jobs.{number}").into_boxed_str())
}

/// Connected, with this many subscriptions that the server has not confirmed.
fn with_subscriptions(count: u64) -> Pair {
    let mut pair = Pair::ready();
    for sid in 1..=count {
        pair.queue_subscribe(subject(sid), None, sid);
    }
    pair.settle();
    pair
}

fn refusal(what: &str, number: u64) -> String {
    format!("-ERR 'Permissions Violation for {what} to \"jobs.{number}\"'\r\n")
}

/// The numbers up to `count`, scrambled.
fn shuffled(count: u64) -> impl Iterator<Item = u64> {
    // A prime larger than any count: each number comes once.
    (1..=count).map(move |number| number * 1_000_003 % count + 1)
}

// Fault C3. Growth was tested for messages and outages, not for what a server sends.
#[test]
fn refusals_of_subscriptions() {
    grows_linearly(4000, |times| {
        let mut pair = with_subscriptions(times);
        let errors: String = shuffled(times).map(|sid| refusal("Subscription", sid)).collect();
        pair.serve(errors.as_bytes());
        assert!(pair.engine.subscriptions.is_empty());
    });
}

// Fault C3
#[test]
fn refusals_of_subscriptions_that_a_server_had_accepted_or_that_nobody_has() {
    grows_linearly(4000, |times| {
        let mut pair = with_subscriptions(times);
        pair.flush(0);
        pair.serve(PONG);
        let unknown: String = (1..=times).map(|sid| refusal("Subscription", sid + times)).collect();
        pair.serve(unknown.as_bytes());
        assert_eq!(pair.engine.subscriptions.len() as u64, times);
        let errors: String = shuffled(times).map(|sid| refusal("Subscription", sid)).collect();
        pair.serve(errors.as_bytes());
        assert!(pair.engine.subscriptions.is_empty());
    });
}

// Faults C1, C3
#[test]
fn refusals_of_messages_cost_linear_time() {
    grows_linearly(2000, |times| {
        let mut pair = Pair::ready();
        for number in 1..=times {
            pair.admit(subject(number), b"1").unwrap();
        }
        pair.settle();
        for number in 1..=times {
            pair.serve(refusal("Publish", number).as_bytes());
        }
        pair.flush(0);
        pair.serve(PONG);
        assert_eq!(pair.engine.ledger(times).lost.refused, times);
    });
}

// Faults A4, C2
#[test]
fn subscriptions_made_and_dropped_beside_many_that_stay() {
    grows_linearly(4000, |times| {
        let mut pair = with_subscriptions(times);
        pair.serve(refusal("Subscription", 0).as_bytes());
        for sid in times + 1..=2 * times {
            pair.queue_subscribe(subject(sid), None, sid);
            let framed = pair.outbox.admit_unsubscribe(sid);
            pair.command(move |engine, _| engine.unsubscribe(sid, framed));
        }
        pair.settle();
        assert_eq!(pair.engine.subscriptions.len() as u64, times);
    });
}

// The same kind: outstanding PINGs, and a drain whose consumers finish one by one.
#[test]
fn many_flushes_cost_linear_time() {
    grows_linearly(4000, |times| {
        let mut pair = Pair::ready();
        for _ in 0..times {
            pair.flush(0);
        }
        pair.serve(&PONG.repeat(times as usize));
        pair.expect_among(&format!("flush {times} ok"));
    });
}

#[test]
fn consumers_that_read_a_draining_client_to_its_end_one_by_one() {
    grows_linearly(4000, |times| {
        let mut pair = with_subscriptions(times);
        pair.drain(Duration::from_secs(3600));
        // There may be one for the bytes of the SUBs.
        pair.serve(&PONG.repeat(2));
        for sid in shuffled(times) {
            pair.finished(sid);
        }
        assert!(pair.engine.subscriptions.is_empty());
    });
}

// Fault A7. The outbox was compared with a model for its content, not for its cost.
#[test]
fn messages_withdrawn_in_any_order() {
    grows_linearly(8000, |times| {
        let rules = OutboxRules { cap: 1 << 30, ..OutboxRules::default() };
        let mut pair = Pair::ruled(rules);
        pair.lose(eof());
        for number in 1..=times {
            pair.admit(subject(number), &[b'x'; 64]).unwrap();
        }
        for number in shuffled(times) {
            assert!(pair.outbox.cancel(number, &mut Vec::new()), "{number} waits");
        }
        assert_eq!((pair.outbox.pending(), pair.outbox.messages()), (0, 0));
    });
}

// Fault A7: large ones are segments of their own, and with an age limit a trickle makes many.
#[test]
fn large_messages_withdrawn_in_any_order() {
    let payload = vec![b'x'; crate::engine::outbox::SHARED_PAYLOAD];
    grows_linearly(4000, |times| {
        let rules = OutboxRules { cap: 1 << 30, ..OutboxRules::default() };
        let mut pair = Pair::ruled(rules);
        pair.lose(eof());
        let payload = bytes::Bytes::from(payload.clone());
        for _ in 0..times {
            let frame = crate::engine::Frame { subject: b"a", reply: None, headers: None, payload: &payload };
            pair.outbox.admit(&frame, false).unwrap();
        }
        for number in shuffled(times) {
            assert!(pair.outbox.cancel(number, &mut Vec::new()), "{number} waits");
        }
        assert_eq!((pair.outbox.pending(), pair.outbox.messages()), (0, 0));
    });
}

// Fault H3. The queue was tested for what it keeps, with a few servers in each event.
#[test]
fn unread_changes_of_a_large_pool_cost_linear_time() {
    grows_linearly(500, |servers| {
        let mut queue = EventQueue::new(16);
        for number in 1..=40 {
            let names = |number: u64| (0..servers).map(|server| format!("server-{number}-{server}:4222")).collect();
            queue.push(ConnectionEvent::ServersChanged { added: names(number), removed: names(number - 1) });
        }
        assert!(queue.len() <= 16);
    });
}

// Fault H3
#[test]
fn unread_events_of_every_kind_cost_linear_time() {
    let error = ErrKind::Other("x".into());
    let events = [
        ConnectionEvent::ServerError { server: "a".to_owned(), error: error.clone() },
        ConnectionEvent::Lost { lost: Lost { refused: 1, ..Lost::default() }, messages: LostMessages::default() },
        ConnectionEvent::LeftInDoubt { messages: 1 },
        ConnectionEvent::LameDuck { server: "a".to_owned() },
        ConnectionEvent::ServersChanged { added: vec!["b".to_owned()], removed: vec!["b".to_owned()] },
        ConnectionEvent::BufferHigh { pending: 1, limit: 1 },
    ];
    grows_linearly(3_000, |times| {
        let mut queue = EventQueue::new(1024);
        for event in events.iter().cycle().take(times as usize) {
            queue.push(event.clone());
        }
        assert!(queue.len() <= 1024);
    });
}
