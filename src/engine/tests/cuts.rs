//! What happens to messages when a connection is cut: I2, I3, I4, and the check for the next server.

use bytes::Bytes;

use super::pair::{PONG, Pair, config, eof, ms, secs};
use crate::engine::{Frame, Gate};

/// The parts of one flight, as they go on the wire.
fn parts(large: &[u8]) -> Vec<Vec<u8>> {
    let mut big = format!("PUB big {}\r\n", large.len()).into_bytes();
    big.extend_from_slice(large);
    big.extend_from_slice(b"\r\n");
    vec![
        b"PUB a 1\r\n1\r\n".to_vec(),
        b"SUB s 1\r\n".to_vec(),
        b"PUB b 2\r\n22\r\n".to_vec(),
        big,
        b"PUB c 3\r\n333\r\n".to_vec(),
        b"UNSUB 1\r\n".to_vec(),
        b"HPUB d 13 15\r\nNATS/1.0\r\n\r\n\r44\r\n".to_vec(),
        b"PING\r\n".to_vec(),
    ]
}

#[test]
fn a_cut_at_any_byte_loses_nothing_and_repeats_nothing() {
    let large = vec![b'x'; 32 * 1024];
    let parts = parts(&large);
    let total: usize = parts.iter().map(Vec::len).sum();
    let cuts = (0..=total).filter(|cut| *cut < 60 || *cut > total - 100 || cut % 4999 == 0);
    for cut in cuts {
        let mut pair = Pair::ready();
        pair.takes = false;
        pair.admit("a", b"1").unwrap();
        pair.queue_subscribe("s", None, 1);
        pair.admit("b", b"22").unwrap();
        pair.admit("big", &large).unwrap();
        pair.admit("c", b"333").unwrap();
        let framed = pair.outbox.admit_unsubscribe(1);
        pair.command(move |engine, _| engine.unsubscribe(1, framed));
        let payload = Bytes::from_static(b"44");
        let frame = Frame { subject: b"d", reply: None, headers: Some(b"NATS/1.0\r\n\r\n\r"), payload: &payload };
        pair.outbox.admit(&frame, false).unwrap();
        pair.flush(0);
        pair.take(cut);
        pair.lose(eof());
        // Before the cut: frames that were taken completely are in doubt, because no PONG came. After it: whole frames, in
        // order.
        let (mut at, mut in_doubt, mut rest) = (0, 0, Vec::new());
        for part in &parts {
            at += part.len();
            let message = part.starts_with(b"PUB") || part.starts_with(b"HPUB");
            if at <= cut {
                in_doubt += u64::from(message);
            } else if message {
                rest.extend_from_slice(part);
            }
        }
        assert_eq!(pair.in_doubt(), in_doubt, "cut at {cut}");
        assert_eq!(pair.outbox.pending(), rest.len(), "cut at {cut}");
        assert_eq!(pair.outbox.through(), in_doubt);
        pair.expect_among(&format!("handed over to {in_doubt}, {in_doubt} in doubt"));
        pair.advance(ms(250));
        pair.greet();
        pair.take_all();
        pair.written();
        pair.serve(PONG);
        pair.take_all();
        if in_doubt == 0 {
            // The flush did not fail, so it goes on: its PING comes after what was buffered.
            rest.extend_from_slice(b"PING\r\n");
        }
        let wire = &pair.wires.last().unwrap().bytes;
        assert!(wire.ends_with(&rest), "cut at {cut}: {:?}", String::from_utf8_lossy(wire));
        assert_eq!(String::from_utf8_lossy(wire).matches("SUB").count(), 0, "cut at {cut}");
    }
}

#[test]
fn only_what_no_pong_covers_is_in_doubt() {
    let mut pair = Pair::ready();
    pair.publish("x", "1");
    pair.publish("x", "2");
    pair.flush(0);
    pair.publish("x", "3");
    pair.serve(PONG);
    pair.publish("x", "4");
    pair.lose(eof());
    pair.expect_among("flush 1 ok");
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert_eq!((ledger.confirmed, ledger.in_doubt, ledger.waiting), (2, 2, 0));
}

#[test]
fn buffered_messages_go_after_those_that_came_back() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.publish("x", "1");
    pair.publish("x", "2");
    pair.take(15);
    pair.lose(eof());
    pair.publish("x", "3");
    pair.advance(ms(250));
    pair.publish("x", "4");
    pair.takes = true;
    pair.accept();
    pair.publish("x", "5");
    pair.expect_written("CONNECT {… PING PUB x 1 2 PUB x 1 3 PUB x 1 4 PUB x 1 5");
}

#[test]
fn a_second_loss_is_counted_like_the_first() {
    let mut pair = Pair::ready();
    pair.takes = false;
    for n in ["1", "2", "3"] {
        pair.publish("x", n);
    }
    pair.take(12);
    pair.lose(eof());
    assert_eq!(pair.in_doubt(), 1);
    pair.advance(ms(250));
    pair.greet();
    pair.take_all();
    pair.takes = false;
    pair.serve(PONG);
    pair.forget();
    pair.take(15);
    pair.lose(eof());
    pair.expect_among("Reconnected a:4222 after 1: 0 subs, 1 flushed, 1 buffered");
    assert_eq!(pair.in_doubt(), 2);
    pair.takes = true;
    pair.reconnect();
    pair.expect_written("CONNECT {… PING PUB x 1 3");
}

