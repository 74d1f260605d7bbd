//! Figures and goals as text.

use crate::contender::Contender;
use crate::figures::{Metric, Row, Spread};
use crate::workload::{Goal, Limit, Than};

/// A goal with what was got.
pub(super) struct Got {
    pub(super) text: String,
    pub(super) ratio: String,
    pub(super) verdict: &'static str,
    pub(super) met: Option<bool>,
}

/// One or two lines: the main figure, and CPU time per message. Empty if it did not take part.
pub(super) fn cell(row: &Row, contender: Contender) -> Vec<String> {
    if row.rounds.iter().all(|round| round[contender as usize].is_none()) {
        return Vec::new();
    }
    let dropped = row.dropped(contender);
    if dropped > 0 {
        return vec![format!("does not count: {dropped} dropped")];
    }
    let (metric, work) = (row.workload.main_metric(), row.workload.work);
    let mut lines = vec![value(metric, row.median(contender, metric))];
    if work.has_cpu() {
        lines.push(format!("{} CPU", time(row.median(contender, Metric::Cpu))));
    } else if metric == Metric::Median {
        lines.push(format!("max {}", time(row.median(contender, Metric::Max))));
    }
    lines
}

/// The goals of a row; if it has none, its ratio to async-nats.
pub(super) fn goals(row: &Row, rows: &[Row]) -> Vec<Got> {
    let goals: Vec<Got> = row.workload.goals.iter().map(|goal| got(*goal, row, rows)).collect();
    if !goals.is_empty() {
        return goals;
    }
    let than = Than::Contender(Contender::AsyncNats);
    let ratio = spread(row.ratio(than, row.workload.main_metric(), rows), number);
    vec![Got { text: "(to async-nats)".to_owned(), ratio, verdict: "", met: None }]
}

fn got(goal: Goal, row: &Row, rows: &[Row]) -> Got {
    let got = row.ratio(goal.than, goal.metric, rows);
    let met = goal.is_met(got);
    let what = match goal.metric {
        Metric::Cpu => "CPU ",
        Metric::Median if row.workload.main_metric() != Metric::Median => "median ",
        _ => "",
    };
    let (sign, limit) = match goal.limit {
        Limit::Least(least) => ("≥", least),
        Limit::Most(most) => ("≤", most),
    };
    let absolute = matches!(goal.than, Than::Nothing);
    let shown = |shown: f64| if absolute { value(goal.metric, shown) } else { number(shown) };
    let limit = if absolute { shown(limit) } else { round(limit) };
    let than = match goal.than {
        Than::Contender(contender) => format!(" × {}", contender.title()),
        Than::Row(name) => format!(" × own {name}"),
        Than::Nothing => String::new(),
    };
    Got {
        text: format!("{what}{sign} {limit}{than}"),
        ratio: spread(got, shown),
        verdict: match met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        },
        met,
    }
}

/// Such as `1.50 (1.40–1.70)`.
fn spread(spread: Spread, shown: impl Fn(f64) -> String) -> String {
    match spread.median.is_nan() {
        true => "–".to_owned(),
        false => format!("{} ({}–{})", shown(spread.median), shown(spread.min), shown(spread.max)),
    }
}

pub(super) fn value(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Rate => rate(value),
        Metric::Bytes => bytes(value),
        _ => time(value),
    }
}

pub(super) fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Of a goal: without decimals that say nothing.
fn round(value: f64) -> String {
    ((value * 100.0).round() / 100.0).to_string()
}

fn rate(per_second: f64) -> String {
    match per_second {
        value if value.is_nan() => "–".to_owned(),
        value if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
        value => format!("{:.1} k/s", value / 1e3),
    }
}

/// From nanoseconds.
pub(super) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        value if value.is_nan() => "–".to_owned(),
        value if value < 1e3 => format!("{value:.0} ns"),
        value if value < 1e5 => format!("{:.1} µs", value / 1e3),
        value if value < 1e6 => format!("{:.0} µs", value / 1e3),
        value if value < 1e8 => format!("{:.1} ms", value / 1e6),
        value => format!("{:.0} ms", value / 1e6),
    }
}

fn bytes(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value < 10_240.0 => format!("{value:.0} B"),
        value => format!("{:.1} KiB", value / 1024.0),
    }
}
