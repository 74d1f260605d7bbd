//! Deliveries that were read lately: during a planned move the same one may come over either connection.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::jetstream::wire::AckSubject;

/// A delivery that arrives again later is another one: a server that has crashed, or a consumer that was reset or created again, uses
/// the same numbers. A move is over long before.
const MOVE: Duration = Duration::from_secs(3);

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
    /// Of a consumer that was reset, the same numbers come again; as a rule more is pending by then.
    pub(super) pending: u64,
}

impl Identity {
    pub(super) fn of(place: &AckSubject<'_>) -> Identity {
        Identity {
            stream_sequence: place.stream_sequence,
            consumer_sequence: place.consumer_sequence,
            delivered: place.delivered,
            published: place.published,
            pending: place.pending,
        }
    }

    /// All of it in one number, of which no two are expected to be equal.
    fn mixed(self) -> u64 {
        let step = |hash: u64, number: u64| {
            let mixed = (hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 29)
        };
        let Identity { stream_sequence, consumer_sequence, delivered, published, pending } = self;
        let numbers = [stream_sequence, consumer_sequence, delivered, published as u64, pending];
        numbers.into_iter().fold(0x2545_f491_4f6c_dd1d, step)
    }
}

/// A table by consumer sequence: each delivery takes the place of the one that came as many deliveries before as there are places.
#[derive(Debug)]
pub(super) struct Seen {
    places: u64,
    /// Made with the first delivery.
    table: Vec<Option<(u64, Instant)>>,
    arrivals: Arrivals,
}

/// When what is read now has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrivals {
    /// Everything was read: the next delivery is read when it arrives.
    Awaited,
    /// Then or later. A slow reader reads it long after it has arrived.
    Since(Instant),
}

impl Seen {
    /// Remembers what may be on the way twice: some batches.
    pub(super) fn new(batch: u64) -> Seen {
        let places = batch.saturating_mul(4).clamp(FEWEST, MOST);
        Seen {
            places: places.checked_next_power_of_two().unwrap_or(MOST),
            table: Vec::new(),
            arrivals: Arrivals::Awaited,
        }
    }

    /// The connection was lost: what comes from now on was sent for the next one, and nothing comes twice.
    pub(super) fn forget(&mut self) {
        self.table.clear();
    }

    /// Everything that has arrived was read.
    pub(super) fn read_all(&mut self) {
        self.arrivals = Arrivals::Awaited;
    }

    /// Whether this delivery is new. It is remembered.
    pub(super) fn is_new(&mut self, delivery: Identity, now: Instant) -> bool {
        if self.table.is_empty() {
            self.table.resize(usize::try_from(self.places).unwrap_or_default(), None);
        }
        let arrived = match self.arrivals {
            Arrivals::Awaited => now,
            Arrivals::Since(then) => then,
        };
        self.arrivals = Arrivals::Since(arrived);
        let at = usize::try_from(delivery.consumer_sequence & (self.places - 1)).unwrap_or_default();
        let mixed = delivery.mixed();
        match self.table.get_mut(at) {
            Some(place) => match place.replace((mixed, now)) {
                Some((known, at)) => known != mixed || arrived.saturating_duration_since(at) > MOVE,
                None => true,
            },
            None => true,
        }
    }
}
