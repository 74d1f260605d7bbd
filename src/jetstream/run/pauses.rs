//! The pauses between tries that are safe to repeat.

use std::time::Instant;

use crate::Client;
use crate::jetstream::decide::backoff;

/// The pauses of one call.
#[derive(Debug, Default)]
pub(in crate::jetstream) struct Pauses {
    tries: u32,
}

impl Pauses {
    /// Waits before the next try. `false`: that would be after the deadline, so there is no further try.
    pub(in crate::jetstream) async fn pause(&mut self, client: &Client, deadline: Option<Instant>) -> bool {
        self.tries = self.tries.saturating_add(1);
        let Some(until) = Client::clock().checked_add(backoff::pause(self.tries)) else { return false };
        if deadline.is_some_and(|deadline| until >= deadline) {
            return false;
        }
        client.pause_until(until).await;
        true
    }
}
