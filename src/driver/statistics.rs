//! async-nats's counters, which can be read at any time.

use portable_atomic::{AtomicU64, Ordering};

/// Counters of one client since it was created. They are updated once per read, write or connection.
///
/// For compatibility: the fields are those of async-nats. Bytes are counted where they cross the socket: all bytes, not
/// only payloads.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Bytes received.
    pub in_bytes: AtomicU64,
    /// Bytes sent.
    pub out_bytes: AtomicU64,
    /// Messages received, including those without a subscription.
    pub in_messages: AtomicU64,
    /// Messages accepted by `publish` and requests.
    pub out_messages: AtomicU64,
    /// Connections made.
    pub connects: AtomicU64,
}

impl Statistics {
    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
