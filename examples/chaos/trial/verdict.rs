//! The closing account as numbers, and the promises that were broken.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nats_lifeline::connection::Stats;

use super::args::{Args, Mode};
use super::attack::Attack;
use super::client_log::ClientLog;
use super::load::{Load, lock};
use super::record::Sums;

pub(crate) struct Account {
    pub(crate) mode: Mode,
    pub(crate) at_most_once: bool,
    /// Everything was confirmed and read in time, after the last fault.
    pub(crate) in_time: bool,
    pub(crate) stats: Stats,
    pub(crate) subscriber: Stats,
    pub(crate) published: u64,
    pub(crate) refused: u64,
    pub(crate) sums: Sums,
    /// Sent by the publisher after a later one.
    pub(crate) disordered: u64,
    pub(crate) corrupted: u64,
    pub(crate) dropped: u64,
    pub(crate) samples: u64,
    unbalanced: Option<Stats>,
    pub(crate) flushes_ok: u64,
    pub(crate) flushes_doubtful: u64,
    pub(crate) flushes_failed: u64,
    /// The messages in doubt that each publisher's flushes have reported.
    reported_by_flushes: Vec<u64>,
    ended_well: bool,
    pub(crate) covered: u64,
    pub(crate) uncovered: u64,
    first_uncovered: Option<String>,
    reported_in_doubt: u64,
    reported_lost: u64,
    out_of_turn: u64,
}

impl Account {
    pub(crate) fn of(args: &Args, load: &Load, attack: &Attack, logs: [&ClientLog; 2], in_time: bool) -> Account {
        let shared = &load.shared;
        let record = lock(&shared.record);
        let count = |of: fn(&super::publisher::FlushResults) -> u64| load.results.iter().map(of).sum();
        Account {
            mode: args.mode,
            at_most_once: args.at_most_once(),
            in_time,
            stats: load.publisher.stats(),
            subscriber: load.subscriber.stats(),
            published: shared.published.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
            sums: record.sums(),
            disordered: attack.disordered(args.at_most_once()),
            corrupted: record.corrupted,
            dropped: shared.dropped.load(Ordering::Relaxed),
            samples: shared.samples.load(Ordering::Relaxed),
            unbalanced: *lock(&shared.unbalanced),
            flushes_ok: count(|results| results.ok),
            flushes_doubtful: count(|results| results.doubtful),
            flushes_failed: count(|results| results.failed),
            reported_by_flushes: load.results.iter().map(|results| results.in_doubt).collect(),
            ended_well: load.results.iter().all(|results| results.ended_well),
            covered: record.covered,
            uncovered: record.uncovered,
            first_uncovered: record.first_uncovered.clone(),
            reported_in_doubt: logs[0].in_doubt,
            reported_lost: logs[0].lost,
            out_of_turn: logs.iter().map(|logs| logs.out_of_turn).sum(),
        }
    }

    pub(crate) fn missing(&self) -> u64 {
        self.published.saturating_sub(self.sums.received)
    }

    /// The broken promises, as text; none if all is well.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        let Stats { accepted, waiting, unconfirmed, in_doubt, lost, .. } = self.stats;
        let Sums { received, duplicated, out_of_order, late } = self.sums;
        let published = self.published;

        must(self.corrupted == 0, format!("{} arrived changed", self.corrupted));
        must(!self.at_most_once || duplicated == 0, format!("{duplicated} arrived twice"));
        must(out_of_order == 0, format!("{out_of_order} arrived out of order within one connection"));
        must(self.dropped == 0, format!("{} were dropped because this program reads too slowly", self.dropped));
        must(received <= published, format!("{received} arrived, but only {published} were published"));

        for stats in [Some(self.stats), Some(self.subscriber), self.unbalanced].iter().flatten() {
            must(stats.balances(), format!("the sum does not hold: {stats:?}"));
        }
        must(accepted == published, format!("{published} were published, but {accepted} accepted"));
        must(waiting + unconfirmed == 0, format!("at the end {waiting} are waiting and {unconfirmed} are unconfirmed"));
        must(self.in_time, "the end was not reached in time".to_owned());
        must(self.ended_well, "a flush was not Ok after the last fault".to_owned());
        must(
            self.reported_in_doubt == in_doubt,
            format!("events reported {} in doubt, but {in_doubt} are", self.reported_in_doubt),
        );
        must(
            self.reported_lost == lost.total(),
            format!("events reported {} lost, but {} are", self.reported_lost, lost.total()),
        );
        must(self.out_of_turn == 0, format!("{} times Connected and Disconnected did not alternate", self.out_of_turn));
        for reported in &self.reported_by_flushes {
            must(
                *reported == in_doubt,
                format!("{in_doubt} are in doubt, but a publisher's flushes reported {reported}"),
            );
        }
        must(self.at_most_once || in_doubt == 0, format!("{in_doubt} are in doubt with at least once"));
        must(!self.at_most_once || self.stats.resent == 0, format!("{} were sent again", self.stats.resent));
        if self.mode == Mode::Cut {
            let missing = self.missing();
            let bound = in_doubt + lost.total();
            must(missing <= bound, format!("{missing} are missing, of {in_doubt} in doubt and {} lost", lost.total()));
            let disordered = self.disordered;
            must(disordered == 0, format!("{disordered} were sent after a later one, over all connections"));
            // A server may still process a connection's bytes when the next one exists. No PONG has confirmed those.
            must(late <= in_doubt, format!("{late} arrived late across connections, but only {in_doubt} are in doubt"));
            must(
                self.uncovered <= lost.total(),
                format!(
                    "a flush was Ok, but {} of its messages had not arrived: {}",
                    self.uncovered,
                    self.first_uncovered.as_deref().unwrap_or("-")
                ),
            );
            must(self.subscriber.disconnects == 0, "the subscriber's connection was lost".to_owned());
        }
        broken
    }
}

/// `50 ms median`, or a line if there was none.
pub(crate) fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), super::shared::figures::short)
}
