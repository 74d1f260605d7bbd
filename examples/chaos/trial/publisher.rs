//! One publisher: numbered messages at a rate, with flushes in between whose results are checked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nats_lifeline::client::FlushFailure;
use nats_lifeline::{Client, Subject};

use super::dice::Dice;
use super::letter::Letter;
use super::load::{Shared, lock};
use super::record::Claim;

/// Messages that could not be published in time are skipped beyond this: the load does not catch up after an outage.
const DEBT: Duration = Duration::from_millis(500);

/// How long the last flushes may take.
const END: Duration = Duration::from_secs(30);

pub(crate) struct Publisher {
    pub(crate) client: Client,
    pub(crate) subject: String,
    pub(crate) from: u32,
    /// Messages a second.
    pub(crate) rate: u64,
    pub(crate) between_flushes: u64,
    pub(crate) seed: u64,
    pub(crate) shared: Arc<Shared>,
}

/// The results of its flushes.
#[derive(Debug, Default)]
pub(crate) struct FlushResults {
    pub(crate) ok: u64,
    /// Failed with a number of messages in doubt.
    pub(crate) doubtful: u64,
    /// The sum of these numbers.
    pub(crate) in_doubt: u64,
    /// Failed otherwise: not in time.
    pub(crate) failed: u64,
    /// The last one, after the last fault, was Ok.
    pub(crate) ended_well: bool,
}

impl Publisher {
    pub(crate) async fn run(self) -> FlushResults {
        let mut results = FlushResults::default();
        let mut dice = Dice::new(self.seed ^ ((u64::from(self.from) + 1) << 32));
        let subject = Subject::from(self.subject.clone());
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        let (mut began, mut tried) = (Instant::now(), 0);
        // The first message that no flush has covered, and the number at which the next flush is due.
        let (mut number, mut open, mut next) = (0, 0, self.distance(&mut dice));
        while !self.shared.over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let due = began.elapsed().as_micros() as u64 * self.rate / 1_000_000;
            let era = self.client.stats().disconnects + 1;
            while tried < due {
                tried += 1;
                let letter = Letter { from: self.from, number, era };
                let published = match letter.headers() {
                    Some(headers) => self.client.publish_with_headers(subject.clone(), headers, letter.payload()).await,
                    None => self.client.publish(subject.clone(), letter.payload()).await,
                };
                if published.is_err() {
                    // The message was not accepted, so its number is still free.
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                self.shared.published.fetch_add(1, Ordering::Relaxed);
                number += 1;
                if number >= next {
                    self.flush(&mut results, &mut open, number).await;
                    next = number.saturating_add(self.distance(&mut dice));
                }
            }
            if began.elapsed() > Duration::from_secs_f64(tried as f64 / self.rate as f64) + DEBT {
                (began, tried) = (Instant::now(), 0);
            }
        }
        let ending = Instant::now();
        while !results.ended_well && ending.elapsed() < END {
            results.ended_well = self.flush(&mut results, &mut open, number).await;
        }
        results
    }

    /// Ok: everything published since the last result has arrived. In doubt: for some of it this is unknown.
    async fn flush(&self, results: &mut FlushResults, open: &mut u64, number: u64) -> bool {
        let is_ok = match self.client.flush().await {
            Ok(()) => {
                results.ok += 1;
                lock(&self.shared.record).claim(Claim { from: self.from, numbers: *open..number });
                true
            }
            Err(error) => {
                let Some(FlushFailure::InDoubt(messages)) = error.source_as() else {
                    results.failed += 1;
                    return false;
                };
                results.doubtful += 1;
                results.in_doubt += messages;
                false
            }
        };
        *open = number;
        is_ok
    }

    fn distance(&self, dice: &mut Dice) -> u64 {
        match self.between_flushes {
            u64::MAX => u64::MAX,
            most => dice.between(1, most),
        }
    }
}
