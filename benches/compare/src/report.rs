//! The table: medians, ratios, and whether the goals are reached.

use crate::far_end::Contender;
use crate::rounds::{Figure, Round};
use crate::workload::{Target, Workload};

pub(crate) fn head() -> String {
    let columns = [
        "workload",
        "lifeline",
        "async-nats",
        "ratio",
        "CPU ratio",
        "nats.go",
        "ratio",
        "CPU ratio",
        "bound",
        "share of bound",
        "to reach",
    ];
    format!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()))
}

pub(crate) fn row(workload: &Workload, rounds: &[Round]) -> String {
    let rounds = Rounds(rounds);
    let cell = |contender| rounds.cell(contender, workload);
    let percent = rounds.ratio(Contender::Lifeline, Contender::Raw, speed);
    let columns = [
        workload.name.to_owned(),
        cell(Contender::Lifeline),
        cell(Contender::AsyncNats),
        format!("{} ×", number(rounds.ratio(Contender::Lifeline, Contender::AsyncNats, speed))),
        number(rounds.ratio(Contender::Lifeline, Contender::AsyncNats, |figure| figure.cpu)),
        cell(Contender::NatsGo),
        format!("{} ×", number(rounds.ratio(Contender::Lifeline, Contender::NatsGo, speed))),
        number(rounds.ratio(Contender::Lifeline, Contender::NatsGo, |figure| figure.cpu)),
        cell(Contender::Raw),
        number(percent),
        workload.targets.iter().map(|target| rounds.verdict(*target)).collect::<Vec<_>>().join("; "),
    ];
    format!("| {} |", columns.join(" | "))
}

/// The measure of speed: round trips if they were measured one at a time, messages per second otherwise.
fn speed(figure: &Figure) -> f64 {
    figure.per_second
}

struct Rounds<'a>(&'a [Round]);

impl Rounds<'_> {
    fn of(&self, contender: Contender, value: impl Fn(&Figure) -> f64) -> Vec<f64> {
        self.0.iter().filter_map(|round| round[contender as usize].as_ref().map(&value)).collect()
    }

    /// The median of the rounds' own ratios: a disturbance of a round affects both sides of it.
    fn ratio(&self, one: Contender, other: Contender, value: impl Fn(&Figure) -> f64 + Copy) -> f64 {
        let pairs = self.of(one, value).into_iter().zip(self.of(other, value));
        median(pairs.map(|(one, other)| one / other).collect())
    }

    fn cell(&self, contender: Contender, workload: &Workload) -> String {
        let per_second = self.of(contender, speed);
        if per_second.is_empty() {
            return "–".to_owned();
        }
        let dropped: f64 = self.of(contender, |figure| figure.dropped as f64).iter().sum();
        let mut text = format!("{}, {:.0} ns", rate(median(per_second)), median(self.of(contender, |f| f.cpu)));
        if workload.targets.iter().any(|target| matches!(target, Target::P50OfBound(_))) {
            let p50 = median(self.of(contender, |figure| figure.p50));
            text.push_str(&format!(", p50 {:.0} µs", p50 / 1e3));
        }
        if dropped > 0.0 {
            text.push_str(&format!(", does not count: {dropped} dropped"));
        }
        text
    }

    fn verdict(&self, target: Target) -> String {
        let ours = Contender::Lifeline;
        let (text, met, got) = match target {
            Target::RateOfPeer(least) => {
                let got = self.ratio(ours, Contender::AsyncNats, speed);
                (format!("≥ {least} ×"), got >= least, got)
            }
            Target::CpuOfPeer(most) => {
                let got = self.ratio(ours, Contender::AsyncNats, |figure| figure.cpu);
                (format!("CPU ≤ {}", number(most)), got <= most, got)
            }
            Target::OfBound(least) => {
                let got = self.ratio(ours, Contender::Raw, speed);
                (format!("≥ {least} of the bound"), got >= least, got)
            }
            Target::P50OfBound(most) => {
                let got = self.ratio(ours, Contender::Raw, |figure| figure.p50);
                (format!("p50 ≤ {most} × the bound"), got <= most, got)
            }
        };
        format!("{text}: {} ({})", if met { "met" } else { "**missed**" }, number(got))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (0, Some(upper)) => (values[middle - 1] + upper) / 2.0,
        (_, Some(middle)) => *middle,
        (_, None) => f64::NAN,
    }
}

fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn rate(per_second: f64) -> String {
    if per_second >= 1e6 { format!("{:.2} M/s", per_second / 1e6) } else { format!("{:.1} k/s", per_second / 1e3) }
}
