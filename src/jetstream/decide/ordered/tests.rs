//! Tests of the machine: each says what arrives, and what is done about it.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(stream: u64, consumer: u64) -> Arrival {
    Arrival { stream, consumer, pending: 9 }
}

fn info(before: u64) -> Created {
    Created { before, delivered: 0, pending: 9, stream: None }
}

fn after(before: u64, first: u64, last: u64) -> Created {
    Created { stream: Some(StreamSeen { first, last, replaced: false }), ..info(before) }
}

fn rules(policy: DeliverPolicy) -> Rules {
    Rules { policy, whole: true, heartbeat: 5 * SECOND, seed: 7 }
}

fn adopted(policy: DeliverPolicy, before: u64) -> (Ordered, Instant) {
    let now = Instant::now();
    (Ordered::adopt(rules(policy), info(before), now), now)
}

fn effects(machine: &mut Ordered) -> Vec<Effect> {
    std::iter::from_fn(|| machine.effect()).collect()
}

fn by_sequence(start_sequence: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence { start_sequence }
}

/// What is done when an incarnation is given up.
fn again(incarnation: u64, cause: Cause, from: DeliverPolicy) -> Vec<Effect> {
    vec![Effect::Report(Report::Interrupted(cause)), Effect::Create { incarnation, from }]
}

#[test]
fn messages_are_delivered_once_and_a_jump_of_the_stream_is_a_gap() {
    let (mut machine, now) = adopted(DeliverPolicy::All, 0);
    assert_eq!(machine.message(0, at(1, 1), || now), Verdict::Deliver);
    assert_eq!(machine.message(0, at(1, 1), || now), Verdict::Ignore);
    assert_eq!(machine.message(0, at(5, 2), || now), Verdict::DeliverAfter(Gap { first: 2, last: 4 }));
    assert_eq!(machine.message(0, at(6, 3), || now), Verdict::Deliver);
    assert_eq!(machine.message(7, at(7, 4), || now), Verdict::Ignore);
    assert_eq!((machine.last(), effects(&mut machine)), (Some(6), vec![]));
}

#[test]
fn with_a_filter_a_jump_is_no_gap_unless_the_stream_begins_later() {
    let now = Instant::now();
    let mut machine = Ordered::adopt(Rules { whole: false, ..rules(DeliverPolicy::All) }, info(0), now);
    assert_eq!(machine.message(0, at(3, 1), || now), Verdict::Deliver);
    assert_eq!(machine.message(0, at(9, 2), || now), Verdict::Deliver);
    machine.lost(0, Cause::Interrupted, now);
    machine.created(1, after(9, 15, 30), now);
    assert_eq!(machine.message(1, at(20, 1), || now), Verdict::DeliverAfter(Gap { first: 10, last: 14 }));
    assert_eq!(machine.message(1, at(25, 2), || now), Verdict::Deliver);
}

#[test]
fn a_lost_message_makes_the_consumer_start_again_after_the_last_one() {
    let (mut machine, now) = adopted(DeliverPolicy::All, 0);
    machine.message(0, at(1, 1), || now);
    assert_eq!(machine.message(0, at(3, 3), || now), Verdict::Ignore);
    assert_eq!(effects(&mut machine), again(1, Cause::Missed, by_sequence(2)));
    // What the old one still sends is not heard.
    assert_eq!(machine.message(0, at(2, 2), || now), Verdict::Ignore);
    machine.created(1, info(1), now);
    assert_eq!(effects(&mut machine), [Effect::Report(Report::Resumed), Effect::Retire { incarnation: 0 }]);
    assert_eq!(machine.message(1, at(2, 1), || now), Verdict::Deliver);
    assert_eq!(machine.on_server(), 1..=1);
}

#[test]
fn a_heartbeat_that_knows_more_messages_shows_a_loss() {
    let (mut machine, now) = adopted(DeliverPolicy::All, 0);
    machine.message(0, at(1, 1), || now);
    machine.heartbeat(0, Some(1), now);
    machine.heartbeat(0, None, now);
    // It was sent before the message.
    machine.heartbeat(0, Some(0), now);
    assert_eq!(effects(&mut machine), []);
    machine.heartbeat(0, Some(2), now);
    assert_eq!(effects(&mut machine), again(1, Cause::Missed, by_sequence(2)));
}

