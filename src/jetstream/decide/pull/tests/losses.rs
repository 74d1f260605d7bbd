//! Pulls that are lost: with their leader, with the connection, or without a word.

use super::*;

#[test]
fn after_a_leadership_change_the_next_pull_follows_immediately_and_the_others_later() {
    let mut world = World::new(10);
    world.status(0, PullStatus::LeadershipChange, None);
    world.on(Event::Waiting);
    assert_eq!(world.pull.effects.pop_front(), Some(Effect::Tell(Report::Began(Cause::LeadershipChange))));
    let pull = world.only_pull();
    assert_eq!((pull.token, pull.messages, pull.heartbeat, pull.expires), (1, 10, ms(100), ms(2_000)));
    for (token, most) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (6, 1_000)] {
        world.status(token, PullStatus::NoResponders, None);
        let told = world.reports().len();
        assert_eq!(told, usize::from(token == 1), "once for each cause");
        let mut delay = world.alarm();
        if world.effects() == [Effect::Inquire] {
            delay += world.alarm();
            world.effects();
        }
        assert!((ms(most / 2)..=ms(most)).contains(&delay), "{delay:?} of {most}");
    }
    world.messages(1, 0);
    let over: Vec<_> = world.reports().into_iter().filter(|report| matches!(report, Report::Over { .. })).collect();
    assert_eq!(over.len(), 2, "{over:?}");
    world.status(7, PullStatus::LeadershipChange, None);
    world.on(Event::Waiting);
    assert_eq!(world.pull.effects.pop_front(), Some(Effect::Tell(Report::Began(Cause::LeadershipChange))));
    assert_eq!(world.only_pull().token, 8, "immediately again");
}

#[test]
fn the_loss_of_one_of_several_pulls_waits_for_the_others() {
    let mut world = World::new(10);
    world.messages(5, 0);
    assert_eq!(world.pulls(), [(1, 5)]);
    world.status(0, PullStatus::Unknown, None);
    world.on(Event::Waiting);
    assert_eq!(world.reports(), [Report::Began(Cause::Other)]);
    world.status(1, PullStatus::Unknown, None);
    world.on(Event::Waiting);
    assert_eq!(world.only_pull().messages, 10);
}

#[test]
fn a_leader_that_goes_takes_all_pulls_with_it() {
    for status in [PullStatus::LeadershipChange, PullStatus::ServerShutdown] {
        let mut world = World::new(10);
        world.messages(5, 0);
        assert_eq!(world.pulls(), [(1, 5)]);
        world.status(0, status, None);
        world.on(Event::Waiting);
        assert_eq!((world.only_pull().messages, world.pull.outstanding()), (8, (8, 5)));
        world.status(1, status, None);
        world.on(Event::Waiting);
        assert_eq!((world.effects(), world.pull.outstanding()), (vec![], (8, 0)), "that is no news of the third");
        world.status(2, status, None);
        world.alarm();
        assert_eq!(world.only_pull().messages, 10);
    }
}

#[test]
fn a_late_word_of_a_leader_that_went_does_not_shake_a_stream_that_flows_again() {
    let mut world = World::new(10);
    world.messages(5, 0);
    assert_eq!(world.pulls(), [(1, 5)]);
    world.status(1, PullStatus::LeadershipChange, Some(5));
    world.on(Event::Waiting);
    let next = world.only_pull();
    world.messages(1, 0);
    world.effects();
    world.status(0, PullStatus::LeadershipChange, Some(0));
    assert_eq!(world.reports(), []);
    assert!(!matches!(world.pull.phase, Phase::Shaken(_)));
    world.status(next.token, PullStatus::LeadershipChange, None);
    assert_eq!(world.reports(), [Report::Began(Cause::LeadershipChange)]);
}

#[test]
fn the_words_of_a_server_that_shuts_down_count_in_either_order() {
    for tokens in [[0, 1], [1, 0]] {
        let mut world = World::new(10);
        world.messages(5, 0);
        assert_eq!(world.pulls(), [(1, 5)]);
        for token in tokens {
            world.status(token, PullStatus::ServerShutdown, Some(5));
        }
        assert_eq!(world.reports(), [Report::Began(Cause::ServerShutdown)]);
        assert_eq!(world.pull.outstanding(), (0, 0), "5 came, and 5 are left of each");
        world.on(Event::Polled);
        assert_eq!(world.only_pull().messages, 10);
    }
}

