//! Figures of one measurement, and what is computed from those of several rounds.

use crate::contender::Contender;
use crate::workload::{Goal, Limit, Than, Workload};

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Messages per second.
    Rate,
    /// CPU time of the client's process per message, in nanoseconds.
    Cpu,
    /// Percentiles of a time, in nanoseconds.
    Median,
    Tail90,
    Tail99,
    Tail999,
    Max,
    /// Bytes of memory for each.
    Bytes,
}

impl Metric {
    pub(crate) const PERCENTILES: [(Self, f64, &'static str); 5] = [
        (Self::Median, 0.5, "p50"),
        (Self::Tail90, 0.9, "p90"),
        (Self::Tail99, 0.99, "p99"),
        (Self::Tail999, 0.999, "p99.9"),
        (Self::Max, 1.0, "max"),
    ];
}

/// The figures of one contender in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    values: [f64; 8],
    /// Messages that never arrived. Such a figure counts for nothing.
    pub(crate) dropped: u64,
}

impl Default for Figure {
    fn default() -> Self {
        Self { values: [f64::NAN; 8], dropped: 0 }
    }
}

impl Figure {
    pub(crate) fn get(&self, metric: Metric) -> f64 {
        self.values[metric as usize]
    }

    pub(crate) fn set(&mut self, metric: Metric, value: f64) {
        self.values[metric as usize] = value;
    }

    /// From times in nanoseconds.
    pub(crate) fn set_percentiles(&mut self, mut times: Vec<u64>) {
        times.sort_unstable();
        for (metric, share, _) in Metric::PERCENTILES {
            let rank = (times.len() as f64 * share).ceil() as usize;
            if let Some(time) = times.get(rank.saturating_sub(1)) {
                self.set(metric, *time as f64);
            }
        }
    }
}

/// One workload's figures of one round, by contender.
pub(crate) type Round = [Option<Figure>; Contender::ALL.len()];

/// A workload with all of its figures.
pub(crate) struct Row {
    pub(crate) workload: &'static Workload,
    pub(crate) rounds: Vec<Round>,
}

impl Row {
    /// One value for each round; NaN where there is none.
    fn values(&self, contender: Contender, metric: Metric) -> Vec<f64> {
        let value = |round: &Round| match &round[contender as usize] {
            Some(figure) if figure.dropped == 0 => figure.get(metric),
            _ => f64::NAN,
        };
        self.rounds.iter().map(value).collect()
    }

    /// NaN if there is none.
    pub(crate) fn median(&self, contender: Contender, metric: Metric) -> f64 {
        Spread::of(self.values(contender, metric)).median
    }

    pub(crate) fn dropped(&self, contender: Contender) -> u64 {
        self.rounds.iter().filter_map(|round| round[contender as usize]).map(|figure| figure.dropped).sum()
    }

    /// Of the rounds' own ratios: a disturbance of a round affects both sides of it.
    pub(crate) fn ratio(&self, than: Than, metric: Metric, rows: &[Row]) -> Spread {
        let ours = self.values(Contender::Lifeline, metric);
        let theirs = match than {
            Than::Contender(contender) => self.values(contender, metric),
            Than::Row(name) => {
                let other = rows.iter().find(|row| row.workload.name == name);
                other.map(|row| row.values(Contender::Lifeline, metric)).unwrap_or_default()
            }
            Than::Nothing => vec![1.0; ours.len()],
        };
        Spread::of(ours.into_iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect())
    }
}

impl Goal {
    /// `None` if it was not measured.
    pub(crate) fn is_met(&self, got: Spread) -> Option<bool> {
        let met = match self.limit {
            Limit::Least(least) => got.median >= least,
            Limit::Most(most) => got.median <= most,
        };
        (!got.median.is_nan()).then_some(met)
    }
}

/// The median of several values and their range; NaN if there are none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.retain(|value| !value.is_nan());
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (at(middle.wrapping_sub(1)) + at(middle)) / 2.0,
            _ => at(middle),
        };
        Self { median, min: at(0), max: at(values.len().wrapping_sub(1)) }
    }
}
