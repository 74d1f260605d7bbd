//! The counts to compare with: a file, so that a change of a count is seen in the commit that makes it.

use std::path::PathBuf;

use crate::Failure;
use crate::tools::Tools;

/// The file, in this package.
pub(crate) const FILE: &str = "benches/instructions/baseline.txt";

const HEAD: &str = "\
# Instructions for each operation. Renew this file with the commit that changes a count, and say why there:
# cargo run --release --manifest-path benches/instructions/Cargo.toml -- --renew
";

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) tools: Tools,
    counts: Vec<(String, f64)>,
}

impl Baseline {
    /// Without counts.
    pub(crate) fn new(tools: Tools) -> Self {
        Self { tools, counts: Vec::new() }
    }

    /// The file's; empty if there is no such file.
    pub(crate) fn read() -> Result<Self, Failure> {
        match std::fs::read_to_string(path()) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn write(&self) -> Result<(), Failure> {
        Ok(std::fs::write(path(), self.text())?)
    }

    pub(crate) fn count(&self, name: &str) -> Option<f64> {
        self.counts.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.counts.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn add(&mut self, name: &str, count: f64) {
        self.counts.push((name.to_owned(), count));
    }

    /// With the counts of `newer`, where it has them.
    pub(crate) fn updated(mut self, newer: Self) -> Self {
        for (name, count) in newer.counts {
            match self.counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = count,
                None => self.counts.push((name, count)),
            }
        }
        self
    }

    fn text(&self) -> String {
        let tools = self.tools.fields().map(|(name, value)| format!("{name} = {value}\n")).concat();
        let counts: String = self.counts.iter().map(|(name, count)| format!("{name} = {count:.1}\n")).collect();
        format!("{HEAD}\n{tools}\n{counts}")
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let mut baseline = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once(" = ").ok_or_else(|| format!("{FILE}: no ` = ` in {line:?}"))?;
            let tools = &mut baseline.tools;
            match name {
                "rustc" => tools.rustc = value.to_owned(),
                "valgrind" => tools.valgrind = value.to_owned(),
                "libc" => tools.libc = value.to_owned(),
                "vectors" => tools.vectors = value.to_owned(),
                _ => {
                    let count = value.parse().map_err(|_| format!("{FILE}: no number in {line:?}"))?;
                    baseline.counts.push((name.to_owned(), count));
                }
            }
        }
        Ok(baseline)
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = |value: &str| value.to_owned();
        let tools =
            Tools { rustc: text("rustc 1 = 2"), valgrind: text("v"), libc: text("l (x) 2.36"), vectors: text("AVX2") };
        let mut baseline = Baseline::new(tools);
        baseline.add("publisher batch/16", 20.5);
        baseline.add("decode/MSG/16", 195.0);
        assert_eq!(Baseline::parse(&baseline.text()).unwrap(), baseline);
    }

    #[test]
    fn renewing_a_part_keeps_the_rest() {
        let of = |counts: &[(&str, f64)]| Baseline {
            counts: counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            ..Baseline::default()
        };
        let updated = of(&[("a", 1.0), ("b", 2.0)]).updated(of(&[("b", 3.0), ("c", 4.0)]));
        assert_eq!(updated, of(&[("a", 1.0), ("b", 3.0), ("c", 4.0)]));
    }
}
