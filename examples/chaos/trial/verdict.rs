//! The closing account as numbers, and which promises it breaks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nats_lifeline::connection::Stats;

use super::args::{Args, Mode};
use super::attack::Attack;
use super::load::{Load, lock};
use super::record::Sums;
use super::told::Told;

pub(crate) struct Account {
    pub(crate) mode: Mode,
    pub(crate) at_most_once: bool,
    /// All was confirmed and read in time, once there was no trouble any more.
    pub(crate) in_time: bool,
    pub(crate) stats: Stats,
    pub(crate) subscriber: Stats,
    pub(crate) published: u64,
    pub(crate) refused: u64,
    pub(crate) sums: Sums,
    /// Left the publisher behind a later one.
    pub(crate) disordered: u64,
    pub(crate) corrupted: u64,
    pub(crate) dropped: u64,
    pub(crate) samples: u64,
    unbalanced: Option<Stats>,
    pub(crate) flushes_ok: u64,
    pub(crate) flushes_doubtful: u64,
    pub(crate) flushes_failed: u64,
    /// What each publisher's flushes said to be in doubt.
    told_by_flushes: Vec<u64>,
    ended_well: bool,
    pub(crate) covered: u64,
    pub(crate) uncovered: u64,
    first_uncovered: Option<String>,
    told_in_doubt: u64,
    told_lost: u64,
    out_of_turn: u64,
}

impl Account {
    pub(crate) fn of(args: &Args, load: &Load, attack: &Attack, told: [&Told; 2], in_time: bool) -> Account {
        let shared = &load.shared;
        let record = lock(&shared.record);
        let count = |of: fn(&super::publisher::Told) -> u64| load.told.iter().map(of).sum();
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
            flushes_ok: count(|told| told.ok),
            flushes_doubtful: count(|told| told.doubtful),
            flushes_failed: count(|told| told.failed),
            told_by_flushes: load.told.iter().map(|told| told.in_doubt).collect(),
            ended_well: load.told.iter().all(|told| told.ended_well),
            covered: record.covered,
            uncovered: record.uncovered,
            first_uncovered: record.first_uncovered.clone(),
            told_in_doubt: told[0].in_doubt,
            told_lost: told[0].lost,
            out_of_turn: told.iter().map(|told| told.out_of_turn).sum(),
        }
    }

    pub(crate) fn missing(&self) -> u64 {
        self.published.saturating_sub(self.sums.received)
    }

    /// What is broken, in words; nothing, if all is well.
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

        must(self.corrupted == 0, format!("{} came changed", self.corrupted));
        must(!self.at_most_once || duplicated == 0, format!("{duplicated} came twice"));
        must(out_of_order == 0, format!("{out_of_order} came out of order within one connection"));
        must(self.dropped == 0, format!("{} were dropped because this program reads too slowly", self.dropped));
        must(received <= published, format!("{received} came, and only {published} were published"));

        for stats in [Some(self.stats), Some(self.subscriber), self.unbalanced].iter().flatten() {
            must(stats.balances(), format!("the sum does not hold: {stats:?}"));
        }
        must(accepted == published, format!("{published} were published, and {accepted} accepted"));
        must(waiting + unconfirmed == 0, format!("at the end {waiting} wait and {unconfirmed} are unconfirmed"));
        must(self.in_time, "the end was not reached in time".to_owned());
        must(self.ended_well, "a flush was not Ok when there was no trouble any more".to_owned());
        must(self.told_in_doubt == in_doubt, format!("events say {} in doubt of {in_doubt}", self.told_in_doubt));
        must(self.told_lost == lost.total(), format!("events say {} lost of {}", self.told_lost, lost.total()));
        must(self.out_of_turn == 0, format!("{} times Connected and Disconnected did not alternate", self.out_of_turn));
        for told in &self.told_by_flushes {
            must(*told == in_doubt, format!("{in_doubt} are in doubt, and a publisher's flushes have told of {told}"));
        }
        must(self.at_most_once || in_doubt == 0, format!("{in_doubt} are in doubt at least once"));
        must(!self.at_most_once || self.stats.resent == 0, format!("{} were sent again", self.stats.resent));
        if self.mode == Mode::Cut {
            let missing = self.missing();
            let bound = in_doubt + lost.total();
            must(missing <= bound, format!("{missing} are missing, of {in_doubt} in doubt and {} lost", lost.total()));
            let disordered = self.disordered;
            must(disordered == 0, format!("{disordered} left behind a later one, over all connections"));
            // A server may still act on what a connection had brought when the next one is there. No PONG has confirmed that.
            must(late <= in_doubt, format!("{late} came late over a change of the connection, of {in_doubt} in doubt"));
            must(
                self.uncovered <= lost.total(),
                format!(
                    "a flush was Ok, and {} of its messages had not arrived: {}",
                    self.uncovered,
                    self.first_uncovered.as_deref().unwrap_or("-")
                ),
            );
            must(self.subscriber.disconnects == 0, "the subscriber's connection was lost".to_owned());
        }
        broken
    }
}

/// `50 ms median`, or a line when there was none.
pub(crate) fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), super::shared::figures::short)
}
