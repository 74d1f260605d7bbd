//! An open loop: operations are due at equal intervals, however long those before them take.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// An operation that is released no later than this after its time counts from its release: that is the precision of timers, and
/// no delay of the client.
const PRECISION: Duration = Duration::from_millis(1);

/// The operations of one worker, each with the time that its latency counts from.
pub(crate) struct Pace {
    due: UnboundedReceiver<Instant>,
}

impl Pace {
    /// Starts the clock, a thread that waits for no worker: `rate` messages a second in all, of which each operation has
    /// `step`. The workers take turns.
    pub(crate) fn start(rate: u64, step: u64, workers: usize) -> io::Result<Vec<Pace>> {
        let (clocks, paces) = (0..workers).map(|_| unbounded_channel()).unzip::<_, _, Vec<_>, Vec<_>>();
        thread::Builder::new().name("pacer".to_owned()).spawn(move || release(rate, step, &clocks))?;
        Ok(paces.into_iter().map(|due| Pace { due }).collect())
    }

    /// Waits until the next operation is due, if it is not yet, and returns when it was due.
    pub(crate) async fn due(&mut self) -> Instant {
        // The clock runs as long as there are workers.
        self.due.recv().await.unwrap_or_else(Instant::now)
    }
}

fn release(rate: u64, step: u64, clocks: &[UnboundedSender<Instant>]) {
    let began = Instant::now();
    for (number, clock) in clocks.iter().cycle().enumerate() {
        let due = began + Duration::from_secs_f64(number as f64 * step as f64 / rate as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        let counts_from = if now.duration_since(due) < PRECISION { now } else { due };
        if clock.send(counts_from).is_err() && clocks.iter().all(UnboundedSender::is_closed) {
            return;
        }
    }
}
