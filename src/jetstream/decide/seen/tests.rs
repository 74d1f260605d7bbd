//! What is taken for a delivery over the other connection, and what is not.

use super::*;

fn delivery(number: u64) -> Identity {
    Identity { stream_sequence: number, consumer_sequence: number, delivered: 1, published: 1_000, pending: 0 }
}

#[test]
fn a_delivery_is_new_once_within_some_batches_in_any_order() {
    let now = Instant::now();
    let mut seen = Seen::new(16);
    assert!((1..=64).rev().all(|number| seen.is_new(delivery(number), now)));
    assert!((1..=64).all(|number| !seen.is_new(delivery(number), now)));
    assert!((65..=128).all(|number| seen.is_new(delivery(number), now)));
    assert!(seen.is_new(delivery(1), now), "it was too long ago");
}

#[test]
fn a_redelivery_and_a_stream_created_again_are_new() {
    let now = Instant::now();
    let mut seen = Seen::new(1);
    let first = delivery(1);
    assert!(seen.is_new(first, now));
    assert!(seen.is_new(Identity { delivered: 2, ..first }, now));
    assert!(seen.is_new(Identity { published: 2_000, ..first }, now));
    assert!(seen.is_new(Identity { pending: 1, ..first }, now), "the consumer was reset");
    assert!(seen.is_new(Identity { stream_sequence: 2, ..first }, now));
    assert!(!seen.is_new(Identity { stream_sequence: 2, ..first }, now));
}

#[test]
fn the_table_is_small_for_every_batch() {
    for batch in [0, 1, 200, 1_000_000, u64::MAX] {
        let mut seen = Seen::new(batch);
        assert!(seen.is_new(delivery(u64::MAX), Instant::now()));
        assert!((64..=8_192).contains(&seen.table.len()), "{batch}");
    }
}

#[test]
fn the_same_numbers_are_another_delivery_later_and_after_a_lost_connection() {
    let now = Instant::now();
    let mut seen = Seen::new(16);
    assert!(seen.is_new(delivery(1), now));
    seen.read_all();
    assert!(!seen.is_new(delivery(1), now + MOVE));
    seen.read_all();
    assert!(seen.is_new(delivery(1), now + MOVE + MOVE + Duration::from_millis(1)), "the consumer was reset");
    seen.forget();
    assert!(seen.is_new(delivery(1), now + MOVE + MOVE), "the server has crashed and lost what it had delivered");
}

#[test]
fn a_slow_reader_gets_what_came_over_two_connections_once() {
    let now = Instant::now();
    let mut seen = Seen::new(16);
    seen.read_all();
    assert!(seen.is_new(delivery(1), now));
    // It has arrived long before.
    assert!(!seen.is_new(delivery(1), now + 100 * MOVE));
    assert!(seen.is_new(delivery(2), now + 200 * MOVE));
    seen.read_all();
    assert!(seen.is_new(delivery(2), now + 300 * MOVE));
}
