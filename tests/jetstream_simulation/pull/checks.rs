//! The checkers: what may come is bounded, a waiting reader has a pull or a reason, and messages don't wait.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use nats_lifeline::jetstream::decide::pull::{Cause, Report};
use nats_lifeline::jetstream::wire::AckSubject;

use super::plan::{Plan, ms};
use super::world::{Arrived, World};

/// Deliveries with the same numbers within this time are one, which came over two connections.
const MOVE: Duration = Duration::from_secs(3);

/// What may come over two batches: single messages that are asked for while everything else is in doubt. With heartbeats of 250 ms a
/// loss is noticed twice a second, and each of those pulls counts for 6 s; early ones come with a growing delay.
const OVER: u64 = 32;

pub(crate) struct Checks {
    batch: u64,
    patience: Duration,
    bound: Duration,
    /// What each pull asked for.
    asked: HashMap<u64, u64>,
    heard: HashMap<String, Instant>,
    /// The reader has read everything, and waits.
    pub(crate) waited: bool,
    /// What may come can have become more.
    has_grown: bool,
    /// The highest number of a delivery.
    newest: u64,
    /// Pulls that are alive as far as the reader has been told, and since when there is none.
    alive: BTreeSet<u64>,
    /// Of these, the ones whose messages are still to come.
    complete: BTreeSet<u64>,
    none_since: Option<Instant>,
    troubles: BTreeSet<Cause>,
    /// Since when a message could be delivered, and nothing went wrong.
    quiet: Option<Instant>,
    /// Pulls that may be swallowed without a word, and messages that may be lost.
    pub(crate) swallowed: u32,
    /// Until when the consumer has no leader.
    pub(crate) leaderless: Instant,
    /// When the reader was given the last message, or since when there has been a connection.
    life: Instant,
}

impl Checks {
    pub(crate) fn new(plan: &Plan, now: Instant) -> Checks {
        Checks {
            batch: plan.settings.batch,
            patience: plan.settings.patience,
            bound: plan.bound(),
            asked: HashMap::new(),
            heard: HashMap::new(),
            waited: false,
            has_grown: false,
            newest: 0,
            alive: BTreeSet::new(),
            complete: BTreeSet::new(),
            none_since: None,
            troubles: BTreeSet::new(),
            quiet: None,
            swallowed: 0,
            leaderless: now,
            life: now,
        }
    }

    pub(crate) fn pulled(&mut self, token: u64, asked: u64) {
        assert!(asked >= 1 && asked <= self.batch, "a pull for {asked} of {}", self.batch);
        self.alive.insert(token);
        self.none_since = None;
        self.has_grown = true;
        assert!(self.asked.insert(token, asked).is_none(), "token {token} was used before");
    }

    /// A message was read, and the machine has said whether the reader gets it: exactly once.
    pub(crate) fn delivered(&mut self, reply: &str, delivers: bool, now: Instant) {
        let before = self.heard.insert(reply.to_owned(), now);
        // The same numbers after longer than a move takes are another delivery. If the reader has not waited for it, nobody knows how long.
        let waited = std::mem::take(&mut self.waited);
        let is_new = match before {
            Some(before) if now - before <= MOVE => false,
            Some(_) => waited || delivers,
            None => true,
        };
        let number = AckSubject::parse(reply).unwrap().consumer_sequence;
        self.newest = self.newest.max(number);
        // One that is later than anything that a move delays is not recognized.
        let is_old = self.newest - number >= (4 * self.batch).max(64);
        assert!(is_new == delivers || is_old, "{reply} is new: {is_new}, and delivered: {delivers}");
        self.quiet = None;
    }

    /// It is reported to the reader that a pull has ended.
    pub(crate) fn told_end(&mut self, token: u64) {
        self.alive.remove(&token);
    }

    /// It is reported to the reader that a pull gets no more messages than those that are on their way.
    pub(crate) fn told_complete(&mut self, token: u64) {
        self.complete.insert(token);
    }

    /// It is reported to the reader that a pull is alive, perhaps after it was in doubt.
    pub(crate) fn told_life(&mut self, token: u64) {
        self.alive.insert(token);
    }

    /// It is reported to the reader that the connection was lost: all pulls may be.
    pub(crate) fn told_loss(&mut self) {
        self.alive.clear();
        // What comes over the next connection was sent for it.
        self.heard.clear();
        self.has_grown = true;
    }

    pub(crate) fn is_told_of_a_pull(&self) -> bool {
        !self.alive.is_empty()
    }

    /// Something has gone wrong.
    pub(crate) fn disturbed(&mut self) {
        (self.quiet, self.none_since) = (None, None);
    }

