//! Tests of silences.

use super::*;

#[test]
fn silence_is_measured_while_connected_and_between_heartbeats_only() {
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let mut silence = Silence::new(5 * second, start);
    assert_eq!(silence.ends(None), None);
    assert_eq!(silence.ends(Some(start)), Some(start + 10 * second));
    assert_eq!(silence.ends(Some(start + 3 * second)), Some(start + 13 * second));
    silence.broken(start + 4 * second);
    assert!(!silence.is_over(start + 13 * second, Some(start)));
    assert!(silence.is_over(start + 14 * second, Some(start)));
    assert_eq!(Silence::new(Duration::ZERO, start).ends(Some(start)), None);
    assert_eq!(Silence::new(Duration::MAX, start).ends(Some(start)), None);
}
