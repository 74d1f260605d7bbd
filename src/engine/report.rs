//! What the engine reports: events, and the queue of those that nobody has read yet.

mod event;
mod queue;

pub use event::{ConnectionEvent, Status};
pub use queue::EventQueue;
