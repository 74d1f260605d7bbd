//! The pull machine with statuses that refuse, limit or end something.

use super::*;

#[test]
fn the_same_delivery_is_given_to_the_reader_once() {
    let mut world = World::new(10);
    assert_eq!(world.messages(3, 0), 3);
    assert_eq!([2, 3, 4].map(|sequence| world.message(sequence, 0)), [0, 0, 1]);
    assert_eq!(world.pull.outstanding(), (6, 0), "it is counted once too");
    assert_eq!(world.message(1, 3), 1, "the consumer was reset, and three more messages are there");
}

#[test]
fn the_pin_of_the_last_message_is_sent_until_another_client_has_it() {
    let mut world = World::new(1);
    world.on(Event::Message(Arrival { bytes: 1, place: None, pin: Some("mine") }));
    world.effects();
    world.on(Event::Polled);
    let pull = world.only_pull();
    assert_eq!(world.pull.request(pull).id, Some("mine"));
    world.status(pull.token, PullStatus::WrongPin, None);
    world.on(Event::Polled);
    let pull = world.only_pull();
    assert_eq!(world.pull.request(pull).id, None);
}

#[test]
fn a_pull_over_the_limit_is_lowered_to_it() {
    let mut world = World::new(50);
    let refused = |token, status, text| Event::Status { token, status, text, left: None };
    world.on(refused(0, PullStatus::OverMaxBatch, "Exceeded MaxRequestBatch of 10"));
    world.on(Event::Waiting);
    assert_eq!(world.pull.effects.pop_front(), Some(Effect::Tell(Report::Began(Cause::Lowered))));
    let pull = world.only_pull();
    assert_eq!((pull.token, pull.messages), (1, 10));
    world.on(refused(1, PullStatus::OverMaxExpires, "Exceeded MaxRequestExpires of 500ms"));
    world.alarm();
    let pull = world.only_pull();
    assert_eq!((pull.expires, pull.heartbeat), (ms(500), ms(100)));
    world.on(refused(2, PullStatus::OverMaxBatch, "Exceeded MaxRequestBatch of 10"));
    let end = End::OverLimit("Exceeded MaxRequestBatch of 10".to_owned());
    assert_eq!(world.effects(), [Effect::End(end)], "it is that already");
    world.on(Event::Polled);
    assert_eq!((world.effects(), world.pull.alarm()), (vec![], None));
}

#[test]
fn several_pulls_over_a_new_limit_are_refused_and_none_is_the_end() {
    for (status, text) in [
        (PullStatus::OverMaxBatch, "Exceeded MaxRequestBatch of 4"),
        (PullStatus::OverMaxBytes, "Exceeded MaxRequestMaxBytes of 1000"),
        (PullStatus::OverMaxExpires, "Exceeded MaxRequestExpires of 1s"),
    ] {
        let mut world = World::new(10);
        world.messages(5, 0);
        assert_eq!(world.pulls(), [(1, 5)]);
        let refused = |token| Event::Status { token, status, text, left: None };
        world.on(refused(0));
        world.on(refused(1));
        world.on(Event::Polled);
        assert_eq!(world.pull.effects.pop_front(), Some(Effect::Tell(Report::Began(Cause::Lowered))), "{text}");
        let pull = world.only_pull();
        assert_eq!(pull.messages, if status == PullStatus::OverMaxBatch { 4 } else { 10 });
        assert_eq!(
            world.pull.request(pull).max_bytes,
            if status == PullStatus::OverMaxBytes { 1_000 } else { ANY_BYTES }
        );
        assert_eq!(pull.expires, if status == PullStatus::OverMaxExpires { ms(1_000) } else { ms(2_000) });
        world.on(refused(2));
        assert_eq!(world.effects(), [Effect::End(End::OverLimit(text.to_owned()))], "it asked for no more than that");
    }
}

#[test]
fn a_message_over_the_bytes_that_are_left_of_any_is_no_trouble() {
    let mut world = World::new(10);
    let large = |token, left| Event::Status { token, status: PullStatus::MessageTooLarge, text: "", left: Some(left) };
    world.messages(2, 0);
    world.on(large(0, (8, 100)));
    world.on(Event::Polled);
    assert_eq!(world.pulls(), [(1, 10)]);
    (0..20).for_each(|_| _ = world.messages(5, 0));
    let sent = world.pulls().len();
    world.on(large(3, (1, 100)));
    world.on(Event::Polled);
    assert_eq!((sent, world.effects()), (20, vec![]), "it counts as served");
}

