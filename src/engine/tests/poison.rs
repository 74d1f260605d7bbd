//! Messages that kill every connection they are given to: D16.

use super::pair::{INFO, Net, PONG, Pair, config, eof, ms, secs};
use crate::engine::{Config, DeliveryMode, OutboxRules};

/// `PUB a 1 x`: 12 bytes.
const FRAME: usize = 12;

fn ready(delivery: DeliveryMode) -> Pair {
    Pair::ruled(OutboxRules { delivery, ..OutboxRules::default() })
}

fn dial(pair: &mut Pair) {
    while !matches!(pair.net(), Net::Dialing(_)) {
        pair.advance(ms(50));
    }
    pair.dialed(0);
}

/// The next connection, whose transport takes nothing by itself after the handshake.
fn reconnect(pair: &mut Pair) {
    dial(pair);
    pair.serve(INFO);
    pair.take_all();
    pair.takes = false;
    pair.serve(PONG);
}

/// Of four messages with which five connections ended, the first two go to the sixth.
fn suspect_one_of_four(pair: &mut Pair) {
    for n in ["1", "2", "3", "4"] {
        pair.publish("a", n);
    }
    for _ in 0..5 {
        pair.lose(eof());
        pair.takes = true;
        reconnect(pair);
        pair.take_all();
    }
}

fn lost_to_poison(pair: &Pair) -> u64 {
    pair.engine.ledger(pair.outbox.accepted()).lost.poison
}

#[test]
fn at_most_once_a_frame_that_is_cut_five_times_in_a_row_is_taken_out() {
    let mut pair = ready(DeliveryMode::AtMostOnce);
    pair.takes = false;
    pair.publish("a", "x");
    pair.publish("a", "2");
    for _ in 0..4 {
        pair.take(5);
        pair.lose(eof());
        assert_eq!(lost_to_poison(&pair), 0);
        reconnect(&mut pair);
    }
    pair.take(5);
    pair.lose(eof());
    pair.expect_among("Lost 1 poison: a x");
    assert_eq!((lost_to_poison(&pair), pair.in_doubt()), (1, 0));
    reconnect(&mut pair);
    pair.take_all();
    pair.expect_written("CONNECT {… PING PUB a 1 2");
}

#[test]
fn at_most_once_a_frame_that_gets_through_between_is_no_poison() {
    let mut pair = ready(DeliveryMode::AtMostOnce);
    pair.takes = false;
    for n in 0..10 {
        pair.publish("a", &n.to_string());
        // The last one gets through, and the next is cut.
        pair.take(if n == 0 { 5 } else { FRAME + 5 });
        pair.publish("a", "x");
        pair.lose(eof());
        reconnect(&mut pair);
    }
    assert_eq!(lost_to_poison(&pair), 0);
}

#[test]
fn connections_that_we_end_are_no_evidence_of_poison() {
    let mut pair = ready(DeliveryMode::AtMostOnce);
    pair.takes = false;
    pair.publish("a", "x");
    for _ in 0..5 {
        pair.take(5);
        // It takes nothing more.
        pair.advance(secs(10));
        reconnect(&mut pair);
    }
    assert_eq!(lost_to_poison(&pair), 0);
}

/// A server that processes what it reads, and dies of `deadly`. Returns how many connections it took until everything was
/// through.
fn serve_all(pair: &mut Pair, deadly: &str) -> usize {
    for connections in 1..100 {
        // Rounds of one connection: it takes all that there is, and answers every PING.
        let mut answered = 0;
        loop {
            pair.take_all();
            let wire = String::from_utf8_lossy(&pair.wires.last().unwrap().bytes).into_owned();
            if wire.contains(&format!("\r\n{deadly}\r\n")) {
                pair.lose(eof());
                break;
            }
            let pings = wire.matches("PING\r\n").count();
            if pings == answered {
                return connections;
            }
            while answered < pings {
                answered += 1;
                pair.serve(PONG);
            }
        }
        dial(pair);
        pair.serve(INFO);
    }
    panic!("it never gets through");
}

#[test]
fn at_least_once_poison_is_found_among_the_messages_sent_with_it() {
    for place in [0, 1, 31, 62, 63] {
        let mut pair = ready(DeliveryMode::AtLeastOnce);
        pair.takes = false;
        for n in 0..64 {
            pair.publish("a", if n == place { "deadly" } else { "x" });
        }
        let token = pair.flush(0);
        let connections = serve_all(&mut pair, "deadly");
        pair.flush(0);
        serve_all(&mut pair, "deadly");
        let journal = pair.journal();
        for said in ["Lost 1 poison: a deadly".to_owned(), format!("flush {token} ok")] {
            assert_eq!(journal.iter().filter(|entry| **entry == said).count(), 1, "{said} in {journal:#?}");
        }
        let ledger = pair.engine.ledger(pair.outbox.accepted());
        assert_eq!((ledger.confirmed, ledger.lost.total(), ledger.in_doubt), (63, 1, 0), "{place}");
        // Five until there is a suspicion, one for each halving, five for the single message.
        assert!(connections <= 5 + 6 + 5, "{place}: {connections} connections");
    }
}

#[test]
fn at_least_once_a_flush_waits_for_the_last_batch() {
    let mut pair = ready(DeliveryMode::AtLeastOnce);
    suspect_one_of_four(&mut pair);
    pair.expect_written("CONNECT {… PING PUB a 1 1 PUB a 1 2 PING");
    pair.takes = true;
    let token = pair.flush(0);
    pair.forget();
    pair.expect_written("");
    pair.serve(PONG);
    pair.expect_written("PUB a 1 3 PUB a 1 4 PING");
    assert!(!pair.journal().iter().any(|entry| entry.starts_with("flush")), "the last PONG is not there yet");
    pair.serve(PONG);
    pair.expect_among(&format!("flush {token} ok"));
    // From here on messages are loaded as usual.
    for n in ["5", "6", "7"] {
        pair.publish("a", n);
    }
    pair.expect_written("PUB a 1 5 PUB a 1 6 PUB a 1 7");
}

#[test]
fn at_least_once_a_subscription_does_not_wait_with_a_batch() {
    let mut pair = ready(DeliveryMode::AtLeastOnce);
    suspect_one_of_four(&mut pair);
    pair.takes = true;
    pair.subscribe("s", 7);
    // This is not a frame; it is sent after the SUB.
    pair.unsubscribe_after(7, 2);
    pair.expect_written("…PUB a 1 2 PING PUB a 1 3 PUB a 1 4 SUB s 7 UNSUB 7 2");
}

#[test]
fn without_poison_after_no_message_is_removed() {
    let config = Config { poison_after: None, ..config() };
    let mut pair = Pair::connected(config, &["a"]);
    pair.takes = false;
    pair.publish("a", "x");
    for _ in 0..20 {
        pair.take(5);
        pair.lose(eof());
        reconnect(&mut pair);
    }
    assert_eq!(lost_to_poison(&pair), 0);
}
