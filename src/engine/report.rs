//! What the engine reports: events, and the queue of those that nobody has read yet.

mod event;
mod projection;
mod queue;

pub use event::{ConnectionEvent, Status};
pub(crate) use projection::{Fault, Level, Projection};
pub use queue::EventQueue;
