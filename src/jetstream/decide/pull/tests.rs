//! The pull machine, step by step: when it pulls and for how much, what it reports, and what ends it.

mod losses;
mod statuses;

use super::*;
use crate::jetstream::wire::{AckSubject, PullStatus};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct World {
    pull: Pull,
    now: Instant,
    sequence: u64,
}

impl World {
    fn with(settings: Settings) -> World {
        let now = Instant::now();
        World { pull: Pull::new(settings, true, now, 7), now, sequence: 0 }
    }

    fn new(batch: u64) -> World {
        let mut world = World::with(Settings { batch, ..Settings::default() });
        world.on(Event::Polled);
        assert_eq!(world.pulls(), [(0, batch)]);
        world
    }

    fn on(&mut self, event: Event<'_>) {
        self.pull.on(self.now, event);
    }

    fn after(&mut self, time: Duration) {
        self.now += time;
        self.on(Event::Waiting);
    }

    /// Goes to the alarm, and returns how long that took.
    fn alarm(&mut self) -> Duration {
        let at = self.pull.alarm().expect("an alarm");
        let time = at.saturating_duration_since(self.now);
        self.after(time);
        time
    }

    fn status(&mut self, token: u64, status: PullStatus, left: Option<u64>) {
        self.on(Event::Status { token, status, text: "", left: left.map(|messages| (messages, 0)) });
    }

    /// Messages of 10 bytes arrive, one after the other.
    fn messages(&mut self, count: u64, pending: u64) -> u64 {
        (0..count).map(|_| self.message(self.sequence + 1, pending)).sum()
    }

    /// How often it was delivered: once or not.
    fn message(&mut self, sequence: u64, pending: u64) -> u64 {
        self.sequence = sequence;
        let subject = format!("$JS.ACK.S.c.1.{sequence}.{sequence}.1.{pending}");
        let place = AckSubject::parse(&subject).ok();
        self.on(Event::Message(Arrival { bytes: 10, place, pin: None }));
        let delivered = self.pull.effects.iter().filter(|effect| **effect == Effect::Deliver).count() as u64;
        self.pull.effects.retain(|effect| *effect != Effect::Deliver);
        self.on(Event::Polled);
        delivered
    }

    /// What is to be done now, besides PINGs.
    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.pull.next_effect()).filter(|effect| *effect != Effect::Probe).collect()
    }

    /// The pulls that are sent now, as token and messages. Nothing else may be done.
    fn pulls(&mut self) -> Vec<(u64, u64)> {
        let pull = |effect| match effect {
            Effect::Pull(sending) => (sending.token, sending.messages),
            other => panic!("{other:?}"),
        };
        self.effects().into_iter().map(pull).collect()
    }

    /// What is asked for now, besides what is reported.
    fn pulls_besides_reports(&mut self) -> Vec<u64> {
        let pull = |effect| if let Effect::Pull(sending) = effect { Some(sending.messages) } else { None };
        self.effects().into_iter().filter_map(pull).collect()
    }

    /// What is reported now, besides the pulls.
    fn reports(&mut self) -> Vec<Report> {
        let report = |effect| if let Effect::Tell(report) = effect { Some(report) } else { None };
        self.effects().into_iter().filter_map(report).collect()
    }

    fn only_pull(&mut self) -> Sending {
        let effects = self.effects();
        let mut pulls = effects.iter().filter_map(|effect| match effect {
            Effect::Pull(sending) => Some(*sending),
            _ => None,
        });
        let pull = pulls.next().unwrap_or_else(|| panic!("no pull in {effects:?}"));
        assert_eq!(pulls.next(), None);
        pull
    }
}

#[test]
fn another_pull_asks_for_the_rest_when_half_of_the_batch_has_come() {
    let mut world = World::new(10);
    assert_eq!((world.messages(4, 0), world.pulls()), (4, vec![]));
    assert_eq!((world.messages(1, 0), world.pulls()), (1, vec![(1, 5)]));
    assert_eq!(world.pull.outstanding(), (10, 0));
    assert_eq!((world.messages(5, 0), world.pulls()), (5, vec![(2, 5)]));
}

