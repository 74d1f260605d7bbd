//! Deliveries that were read lately: during a planned move the same one may come over either connection.

use crate::jetstream::wire::AckSubject;

/// The fewest and the most deliveries that are remembered.
const FEWEST: u64 = 64;
const MOST: u64 = 8_192;

/// What identifies a delivery: a redelivery has other numbers, and so does the first message of a stream that was created again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) stream_sequence: u64,
    pub(super) consumer_sequence: u64,
    pub(super) delivered: u64,
    pub(super) published: i64,
}

impl Identity {
    pub(super) fn of(place: &AckSubject<'_>) -> Identity {
        Identity {
            stream_sequence: place.stream_sequence,
            consumer_sequence: place.consumer_sequence,
            delivered: place.delivered,
            published: place.published,
        }
    }

    /// All of it in one number, of which no two are expected to be equal. Never 0.
    fn mixed(self) -> u64 {
        let step = |hash: u64, number: u64| {
            let mixed = (hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 29)
        };
        let numbers = [self.stream_sequence, self.consumer_sequence, self.delivered, self.published as u64];
        numbers.into_iter().fold(0x2545_f491_4f6c_dd1d, step) | 1
    }
}

/// A table by consumer sequence: each delivery takes the place of the one that came as many deliveries before as there are places.
#[derive(Debug)]
pub(super) struct Seen {
    places: u64,
    /// Made with the first delivery. 0: none.
    table: Vec<u64>,
}

impl Seen {
    /// Remembers what may be on the way twice: some batches.
    pub(super) fn new(batch: u64) -> Seen {
        let places = batch.saturating_mul(4).clamp(FEWEST, MOST);
        Seen { places: places.checked_next_power_of_two().unwrap_or(MOST), table: Vec::new() }
    }

    /// Whether this delivery is new. It is remembered.
    pub(super) fn is_new(&mut self, delivery: Identity) -> bool {
        if self.table.is_empty() {
            self.table.resize(usize::try_from(self.places).unwrap_or_default(), 0);
        }
        let at = usize::try_from(delivery.consumer_sequence & (self.places - 1)).unwrap_or_default();
        let mixed = delivery.mixed();
        match self.table.get_mut(at) {
            Some(place) => std::mem::replace(place, mixed) != mixed,
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(number: u64) -> Identity {
        Identity { stream_sequence: number, consumer_sequence: number, delivered: 1, published: 1_000 }
    }

    #[test]
    fn a_delivery_is_new_once_within_some_batches_in_any_order() {
        let mut seen = Seen::new(16);
        assert!((1..=64).rev().all(|number| seen.is_new(delivery(number))));
        assert!((1..=64).all(|number| !seen.is_new(delivery(number))));
        assert!((65..=128).all(|number| seen.is_new(delivery(number))));
        assert!(seen.is_new(delivery(1)), "it was too long ago");
    }

    #[test]
    fn a_redelivery_and_a_stream_created_again_are_new() {
        let mut seen = Seen::new(1);
        let first = delivery(1);
        assert!(seen.is_new(first));
        assert!(seen.is_new(Identity { delivered: 2, ..first }));
        assert!(seen.is_new(Identity { published: 2_000, ..first }));
        assert!(seen.is_new(Identity { stream_sequence: 2, ..first }));
        assert!(!seen.is_new(Identity { stream_sequence: 2, ..first }));
    }

    #[test]
    fn the_table_is_small_for_every_batch() {
        for batch in [0, 1, 200, 1_000_000, u64::MAX] {
            let mut seen = Seen::new(batch);
            assert!(seen.is_new(delivery(u64::MAX)));
            assert!((64..=8_192).contains(&seen.table.len()), "{batch}");
        }
    }
}