#[test]
fn for_some_time_after_a_loss_pulls_show_more_often_that_they_live() {
    let mut world = World::new(10);
    let start = world.now;
    world.status(0, PullStatus::NoResponders, None);
    world.on(Event::Waiting);
    let mut asked = Vec::new();
    for at in [1, 2_000, 29_000, 31_000] {
        world.now = start + ms(at);
        world.messages(10, 0);
        for effect in world.effects() {
            if let Effect::Pull(pull) = effect {
                asked.push((at, pull.heartbeat, pull.expires));
            }
        }
    }
    asked.dedup();
    let (early, cautious, usual) = ((ms(100), ms(2_000)), (ms(250), ms(5_000)), (ms(1_000), ms(30_000)));
    let of = |at, (heartbeat, expires)| (at, heartbeat, expires);
    assert_eq!(asked, [of(1, early), of(1, cautious), of(2_000, cautious), of(29_000, cautious), of(31_000, usual)]);
}

#[test]
fn the_first_sign_of_a_pull_may_take_a_long_way() {
    let mut world = World::new(10);
    world.status(0, PullStatus::NoResponders, None);
    world.on(Event::Waiting);
    world.now += ms(600);
    world.messages(10, 0);
    assert!(!world.pulls_besides_reports().is_empty());
    world.on(Event::Waiting);
    assert_eq!(world.alarm(), ms(1_000));
    assert_eq!(world.reports(), [Report::Began(Cause::Silence)]);
}

#[test]
fn silence_of_two_heartbeats_is_a_loss_and_early_heartbeats_show_the_next_one_sooner() {
    let mut world = World::new(100);
    world.after(ms(999));
    world.status(0, PullStatus::IdleHeartbeat, None);
    assert_eq!(world.effects(), []);
    assert_eq!(world.alarm(), ms(2_000));
    assert_eq!(world.pull.effects.pop_front(), Some(Effect::Tell(Report::Began(Cause::Silence))));
    // At most two batches may come, and each further pull asks for half of what is left.
    for (token, asked) in [(1, 50), (2, 25), (3, 13)] {
        let pull = world.only_pull();
        assert_eq!((pull.token, pull.messages), (token, asked));
        assert_eq!(world.pull.outstanding().0, asked);
        let mut waited = world.alarm();
        while world.pull.effects.is_empty() {
            waited += world.alarm();
        }
        assert!((ms(200)..=ms(1_000)).contains(&waited), "{waited:?}");
    }
    assert_eq!(world.pull.outstanding().0 + world.pull.outstanding().1, 194);
    // The first pull was alive after all, and so was its leader.
    world.status(0, PullStatus::IdleHeartbeat, None);
    assert_eq!(world.pull.outstanding().0, 106);
    assert!(matches!(world.reports()[..], [Report::Over { cause: Cause::Silence, .. }]));
}

#[test]
fn a_stream_that_was_flowing_does_not_wait_for_the_heartbeat() {
    let mut world = World::new(1_000);
    for _ in 0..20 {
        world.on(Event::Waiting);
        world.now += ms(5);
        world.messages(1, 0);
    }
    world.on(Event::Waiting);
    assert_eq!(world.alarm(), ms(250));
    assert_eq!(world.only_pull().heartbeat, ms(100));
    // It was a false alarm: the publisher rests.
    world.after(ms(100));
    world.status(1, PullStatus::IdleHeartbeat, None);
    world.after(ms(10));
    assert!(world.pull.alarm().unwrap() >= world.now + ms(150));
    assert_eq!(world.effects(), []);
}

#[test]
fn messages_that_are_pending_and_do_not_come_are_suspicious() {
    let mut world = World::new(10);
    world.messages(1, 5);
    world.on(Event::Waiting);
    assert_eq!(world.alarm(), ms(500));
    assert_eq!(world.only_pull().token, 1);
}

