//! The queue between the task and the consumer, step by step.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::driver::reads::Share;

const LIMITS: InboxLimits = InboxLimits { messages: 4, bytes: 1 << 20, when_full: WhenFull::DropNewest };

fn message(payload: &[u8]) -> Share {
    Share::of(b"a", None, None, payload)
}

fn offer(inbox: &Inbox, payloads: impl IntoIterator<Item = u8>) -> Vec<Offered> {
    payloads.into_iter().map(|payload| inbox.offer(message(&[payload]))).collect()
}

/// Takes a share: the first byte of its first message, and whether the task is woken.
fn take(inbox: &Inbox) -> Option<(u8, bool)> {
    match inbox.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Next::Share { share, wake_task, .. }) => Some((share.first().payload()[0], wake_task)),
        _ => None,
    }
}

#[test]
fn a_consumer_that_reads_gets_everything_in_order_and_wakes_the_task_once() {
    let inbox = Inbox::new(LIMITS);
    let offered = offer(&inbox, 0..10);
    assert_eq!(offered.iter().filter(|offered| offered.lagging).count(), 1, "the task waits once");
    assert!(offered.iter().all(|offered| offered.lost.is_none()));
    assert_eq!(inbox.pending().0, 4);
    assert_eq!(inbox.unread(), 10);
    let taken: Vec<(u8, bool)> = std::iter::from_fn(|| take(&inbox)).collect();
    let payloads: Vec<u8> = taken.iter().map(|(payload, _)| *payload).collect();
    assert_eq!(payloads, (0..10).collect::<Vec<u8>>());
    let woken: Vec<usize> = taken.iter().enumerate().filter(|(_, (_, wakes))| *wakes).map(|(at, _)| at).collect();
    assert_eq!(woken, [7], "when half of the queue is left and nothing is over the limits");
    assert!(!inbox.is_waited_for());
    assert_eq!(inbox.most_pending().0, 4);
}

// The consumer used to read between the task's last check and its decision to wait: the task was not woken, and after
// the grace everything was dropped, although the consumer had kept reading.
#[test]
fn the_task_never_waits_without_being_woken() {
    for read_after in 0..12 {
        let inbox = Inbox::new(LIMITS);
        let mut woken = false;
        for payload in 0..12 {
            drop(inbox.offer(message(&[payload])));
            if payload == read_after {
                woken |= std::iter::from_fn(|| take(&inbox)).any(|(_, wakes)| wakes);
            }
        }
        let waits = inbox.is_waited_for();
        woken |= std::iter::from_fn(|| take(&inbox)).any(|(_, wakes)| wakes);
        assert!(woken || !waits, "read after {read_after}");
        assert!(!inbox.is_waited_for());
    }
}

// The same if a message is larger than the room, and less than half of the limit is used.
#[test]
fn a_message_larger_than_the_room_is_waited_for_too() {
    let inbox = Inbox::new(InboxLimits { messages: 100, bytes: 100, when_full: WhenFull::DropNewest });
    let size = message(b"").bytes();
    assert!(!inbox.offer(message(&vec![1; 40 - size])).lagging);
    assert!(inbox.offer(message(&vec![2; 70 - size])).lagging);
    assert_eq!(take(&inbox), Some((1, false)), "the other takes its place");
    assert_eq!(take(&inbox), Some((2, true)));
    assert_eq!(inbox.dropped(), 0);
}

#[test]
fn a_later_read_does_not_overtake_the_overflow() {
    let inbox = Inbox::new(LIMITS);
    offer(&inbox, 0..6);
    assert_eq!(take(&inbox), Some((0, false)));
    assert_eq!(take(&inbox), Some((1, false)));
    offer(&inbox, 6..8);
    let rest: Vec<u8> = std::iter::from_fn(|| take(&inbox)).map(|(payload, _)| payload).collect();
    assert_eq!(rest, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_gap_comes_after_the_overflow() {
    let inbox = Inbox::new(LIMITS);
    inbox.note_gaps();
    offer(&inbox, 0..6);
    drop(inbox.interrupt());
    assert_eq!(inbox.take_gap(5), None);
    assert_eq!(inbox.take_gap(6), Some(Gap::Interrupted));
}

#[test]
fn after_the_grace_the_overflow_is_dropped_until_the_consumer_has_caught_up() {
    let inbox = Inbox::new(LIMITS);
    offer(&inbox, 0..6);
    let lost = inbox.stop_waiting();
    assert_eq!(lost.len(), 2);
    for share in lost {
        assert_eq!(inbox.lose(share).gone.len(), 1);
    }
    assert!(offer(&inbox, [6])[0].lost.is_some());
    assert_eq!(take(&inbox), Some((0, false)));
    assert!(offer(&inbox, [7])[0].lost.is_none(), "there is room");
    assert_eq!(take(&inbox), Some((1, false)));
    assert_eq!(take(&inbox), Some((2, false)));
    assert!(offer(&inbox, [8, 9, 10]).iter().any(|offered| offered.lagging), "it is waited for again");
    assert_eq!(inbox.dropped(), 2);
}

#[test]
fn messages_received_before_the_end_can_be_read() {
    let inbox = Inbox::new(LIMITS);
    offer(&inbox, 0..6);
    drop(inbox.end(EndReason::Closed));
    assert!(!inbox.is_waited_for());
    assert!(inbox.stop_waiting().is_empty());
    assert_eq!(std::iter::from_fn(|| take(&inbox)).count(), 6);
    assert_eq!(inbox.unread(), 0);
}

#[test]
fn a_gap_stands_after_messages_that_waited_and_were_lost() {
    for interrupted in [true, false] {
        let inbox = Inbox::new(LIMITS);
        inbox.note_gaps();
        offer(&inbox, 0..10);
        drop(if interrupted { inbox.interrupt() } else { inbox.miss() });
        for share in inbox.stop_waiting() {
            drop(inbox.lose(share));
        }
        assert_eq!(inbox.take_gap(3), None);
        let gaps: Vec<Gap> = std::iter::from_fn(|| inbox.take_gap(4)).collect();
        match interrupted {
            true => assert_eq!(gaps, [Gap::Lagged(6), Gap::Interrupted]),
            false => assert_eq!(gaps, [Gap::Lagged(7)]),
        }
    }
}
