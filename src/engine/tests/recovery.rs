//! The report of an outage: `Reconnected`, and `RecoveryDone` when messages were sent later (D18).

use std::time::Duration;

use super::pair::{INFO, PONG, Pair, config, eof, ms};
use crate::engine::outbox::SHARED_PAYLOAD;
use crate::engine::pool::Policy;
use crate::engine::{Config, ConnectionEvent};

fn last<T>(pair: &Pair, find: impl Fn(&ConnectionEvent) -> Option<T>) -> T {
    pair.events.iter().rev().find_map(find).unwrap()
}

#[test]
fn reconnected_gives_the_whole_account_of_an_outage() {
    let mut pair = Pair::ready();
    pair.subscribe("s", 1);
    pair.publish("x", "unconfirmed");
    pair.lose(eof());
    pair.publish("x", "small");
    pair.publish("x", "this one is too large for the next server");
    pair.advance(ms(250));
    pair.dialed(0);
    pair.take_all();
    pair.advance(ms(30));
    pair.serve(b"INFO {\"server_id\":\"T\",\"max_payload\":20,\"headers\":true}\r\n");
    pair.advance(ms(40));
    pair.serve(PONG);
    let outage = last(&pair, |event| match event {
        ConnectionEvent::Reconnected {
            downtime,
            attempts,
            subscriptions,
            flushed,
            dropped,
            expired,
            in_doubt,
            rtt,
            still_buffered,
            folded,
            ..
        } => {
            assert_eq!((*attempts, *subscriptions, *folded), (1, 1, 0));
            Some((*downtime, [*flushed, *dropped, *expired, *in_doubt, *still_buffered], *rtt))
        }
        _ => None,
    });
    assert_eq!(outage, (ms(320), [1, 1, 0, 1, 0], ms(40)));
    pair.advance(ms(5000));
    assert!(!pair.events.iter().any(|event| matches!(event, ConnectionEvent::RecoveryDone { .. })), "nothing was left");
}

#[test]
fn recovery_done_reports_what_was_still_buffered_at_reconnected() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    // Each in a segment of its own: smaller ones count as taken together.
    let payload = "p".repeat(SHARED_PAYLOAD);
    for _ in 0..3 {
        pair.publish("x", &payload);
    }
    let frame = format!("PUB x {SHARED_PAYLOAD}\r\n{payload}\r\n").len();
    pair.advance(ms(250));
    pair.greet();
    pair.take_all();
    pair.takes = false;
    pair.serve(PONG);
    pair.take(frame);
    pair.forget();
    pair.advance(ms(1000));
    pair.expect(&["Reconnected a:4222 after 1: 0 subs, 1 flushed, 2 buffered"]);
    pair.take(frame);
    // What is published now is not part of the recovery.
    pair.publish("x", "4");
    pair.expect(&[]);
    pair.advance(ms(500));
    pair.take(frame);
    pair.expect(&["RecoveryDone a:4222: 3 flushed, 2 of them late"]);
    let took = last(&pair, |event| match event {
        ConnectionEvent::RecoveryDone { took, .. } => Some(*took),
        _ => None,
    });
    assert_eq!(took, ms(1750));
    pair.take_all();
    pair.expect(&[]);
}

#[test]
fn a_recovery_that_is_cut_off_is_not_reported_as_done() {
    let mut pair = Pair::ready();
    pair.lose(eof());
    pair.publish("x", "1");
    pair.publish("x", "2");
    pair.advance(ms(250));
    pair.greet();
    pair.take_all();
    pair.takes = false;
    pair.serve(PONG);
    pair.advance(ms(1000));
    pair.expect_among("Reconnected a:4222 after 1: 0 subs, 0 flushed, 2 buffered");
    pair.lose(eof());
    pair.expect_among("Disconnected: closed by the server, 0 in doubt, 2 buffered");
    pair.takes = true;
    pair.reconnect();
    pair.expect_among("Reconnected a:4222 after 1: 0 subs, 2 flushed, 0 buffered");
    assert!(!pair.events.iter().any(|event| matches!(event, ConnectionEvent::RecoveryDone { .. })));
}

#[test]
fn each_attempt_says_how_long_nothing_was_tried_before_it() {
    let mut pair =
        Pair::with(Config { policy: Policy { redial: Duration::ZERO, ..Policy::default() }, ..config() }, &["a"]);
    pair.connect();
    pair.accept();
    pair.advance(ms(2000));
    pair.lose(eof());
    pair.refuse();
    let retry_in = *pair.retries().last().unwrap();
    assert!(retry_in > Duration::ZERO);
    pair.advance(retry_in);
    let waited: Vec<Duration> = pair
        .events
        .iter()
        .filter_map(|event| match event {
            ConnectionEvent::Connecting { waited, .. } => Some(*waited),
            _ => None,
        })
        .collect();
    assert_eq!(waited, [Duration::ZERO, Duration::ZERO, retry_in]);
}

#[test]
fn a_server_info_is_reported_for_each_connection_and_when_something_changes() {
    let mut pair = Pair::ready();
    let info = "ServerInfo a:4222: S";
    assert_eq!(pair.infos(), [info]);
    // The same once more: nothing is reported.
    pair.serve(INFO);
    assert_eq!(pair.infos(), [info]);
    pair.serve(b"INFO {\"server_id\":\"S\",\"max_payload\":99,\"headers\":true}\r\n");
    assert_eq!(pair.infos(), [info, info]);
    pair.lose(eof());
    pair.reconnect();
    assert_eq!(pair.infos(), [info, info, info]);
}
