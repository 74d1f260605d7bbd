//! The fetch machine, step by step: it always ends, and says how.

use super::*;
use crate::jetstream::wire::AckSubject;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct World {
    fetch: Fetch,
    now: Instant,
    began: Instant,
    delivered: u64,
}

impl World {
    fn with(settings: Settings, is_up: bool) -> World {
        let now = Instant::now();
        World { fetch: Fetch::new(settings, is_up, now, 7), now, began: now, delivered: 0 }
    }

    /// Ten messages within 3 s.
    fn waiting() -> World {
        World::with(Settings { batch: 10, expires: ms(3_000), ..Settings::default() }, true)
    }

    fn on(&mut self, event: Event<'_>) {
        self.fetch.on(self.now, event);
    }

    fn status(&mut self, token: u64, status: PullStatus) {
        self.on(Event::Status { token, status, text: "text", left: None });
    }

    fn message(&mut self, sequence: u64) {
        let subject = format!("$JS.ACK.S.c.1.{sequence}.{sequence}.1.0");
        self.on(Event::Message(Arrival { bytes: 10, place: AckSubject::parse(&subject).ok(), pin: None }));
    }

    /// The pull that is sent and the end that comes now.
    fn next(&mut self) -> (Option<Sending>, Option<End>) {
        let (mut pull, mut end) = (None, None);
        while let Some(effect) = self.fetch.next_effect() {
            match effect {
                Effect::Pull(sending) => assert_eq!(pull.replace(sending), None),
                Effect::Deliver => self.delivered += 1,
                Effect::End(reason) => assert_eq!(end.replace(reason), None),
            }
        }
        (pull, end)
    }

    fn pull(&mut self) -> Sending {
        let (pull, end) = self.next();
        assert_eq!(end, None);
        pull.expect("a pull")
    }

    fn end(&mut self) -> End {
        let (pull, end) = self.next();
        assert_eq!(pull, None);
        end.expect("an end")
    }

    fn alarm(&mut self) -> Duration {
        let at = self.fetch.alarm().expect("an alarm");
        let time = at.saturating_duration_since(self.now);
        self.now += time;
        self.on(Event::Waiting);
        time
    }
}

#[test]
fn a_batch_ends_with_its_last_message() {
    let mut world = World::waiting();
    let pull = world.pull();
    assert_eq!((pull.token, pull.messages, pull.expires, pull.heartbeat), (0, 10, ms(3_000), ms(1_000)));
    (1..=10).for_each(|sequence| world.message(sequence));
    assert_eq!((world.end(), world.delivered), (End::Full, 10));
    assert_eq!(world.fetch.alarm(), None);
    world.message(11);
    assert_eq!((world.next(), world.delivered), ((None, None), 10));
}

#[test]
fn each_status_that_ends_a_pull_ends_the_batch() {
    for (status, end) in [
        (PullStatus::NoMessages, End::NoMessages),
        (PullStatus::RequestsPending, End::NoMessages),
        (PullStatus::RequestTimeout, End::Expired),
        (PullStatus::BatchCompleted, End::MaxBytes),
        (PullStatus::MessageTooLarge, End::MessageTooLarge),
        (PullStatus::ConsumerDeleted, End::Gone),
        (PullStatus::PushBased, End::PushBased),
        (PullStatus::OverMaxBatch, End::OverLimit("text".to_owned())),
        (PullStatus::BadRequest, End::Refused("text".to_owned())),
        (PullStatus::Unknown, End::Refused("text".to_owned())),
    ] {
        let mut world = World::waiting();
        world.pull();
        world.status(5, status);
        assert_eq!(world.next(), (None, None), "it is of another pull");
        world.status(0, status);
        assert_eq!(world.end(), end);
    }
    let mut world = World::waiting();
    world.pull();
    world.message(1);
    world.status(0, PullStatus::MessageTooLarge);
    assert_eq!(world.end(), End::MaxBytes);
}

// Those of a replicated consumer wait for a quorum, and the status does not.
#[test]
fn the_last_messages_may_come_after_the_status() {
    let ended = |status, left| {
        let mut world = World::waiting();
        world.pull();
        world.message(1);
        world.on(Event::Status { token: 0, status, text: "", left: Some((left, 0)) });
        assert_eq!(world.next(), (None, None));
        world
    };
    let mut world = ended(PullStatus::BatchCompleted, 0);
    (2..=9).for_each(|sequence| world.message(sequence));
    assert_eq!((world.next(), world.delivered), ((None, None), 9));
    world.message(10);
    assert_eq!(world.end(), End::Full);

    for (status, end) in [(PullStatus::MessageTooLarge, End::MaxBytes), (PullStatus::RequestTimeout, End::Expired)] {
        let mut world = ended(status, 7);
        world.message(2);
        assert_eq!(world.next(), (None, None));
        world.message(3);
        assert_eq!((world.end(), world.delivered), (end.clone(), 3));

        let mut late = ended(status, 7);
        assert_eq!(late.alarm(), ms(1_000));
        assert_eq!(late.end(), end);
    }

    let mut lost = ended(PullStatus::MessageTooLarge, 7);
    lost.on(Event::Interrupted);
    assert_eq!(lost.pull().messages, 9, "they were lost with the connection");
}