#[test]
fn a_consumer_that_numbers_new_messages_with_old_numbers_is_given_up() {
    let (mut machine, now) = adopted(DeliverPolicy::All, 0);
    machine.message(0, at(1, 1), || now);
    machine.message(0, at(2, 2), || now);
    assert_eq!(machine.message(0, at(3, 2), || now), Verdict::Ignore);
    assert_eq!(effects(&mut machine), again(1, Cause::SteppedBack, by_sequence(3)));
}

#[test]
fn a_start_that_the_server_has_found_stays_where_it_is() {
    for (policy, start) in [
        (DeliverPolicy::New, by_sequence(41)),
        (DeliverPolicy::Last, by_sequence(41)),
        (DeliverPolicy::All, by_sequence(41)),
        (by_sequence(7), by_sequence(7)),
        (DeliverPolicy::LastPerSubject, DeliverPolicy::LastPerSubject),
    ] {
        let (mut machine, now) = adopted(policy, 40);
        machine.lost(0, Cause::Interrupted, now);
        assert_eq!(effects(&mut machine), again(1, Cause::Interrupted, start), "{policy:?}");
    }
}

#[test]
fn what_was_lost_before_the_sequence_that_was_asked_for_is_a_gap() {
    let (mut machine, now) = adopted(by_sequence(7), 40);
    assert_eq!(machine.message(0, at(41, 1), || now), Verdict::DeliverAfter(Gap { first: 7, last: 40 }));
    let (mut machine, now) = adopted(DeliverPolicy::All, 40);
    assert_eq!(machine.message(0, at(41, 1), || now), Verdict::Deliver);
}

#[test]
fn older_messages_of_a_subject_are_no_gap_until_the_initial_ones_are_over() {
    let now = Instant::now();
    let created = Created { pending: 2, ..info(2) };
    let mut machine = Ordered::adopt(rules(DeliverPolicy::LastPerSubject), created, now);
    assert_eq!(machine.message(0, Arrival { stream: 3, consumer: 1, pending: 1 }, || now), Verdict::Deliver);
    assert_eq!(machine.message(0, Arrival { stream: 8, consumer: 2, pending: 0 }, || now), Verdict::Deliver);
    let gap = Gap { first: 9, last: 9 };
    assert_eq!(machine.message(0, Arrival { stream: 10, consumer: 3, pending: 0 }, || now), Verdict::DeliverAfter(gap));
}

#[test]
fn silence_counts_while_connected() {
    let (mut machine, now) = adopted(DeliverPolicy::All, 0);
    let connected = Some(now);
    assert_eq!(machine.due(connected), Some(now + 10 * SECOND));
    machine.heartbeat(0, Some(0), now + 4 * SECOND);
    machine.alive(0, now + 4 * SECOND);
    machine.tick(now + 13 * SECOND, connected);
    machine.tick(now + 90 * SECOND, None);
    assert_eq!(effects(&mut machine), []);
    machine.tick(now + 14 * SECOND, connected);
    assert_eq!(effects(&mut machine), again(1, Cause::Silent, by_sequence(1)));
}

#[test]
fn creation_is_tried_again_with_the_same_name_until_it_succeeds() {
    let (mut machine, mut now) = adopted(DeliverPolicy::All, 0);
    machine.lost(0, Cause::Interrupted, now);
    effects(&mut machine);
    let begun = now;
    for _ in 0..50 {
        machine.create_failed(1, CreateFault::NoResponders, now);
        let due = machine.due(Some(begun)).unwrap();
        assert!(due > now && due <= now + 2 * SECOND);
        machine.tick(now, Some(begun));
        now = due;
        machine.tick(now, Some(begun));
        let done = effects(&mut machine);
        assert_eq!(done.last(), Some(&Effect::Create { incarnation: 1, from: by_sequence(1) }));
        // The report comes once.
        assert!(done.len() == 1 || done.len() == 2 && now >= begun + 10 * SECOND);
    }
    machine.created(1, info(0), now);
    assert_eq!(effects(&mut machine), [Effect::Report(Report::Resumed), Effect::Retire { incarnation: 0 }]);
}

#[test]
fn trouble_is_reported_once_for_each_reason() {
    let (mut machine, mut now) = adopted(DeliverPolicy::All, 0);
    machine.lost(0, Cause::Gone, now);
    let mut reports = Vec::new();
    let faults = [CreateFault::NotNow, CreateFault::NoStream, CreateFault::NoStream, CreateFault::Refused];
    for fault in faults {
        machine.create_failed(1, fault, now);
        now = machine.due(None).unwrap();
        machine.tick(now, None);
        reports.extend(effects(&mut machine).into_iter().filter(|effect| matches!(effect, Effect::Report(_))));
    }
    let expected =
        [Report::Interrupted(Cause::Gone), Report::Troubled(Trouble::NoStream), Report::Troubled(Trouble::Refused)];
    assert_eq!(reports, expected.map(Effect::Report));
}

