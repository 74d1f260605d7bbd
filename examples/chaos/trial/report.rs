//! What is printed: a line each second, and the closing account with its verdict.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use nats_lifeline::connection::Stats;

use super::args::{Args, Mode};
use super::attack::Strikes;
use super::load::{Load, lock};
use super::record::Sums;
use super::shared::figures::{Terminal, grouped, reasons};
use super::shared::out::{self, say};
use super::told::Told;
use super::verdict::{Account, time};

pub(crate) fn begin(args: &Args) {
    match args.mode {
        Mode::Cut => {
            say!("A publisher behind a proxy that does all a network can do; a subscriber on the server itself.")
        }
        Mode::Cluster => say!("A publisher and a subscriber, and three servers that come and go."),
    }
    let delivery = if args.at_most_once() { "at most once" } else { "at least once" };
    say!("{} s, {delivery}, {} messages a second, --seed {}\n", args.time.as_secs(), args.rate, args.seed);
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

/// What has been by now.
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

pub(crate) fn print(account: &Account, told: [&Told; 2], strikes: &Strikes) {
    let terminal = Terminal::find();
    let Stats { accepted, waiting, unconfirmed, confirmed, in_doubt, lost, resent, .. } = account.stats;
    let Sums { received, duplicated, out_of_order, late } = account.sums;
    let row = |name: &str, number: u64, text: &str| say!("{name:<13}{:>11}  {text}", grouped(number));
    say!();
    row("published", account.published, "accepted by `publish`");
    row("refused", account.refused, "an error of `publish`: no more could be held, or there was no room in time");
    row("confirmed", confirmed, "a PONG says: that server has processed them");
    row("in doubt", in_doubt, "taken by a connection that was lost before it could say so");
    row("lost", lost.total(), &reasons(&lost));
    row("sent again", resent, "");
    say!();
    row("received", received, "different ones");
    row(
        "missing",
        account.missing(),
        match account.mode {
            Mode::Cut => "no more than are in doubt or lost",
            Mode::Cluster => {
                "reported only: a server may die with what it has confirmed, and while the subscriber is away"
            }
        },
    );
    row("duplicated", duplicated, if account.at_most_once { "" } else { "at least once they may be" });
    row("out of order", out_of_order, "within one connection");
    row("late", late, "behind a later one, over a change of the connection; they were in doubt");
    row("corrupted", account.corrupted, "");

    say!();
    row("flushes", account.flushes_ok, &flushes(account));
    for (name, told) in ["publisher", "subscriber"].iter().zip(told) {
        if told.losses == 0 {
            row(name, 0, "losses");
            continue;
        }
        let [p50, p99, max] = [50, 99, 100].map(|percent| time(told.within(percent)));
        let losses = if told.losses == 1 { "loss" } else { "losses" };
        let attempts = if told.attempts == 1 { "attempt" } else { "attempts" };
        let text =
            format!("{losses}, back after {p50} (p50), {p99} (p99), {max} (max) with {} {attempts}", told.attempts);
        row(name, told.losses, &text);
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
    format!("Ok{arrived}; {doubtful} told what is in doubt, {failed} were not in time")
}
