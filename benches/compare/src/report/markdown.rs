//! The page of results.

use super::Run;
use super::machine::{date, processor, system, version};
use super::text::{cell, goals, time};
use crate::contender::Contender;
use crate::figures::{Metric, Row};
use crate::workload::{Section, Work};

pub(super) fn page(run: &Run) -> String {
    let mut page = String::from("# Results\n\nWritten by `benches/compare`; its README says what is measured.\n\n");
    page.push_str(&facts(run));
    page.push_str(&summary(run));
    page.push_str(HOW_TO_READ);
    for section in Section::ALL {
        let rows: Vec<_> = run.rows.iter().filter(|row| row.workload.section == section).collect();
        if rows.is_empty() {
            continue;
        }
        let (title, text, plot) = heading(section);
        page.push_str(&format!("\n## {title}\n\n"));
        if !text.is_empty() {
            page.push_str(&format!("{text}\n\n"));
        }
        if !plot.is_empty() {
            page.push_str(&format!("{plot}\n\n"));
        }
        page.push_str(&table(&rows, &run.rows));
        page.push_str(&latency(&rows, run));
    }
    if !run.failures.is_empty() {
        page.push_str("\n## Failed measurements\n\n");
        run.failures.iter().for_each(|failure| page.push_str(&format!("- {failure}\n")));
    }
    page
}

const HOW_TO_READ: &str = "A figure is the median of the rounds; CPU is user and system time of the client's process per \
message. A ratio is ours to theirs within a round: the median of the rounds, and in parentheses the smallest and the \
largest. Above 1 is better where rates are compared, and below 1 where CPU, times or bytes are. The bound is a blocking \
socket with bytes that were encoded in advance.\n";

fn heading(section: Section) -> (&'static str, &'static str, &'static str) {
    match section {
        Section::Publish => (
            "Publish",
            "Into a sink that counts and discards.",
            "![Messages per second by size of payload](throughput.svg)\n\n![CPU time per message by size of payload](cpu.svg)",
        ),
        Section::Receive => ("Receive", "From a source that sends as fast as the client reads.", ""),
        Section::Server => ("Through nats-server", "Requests are answered by a raw socket.", ""),
        Section::Tls => ("TLS", "The bound is rustls over a blocking socket.", ""),
        Section::Memory => ("Memory", "Growth of resident memory, after 2 s of rest.", ""),
        Section::JetStream => (
            "JetStream",
            "One replica, in memory unless it says otherwise. The bound is a blocking socket with the same requests.",
            "",
        ),
        Section::Connection => ("Connections", "Medians. `failover` has each client's own delays.", ""),
    }
}

fn facts(run: &Run) -> String {
    let mut clients =
        vec![format!("nats-lifeline {}", version("nats-lifeline")), format!("async-nats {}", version("async-nats"))];
    clients.extend(run.peers.iter().cloned());
    let mut facts = vec![
        ("date", date()),
        ("machine", processor()),
        ("system", system()),
        ("clients", clients.join(", ")),
        ("libraries", format!("tokio {}, rustls {}", version("tokio"), version("rustls"))),
        ("server", run.server.as_ref().map_or("none".to_owned(), |version| format!("nats-server {version}"))),
        ("rounds", run.rounds.to_string()),
    ];
    if run.factor != 1.0 {
        facts.push(("messages", format!("{} of the usual number", run.factor)));
    }
    let lines: Vec<_> = facts.iter().map(|(name, value)| format!("| {name} | {value} |\n")).collect();
    format!("| | |\n|---|---|\n{}\n", lines.concat())
}

fn summary(run: &Run) -> String {
    let (mut met, mut missed, mut unknown) = (0, Vec::new(), 0);
    for row in &run.rows {
        for goal in goals(row, &run.rows) {
            match goal.met {
                Some(true) => met += 1,
                Some(false) => missed.push(format!("`{}` {}: {}", row.workload.name, goal.text, goal.ratio)),
                None if goal.verdict == "not measured" => unknown += 1,
                None => {}
            }
        }
    }
    let mut text = format!("**{met} goals of {} are met.**", met + missed.len() + unknown);
    if unknown > 0 {
        text.push_str(&format!(" {unknown} could not be measured."));
    }
    if !missed.is_empty() {
        text.push_str(" Missed:\n");
        missed.iter().for_each(|goal| text.push_str(&format!("\n- {goal}")));
    }
    text.push_str("\n\n");
    text
}

fn table(rows: &[&Row], all: &[Row]) -> String {
    // Columns of contenders that no row has would only be in the way.
    let shown = |contender: &Contender| rows.iter().any(|row| !cell(row, *contender).is_empty());
    let shown: Vec<_> = Contender::ALL.into_iter().filter(shown).collect();
    let names: Vec<_> = shown.iter().map(|contender| format!(" {} |", contender.title())).collect();
    let mut text = format!("| |{} goal | ratio (spread) | verdict |\n", names.concat());
    text.push_str(&format!("|---|{}---|---|---|\n", "--:|".repeat(shown.len())));
    for row in rows {
        // A line for each goal; figures only in the first one.
        for (number, goal) in goals(row, all).iter().enumerate() {
            let figure = |contender: &Contender| {
                let lines = if number == 0 { cell(row, *contender).join("<br>") } else { String::new() };
                format!(" {lines} |")
            };
            let title = match number {
                0 => format!("{}<br>`{}`", row.workload.title, row.workload.name),
                _ => String::new(),
            };
            let figures: Vec<_> = shown.iter().map(figure).collect();
            text.push_str(&format!(
                "| {title} |{} {} | {} | {} |\n",
                figures.concat(),
                goal.text,
                goal.ratio,
                goal.verdict
            ));
        }
    }
    text
}

/// The percentiles of requests on a fixed schedule.
fn latency(rows: &[&Row], run: &Run) -> String {
    let Some(row) = rows.iter().find(|row| row.workload.work == Work::Paced) else { return String::new() };
    let names: Vec<_> = Metric::PERCENTILES.iter().map(|(.., name)| format!(" {name} |")).collect();
    let mut text = format!(
        "\n### Latency\n\n{:.1} thousand requests per second on a fixed schedule: half of what the slowest client does with 64 at a \
         time. A request's time counts from when it was due, so that a client that is late can't hide it.\n\n\
         ![Percentiles of the latency of requests](latency.svg)\n\n| |{}\n|---|{}\n",
        run.rate.unwrap_or_default() as f64 / 1e3,
        names.concat(),
        "--:|".repeat(names.len())
    );
    for contender in Contender::ALL {
        if cell(row, contender).is_empty() {
            continue;
        }
        let times = Metric::PERCENTILES.map(|(metric, ..)| format!(" {} |", time(row.median(contender, metric))));
        text.push_str(&format!("| {} |{}\n", contender.title(), times.concat()));
    }
    text
}
