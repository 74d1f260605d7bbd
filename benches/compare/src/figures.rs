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

#[cfg(test)]
mod tests {
    use super::{Figure, Metric, Row, Spread};
    use crate::contender::Contender;
    use crate::table;
    use crate::workload::Than;

    fn figure(rate: f64, dropped: u64) -> Option<Figure> {
        let mut figure = Figure { dropped, ..Figure::default() };
        figure.set(Metric::Rate, rate);
        Some(figure)
    }

    #[test]
    fn a_spread_has_the_median_and_the_range() {
        let spread = Spread::of(vec![4.0, f64::NAN, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of(vec![7.0]).median, 7.0);
        assert!(Spread::of(Vec::new()).median.is_nan());
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut figure = Figure::default();
        figure.set_percentiles((1..=1_000).rev().collect());
        let got = Metric::PERCENTILES.map(|(metric, ..)| figure.get(metric));
        assert_eq!(got, [500.0, 900.0, 990.0, 999.0, 1_000.0]);
        figure.set_percentiles(vec![5]);
        assert_eq!(figure.get(Metric::Median), 5.0);
    }

    #[test]
    fn a_ratio_is_within_a_round_and_ignores_figures_with_dropped_messages() {
        let mut rounds = vec![[None; Contender::ALL.len()]; 3];
        for (round, (ours, theirs, dropped)) in rounds.iter_mut().zip([(6.0, 2.0, 0), (8.0, 2.0, 0), (50.0, 1.0, 3)]) {
            round[Contender::Lifeline as usize] = figure(ours, 0);
            round[Contender::AsyncNats as usize] = figure(theirs, dropped);
        }
        let workload = table::named("pub16").expect("a row");
        let row = Row { workload, rounds };
        let spread = row.ratio(Than::Contender(Contender::AsyncNats), Metric::Rate, &[]);
        assert_eq!((spread.median, spread.min, spread.max), (3.5, 3.0, 4.0));
        let rows = [row];
        assert_eq!(rows[0].ratio(Than::Row("pub16"), Metric::Rate, &rows).median, 1.0);
    }
}
