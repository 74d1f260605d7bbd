//! The attempts to create an ordered consumer again.

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::options::Backoff;

/// The delays between attempts. The first attempt is immediate.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(100), Duration::from_secs(2));

/// Unanswered attempts are reported after this time: elections and restarts are shorter.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why an attempt to create a consumer has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateFault {
    /// Nobody has received the request.
    NoResponders,
    /// Nobody has answered, or not in time: it may have been created all the same.
    Unanswered,
    /// The connection was lost before the answer: it may have been created, and what it has sent may be lost.
    Interrupted,
    /// There is no leader, or the server has no resources now.
    NotNow,
    /// There is a consumer of this name with another configuration.
    NameTaken,
    /// There is no such stream.
    NoStream,
    /// The server has another reason.
    Refused,
}

/// Why a consumer can't be created for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No server has answered, or none was able to, for 10 s.
    Unanswered,
    /// There is no such stream.
    NoStream,
    /// The server refuses.
    Refused,
}

/// The time without a consumer.
#[derive(Debug)]
pub(super) struct Outage {
    incarnation: u64,
    attempt: Attempt,
    failures: u64,
    began: Instant,
    /// What was reported last.
    reported: Reported,
    rng: SmallRng,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Running,
    /// The next one begins then.
    At(Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reported {
    Nothing,
    Interruption,
    Trouble(Trouble),
}

impl Outage {
    /// This incarnation is to be created, after a delay if some before it were created in vain.
    pub(super) fn new(incarnation: u64, fruitless: u64, seed: u64, now: Instant) -> Outage {
        let mut rng = SmallRng::seed_from_u64(seed);
        let attempt = Attempt::At(later(now, BACKOFF.delay(fruitless, &mut rng)));
        Outage { incarnation, attempt, failures: 0, began: now, reported: Reported::Nothing, rng }
    }

    /// The one after this incarnation is to be created.
    pub(super) fn after(incarnation: u64, fruitless: u64, seed: u64, now: Instant) -> Outage {
        let next = incarnation.saturating_add(1);
        Outage { reported: Reported::Interruption, ..Outage::new(next, fruitless, seed, now) }
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub(super) fn is_creating(&self, incarnation: u64) -> bool {
        self.incarnation == incarnation && self.attempt == Attempt::Running
    }

    pub(super) fn was_reported(&self) -> bool {
        self.reported != Reported::Nothing
    }

    /// The attempt has failed. Returns what is to be reported.
    ///
    /// If servers may have created it after all, the next one has another name: that one may have sent something and be gone by then,
    /// and another one of its name would begin again with its numbers.
    pub(super) fn failed(&mut self, fault: CreateFault, now: Instant) -> Option<Trouble> {
        // The next attempt waits for the next connection.
        let counts = u64::from(fault != CreateFault::Interrupted);
        self.failures = self.failures.saturating_add(counts);
        self.attempt = Attempt::At(later(now, BACKOFF.delay(self.failures * counts, &mut self.rng)));
        if matches!(fault, CreateFault::Unanswered | CreateFault::NameTaken | CreateFault::Interrupted) {
            self.incarnation = self.incarnation.saturating_add(1);
        }
        let lasts = now.saturating_duration_since(self.began) >= PATIENCE;
        let trouble = match fault {
            CreateFault::NoStream => Trouble::NoStream,
            CreateFault::Refused => Trouble::Refused,
            CreateFault::Interrupted => return None,
            _ if !lasts => return None,
            CreateFault::NoResponders | CreateFault::Unanswered | CreateFault::NotNow | CreateFault::NameTaken => {
                Trouble::Unanswered
            }
        };
        let reported = Reported::Trouble(trouble);
        (std::mem::replace(&mut self.reported, reported) != reported).then_some(trouble)
    }

    /// Whether the next attempt begins now.
    pub(super) fn retries(&mut self, now: Instant) -> bool {
        let begins = self.due().is_some_and(|at| at <= now);
        if begins {
            self.attempt = Attempt::Running;
        }
        begins
    }

    pub(super) fn due(&self) -> Option<Instant> {
        match self.attempt {
            Attempt::Running => None,
            Attempt::At(at) => Some(at),
        }
    }
}

fn later(now: Instant, delay: Duration) -> Instant {
    now.checked_add(delay).unwrap_or(now)
}