#[test]
fn a_message_that_is_too_large_for_every_pull_is_reported_and_asked_for_again() {
    let mut world = World::with(Settings { batch: 10, max_bytes: 100, ..Settings::default() });
    world.on(Event::Polled);
    world.effects();
    world.messages(5, 0);
    assert_eq!(world.only_pull().bytes, 50);
    let large = |token, left| Event::Status { token, status: PullStatus::MessageTooLarge, text: "", left: Some(left) };
    world.on(large(0, (5, 20)));
    world.on(Event::Polled);
    assert_eq!(world.only_pull().bytes, 25, "it was of use; less than a quarter seldom is");
    world.on(large(2, (5, 25)));
    world.on(Event::Polled);
    assert_eq!(world.effects(), [], "the other pull has room left");
    world.on(large(1, (5, 50)));
    world.on(Event::Polled);
    let pull = world.only_pull();
    assert_eq!((pull.messages, pull.bytes), (10, 100), "nothing was reported: a larger pull may do");
    world.on(large(pull.token, (10, 100)));
    assert_eq!(world.reports(), [Report::Began(Cause::MessageTooLarge)]);
    assert!(world.alarm() >= ms(50));
    assert_eq!(world.only_pull().bytes, 100);
}

#[test]
fn pulls_that_end_too_soon_are_not_repeated_in_a_loop() {
    let mut world = World::new(10);
    let mut sent = 0;
    for token in 0..1_000 {
        world.now += ms(1);
        world.status(token, PullStatus::RequestTimeout, Some(10));
        world.on(Event::Waiting);
        while world.pull.ledger.newest().is_none() {
            world.alarm();
        }
        sent += 1;
        if world.now.saturating_duration_since(world.pull.heard) > ms(5_000) {
            break;
        }
    }
    assert!((5..20).contains(&sent), "{sent} pulls in 5 s");
}

// Seed 105411 of the simulation: the reader always had something to read, and so did not look whether there was a connection.
#[test]
fn a_pull_that_was_buffered_and_waited_long_did_not_end_too_soon() {
    let mut world = World::new(10);
    world.on(Event::Interrupted);
    let token = world.only_pull().token;
    world.message(1, 0);
    world.effects();
    world.now += ms(50);
    world.status(token, PullStatus::RequestTimeout, Some(9));
    assert_eq!(world.reports(), []);
}

#[test]
fn the_server_is_asked_about_the_consumer_after_two_seconds_and_every_five() {
    let mut world = World::new(10);
    let began = world.now;
    world.status(0, PullStatus::NoResponders, None);
    let mut asked = Vec::new();
    let mut complaints = Vec::new();
    while world.now < began + ms(40_000) {
        for effect in world.effects() {
            match effect {
                Effect::Pull(sending) => world.status(sending.token, PullStatus::NoResponders, None),
                Effect::Inquire => {
                    asked.push((world.now - began).as_millis());
                    world.on(Event::Found(if asked.len() == 1 { Found::Exists } else { Found::Unknown }));
                }
                Effect::Complain(cause) => complaints.push(((world.now - began).as_millis(), cause)),
                Effect::Tell(_) => {}
                other => panic!("{other:?}"),
            }
        }
        world.alarm();
    }
    assert_eq!(asked[..3], [2_000, 7_000, 12_000]);
    assert_eq!(complaints, [(30_000, Cause::NoResponders)]);
    world.on(Event::Found(Found::Gone));
    assert!(world.effects().contains(&Effect::End(End::Gone)));
}

#[test]
fn what_ends_a_stream_does_so_immediately() {
    for (status, end) in [
        (PullStatus::ConsumerDeleted, End::Gone),
        (PullStatus::PushBased, End::PushBased),
        (PullStatus::BadRequest, End::Refused(String::new())),
        (PullStatus::RequiredApiLevel, End::Refused(String::new())),
        (PullStatus::OverMaxBytes, End::OverLimit(String::new())),
    ] {
        let mut world = World::new(10);
        world.status(0, status, None);
        assert_eq!(world.effects(), [Effect::End(end)]);
        assert_eq!(world.messages(1, 0), 0);
    }
}

