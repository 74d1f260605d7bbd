//! Tests of the machine of push consumers.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn silence_is_reported_once_until_something_arrives() {
    let now = Instant::now();
    let (mut push, connected) = (Push::new(SECOND, now), Some(now));
    assert!(!push.tick(now + SECOND, connected));
    assert_eq!(push.due(connected), Some(now + 2 * SECOND));
    assert!(!push.tick(now + 2 * SECOND, None));
    assert!(push.tick(now + 2 * SECOND, connected));
    assert_eq!((push.tick(now + 9 * SECOND, connected), push.due(connected)), (false, None));
    push.alive(now + 9 * SECOND);
    assert_eq!(push.due(connected), Some(now + 11 * SECOND));
    assert!(push.tick(now + 11 * SECOND, connected));
}

#[test]
fn a_consumer_without_heartbeats_is_never_silent() {
    let now = Instant::now();
    let push = Push::new(Duration::ZERO, now);
    assert_eq!(push.due(Some(now)), None);
}
