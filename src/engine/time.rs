//! Sums of times that can't overflow: a user may say `Duration::MAX`, and means "no deadline".

use std::time::{Duration, Instant};

/// "No deadline", in sums: longer than any program runs, and short enough that clocks, timers and further sums can take it. Thirty
/// years, the same as tokio's idea of the far future.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// `duration`, or thirty years if it is longer.
pub(crate) fn within_reach(duration: Duration) -> Duration {
    duration.min(FAR)
}

/// The time `wait` after `start`, or one that never comes if `wait` is longer than [`FAR`].
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    // Platforms differ in how far an `Instant` reaches; one that can't hold 30 years more never comes either.
    start.checked_add(within_reach(wait)).unwrap_or(start)
}

/// Whether the time has come, if there is one.
pub(crate) fn is_due(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| at <= now)
}

/// Whether the time came at least `by` ago, if there is one.
pub(crate) fn is_overdue(at: Option<Instant>, by: Duration, now: Instant) -> bool {
    at.is_some_and(|at| after(at, by) <= now)
}