// A replicated consumer (nats-server from 2.11.4 on) holds messages until a quorum has them, and not the status.
#[test]
fn the_end_of_a_batch_may_come_before_its_messages() {
    let mut world = World::new(1);
    world.status(0, PullStatus::BatchCompleted, Some(0));
    world.on(Event::Waiting);
    assert_eq!((world.effects(), world.pull.outstanding().0), (vec![], 1));
    world.now += ms(20);
    assert_eq!((world.messages(1, 5), world.pulls()), (1, vec![(1, 1)]), "the reader is back");
    world.status(1, PullStatus::BatchCompleted, Some(1));
    assert_eq!(world.reports(), [Report::Began(Cause::Other)], "that one got nothing");
}

#[test]
fn nobody_hears_of_a_leader_from_a_pull_that_was_never_sent() {
    let mut world = World::new(10);
    world.status(1_000, PullStatus::LeadershipChange, None);
    assert_eq!(world.pull.outstanding(), (10, 0));
}

// A server sends no word at the end of a pull that is not limited in bytes.
#[test]
fn every_pull_is_limited_in_bytes_so_that_its_end_is_told() {
    let asked = |max_bytes| {
        let mut world = World::with(Settings { batch: 10, max_bytes, ..Settings::default() });
        world.on(Event::Polled);
        let pull = world.only_pull();
        (pull.bytes, world.pull.request(pull).max_bytes)
    };
    assert_eq!((asked(0), asked(500)), ((0, 0x7fff_ffff), (500, 500)));
    let mut world = World::new(10);
    let text = "Exceeded MaxRequestMaxBytes of 700";
    world.on(Event::Status { token: 0, status: PullStatus::OverMaxBytes, text, left: None });
    world.on(Event::Waiting);
    assert_eq!(world.only_pull().bytes, 700, "what this consumer allows");
}

// A pull that is complete says nothing about whether there are more messages.
#[test]
fn the_end_of_a_batch_does_not_hide_a_stream_that_stopped_flowing() {
    let mut world = World::new(10);
    world.now += ms(1);
    world.messages(5, 100);
    let other = world.only_pull().token;
    world.messages(5, 100);
    world.status(0, PullStatus::BatchCompleted, Some(0));
    world.effects();
    world.on(Event::Waiting);
    assert!(world.alarm() <= ms(500));
    let pull = world.only_pull();
    assert!(pull.token > other && pull.heartbeat == SHORTEST_HEARTBEAT, "{pull:?}");
}

#[test]
fn what_else_a_pull_ends_with_is_followed_by_the_next_one() {
    let minute = ms(60_000);
    for (status, after, told) in [
        (PullStatus::RequestTimeout, minute, None),
        (PullStatus::InterestExpired, minute, None),
        (PullStatus::BatchCompleted, minute, None),
        (PullStatus::NoMessages, minute, None),
        (PullStatus::RequestsPending, ms(0), None),
        (PullStatus::RequestTimeout, ms(0), Some(Cause::Other)),
        (PullStatus::ServerShutdown, ms(0), Some(Cause::ServerShutdown)),
        (PullStatus::OverMaxWaiting, ms(0), Some(Cause::TooManyPulls)),
        (PullStatus::Unknown, minute, Some(Cause::Other)),
    ] {
        let mut world = World::new(10);
        world.now += after;
        world.status(0, PullStatus::FlowControl, None);
        assert_eq!(world.effects(), [], "that is for push consumers");
        world.status(0, status, None);
        world.on(Event::Polled);
        let told: Vec<_> = told.map(|cause| Effect::Tell(Report::Began(cause))).into_iter().collect();
        let mut effects = world.effects();
        assert!(matches!(effects.pop(), Some(Effect::Pull(Sending { token: 1, messages: 10, .. }))), "{status:?}");
        assert_eq!(effects, told, "{status:?}");
    }
}

// The simulation's seed 1800, in which pulls for a quarter of the bytes followed each other without end.
#[test]
fn a_pull_that_counts_as_served_and_was_too_small_is_followed_by_a_larger_one() {
    let mut world = World::with(Settings { batch: 2, max_bytes: 100, ..Settings::default() });
    world.on(Event::Polled);
    world.on(Event::Interrupted);
    world.on(Event::Interrupted);
    world.on(Event::Connected(world.now));
    world.effects();
    assert_eq!(world.messages(1, 5), 1);
    let pull = world.only_pull();
    assert_eq!((pull.token, pull.bytes), (3, 50), "the others are in doubt");
    for (token, bytes) in [(2, 15), (3, 50)] {
        let left = Some((pull.messages, bytes));
        world.on(Event::Status { token, status: PullStatus::MessageTooLarge, text: "", left });
    }
    world.on(Event::Waiting);
    assert_eq!(world.only_pull().bytes, 100);
}