    pub(crate) fn told(&mut self, report: Report) {
        match report {
            Report::Began(cause) => assert!(self.troubles.insert(cause), "{cause:?} is reported twice"),
            Report::Over { cause, .. } => assert!(self.troubles.remove(&cause), "{cause:?} is over and never began"),
            _ => {}
        }
    }

    pub(crate) fn complained(&mut self, cause: Cause, now: Instant) {
        assert!(self.troubles.contains(&cause), "a complaint about {cause:?}, which was not reported");
        assert!(now >= self.life + self.patience, "an early complaint about {cause:?}");
    }

    /// The reader is given a message, or learns of a connection.
    pub(crate) fn lives(&mut self, since: Instant) {
        self.life = self.life.max(since);
    }

    pub(crate) fn has_trouble(&self) -> bool {
        !self.troubles.is_empty()
    }
}

impl World {
    /// After everything that happened at this moment.
    pub(crate) fn check(&mut self) {
        if self.end.is_some() {
            return;
        }
        let (expected, doubtful) = self.machine.outstanding();
        self.check_bound(expected + doubtful);
        let waits = self.busy <= self.now;
        if expected == 0 {
            let complete = std::mem::take(&mut self.checks.complete);
            self.checks.alive.retain(|token| !complete.contains(token));
        }
        if waits {
            let alarm = self.machine.alarm();
            // A pull that is lost directly after another one is not followed by the next at once.
            let is_soon = alarm.is_some_and(|at| at <= self.now + ms(1_000));
            let is_known = self.checks.has_trouble() || is_soon;
            assert!(expected > 0 || is_known, "the reader waits, and no pull is outstanding");
            assert!(alarm.is_none_or(|at| at > self.now), "an alarm that has rung");
        }
        // The next pull follows within the longest delay between two, unless it would only wait behind the others.
        let flows = self.line.stalled_until() <= self.now;
        self.checks.none_since = match waits && flows && !self.checks.is_told_of_a_pull() {
            true => Some(self.checks.none_since.unwrap_or(self.now)),
            false => None,
        };
        let without = self.checks.none_since.map_or(Duration::ZERO, |since| self.now - since);
        assert!(without <= ms(1_000), "no pull for {without:?}, and the reader knows it");
        self.check_silence(waits);
    }

    /// J6: what may come is bounded, as far as the machine knows, and in truth.
    fn check_bound(&mut self, counted: u64) {
        let most = 2 * self.checks.batch + OVER;
        assert!(counted <= most, "{counted} messages are counted as outstanding, of {most}");
        if !std::mem::take(&mut self.checks.has_grown) {
            return;
        }
        let unread = self.inbox.iter().filter_map(|arrived| match arrived {
            Arrived::Message(out) => out.reply.as_deref(),
            _ => None,
        });
        // One that comes twice is one message.
        let messages: HashSet<&str> = unread.chain(self.line.on_their_way("in.")).collect();
        let on_their_way = messages.iter().filter(|reply| !self.checks.heard.contains_key(**reply)).count();
        let token = |reply: &str| reply.strip_prefix("in.").and_then(|token| token.parse::<u64>().ok());
        let unsent =
            self.line.requests_on_their_way().filter_map(token).map(|token| (token, self.checks.asked[&token]));
        let waiting = self.line.server.waiting_pulls("S", "c").filter_map(|(reply, left)| Some((token(reply)?, left)));
        let pulls: Vec<_> = unsent.chain(waiting).collect();
        let may_come = pulls.iter().map(|(_, left)| left).sum::<u64>() + on_their_way as u64;
        assert!(
            may_come <= most,
            "{may_come} messages may come, of {most}; {counted} are counted; {on_their_way} on their way, left: {pulls:?}"
        );
    }

    /// J2: messages that can be delivered are delivered.
    fn check_silence(&mut self, waits: bool) {
        let flows = self.line.connected_since().is_some() && self.line.stalled_until() <= self.now;
        let calm = flows && self.checks.leaderless <= self.now && self.inbox.is_empty();
        let state = if waits && calm { self.line.server.consumer("S", "c") } else { None };
        let room = |open: u64| !self.plan.acks || open < self.plan.max_ack_pending;
        if !state.is_some_and(|state| state.pending > 0 && room(state.ack_pending)) {
            self.checks.quiet = None;
            return;
        }
        let since = *self.checks.quiet.get_or_insert(self.now);
        let bound = self.checks.bound * (1 + self.checks.swallowed);
        let silence = self.now - since;
        assert!(silence <= bound, "deaf for {silence:?}, of {bound:?}: {state:?}, {:?}", self.machine);
    }
}
