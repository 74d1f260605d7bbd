//! Counts with callgrind.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failure;
use crate::child::FLAG;
use crate::far_end::FarEnd;
use crate::operation::Operation;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    /// For each operation.
    pub(crate) instructions: f64,
    /// The difference between the largest and the smallest of the repetitions, as a share of the median; `None` for one.
    pub(crate) spread: Option<f64>,
}

/// Counts an operation some times, and returns the median.
pub(crate) fn count(operation: &Operation) -> Result<Count, Failure> {
    let mut counts = Vec::new();
    for _ in 0..operation.repetitions() {
        counts.push(once(operation)?);
    }
    counts.sort_by(f64::total_cmp);
    let (least, most, median) = (counts[0], counts[counts.len() - 1], counts[counts.len() / 2]);
    Ok(Count { instructions: median, spread: (counts.len() > 1).then(|| (most - least) / median) })
}

/// The difference of two runs, so that start, connecting and end are not in it.
fn once(operation: &Operation) -> Result<f64, Failure> {
    let times = operation.times();
    let (few, many) = (total(operation, times, None)?, total(operation, 2 * times, None)?);
    Ok((many as f64 - few as f64) / times as f64)
}

/// Writes a profile for `callgrind_annotate`.
pub(crate) fn profile(operation: &Operation, file: &Path) -> Result<(), Failure> {
    let times = operation.times();
    let total = total(operation, times, Some(file))?;
    println!("{total} instructions for the whole run, with {times} times {}", operation.name());
    println!("callgrind_annotate {}", file.display());
    Ok(())
}

/// The instructions of a whole run.
fn total(operation: &Operation, times: u64, profile: Option<&Path>) -> Result<u64, Failure> {
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(profile.unwrap_or(Path::new("/dev/null")));
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind").arg(file).arg(std::env::current_exe()?);
    valgrind.args([FLAG, operation.name(), &times.to_string()]);
    let far_end = match operation {
        Operation::Client { work, .. } => Some(FarEnd::start(*work, times)?),
        Operation::Protocol { .. } => None,
    };
    valgrind.args(far_end.iter().map(|far_end| far_end.addr().to_string()));
    let run = valgrind.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&run.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match collected {
        Some(collected) if run.status.success() => Ok(collected),
        _ => Err(format!("{}: {}: {said}", operation.name(), run.status).into()),
    }
}
