//! Tests of the machine of push consumers.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn silence_is_reported_once_until_something_arrives() {
    let now = Instant::now();
    let (mut push, connected) = (Push::new(SECOND, now), Some(now));
    assert_eq!(push.tick(now + SECOND, connected), None);
    assert_eq!(push.due(connected), Some(now + 2 * SECOND));
    assert_eq!(push.tick(now + 2 * SECOND, None), None);
    assert_eq!(push.tick(now + 2 * SECOND, connected), Some(Due::Silent));
    assert_eq!((push.tick(now + 9 * SECOND, connected), push.due(connected)), (None, None));
    push.alive(now + 9 * SECOND);
    assert_eq!(push.due(connected), Some(now + 11 * SECOND));
    assert_eq!(push.tick(now + 11 * SECOND, connected), Some(Due::Silent));
}

#[test]
fn a_server_that_does_not_know_is_asked_again() {
    let now = Instant::now();
    let (mut push, connected) = (Push::new(SECOND, now), Some(now));
    assert_eq!(push.tick(now + 2 * SECOND, connected), Some(Due::Silent));
    assert!(!push.found(Found::Unknown, now + 3 * SECOND));
    assert_eq!(push.tick(now + 7 * SECOND, connected), None);
    // Nobody can be asked.
    assert_eq!((push.due(None), push.tick(now + 9 * SECOND, None)), (None, None));
    assert_eq!(push.tick(now + 8 * SECOND, connected), Some(Due::Ask));
    assert!(push.found(Found::Gone, now + 9 * SECOND));
}

#[test]
fn a_consumer_without_heartbeats_is_never_silent() {
    let now = Instant::now();
    let push = Push::new(Duration::ZERO, now);
    assert_eq!(push.due(Some(now)), None);
}

#[test]
fn what_comes_over_both_connections_of_a_move_is_delivered_once() {
    let now = Instant::now();
    let mut push = Push::new(SECOND, now);
    let place = |subject: &'static str| AckSubject::parse(subject).unwrap();
    let first = place("$JS.ACK.S.c.1.7.1.1767225600000000000.0");
    assert!(push.is_new(Some(&first), now) && push.is_new(None, now));
    assert!(!push.is_new(Some(&first), now));
    // It is delivered again since it was not acknowledged.
    assert!(push.is_new(Some(&place("$JS.ACK.S.c.2.7.2.1767225600000000000.0")), now));
    // A server that has crashed knows nothing of the first delivery.
    push.interrupted();
    assert!(push.is_new(Some(&first), now));
}