#[test]
fn a_batch_that_hears_nothing_more_ends_by_itself() {
    let mut world = World::with(Settings { no_wait: true, ..without_time() }, true);
    world.pull();
    assert_eq!(world.alarm(), ms(5_000));
    assert_eq!(world.end(), End::TimedOut(Some(Cause::Silence)), "nothing has come at all");
    let mut world = World::with(Settings { no_wait: true, ..without_time() }, true);
    world.pull();
    world.now += ms(1);
    world.message(1);
    assert_eq!(world.next(), (None, None));
    assert_eq!(world.alarm(), ms(4_999));
    assert_eq!(world.end(), End::TimedOut(None), "a message has come");
}

#[test]
fn a_denied_pull_ends_the_batch() {
    let mut world = World::waiting();
    world.pull();
    world.on(Event::Refused("denied"));
    assert_eq!(world.end(), End::Refused("denied".to_owned()));
}

fn without_time() -> Settings {
    Settings { expires: Duration::ZERO, heartbeat: Duration::ZERO, ..Settings::default() }
}

#[test]
fn a_pull_that_was_lost_is_followed_by_one_for_the_rest() {
    let mut world = World::waiting();
    world.pull();
    (1..=4).for_each(|sequence| world.message(sequence));
    world.now += ms(1_000);
    world.status(0, PullStatus::LeadershipChange);
    let pull = world.pull();
    assert_eq!((pull.token, pull.messages, pull.expires), (1, 6, ms(2_000)));
    world.status(1, PullStatus::NoResponders);
    assert_eq!(world.next().0, None, "not immediately again");
    let delay = world.alarm();
    assert!((ms(50)..=ms(100)).contains(&delay), "{delay:?}");
    assert_eq!(world.pull().token, 2);
}

#[test]
fn nobody_receives_the_pulls_until_the_time_is_over() {
    let mut world = World::waiting();
    let mut pulls = 0;
    let end = loop {
        match world.next() {
            (Some(pull), None) => {
                pulls += 1;
                world.status(pull.token, PullStatus::NoResponders);
            }
            (None, None) => _ = world.alarm(),
            (_, Some(end)) => break end,
        }
    };
    assert_eq!(end, End::TimedOut(Some(Cause::NoResponders)));
    assert!((5..12).contains(&pulls), "{pulls}");
    let waited = world.now - world.began;
    assert!((ms(2_900)..=ms(8_000)).contains(&waited), "{waited:?}");
}

#[test]
fn silence_of_two_heartbeats_is_a_loss() {
    let mut world = World::waiting();
    world.pull();
    world.now += ms(900);
    world.status(0, PullStatus::IdleHeartbeat);
    assert_eq!(world.alarm(), ms(2_000));
    let pull = world.pull();
    assert_eq!((pull.messages, pull.expires, pull.heartbeat), (10, ms(100), ms(0)), "no time for a heartbeat");
    while world.fetch.alarm().is_some() {
        world.alarm();
    }
    assert_eq!(world.end(), End::TimedOut(Some(Cause::Silence)));
}

#[test]
fn an_outage_ends_a_batch_within_its_deadline() {
    let mut world = World::waiting();
    world.pull();
    world.on(Event::Interrupted);
    assert_eq!(world.pull().token, 1);
    assert!(world.fetch.is_down());
    assert_eq!(world.alarm(), ms(8_000));
    assert_eq!(world.end(), End::TimedOut(Some(Cause::Disconnected)));

    let mut world = World::with(Settings { batch: 1, expires: ms(3_000), ..Settings::default() }, false);
    world.pull();
    world.now += ms(1_000);
    world.on(Event::Connected(world.now));
    world.message(1);
    assert_eq!(world.end(), End::Full);
}

#[test]
fn neither_what_the_client_dropped_nor_what_comes_twice_is_one_of_the_messages() {
    let mut world = World::waiting();
    world.pull();
    world.message(1);
    world.message(1);
    assert_eq!((world.next(), world.delivered), ((None, None), 1));
    // They may have been heartbeats.
    world.on(Event::Lagged(20));
    assert_eq!(world.pull().messages, 9, "another pull asks for the rest");
    (10..19).for_each(|sequence| world.message(sequence));
    assert_eq!((world.end(), world.delivered), (End::Full, 10));
}

#[test]
fn bytes_that_are_used_up_end_a_batch_that_would_pull_again() {
    let mut world = World::with(Settings { max_bytes: 15, expires: ms(3_000), ..Settings::default() }, true);
    assert_eq!(world.pull().bytes, 15);
    world.message(1);
    world.on(Event::NotSent(3));
    world.on(Event::NotSent(0));
    assert_eq!(world.pull().bytes, 5);
    world.message(2);
    world.on(Event::Interrupted);
    assert_eq!(world.end(), End::MaxBytes);
}
