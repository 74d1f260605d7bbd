//! What may still come at most.

use std::time::Duration;

use super::*;

fn pull(token: u64, messages: u64, made: Instant) -> Entry {
    let expires = Some(Duration::from_secs(30));
    Entry { token, messages, bytes: 0, made, sent: Some(made), heartbeat: Duration::ZERO, expires }
}

fn bound(now: Instant, pulls: &[u64]) -> Bound {
    let mut bound = Bound::default();
    (0..).zip(pulls).for_each(|(token, messages)| bound.open(pull(token, *messages, now)));
    bound
}

fn left(messages: u64) -> Left {
    Left::Exactly { messages, bytes: 0 }
}

#[test]
fn what_came_for_a_pull_that_is_gone_may_still_come_for_the_others() {
    let now = Instant::now();
    let mut one = bound(now, &[10, 10]);
    (0..5).for_each(|_| one.took());
    one.close(now, 0, Left::Unknown);
    assert_eq!(one.messages(), 10, "all five can have come for the first one");
    one.close(now, 1, left(10));
    assert_eq!(one.messages(), 0);

    let mut both = bound(now, &[10, 10]);
    (0..12).for_each(|_| both.took());
    both.close(now, 0, left(3));
    assert_eq!(both.messages(), 5);
    both.close(now, 1, Left::Unknown);
    assert_eq!(both.messages(), 0);
    both.close(now, 1, left(7));
    assert_eq!(both.messages(), 0);
}

#[test]
fn a_pull_has_no_more_left_than_all_together_had_once() {
    let now = Instant::now();
    let mut bound = bound(now, &[10]);
    (0..9).for_each(|_| bound.took());
    bound.open(pull(1, 10, now));
    bound.close(now, 1, Left::Unknown);
    assert_eq!(bound.messages(), 1);
    bound.open(pull(2, 10, now));
    bound.close(now, 2, Left::Everything);
    assert_eq!(bound.messages(), 1);
    bound.expire(now + Duration::from_secs(31));
    assert_eq!(bound.messages(), 0);
}

#[test]
fn pulls_that_were_lost_together_have_no_more_left_together() {
    let now = Instant::now();
    let mut bound = bound(now, &[3, 3, 3]);
    (0..6).for_each(|_| bound.took());
    bound.doubt();
    let short = Entry { expires: Some(Duration::from_secs(2)), ..pull(3, 1, now) };
    bound.open(short);
    bound.doubt();
    bound.open(Entry { token: 4, ..short });
    assert_eq!(bound.messages(), 5);
    bound.expire(now + Duration::from_secs(3));
    assert_eq!((bound.messages(), bound.doubtful), (3, 1));
    bound.expire(now + Duration::from_secs(31));
    assert_eq!((bound.messages(), bound.doubtful), (0, 0));
}

#[test]
fn a_pull_that_was_made_after_the_loss_ends_after_the_next_connection() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut bound = bound(now, &[5, 4]);
    bound.buffered(1);
    bound.expire(at(31));
    assert_eq!(bound.messages(), 4);
    bound.received(at(60), 1);
    bound.expire(at(90));
    assert_eq!(bound.messages(), 4);
    bound.expire(at(91));
    assert_eq!(bound.messages(), 0);
}

#[test]
fn pulls_that_are_one_end_after_the_last_one_was_received() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut bound = Bound::default();
    bound.open(Entry { sent: None, ..pull(0, 5, now) });
    bound.open(Entry { sent: None, ..pull(1, 4, at(40)) });
    bound.doubt();
    bound.received(at(1), 0);
    bound.expire(at(1_000));
    assert_eq!(bound.messages(), 9);
    bound.received(at(1_000), 1);
    bound.expire(at(1_030));
    assert_eq!(bound.messages(), 9);
    bound.expire(at(1_031));
    assert_eq!(bound.messages(), 0);
}

#[test]
fn pulls_are_served_in_turn_so_an_old_one_has_got_what_a_new_one_got() {
    let now = Instant::now();
    let mut bound = bound(now, &[100, 60]);
    bound.doubt_each();
    let mut at = now;
    let mut serve = |bound: &mut Bound, tokens: &[(u64, u64)], left_over: u64| {
        tokens.iter().for_each(|(token, messages)| bound.open(pull(*token, *messages, at)));
        tokens.iter().for_each(|(_, messages)| (0..messages - left_over).for_each(|_| bound.took()));
        let before = bound.messages();
        tokens.iter().for_each(|(token, _)| bound.close(at, *token, left(left_over)));
        let known = left_over * tokens.len() as u64;
        assert_eq!(bound.messages(), before - known, "what the doubtful ones have got may be on its way yet");
        at += GRACE;
        bound.expire(at);
    };
    serve(&mut bound, &[(2, 10)], 0);
    // Of one that got ten, and one that got nine after it.
    assert_eq!(bound.messages(), 90 + 50);
    serve(&mut bound, &[(3, 10)], 1);
    assert_eq!(bound.messages(), 81 + 41);
    serve(&mut bound, &[(4, 20), (5, 30)], 0);
    assert_eq!(bound.messages(), 51 + 11, "two at the same time");
    serve(&mut bound, &[(6, 11)], 0);
    assert_eq!((bound.messages(), bound.doubtful), (40, 1));
    bound.open(pull(7, 50, now));
    (0..50).for_each(|_| bound.took());
    bound.close(now, 7, Left::Unknown);
    assert_eq!((bound.messages(), bound.doubtful), (40, 1), "nobody knows what it got");
    serve(&mut bound, &[(8, 40)], 0);
    assert_eq!((bound.messages(), bound.has_doubts()), (0, false));
}

