//! Compares counts with the baseline.

use std::fmt;

use crate::baseline::Baseline;

/// A change by a larger share than this is reported. Counts differ by less from run to run: see README.md.
const TOLERANCE: f64 = 0.03;

/// Of one operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    name: String,
    now: f64,
    baseline: Option<f64>,
}

impl Outcome {
    pub(crate) fn new(name: &str, now: f64, baseline: Option<f64>) -> Self {
        Self { name: name.to_owned(), now, baseline }
    }

    /// A row of the table.
    pub(crate) fn row(&self, spread: Option<f64>) -> String {
        let spread = spread.map_or(String::new(), |spread| format!("{:.1} %", 100.0 * spread));
        let then = self.baseline.map_or("none".to_owned(), |then| format!("{then:.1}"));
        let change = self.change().map_or(String::new(), |change| format!("{:+.1} %", 100.0 * change));
        format!("{:<22} {:>10.1} {spread:>8} {then:>10} {change:>8}", self.name, self.now)
    }

    fn change(&self) -> Option<f64> {
        self.baseline.map(|then| (self.now - then) / then)
    }
}

/// Of all operations.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    grown: Vec<Outcome>,
    shrunk: Vec<Outcome>,
    /// Not in the baseline.
    new: Vec<String>,
    /// Only in the baseline.
    missing: Vec<String>,
}

impl Verdict {
    pub(crate) fn add(&mut self, outcome: Outcome) {
        match outcome.change() {
            None => self.new.push(outcome.name),
            Some(change) if change > TOLERANCE => self.grown.push(outcome),
            Some(change) if change < -TOLERANCE => self.shrunk.push(outcome),
            Some(_) => {}
        }
    }

    /// Finds what the baseline has and nothing counts any more. All operations must have been added.
    pub(crate) fn look_for_missing(&mut self, baseline: &Baseline) {
        let operations = crate::operation::all();
        let missing = baseline.names().filter(|name| operations.iter().all(|operation| operation.name() != *name));
        self.missing = missing.map(str::to_owned).collect();
    }

    /// Shrinking is good, and only reported.
    pub(crate) fn good(&self) -> bool {
        self.grown.is_empty() && self.new.is_empty() && self.missing.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * TOLERANCE;
        for (what, outcomes) in [("FAILED: grown", &self.grown), ("note: shrunk", &self.shrunk)] {
            for outcome in outcomes {
                let Outcome { name, now, baseline } = outcome;
                let then = baseline.unwrap_or_default();
                let change = 100.0 * outcome.change().unwrap_or_default();
                writeln!(
                    f,
                    "{what} by more than {percent} %: {name}: {then:.1} before, {now:.1} now ({change:+.1} %)"
                )?;
            }
        }
        for name in &self.new {
            writeln!(f, "FAILED: not in the baseline: {name}")?;
        }
        for name in &self.missing {
            writeln!(f, "FAILED: in the baseline, but not counted any more: {name}")?;
        }
        if self.good() && self.shrunk.is_empty() {
            return writeln!(f, "all within {percent} % of the baseline");
        }
        writeln!(f, "If this is intended, run this with --renew, and commit the baseline with its reason.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(now: f64, baseline: Option<f64>) -> (bool, String) {
        let mut verdict = Verdict::default();
        verdict.add(Outcome::new("publish/16", now, baseline));
        (verdict.good(), verdict.to_string())
    }

    #[test]
    fn more_than_three_per_cent_more_fails_and_is_named() {
        let (good, text) = verdict(103.1, Some(100.0));
        assert!(!good && text.contains("publish/16: 100.0 before, 103.1 now (+3.1 %)") && text.contains("--renew"));
        assert!(verdict(102.9, Some(100.0)).0);
    }

    #[test]
    fn less_is_reported_so_that_the_baseline_is_renewed() {
        let (good, text) = verdict(90.0, Some(100.0));
        assert!(good && text.contains("shrunk") && text.contains("--renew"), "{text}");
    }

    #[test]
    fn what_has_no_baseline_is_not_taken_for_good() {
        let (good, text) = verdict(90.0, None);
        assert!(!good && text.contains("not in the baseline: publish/16"), "{text}");
    }
}