#[test]
fn a_batch_of_one_asks_for_the_next_message_when_the_reader_comes_back() {
    let mut world = World::new(1);
    for token in 1..5 {
        assert_eq!((world.messages(1, 0), world.pulls()), (1, vec![(token, 1)]));
    }
}

#[test]
fn bytes_are_limited_too() {
    let mut world = World::with(Settings { batch: 100, max_bytes: 100, ..Settings::default() });
    world.on(Event::Polled);
    assert_eq!(world.only_pull().bytes, 100);
    world.messages(4, 0);
    assert_eq!(world.effects(), []);
    world.messages(1, 0);
    let pull = world.only_pull();
    assert_eq!((pull.messages, pull.bytes), (5, 50));
}

#[test]
fn a_pull_that_has_expired_is_replaced_by_one_for_the_same() {
    let mut world = World::new(10);
    world.now += ms(30_000);
    world.status(0, PullStatus::RequestTimeout, Some(10));
    world.on(Event::Polled);
    assert_eq!(world.pulls(), [(1, 10)]);
}

#[test]
fn a_trickle_of_room_is_not_pulled_for_message_by_message() {
    let mut world = World::new(100);
    world.on(Event::Lagged(1));
    world.on(Event::Waiting);
    assert_eq!((world.pulls_besides_reports(), world.messages(43, 1_000)), (vec![100], 43));
    world.on(Event::Lagged(1));
    world.on(Event::Waiting);
    assert_eq!((world.pulls_besides_reports(), world.pull.outstanding()), (vec![43], (43, 157)));
    world.messages(24, 1_000);
    assert_eq!((world.pulls(), world.pull.outstanding()), (vec![], (19, 157)));
    world.messages(1, 1_000);
    assert_eq!((world.pulls(), world.pull.outstanding()), (vec![(3, 25)], (43, 157)));
}

#[test]
fn two_batches_at_most_may_come_over_any_number_of_connections() {
    let mut world = World::new(100);
    for round in 1..40 {
        world.on(Event::Interrupted);
        world.on(Event::Connected(world.now));
        let (expected, doubtful) = world.pull.outstanding();
        assert!(expected >= 1, "there is a pull");
        assert!(expected + doubtful <= 200 + round.max(7) - 7, "{expected} and {doubtful} in round {round}");
        world.effects();
    }
}

#[test]
fn a_pull_that_was_not_sent_is_sent_again_after_a_while() {
    let mut world = World::new(10);
    world.on(Event::NotSent(0));
    assert_eq!(world.reports(), [Report::Began(Cause::NotSent)]);
    world.on(Event::Waiting);
    assert_eq!(world.only_pull().token, 1);
    world.on(Event::NotSent(1));
    world.on(Event::Waiting);
    assert_eq!(world.effects(), []);
    assert!(world.alarm() >= ms(50));
    assert_eq!(world.only_pull().token, 2);
}

#[test]
fn a_reader_that_begins_without_a_connection_has_its_pull_buffered() {
    let now = Instant::now();
    let mut pull = Pull::new(Settings::default(), false, now, 1);
    pull.on(now, Event::Polled);
    let effects: Vec<_> = std::iter::from_fn(|| pull.next_effect()).collect();
    assert!(matches!(effects[..], [Effect::Tell(Report::Began(Cause::Disconnected)), Effect::Pull(_)]), "{effects:?}");
    assert_eq!((pull.alarm(), pull.is_down()), (None, true));
}

#[test]
fn what_the_client_dropped_may_have_been_heartbeats_so_its_messages_may_still_come() {
    let mut world = World::new(10);
    assert_eq!(world.messages(2, 0), 2);
    world.on(Event::Lagged(100));
    assert_eq!(world.pull.next_effect(), Some(Effect::Tell(Report::Dropped(100))));
    assert_eq!(world.pull.outstanding(), (0, 8));
    world.on(Event::Polled);
    assert_eq!(world.pulls(), [(1, 10)]);
    assert_eq!(world.pull.outstanding(), (10, 8), "no more than two batches");
}

#[test]
fn a_denied_pull_ends_the_stream() {
    let mut world = World::new(10);
    world.on(Event::Refused("denied"));
    assert_eq!(world.pull.next_effect(), Some(Effect::End(End::Refused("denied".to_owned()))));
    assert_eq!(world.pull.alarm(), None);
}
