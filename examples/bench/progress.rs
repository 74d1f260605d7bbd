//! A progress bar, if there is a terminal.

use std::future::Future;
use std::io::IsTerminal;
use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The interval between updates: long enough not to affect the measurement.
const EVERY: Duration = Duration::from_millis(200);

/// Waits for `work`, and shows how much of `total` is done, as reported by `done`.
pub(crate) async fn show<T>(total: u64, done: impl Fn() -> u64, work: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len}");
    let bar = ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            outcome = &mut work => {
                bar.finish_and_clear();
                return outcome;
            }
            _ = ticks.tick() => bar.set_position(done().min(total)),
        }
    }
}