#[test]
fn a_name_that_is_taken_is_not_used_and_all_old_ones_are_deleted() {
    let (mut machine, now) = adopted(DeliverPolicy::All, 0);
    machine.lost(0, Cause::Gone, now);
    effects(&mut machine);
    machine.create_failed(1, CreateFault::NameTaken, now);
    assert_eq!(machine.on_server(), 0..=2);
    machine.tick(machine.due(None).unwrap(), None);
    assert_eq!(effects(&mut machine), [Effect::Create { incarnation: 2, from: by_sequence(1) }]);
    machine.created(1, info(0), now);
    assert_eq!((machine.incarnation(), effects(&mut machine)), (None, vec![]));
    machine.created(2, info(0), now);
    let retired = [0, 1].map(|incarnation| Effect::Retire { incarnation });
    assert_eq!(effects(&mut machine)[1..], retired);
}

// Seeds 721292, 611442 and 940082 of the simulation: of two consumers with one name, the second one's first messages were lost, and the
// numbers of the first one's hid it.
#[test]
fn the_name_of_a_consumer_that_may_have_been_created_is_not_used_again() {
    for fault in [CreateFault::Interrupted, CreateFault::Unanswered] {
        let (mut machine, now) = adopted(DeliverPolicy::All, 0);
        machine.lost(0, Cause::Gone, now);
        effects(&mut machine);
        machine.create_failed(1, fault, now);
        machine.tick(machine.due(None).unwrap(), None);
        assert_eq!(effects(&mut machine), [Effect::Create { incarnation: 2, from: by_sequence(1) }], "{fault:?}");
        assert_eq!(machine.on_server(), 0..=2);
    }
}

#[test]
fn consumers_that_die_young_are_created_less_and_less_often() {
    let (mut machine, mut now) = adopted(DeliverPolicy::All, 0);
    for incarnation in 0..20 {
        machine.lost(incarnation, Cause::Gone, now);
        let waits = machine.due(None).map_or(Duration::ZERO, |due| due - now);
        assert!(
            waits <= 2 * SECOND && waits >= SECOND.min(SECOND * incarnation as u32 / 40),
            "{incarnation}: {waits:?}"
        );
        now += waits;
        machine.tick(now, None);
        machine.created(incarnation + 1, info(0), now);
    }
    // A sign of life ends this, and a lost connection is no fault of the consumer.
    machine.lost(20, Cause::Interrupted, now);
    assert_eq!(machine.due(None), None);
    machine.created(21, info(0), now);
    machine.heartbeat(21, Some(0), now);
    machine.lost(21, Cause::Gone, now);
    assert_eq!(machine.due(None), None);
}

#[test]
fn a_stream_that_was_replaced_is_read_from_its_beginning() {
    let (mut machine, now) = adopted(DeliverPolicy::New, 40);
    machine.message(0, at(41, 1), || now);
    machine.lost(0, Cause::Gone, now);
    let stream = StreamSeen { first: 1, last: 90, replaced: true };
    machine.created(1, Created { stream: Some(stream), ..info(41) }, now);
    let done = effects(&mut machine);
    assert_eq!(done[4..], again(2, Cause::StreamReset, by_sequence(1))[..1]);
    machine.tick(machine.due(None).unwrap_or(now), None);
    machine.created(2, after(0, 1, 90), now);
    assert_eq!(machine.message(2, at(1, 1), || now), Verdict::Deliver);
}

#[test]
fn a_stream_that_was_restored_goes_on_where_it_ends() {
    let (mut machine, now) = adopted(DeliverPolicy::New, 40);
    machine.message(0, at(41, 1), || now);
    machine.message(0, at(42, 2), || now);
    machine.lost(0, Cause::Interrupted, now);
    machine.created(1, after(42, 1, 41), now);
    let next = Effect::Create { incarnation: 2, from: by_sequence(42) };
    assert_eq!(effects(&mut machine).last(), Some(&next));
    // A start in the future is no such thing.
    let (mut machine, now) = adopted(by_sequence(99), 98);
    machine.lost(0, Cause::Interrupted, now);
    machine.created(1, after(98, 1, 25), now);
    assert_eq!(machine.incarnation(), Some(1));
}