#[test]
fn only_messages_that_the_next_server_can_not_take_fail() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    let headers = Bytes::from_static(b"h");
    pair.publish("x", "1");
    pair.publish("x", "too large");
    let large = pair.admit("x", &[b'y'; 33_000]).unwrap();
    let frame = Frame { subject: b"x", reply: None, headers: Some(b"NATS/1.0\r\n\r\n"), payload: &headers };
    pair.outbox.admit(&frame, false).unwrap();
    pair.publish("x", "5");
    assert_eq!(large, 3);
    pair.forget();
    pair.advance(ms(250));
    pair.accept_with(b"INFO {\"max_payload\":8,\"headers\":false}\r\n");
    pair.expect_written("CONNECT {… PING PUB x 1 1 PUB x 1 5");
    pair.expect(&[
        "Connecting a:4222 1",
        "dial a",
        "dropped 2-4",
        "Lost 3 too large: x too large, x yyyyyyyyyy, x h",
        "Reconnected a:4222 after 1: 0 subs, 2 flushed, 0 buffered",
    ]);
    let ledger = pair.engine.ledger(pair.outbox.accepted());
    assert_eq!((ledger.unconfirmed, ledger.lost.too_large, ledger.accepted), (2, 3, 5));
    assert_eq!(pair.outbox.pending(), 0);
}

#[test]
fn headers_alone_are_a_reason_to_lose_a_message() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    let payload = Bytes::from_static(b"h");
    let frame = Frame { subject: b"x", reply: None, headers: Some(b"NATS/1.0\r\n\r\n"), payload: &payload };
    pair.outbox.admit(&frame, false).unwrap();
    pair.advance(ms(250));
    pair.accept_with(b"INFO {\"headers\":false}\r\n");
    pair.expect_among("Lost 1 with headers: x h");
}

#[test]
fn a_buffered_message_can_be_withdrawn_wherever_it_is() {
    let large = vec![b'x'; 40_000];
    for victim in 2..=6_u64 {
        let mut pair = Pair::ready();
        pair.publish("x", "1");
        pair.lose(eof());
        let payloads: [&[u8]; 5] = [b"2", b"3", &large, b"5", b"6"];
        for payload in payloads {
            pair.admit("x", payload).unwrap();
        }
        let (before, mut gone) = (pair.outbox.pending(), Vec::new());
        let index = usize::try_from(victim).unwrap() - 2;
        let len =
            Frame { subject: b"x", reply: None, headers: None, payload: &Bytes::from(payloads[index].to_vec()) }.len();
        assert!(!pair.outbox.cancel(1, &mut gone), "it is gone already");
        assert!(pair.outbox.cancel(victim, &mut gone));
        assert!(!pair.outbox.cancel(victim, &mut gone), "only once");
        assert_eq!(pair.outbox.pending(), before - len);
        assert_eq!((pair.outbox.accepted(), pair.outbox.messages()), (5, 4));
        assert_eq!(pair.outbox.through(), if victim == 2 { 2 } else { 1 });
        pair.reconnect();
        let written = pair.written();
        for (at, payload) in payloads.iter().enumerate() {
            let text = format!("PUB x {} {}", payload.len(), String::from_utf8_lossy(payload));
            assert_eq!(written.contains(&text), at != index, "{victim}");
        }
        assert!(!pair.outbox.cancel(victim, &mut gone), "the gate is open");
    }
}

#[test]
fn withdrawing_buffered_messages_leaves_the_flight_alone() {
    let mut pair = Pair::ready();
    pair.takes = false;
    pair.publish("x", "1");
    pair.force_reconnect();
    assert_eq!(pair.outbox.gate(), Gate::Buffering);
    let second = pair.publish("x", "2");
    assert_eq!(pair.outbox.pending(), 24);
    let mut gone = Vec::new();
    assert!(!pair.outbox.cancel(1, &mut gone), "it is in flight");
    assert!(pair.outbox.cancel(second, &mut gone));
    assert_eq!(pair.outbox.pending(), 12);
    pair.take_all();
    assert_eq!(pair.outbox.pending(), 0);
}

#[test]
fn the_cap_counts_what_came_back() {
    let mut pair = Pair::seeded(config(), &["a"], 24, 1);
    pair.connect();
    pair.accept();
    pair.takes = false;
    pair.publish("x", "1");
    pair.take(5);
    pair.lose(eof());
    assert_eq!(pair.outbox.pending(), 12);
    pair.publish("x", "2");
    assert!(matches!(pair.admit("x", b"3"), Err(crate::engine::Refusal::Full { pending: 24, limit: 24, frame: 12 })));
    assert!(matches!(pair.admit("x", b"a payload beyond"), Err(crate::engine::Refusal::TooLarge { limit: 24, .. })));
}

// Fault E1: the model of the outbox repeated the rule that the cap applies in every state, instead of asking what it is for.
#[test]
fn a_frame_over_the_cap_passes_while_connected_and_is_kept_when_it_is_cut() {
    let mut pair = Pair::seeded(config(), &["a"], 24, 1);
    pair.connect();
    pair.accept();
    pair.takes = false;
    let large = "a payload far beyond the cap";
    pair.publish("x", large);
    let len = pair.outbox.pending();
    assert!(len > 24);
    assert_eq!(pair.admit("x", b"2"), Err(crate::engine::Refusal::NoRoom), "the mark is reached");
    pair.take(len - 1);
    pair.publish("x", "3");
    pair.lose(eof());
    assert_eq!(pair.outbox.pending(), len + 12, "it was cut, and is whole again");
    assert!(matches!(pair.admit("x", b"4"), Err(crate::engine::Refusal::Full { .. })));
    let refused = pair.admit("x", large.as_bytes());
    assert!(matches!(refused, Err(crate::engine::Refusal::TooLarge { limit: 24, .. })), "{refused:?}");
    pair.takes = true;
    pair.advance(secs(1));
    pair.accept();
    let written = pair.written();
    assert!(written.contains(&format!("PUB x {} {large} PUB x 1 3", large.len())), "{written}");
    assert_eq!(pair.outbox.pending(), 0);
}