#[test]
fn a_lost_connection_is_followed_by_a_pull_that_is_buffered() {
    let mut world = World::new(10);
    world.messages(3, 0);
    world.on(Event::Interrupted);
    assert_eq!(world.pull.effects.pop_front(), Some(Effect::Tell(Report::Began(Cause::Disconnected))));
    let pull = world.only_pull();
    // Seven may still come from the pull of before, of which the next server may know.
    assert_eq!((pull.token, pull.messages, world.pull.outstanding()), (1, 7, (7, 7)));
    assert!(world.pull.is_down());
    assert_eq!(world.pull.alarm(), None, "no silence without a connection");
    world.after(ms(3_600_000));
    assert_eq!(world.effects(), []);
    world.on(Event::Connected(world.now));
    assert_eq!(world.alarm(), ms(200), "an early heartbeat is expected");
    assert_eq!(world.only_pull().token, 2);
}

/// A server that receives nothing, or that answers PINGs, and is silent otherwise.
fn silence(answered: bool) -> (World, Vec<u64>) {
    let mut world = World::new(100);
    let mut asked = Vec::new();
    let end = world.now + ms(60_000);
    while world.now < end {
        let effects: Vec<_> = std::iter::from_fn(|| world.pull.next_effect()).collect();
        asked.extend(
            effects
                .iter()
                .filter_map(|effect| if let Effect::Pull(pull) = effect { Some(pull.messages) } else { None }),
        );
        if answered && effects.contains(&Effect::Probe) {
            world.on(Event::Probed { answered });
        }
        let (expected, doubtful) = world.pull.outstanding();
        assert!(expected + doubtful <= 200 + 16, "{expected} and {doubtful}");
        world.alarm();
    }
    (world, asked)
}

#[test]
fn pulls_that_wait_on_a_stalled_line_count_until_the_server_has_received_them() {
    let (mut world, asked) = silence(false);
    assert_eq!(100 + asked.iter().sum::<u64>(), 200, "all of them are served when the line recovers");
    world.on(Event::Probed { answered: true });
    assert_eq!(world.pull.outstanding(), (0, 200));
    world.after(ms(1_000));
    assert_eq!(world.only_pull().messages, 1);
    // The first pull waits for 30 s at the server, the others for less.
    world.on(Event::Probed { answered: true });
    world.after(ms(31_000));
    assert!(world.pulls_besides_reports().is_empty(), "messages for them may be on the line");
    world.on(Event::Probed { answered: true });
    world.after(ms(1_000));
    assert!(world.pulls_besides_reports().iter().any(|messages| *messages >= 50));
}

#[test]
fn a_server_that_answers_and_serves_nothing_is_asked_for_more_again_and_again() {
    let (_, asked) = silence(true);
    assert!(asked.iter().sum::<u64>() > 1_000, "{asked:?}");
}

#[test]
fn what_a_complete_pull_still_owes_is_expected_for_a_second() {
    let mut world = World::new(10);
    world.messages(3, 0);
    world.status(0, PullStatus::BatchCompleted, Some(0));
    assert_eq!((world.pulls(), world.pull.outstanding()), (vec![], (7, 0)));
    world.after(ms(999));
    assert_eq!((world.pulls(), world.pull.outstanding()), (vec![], (7, 0)));
    world.after(ms(1));
    assert_eq!((world.pulls(), world.pull.outstanding()), (vec![(1, 10)], (10, 7)), "they may be on the line");
    world.message(4, 0);
    world.on(Event::Waiting);
    assert_eq!(world.pull.outstanding(), (9, 1), "it may have been one of them");
}

#[test]
fn pulls_in_doubt_that_were_received_cost_no_more_pings() {
    let mut world = World::new(1);
    world.on(Event::Lagged(1));
    world.on(Event::Probed { answered: true });
    let mut probes = 0;
    for _ in 0..100 {
        world.messages(1, 100);
        let effects: Vec<_> = std::iter::from_fn(|| world.pull.next_effect()).collect();
        if effects.contains(&Effect::Probe) {
            probes += 1;
            world.on(Event::Probed { answered: true });
        }
    }
    assert!(probes <= 1, "{probes} PINGs");
}
