//! An in-process NATS broker with faults that can be switched on while it runs.
//!
//! It is for tests of programs that use this crate, and of this crate itself: outages in
//! milliseconds, without Docker and without a server to install.
//!
//! Each file uses only those below it or beside it:
//!
//! | question | file |
//! |---|---|
//! | the handle of a test: look, wait, break, set and start | `broker`, `faults`, `builder`, `cluster` |
//! | opening the port and closing it | `listening` |
//! | INFO; PINGs and deadlines; the bytes from a client | `greeting`, `housekeeping`, `reading` |
//! | a broker's state, and the other brokers of its cluster | `node` |
//! | one connection: what others deliver into it, how it ends; its socket | `connection`, `socket` |
//! | settings, counters and the switches of faults | `shared`, `switches` |
//! | where messages go | `router` |
//! | how a server treats a client: the protocol, without I/O | `session` |
//! | JetStream: for a test, in the broker, and as a model without I/O | `streams`, `hosting`, `jetstream` |
//! | the other end of a benchmark | `sink`, `source`, on `threads` |
//!
//! ```
//! use nats_lifeline::testing::Broker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::start().await?;
//! assert!(broker.url().starts_with("nats://127.0.0.1:"));
//!
//! broker.kill(); // every connection is reset, the port is closed
//! broker.restart().await?; // the same port, and no subscriptions
//! # Ok(())
//! # }
//! ```

mod broker;
mod builder;
mod cluster;
mod connection;
mod faults;
mod greeting;
mod hosting;
mod housekeeping;
mod listening;
mod node;
mod reading;
mod router;
mod shared;
mod sink;
mod socket;
mod source;
mod streams;
mod switches;
#[cfg(test)]
mod tests;
mod threads;

// The model of a session is for this crate's own tests. As with `engine`, no promise is made about it.
#[cfg(all(feature = "internals", not(docsrs)))]
pub mod session;
#[cfg(not(all(feature = "internals", not(docsrs))))]
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "what the model servers of the tests need with `internals`"
)]
mod session;

// The model of JetStream likewise.
#[cfg(all(feature = "internals", not(docsrs)))]
pub mod jetstream;
#[cfg(not(all(feature = "internals", not(docsrs))))]
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "what the model servers of the tests need with `internals`"
)]
mod jetstream;

pub use broker::{Broker, WaitError};
pub use builder::Builder;
pub use cluster::Cluster;
pub use jetstream::{ConsumerState, NewPulls, WaitingPulls};
pub use sink::Sink;
pub use source::Source;
pub use streams::{StoredMessage, Streams};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, even after a panic of another holder: no critical section here leaves data half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
