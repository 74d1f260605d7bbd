//! What may still come, after messages, statuses and silence.

use super::*;

fn pull(messages: u64) -> Entry {
    let expires = Some(Duration::from_secs(30));
    Entry { token: 0, messages, bytes: 0, made: Instant::now(), sent: None, heartbeat: Duration::ZERO, expires }
}

fn ledger(pulls: &[u64]) -> Ledger {
    let mut ledger = Ledger::default();
    pulls.iter().for_each(|messages| _ = ledger.open(pull(*messages)));
    ledger
}

fn left(messages: u64) -> Left {
    Left::Exactly { messages, bytes: 0 }
}

#[test]
fn a_status_settles_its_own_pull_and_no_other() {
    let mut ledger = ledger(&[100, 60]);
    (0..100).for_each(|_| ledger.took(1));
    assert_eq!(ledger.messages(), 60);
    // The server had served both in turn.
    let now = Instant::now();
    ledger.close(now, 0, left(45));
    assert_eq!(ledger.messages(), 15);
    ledger.close(now, 1, left(15));
    assert_eq!((ledger.messages(), ledger.newest().is_none()), (0, true));
}

#[test]
fn a_pull_that_was_lost_leaves_at_most_what_the_others_asked_for() {
    let mut ledger = ledger(&[100, 60]);
    (0..30).for_each(|_| ledger.took(1));
    ledger.close(Instant::now(), 0, Left::Unknown);
    assert_eq!(ledger.messages(), 60);
    ledger.close(Instant::now(), 1, Left::Unknown);
    assert_eq!(ledger.messages(), 0);
}

#[test]
fn pulls_that_were_served_are_forgotten_and_their_late_status_counts() {
    let mut ledger = ledger(&[100]);
    for _ in 0..50 {
        (0..50).for_each(|_| ledger.took(1));
        ledger.open(pull(50));
    }
    assert_eq!(ledger.messages(), 100);
    assert!(ledger.sure.entries.len() <= 5, "{}", ledger.sure.entries.len());
    let now = Instant::now();
    assert!(ledger.close(now, 3, left(2)).is_none());
    assert_eq!(ledger.messages(), 98);
    assert!(ledger.close(now, 1_000, left(98)).is_none(), "a token that was never given");
    assert_eq!(ledger.messages(), 98);
    (0..98).for_each(|_| ledger.took(1));
    assert!(ledger.newest().is_none());
}

#[test]
fn a_doubtful_pull_comes_back_with_a_sign_of_life() {
    let mut ledger = ledger(&[100]);
    (0..40).for_each(|_| ledger.took(1));
    ledger.doubt();
    assert_eq!((ledger.messages(), ledger.doubtful_messages()), (0, 60));
    ledger.open(pull(10));
    ledger.took(1);
    assert_eq!((ledger.messages(), ledger.doubtful_messages()), (9, 60));
    assert!(ledger.is_alive(0));
    assert!(!ledger.is_alive(7));
    assert_eq!((ledger.messages(), ledger.doubtful_messages()), (69, 0));
    assert_eq!(ledger.newest().unwrap().token, 1);
}

#[test]
fn a_message_without_an_expected_one_is_a_doubtful_pulls() {
    let mut ledger = ledger(&[2]);
    ledger.doubt();
    ledger.took(1);
    assert_eq!(ledger.doubtful_messages(), 1);
    ledger.took(1);
    ledger.took(1);
    assert_eq!(ledger.doubtful_messages(), 0);
}

#[test]
fn a_pull_expires_after_it_was_sent() {
    let mut ledger = ledger(&[5]);
    assert_eq!(ledger.next_expiry(), None);
    let made = ledger.newest().unwrap().made;
    let mut early = Ledger::default();
    early.open(*ledger.newest().unwrap());
    early.connected(made - Duration::from_secs(60));
    assert_eq!(early.next_expiry().unwrap() - made, Duration::from_secs(31), "not before it was made");
    let start = made + Duration::from_secs(60);
    ledger.connected(start);
    let ends = ledger.next_expiry().unwrap();
    assert_eq!(ends - start, Duration::from_secs(31));
    let early = ends - Duration::from_nanos(1);
    ledger.expire(early, early);
    assert_eq!(ledger.messages(), 5);
    ledger.expire(ends, ends);
    assert_eq!(ledger.messages(), 0);
}

#[test]
fn the_bytes_of_doubtful_pulls_are_free_again_with_the_last_doubt() {
    let bytes = |messages| Entry { bytes: 1_000, ..pull(messages) };
    let mut served = Ledger::default();
    served.open(bytes(10));
    served.doubt();
    served.open(bytes(10));
    (0..10).for_each(|_| served.took(1));
    assert_eq!(served.doubtful_bytes(), 1_000);
    let now = Instant::now();
    served.complete(now, 1, left(0));
    assert_eq!((served.doubtful_messages(), served.doubtful_bytes()), (10, 1_000), "they may be on their way");
    served.expire(now + GRACE, now + GRACE);
    assert_eq!((served.doubtful_messages(), served.doubtful_bytes()), (0, 0));

    // An old server says nothing of a pull that is complete, so more and more of them are one.
    let mut silent = Ledger::default();
    silent.open(bytes(10));
    silent.doubt();
    (0..100).for_each(|_| _ = silent.open(bytes(10)));
    silent.close(Instant::now(), 100, Left::Unknown);
    assert_eq!(silent.doubtful_bytes(), 1_000, "no pull has shown that the oldest one is gone");
}

// Seed 938 of the simulation: each late status took the next pull's message off, so that its heartbeats were none of a known pull.
#[test]
fn a_late_status_of_a_pull_that_is_settled_takes_nothing_off_others() {
    let mut ledger = ledger(&[1]);
    ledger.doubt();
    ledger.took(1);
    assert_eq!(ledger.doubtful.messages, 0);
    ledger.open(pull(1));
    ledger.doubt();
    ledger.close(Instant::now(), 0, left(1));
    assert!(ledger.is_alive(1));
    ledger.took(1);
    ledger.open(pull(1));
    ledger.close(Instant::now(), 1, left(1));
    assert_eq!(ledger.messages(), 1);
}
