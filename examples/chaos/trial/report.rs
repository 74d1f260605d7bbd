//! The output: a line each second, and the closing account with its verdict.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use nats_lifeline::connection::Stats;

use super::args::{Args, Mode};
use super::attack::Strikes;
use super::client_log::ClientLog;
use super::load::{Load, lock};
use super::record::Sums;
use super::shared::figures::{Terminal, grouped, reasons};
use super::shared::out::{self, say};
use super::verdict::{Account, time};

pub(crate) fn begin(args: &Args) {
    match args.mode {
        Mode::Cut => {
            say!(
                "A publisher behind a proxy that injects all faults of a network; a subscriber connected directly to the server."
            )
        }
        Mode::Cluster => {
            say!("A publisher and a subscriber, and three servers that are killed, stopped and restarted.")
        }
    }
    let delivery = if args.at_most_once() { "at most once" } else { "at least once" };
    say!("{} s, {delivery}, {} messages a second, --seed {}\n", args.time().as_secs(), args.rate, args.seed);
    say!(
        "{:>5} {:>11} {:>11} {:>11} {:>9} {:>8} {:>10} {:>7}  the latest",
        "s",
        "published",
        "confirmed",
        "received",
        "in doubt",
        "held",
        "reconnects",
        "strikes"
    );
}

/// The state so far.
pub(crate) fn line(second: u64, load: &Load, strikes: &Mutex<Strikes>) {
    let stats = load.publisher.stats();
    let strikes = lock(strikes);
    let state = if load.publisher.connected_server().is_some() { "" } else { "; down" };
    say!(
        "{second:>5} {:>11} {:>11} {:>11} {:>9} {:>8} {:>10} {:>7}  {}{state}",
        grouped(load.shared.published.load(Ordering::Relaxed)),
        grouped(stats.confirmed),
        grouped(lock(&load.shared.record).sums().received),
        grouped(stats.in_doubt),
        grouped(stats.waiting),
        stats.reconnects,
        strikes.counts.values().sum::<u64>(),
        strikes.latest.unwrap_or("-"),
    );
}

pub(crate) fn print(account: &Account, logs: [&ClientLog; 2], strikes: &Strikes) {
    let terminal = Terminal::find();
    let Stats { accepted, waiting, unconfirmed, confirmed, in_doubt, lost, resent, .. } = account.stats;
    let Sums { received, duplicated, out_of_order, late } = account.sums;
    let row = |name: &str, number: u64, text: &str| say!("{name:<13}{:>11}  {text}", grouped(number));
    say!();
    row("published", account.published, "accepted by `publish`");
    row("refused", account.refused, "an error of `publish`: the buffer was full, or there was no room in time");
    row("confirmed", confirmed, "a PONG followed: that server has processed them");
    row("in doubt", in_doubt, "taken by a connection that was lost before a PONG");
    row("lost", lost.total(), &reasons(&lost));
    row("sent again", resent, "");
    say!();
    row("received", received, "without duplicates");
    row(
        "missing",
        account.missing(),
        match account.mode {
            Mode::Cut => "at most those in doubt or lost",
            Mode::Cluster => {
                "reported only: a server may die with confirmed messages, and while the subscriber is disconnected"
            }
        },
    );
    row("duplicated", duplicated, if account.at_most_once { "" } else { "allowed with at least once" });
    row("out of order", out_of_order, "within one connection");
    row("late", late, "after a later one, across connections; they were in doubt");
    row("corrupted", account.corrupted, "");

    say!();
    row("flushes", account.flushes_ok, &flushes(account));
    for (name, log) in ["publisher", "subscriber"].iter().zip(logs) {
        if log.losses == 0 {
            row(name, 0, "losses");
            continue;
        }
        let [p50, p99, max] = [50, 99, 100].map(|percent| time(log.within(percent)));
        let losses = if log.losses == 1 { "loss" } else { "losses" };
        let attempts = if log.attempts == 1 { "attempt" } else { "attempts" };
        let text = format!(
            "{losses}, reconnected after {p50} (p50), {p99} (p99), {max} (max) with {} {attempts}",
            log.attempts
        );
        row(name, log.losses, &text);
    }
    row("strikes", strikes.counts.values().sum(), "");
    for (name, times) in &strikes.counts {
        row("", *times, name);
    }

    say!("\naccepted = waiting + unconfirmed + confirmed + in doubt + lost, in {} samples", grouped(account.samples));
    let parts = [waiting, unconfirmed, confirmed, in_doubt, lost.total()].map(grouped);
    let sign = if account.stats.balances() { "=" } else { "≠" };
    say!("{} {sign} {}\n", grouped(accepted), parts.join(" + "));

    let broken = account.broken();
    if broken.is_empty() {
        say!("{}", terminal.verdict(true, "Every promise was kept."));
    }
    for broken in broken {
        say!("{}", terminal.verdict(false, &format!("BROKEN  {broken}")));
    }
}

fn flushes(account: &Account) -> String {
    let arrived = match account.mode {
        Mode::Cut => format!(
            " for {} messages, of which {} had not arrived",
            grouped(account.covered),
            grouped(account.uncovered)
        ),
        Mode::Cluster => String::new(),
    };
    let (doubtful, failed) = (grouped(account.flushes_doubtful), grouped(account.flushes_failed));
    format!("Ok{arrived}; {doubtful} reported messages in doubt, {failed} did not end in time")
}
