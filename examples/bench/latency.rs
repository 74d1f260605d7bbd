//! Latencies as percentiles, with three significant digits.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Error;

/// Longer latencies count as this one.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Latency {
    nanos: Histogram<u64>,
}

impl Latency {
    pub(crate) fn new() -> Result<Latency, Error> {
        Ok(Latency { nanos: Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 3)? })
    }

    pub(crate) fn record(&mut self, took: Duration) {
        self.nanos.saturating_record(took.as_nanos() as u64);
    }

    pub(crate) fn add(&mut self, other: &Latency) -> Result<(), Error> {
        Ok(self.nanos.add(&other.nanos)?)
    }

    pub(crate) fn count(&self) -> u64 {
        self.nanos.len()
    }

    pub(crate) fn at(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.nanos.value_at_percentile(percent))
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.nanos.max())
    }
}
