//! Every command in every phase: none panics, none hangs, the invariants hold, and the way to the end stays open.

use super::pair::{PONG, Pair, addr, config, eof, ms, reset, secs};
use crate::engine::{Config, Interest, Purpose, Status};

type Step = (&'static str, fn(&mut Pair));

const PHASES: &[Step] = &[
    ("idle", |_| {}),
    ("dialling", |pair| pair.connect()),
    ("awaiting INFO", |pair| {
        pair.connect();
        pair.dialed(0);
    }),
    ("awaiting PONG", |pair| {
        pair.connect();
        pair.greet();
    }),
    ("replaying", replaying),
    ("recovering", |pair| {
        recovering(pair);
    }),
    ("ready", ready),
    ("ready, with a stuck transport", |pair| {
        ready(pair);
        pair.takes = false;
        pair.publish("x", "stuck");
        pair.take(3);
    }),
    ("ready, broken for writing", |pair| {
        ready(pair);
        pair.break_writing();
    }),
    ("moving", |pair| {
        ready(pair);
        pair.force_reconnect();
    }),
    ("lost, not settled", |pair| {
        ready(pair);
        let (epoch, now) = (pair.engine.epoch(), pair.now);
        pair.engine.handle_lost(epoch, eof(), now);
    }),
    ("waiting", |pair| {
        ready(pair);
        pair.lose(reset());
    }),
    ("given up", |pair| {
        pair.connect();
        pair.refuse();
    }),
    ("draining: interest", |pair| {
        ready(pair);
        pair.drain(secs(5));
    }),
    ("draining: delivering", |pair| {
        ready(pair);
        pair.drain(secs(5));
        pair.serve(PONG);
    }),
    ("draining: publishing", |pair| {
        ready(pair);
        pair.drain(secs(5));
        pair.serve(PONG);
        pair.finished(1);
        pair.finished(2);
    }),
    ("draining, replaying", |pair| {
        replaying(pair);
        pair.drain(secs(5));
    }),
    ("draining while down", |pair| {
        ready(pair);
        pair.drain(secs(5));
        pair.lose(eof());
    }),
    ("closing", |pair| {
        ready(pair);
        pair.close();
    }),
    ("to end in the next exchange", |pair| {
        pair.connect();
        let now = pair.now;
        pair.engine.close(now);
    }),
    ("closed", |pair| {
        ready(pair);
        pair.close();
        pair.serve(PONG);
    }),
];

fn ready(pair: &mut Pair) {
    pair.connect();
    pair.subscribe("s", 1);
    pair.queue_subscribe("t", Some("q"), 2);
    pair.accept();
    pair.publish("x", "1");
}

fn replaying(pair: &mut Pair) {
    pair.connect();
    for sid in 1..=1500 {
        pair.queue_subscribe("a.subject.that.is.long.enough.for.several.pieces", None, sid);
    }
    pair.greet();
    pair.takes = false;
    pair.serve(PONG);
}

fn recovering(pair: &mut Pair) {
    pair.connect();
    pair.subscribe("s", 1);
    pair.publish("x", "1");
    pair.greet();
    pair.takes = false;
    pair.serve(PONG);
}

const COMMANDS: &[Step] = &[
    ("nothing", |_| {}),
    ("connect", |pair| pair.engine.connect(pair.now)),
    ("subscribe", |pair| {
        pair.queue_subscribe("u", None, 10_000);
    }),
    ("subscribe, not framed", |pair| {
        pair.engine.subscribe(
            10_001,
            Interest { subject: b"u", queue: None, purpose: Purpose::Replies },
            10_001,
            false,
        );
    }),
    ("unsubscribe", |pair| pair.engine.unsubscribe(1, false)),
    ("unsubscribe_after", |pair| pair.engine.unsubscribe_after(1, 2)),
    ("unsubscribe_after 0", |pair| pair.engine.unsubscribe_after(1, 0)),
    ("drain_subscription", |pair| pair.engine.drain_subscription(1, false)),
    ("flush", |pair| pair.engine.flush(99, 0)),
    ("keep_flushes", |pair| {
        pair.engine.flush(98, 0);
        pair.engine.keep_flushes(|token| token != 98);
    }),
    ("force_reconnect", |pair| pair.engine.force_reconnect(pair.now)),
    ("set_server_pool", |pair| pair.engine.set_server_pool(vec![addr("a"), addr("b")], pair.now)),
    ("an empty pool", |pair| pair.engine.set_server_pool(Vec::new(), pair.now)),
    ("drain", |pair| pair.engine.drain(secs(3), pair.now)),
    ("close", |pair| pair.engine.close(pair.now)),
    ("handle_finished", |pair| pair.engine.handle_finished(1)),
    ("handle_complete", |pair| pair.engine.handle_complete(1, 5)),
    ("receive", |pair| {
        pair.engine.receive(1, 3);
    }),
    ("handle_timeout", |pair| pair.engine.handle_timeout(pair.now)),
    ("shrink", |pair| {
        pair.engine.shrink();
        pair.outbox.shrink();
    }),
    ("publish", |pair| {
        let _ = pair.admit("x", b"more");
    }),
    ("publish much", |pair| {
        let _ = pair.admit("x", &[b'z'; 100_000]);
    }),
];

/// What the network then does.
const ENDINGS: &[Step] = &[
    ("time passes", |_| {}),
    ("the transport takes all", |pair| pair.take_all()),
    ("the server answers", |pair| {
        pair.serve(&[PONG, PONG, PONG, PONG].concat());
        pair.takes = true;
        pair.advance(secs(2));
        pair.serve(&[PONG, PONG, PONG, PONG].concat());
    }),
    ("the connection breaks", |pair| {
        let (epoch, now) = (pair.engine.epoch(), pair.now);
        pair.engine.handle_lost(epoch, eof(), now);
        pair.settle();
    }),
];

#[test]
fn every_command_is_legal_in_every_phase() {
    for (phase, enter) in PHASES {
        for (name, command) in COMMANDS {
            for (ending, end) in ENDINGS {
                // The test harness shows it if the test fails.
                println!("{phase} / {name} / {ending}");
                let mut pair = Pair::with(Config { max_reconnects: Some(20), ..config() }, &["a"]);
                enter(&mut pair);
                let before = pair.engine.status();
                command(&mut pair);
                end(&mut pair);
                pair.settle();
                pair.advance(ms(10));
                check_flushes_end(&mut pair);
                if before == Status::Closed {
                    assert_eq!(pair.engine.status(), Status::Closed);
                }
                pair.close();
                pair.advance(secs(1));
                assert_eq!(pair.engine.status(), Status::Closed);
                let ledger = pair.engine.ledger(pair.outbox.accepted());
                assert_eq!((ledger.waiting, ledger.unconfirmed), (0, 0), "{ledger:?}");
                assert!(pair.engine.subscriptions.is_empty() || before == Status::Closed);
                assert_eq!(pair.engine.poll_timeout(), None);
                assert_eq!((pair.outbox.pending(), pair.outbox.messages()), (0, 0));
            }
        }
    }
}

/// A flush that waits is answered at the end at the latest.
fn check_flushes_end(pair: &mut Pair) {
    if !pair.journal().iter().any(|entry| entry.starts_with("flush 99")) {
        let waits = pair.engine.waiters.iter().any(|waiter| format!("{waiter:?}").contains("token: 99"));
        if waits {
            pair.close();
            pair.advance(secs(1));
            pair.expect_among("flush 99");
        }
    }
}
