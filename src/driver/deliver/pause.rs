//! The pause in reading while a slow consumer catches up.

use std::time::Instant;

use super::{Delivered, Lagging, lose};

/// Waits for slow consumers: the task first yields, then stops reading for a while, but never stops writing
/// (D21).
#[derive(Debug)]
pub(in crate::driver) struct Pause {
    until: Instant,
    yields: u32,
    lagging: Vec<Lagging>,
}

/// What the task must do during a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum PauseState {
    /// Continue reading.
    Over,
    /// Yield, then ask again.
    Yield,
    /// Wait for a consumer, but no longer than the [`deadline`](Pause::deadline).
    Wait,
}

/// The task yields this often before it waits.
const YIELDS: u32 = 64;

impl Pause {
    pub(in crate::driver) fn new(until: Instant) -> Pause {
        Pause { until, yields: 0, lagging: Vec::new() }
    }

    /// Adds more slow consumers.
    pub(in crate::driver) fn add(&mut self, lagging: Vec<Lagging>) {
        self.lagging.extend(lagging);
    }

    /// Checks the consumers.
    pub(in crate::driver) fn poll(&mut self, now: Instant, out: &mut Delivered) -> PauseState {
        // If the runtime was busy, the consumers could not run either: they get their turn first.
        let over = now >= self.until && self.yields > 0;
        self.lagging.retain(|Lagging { sid, inbox }| {
            if over {
                inbox.stop_waiting().into_iter().for_each(|lost| lose(*sid, inbox, lost, out));
            }
            inbox.is_waited_for()
        });
        if self.lagging.is_empty() {
            PauseState::Over
        } else if self.yields < YIELDS {
            self.yields += 1;
            PauseState::Yield
        } else {
            PauseState::Wait
        }
    }

    /// The latest time for the next check. While yielding, the task wakes itself.
    pub(in crate::driver) fn deadline(&self) -> Option<Instant> {
        (self.yields >= YIELDS).then_some(self.until)
    }
}