#[test]
fn where_pulls_are_passed_over_an_old_one_may_still_wait() {
    let now = Instant::now();
    let mut bound = bound(now, &[100]);
    bound.serve_out_of_turn();
    bound.doubt();
    bound.open(pull(1, 100, now));
    (0..100).for_each(|_| bound.took());
    bound.close(now, 1, left(0));
    assert_eq!(bound.messages(), 100);
}

#[test]
fn old_pulls_that_are_counted_together_have_each_got_as_much() {
    let now = Instant::now();
    let mut bound = bound(now, &[30, 20]);
    (0..10).for_each(|_| bound.took());
    bound.doubt();
    bound.open(pull(2, 25, now));
    (0..25).for_each(|_| bound.took());
    bound.close(now, 2, left(0));
    bound.expire(now + GRACE);
    assert_eq!((bound.messages(), bound.parts.len()), (10, 1));
    bound.open(pull(3, 5, now + GRACE));
    (0..5).for_each(|_| bound.took());
    bound.close(now + GRACE, 3, left(0));
    bound.expire(now + 2 * GRACE);
    assert_eq!((bound.messages(), bound.parts.len()), (0, 0));
}

#[test]
fn what_a_pull_was_served_may_come_after_its_status() {
    let now = Instant::now();
    let mut bound = bound(now, &[10, 10]);
    (0..3).for_each(|_| bound.took());
    bound.close(now, 0, left(1));
    assert_eq!((bound.messages(), bound.parts.len()), (16, 2), "9 of the first one, and 3 have come");
    bound.close(now, 0, left(1));
    assert_eq!(bound.messages(), 16, "the same status twice");
    (0..6).for_each(|_| bound.took());
    bound.expire(now + GRACE - Duration::from_nanos(1));
    assert_eq!((bound.messages(), bound.parts.len()), (10, 2));
    bound.expire(now + GRACE);
    assert_eq!((bound.messages(), bound.parts.len()), (10, 1));
    (0..10).for_each(|_| bound.took());
    bound.close(now + GRACE, 1, left(0));
    assert_eq!((bound.messages(), bound.parts.len()), (0, 0), "nothing is missing");
}

#[test]
fn what_was_served_counts_although_a_pull_that_is_about_to_expire_may_get_as_much() {
    let now = Instant::now();
    let half = GRACE / 2;
    let mut bound = Bound::default();
    bound.open(pull(0, 10, now + half - Duration::from_secs(31)));
    bound.open(pull(1, 10, now));
    (0..10).for_each(|_| bound.took());
    bound.close(now, 1, left(0));
    bound.expire(now + half);
    assert_eq!((bound.messages(), bound.parts.len()), (10, 1), "those that came may have been the first one's");
    bound.expire(now + GRACE);
    assert_eq!(bound.messages(), 0);
}

#[test]
fn what_was_served_counts_for_as_long_as_a_slow_reader_has_something_to_read() {
    let now = Instant::now();
    let mut bound = bound(now, &[10, 10]);
    bound.close(now, 0, left(0));
    bound.close(now + 2 * GRACE, 1, left(0));
    assert_eq!(bound.messages(), 20);
    (0..20).for_each(|_| bound.took());
    bound.open(pull(2, 10, now + 9 * GRACE));
    assert_eq!(bound.messages(), 10);
    bound.expire(now + 9 * GRACE);
    assert_eq!((bound.messages(), bound.parts.len()), (10, 1));
}

// Seed 78782 of the simulation: what had ended counted for as long as what had not.
#[test]
fn what_has_ended_does_not_last_longer_because_something_else_is_in_doubt() {
    let now = Instant::now();
    let mut bound = bound(now, &[10, 10, 10, 10]);
    bound.close(now, 1, left(0));
    bound.close(now, 2, left(0));
    bound.doubt();
    assert_eq!((bound.messages(), bound.parts.len(), bound.doubtful), (40, 3, 3));
    bound.expire(now + GRACE);
    assert_eq!((bound.messages(), bound.doubtful), (20, 2));
    bound.expire(now + Duration::from_secs(31));
    assert_eq!((bound.messages(), bound.doubtful), (0, 0));
}

#[test]
fn many_pulls_that_have_ended_are_one_that_has_ended() {
    let now = Instant::now();
    let mut many = Bound::default();
    for token in 0..100 {
        many.open(pull(token, 1, now));
        if (1..90).contains(&token) {
            many.close(now, token, left(0));
        }
    }
    assert_eq!((many.messages(), many.parts.len()), (100, MOST));
    many.expire(now + GRACE);
    assert_eq!((many.messages(), many.parts.len()), (11, 11));
}

#[test]
fn many_old_pulls_are_one() {
    let now = Instant::now();
    let mut many = Bound::default();
    for token in 0..1_000 {
        many.open(pull(token, 10, now + Duration::from_millis(token)));
        (0..10).for_each(|_| many.took());
    }
    assert_eq!((many.messages(), many.parts.len()), (0, MOST));
    many.open(pull(1_000, 10, now + Duration::from_secs(60)));
    many.close(now, 3, left(0));
    many.expire(now + Duration::from_secs(60));
    assert_eq!((many.messages(), many.parts.len()), (10, 1));
}
