//! Sums of times that can't overflow: a user may say `Duration::MAX`, and means "no deadline".

use std::time::{Duration, Instant};

/// "No deadline", in sums: longer than any program runs, and short enough that clocks, timers and further sums can take it.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The time `wait` after `start`, or one that never comes if `wait` is longer than [`FAR`].
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    // Platforms differ in how far an `Instant` reaches; one that can't hold 30 years more never comes either.
    start.checked_add(wait.min(FAR)).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A6. A property over all durations that an option can have should have found it; now a lint refuses plain sums.
    #[test]
    fn the_longest_wait_is_a_time_that_later_sums_can_take() {
        let now = Instant::now();
        let never = after(now, Duration::MAX);
        assert!(never > now);
        assert!(after(never, Duration::MAX) > never);
        assert_eq!(after(now, Duration::from_millis(5)).duration_since(now), Duration::from_millis(5));
        assert_eq!(after(now, Duration::ZERO), now);
    }
}
