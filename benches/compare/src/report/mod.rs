//! The results: on the terminal, as Markdown and as plots.

mod machine;
mod markdown;
mod plots;
mod text;

use crate::Failure;
use crate::contender::Contender;
use crate::figures::Row;
use std::fs;
use std::path::Path;

/// All that is reported.
pub(crate) struct Run {
    pub(crate) rounds: usize,
    /// Of `--msgs`.
    pub(crate) factor: f64,
    /// The version of nats-server.
    pub(crate) server: Option<String>,
    /// Names and versions of the clients in other languages.
    pub(crate) peers: Vec<String>,
    /// Requests per second of the fixed schedule.
    pub(crate) rate: Option<u64>,
    pub(crate) failures: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// The first line on the terminal.
pub(crate) fn head() -> String {
    let names = Contender::ALL.map(|contender| format!("{:>22}", contender.name()));
    format!("{:<10}{}  goals", "", names.concat())
}

/// The last row, on the terminal.
pub(crate) fn print(rows: &[Row]) {
    let Some(row) = rows.last() else { return };
    let cells = Contender::ALL.map(|contender| format!("{:>22}", text::cell(row, contender).join(", ")));
    let goals = text::goals(row, rows);
    let goals: Vec<_> = goals.iter().map(|goal| format!("{}: {} {}", goal.text, goal.ratio, goal.verdict)).collect();
    println!("{:<10}{}  {}", row.workload.name, cells.concat(), goals.join("; "));
}

pub(crate) fn write(run: &Run, out: &Path) -> Result<(), Failure> {
    fs::create_dir_all(out)?;
    fs::write(out.join("results.md"), markdown::page(run))?;
    plots::write(run, out)?;
    println!("\nWritten: {}", out.display());
    Ok(())
}
