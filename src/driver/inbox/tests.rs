//! The queue between the task and the consumer, step by step.

use std::task::{Context, Poll, Waker};

use super::*;
use crate::driver::reads::Share;
use crate::protocol::Subject;

const LIMITS: InboxLimits = InboxLimits { messages: 4, bytes: 1 << 20, when_full: WhenFull::DropNewest };

fn message(payload: &[u8]) -> Share {
    Share::of(b"a", None, None, payload)
}

fn offer(inbox: &Inbox, payloads: impl IntoIterator<Item = u8>) -> Vec<Offered> {
    payloads.into_iter().map(|payload| inbox.offer(message(&[payload]), &LIMITS)).collect()
}

/// Takes a share: the first byte of its first message, and whether the task is woken.
fn take(inbox: &Inbox) -> Option<(u8, bool)> {
    match inbox.poll_next(&mut Context::from_waker(Waker::noop()), &mut None) {
        Poll::Ready(Next::Share { share, wake_task, .. }) => Some((share.first().payload()[0], wake_task)),
        _ => None,
    }
}

#[test]
fn a_consumer_that_reads_gets_everything_in_order_and_wakes_the_task_once() {
    let inbox = Inbox::new(None);
    let offered = offer(&inbox, 0..10);
    assert_eq!(offered.iter().filter(|offered| offered.lagging).count(), 1, "the task waits once");
    assert!(offered.iter().all(|offered| offered.lost.is_none()));
    assert_eq!((inbox.most_pending().0, inbox.pending().0), (4, 10));
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
        let inbox = Inbox::new(None);
        let mut woken = false;
        for payload in 0..12 {
            drop(inbox.offer(message(&[payload]), &LIMITS));
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
    let inbox = Inbox::new(None);
    let limits = InboxLimits { messages: 100, bytes: 100, when_full: WhenFull::DropNewest };
    let size = message(b"").bytes();
    assert!(!inbox.offer(message(&vec![1; 40 - size]), &limits).lagging);
    assert!(inbox.offer(message(&vec![2; 70 - size]), &limits).lagging);
    assert_eq!(take(&inbox), Some((1, false)), "the other takes its place");
    assert_eq!(take(&inbox), Some((2, true)));
    assert_eq!(inbox.dropped(), 0);
}

#[test]
fn a_later_read_does_not_overtake_the_overflow() {
    let inbox = Inbox::new(None);
    offer(&inbox, 0..6);
    assert_eq!(take(&inbox), Some((0, false)));
    assert_eq!(take(&inbox), Some((1, false)));
    offer(&inbox, 6..8);
    let rest: Vec<u8> = std::iter::from_fn(|| take(&inbox)).map(|(payload, _)| payload).collect();
    assert_eq!(rest, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_gap_comes_after_the_overflow() {
    let inbox = Inbox::new(None);
    inbox.note_gaps();
    offer(&inbox, 0..6);
    drop(inbox.interrupt());
    assert_eq!(inbox.take_gap(5), None);
    assert_eq!(inbox.take_gap(6), Some(Gap::Interrupted));
}

#[test]
fn after_the_grace_the_overflow_is_dropped_until_the_consumer_has_caught_up() {
    let inbox = Inbox::new(None);
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
    let inbox = Inbox::new(None);
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
        let inbox = Inbox::new(None);
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

#[test]
fn what_an_idle_subscription_does_not_need_is_freed_and_its_counters_stay() {
    let inbox = Inbox::new(None);
    let mut reading = None;
    let mut poll = |inbox: &Inbox| {
        let mut cx = Context::from_waker(Waker::noop());
        match inbox.poll_next(&mut cx, &mut reading) {
            Poll::Ready(Next::Share { share, at, .. }) => {
                reading.get_or_insert_default().begin(share);
                let subject = reading.as_ref().map(|reading| reading.subject.clone());
                reading.as_mut().unwrap().end();
                Some((at, subject.unwrap()))
            }
            _ => {
                assert!(reading.is_none(), "a consumer that waits has nothing");
                None
            }
        }
    };
    let active = |inbox: &Inbox| lock(&inbox.state).active.is_some();
    for round in 0..3 {
        assert!(!active(&inbox));
        offer(&inbox, 0..2);
        inbox.shrink();
        assert_eq!(inbox.pending().0, 2, "unread messages are kept");
        for at in 0..2 {
            assert_eq!(poll(&inbox), Some((2 * round + at, Subject::from_static("a"))));
        }
        assert_eq!(poll(&inbox), None);
        assert!(active(&inbox));
        inbox.shrink();
        assert_eq!(inbox.most_pending().0, 2);
    }
    offer(&inbox, 0..1);
    assert!(poll(&inbox).is_some());
    inbox.shrink();
    assert_eq!(poll(&inbox), None, "what the consumer had meanwhile is freed too");
    assert!(!active(&inbox));
}

#[test]
fn a_consumer_keeps_a_subject_that_is_not_its_own_alone() {
    let shared = Subject::from("a".to_owned());
    let other = shared.clone();
    assert!(Reading::of(&Subject::from("a".to_owned())).is_none(), "it can be made again");
    assert!(Reading::of(&Subject::from_static("a.*")).is_none(), "no message has it");
    for subject in [Subject::from_static("a"), shared] {
        let inbox = Inbox::new(None);
        let mut reading = Reading::of(&subject);
        offer(&inbox, 0..1);
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Next::Share { share, .. }) = inbox.poll_next(&mut cx, &mut reading) {
            reading.as_mut().unwrap().begin(share);
            reading.as_mut().unwrap().end();
        }
        assert_eq!(reading.map(|reading| reading.subject), Some(subject));
    }
    drop(other);
}
