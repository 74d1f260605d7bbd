//! The pauses between tries that are safe to repeat: each twice as long as the one before.

use std::time::{Duration, Instant};

use crate::Client;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

/// The pauses of one call.
#[derive(Debug)]
pub(in crate::jetstream) struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Pauses { next: FIRST }
    }
}

impl Pauses {
    /// Waits before the next try. `false`: that would be after the deadline, so there is no further try.
    pub(in crate::jetstream) async fn pause(&mut self, client: &Client, deadline: Option<Instant>) -> bool {
        let Some(until) = Client::clock().checked_add(self.next) else { return false };
        if deadline.is_some_and(|deadline| until >= deadline) {
            return false;
        }
        client.pause_until(until).await;
        self.next = (self.next * 2).min(LONGEST);
        true
    }
}
