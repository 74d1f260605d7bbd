//! What the runs did, summed: faults injected, messages, virtual time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use nats_lifeline::engine::Cause;

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) users: BTreeMap<&'static str, u64>,
    /// Why connections ended.
    pub(crate) ends: BTreeMap<&'static str, u64>,
    /// Moves for which another connection was ready.
    pub(crate) moves: u64,
    /// Subscriptions that were at two servers when they were taken back at the one that is left.
    pub(crate) overlaps: u64,
    /// Messages that came twice to a plain subscription, from two servers.
    pub(crate) twice: u64,
    /// Quiet moments in rough times.
    pub(crate) quiet: u64,
    /// Messages that were sent again.
    pub(crate) resent: u64,
    pub(crate) virtual_time: Duration,
    pub(crate) rounds: u64,
    pub(crate) connections: u64,
    pub(crate) accepted: u64,
    pub(crate) processed: u64,
    pub(crate) delivered: u64,
    pub(crate) in_doubt: u64,
    pub(crate) lost: u64,
    pub(crate) flushed: u64,
    pub(crate) assured: u64,
    /// Taken for poison.
    pub(crate) poison: u64,
    /// Refused by servers, and heard of.
    pub(crate) refused: u64,
}

impl Tally {
    pub(crate) fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    pub(crate) fn user(&mut self, name: &'static str) {
        *self.users.entry(name).or_default() += 1;
    }

    pub(crate) fn end(&mut self, cause: &Cause) {
        let name = match cause {
            Cause::Stale { .. } | Cause::Unanswered { .. } => "no PONG",
            Cause::WriteStalled { .. } => "write stalled",
            Cause::Forced => "reconnect forced",
            Cause::LameDuck => "lame duck",
            Cause::Failback => "failback",
            Cause::ByUser => "by the user",
            Cause::Server(_) => "-ERR",
            Cause::ClosedByServer => "closed by the server",
            Cause::Protocol(_) => "no protocol",
            _ => "others",
        };
        *self.ends.entry(name).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Tally) {
        let Tally {
            seeds,
            faults,
            users,
            ends,
            moves,
            overlaps,
            twice,
            quiet,
            resent,
            virtual_time,
            rounds,
            connections,
            accepted,
            processed,
            delivered,
            in_doubt,
            lost,
            flushed,
            assured,
            poison,
            refused,
        } = other;
        self.refused += refused;
        self.poison += poison;
        self.seeds += seeds;
        self.virtual_time += virtual_time;
        self.rounds += rounds;
        self.connections += connections;
        self.accepted += accepted;
        self.processed += processed;
        self.delivered += delivered;
        self.in_doubt += in_doubt;
        self.lost += lost;
        self.flushed += flushed;
        self.moves += moves;
        self.overlaps += overlaps;
        self.twice += twice;
        self.quiet += quiet;
        self.resent += resent;
        for (name, count) in ends {
            *self.ends.entry(name).or_default() += count;
        }
        self.assured += assured;
        for (name, count) in faults {
            *self.faults.entry(name).or_default() += count;
        }
        for (name, count) in users {
            *self.users.entry(name).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.virtual_time.as_secs_f64() / 3600.0;
        let faults: u64 = self.faults.values().sum();
        let Tally { seeds, rounds, quiet, .. } = self;
        writeln!(f, "seeds {seeds}, virtual time {hours:.1} h, rounds {rounds}, quiet moments in rough times {quiet}")?;
        writeln!(
            f,
            "connections {}, accepted {}, processed {}, delivered {}, in doubt {}, lost {}, flushes Ok {}, publishers assured {}",
            self.connections,
            self.accepted,
            self.processed,
            self.delivered,
            self.in_doubt,
            self.lost,
            self.flushed,
            self.assured
        )?;
        writeln!(
            f,
            "moves to a connection that was ready {}, subscriptions at both {}, messages twice {}, sent again {}, taken for poison {}, refused {}",
            self.moves, self.overlaps, self.twice, self.resent, self.poison, self.refused
        )?;
        write!(f, "connections ended:")?;
        for (name, count) in &self.ends {
            write!(f, " {name} {count},")?;
        }
        write!(f, "\nfaults {faults}:")?;
        for (name, count) in &self.faults {
            write!(f, " {name} {count},")?;
        }
        write!(f, "\nusers:")?;
        for (name, count) in &self.users {
            write!(f, " {name} {count},")?;
        }
        Ok(())
    }
}
