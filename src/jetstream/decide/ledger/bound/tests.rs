//! What may still come at most.

use std::time::Duration;

use super::*;

fn pull(token: u64, messages: u64, made: Instant) -> Entry {
    let expires = Duration::from_secs(30);
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
    one.close(0, Left::Unknown, now);
    assert_eq!(one.messages(), 10, "all five can have come for the first one");
    one.close(1, left(10), now);
    assert_eq!(one.messages(), 0);

    let mut both = bound(now, &[10, 10]);
    (0..12).for_each(|_| both.took());
    both.close(0, left(3), now);
    assert_eq!(both.messages(), 5);
    both.close(1, Left::Unknown, now);
    assert_eq!(both.messages(), 0);
    both.close(1, left(7), now);
    assert_eq!(both.messages(), 0);
}

#[test]
fn a_pull_has_no_more_left_than_all_together_had_once() {
    let now = Instant::now();
    let mut bound = bound(now, &[10]);
    (0..9).for_each(|_| bound.took());
    bound.open(pull(1, 10, now));
    bound.close(1, Left::Unknown, now);
    assert_eq!(bound.messages(), 1);
    bound.open(pull(2, 10, now));
    bound.close(2, Left::Everything, now);
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
    let short = Entry { expires: Duration::from_secs(2), ..pull(3, 1, now) };
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
    bound.connected(at(60));
    bound.expire(at(90));
    assert_eq!(bound.messages(), 4);
    bound.expire(at(91));
    assert_eq!(bound.messages(), 0);
}

// Seed 31904 of the simulation: the reader was told of the connection of the first pull after the loss of the next one.
#[test]
fn pulls_that_were_buffered_together_end_after_the_last_one_was_made() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut bound = Bound::default();
    bound.open(Entry { sent: None, ..pull(0, 5, now) });
    bound.open(Entry { sent: None, ..pull(1, 4, at(40)) });
    bound.doubt();
    bound.connected(at(1));
    bound.expire(at(70));
    assert_eq!(bound.messages(), 9);
    bound.expire(at(71));
    assert_eq!(bound.messages(), 0);
}

#[test]
fn a_pull_for_which_nothing_came_while_others_were_served_is_gone() {
    let now = Instant::now();
    let at = |millis| now + Duration::from_millis(millis);
    let heartbeat = Duration::from_secs(1);
    let serve = |bound: &mut Bound, token: u64, made: u64, messages: u64| {
        bound.open(Entry { heartbeat, ..pull(token, 1, at(made)) });
        (0..messages).for_each(|_| bound.took());
        bound.close(token, left(0), at(made + 10));
    };
    let doubted = || {
        let mut bound = Bound::default();
        bound.open(Entry { heartbeat, ..pull(0, 10, now) });
        bound.doubt();
        serve(&mut bound, 1, 0, 1);
        bound
    };

    let mut silent = doubted();
    serve(&mut silent, 2, 2_009, 1);
    assert_eq!(silent.messages(), 10, "two heartbeats are not over");
    serve(&mut silent, 3, 2_010, 1);
    assert_eq!((silent.messages(), silent.has_doubts()), (0, false));

    let mut served = doubted();
    serve(&mut served, 2, 1_000, 2);
    serve(&mut served, 3, 2_500, 1);
    assert_eq!(served.messages(), 9, "one of two messages has come for it");
    serve(&mut served, 4, 3_010, 1);
    assert_eq!(served.messages(), 0);

    let mut alive = doubted();
    alive.is_alive(0);
    serve(&mut alive, 2, 2_010, 1);
    assert_eq!(alive.messages(), 10);

    let mut crowded = doubted();
    crowded.open(Entry { heartbeat, ..pull(2, 5, at(100)) });
    crowded.took();
    serve(&mut crowded, 3, 2_010, 1);
    assert_eq!(crowded.messages(), 14, "the message may have come for either");
    crowded.close(2, left(4), at(2_100));
    assert_eq!(crowded.messages(), 10, "it came for the newer one, after the other was sent");
    serve(&mut crowded, 4, 2_200, 1);
    assert_eq!(crowded.messages(), 0);

    let mut quiet = Bound::default();
    quiet.open(pull(0, 10, now));
    quiet.doubt();
    serve(&mut quiet, 1, 0, 1);
    serve(&mut quiet, 2, 9_000, 1);
    assert_eq!(quiet.messages(), 10, "it sends no heartbeats");

    let mut buffered = Bound::default();
    buffered.open(Entry { heartbeat, sent: None, ..pull(0, 10, now) });
    buffered.doubt();
    serve(&mut buffered, 1, 0, 1);
    buffered.connected(at(1_000));
    serve(&mut buffered, 2, 2_500, 1);
    assert_eq!(buffered.messages(), 10, "it was not sent then");
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
    many.close(3, left(0), now);
    many.expire(now + Duration::from_secs(60));
    assert_eq!((many.messages(), many.parts.len()), (10, 1));
}
