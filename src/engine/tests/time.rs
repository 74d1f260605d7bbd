//! Sums of times.

use std::time::{Duration, Instant};

use crate::engine::time::after;

// Fault A6. A property over all durations that an option may have should have found it; now a lint forbids plain sums.
#[test]
fn the_longest_wait_is_a_time_that_later_sums_can_take() {
    let now = Instant::now();
    let never = after(now, Duration::MAX);
    assert!(never > now);
    assert!(after(never, Duration::MAX) > never);
    assert_eq!(after(now, Duration::from_millis(5)).duration_since(now), Duration::from_millis(5));
    assert_eq!(after(now, Duration::ZERO), now);
}
