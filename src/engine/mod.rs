//! The engine decides: phases, pool, backoff, liveness, subscriptions, outbox, ledger. It has no I/O, no clock
//! and no tokio; `now` and a seed are arguments, and what is to be done comes back as values.

mod adopting;
mod announce;
mod asked;
mod backlog;
pub mod backoff;
mod choose;
mod command;
mod config;
mod delivery;
mod effect;
// The file that connects the parts has the name of the whole: where else would one look?
#[allow(clippy::module_inception)]
mod engine;
mod error;
mod event;
mod event_queue;
mod exchange;
mod failback;
mod flight;
mod frame_index;
mod gaps;
mod handshake;
mod ledger;
mod liveness;
mod losses;
mod moving;
mod names;
mod outbox;
mod payload;
mod phase;
mod poison;
pub mod pool;
mod refusals;
mod refused;
mod replay;
mod returned;
mod segment;
mod stimulus;
mod subscriptions;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod time;
mod timers;

pub use asked::AskedUpTo;
pub use config::{Config, DeliveryMode, Handover, Identity, OutboxRules, OverflowPolicy};
pub use effect::{Choice, CloseHow, Effect};
pub use engine::{Engine, Facts};
pub use error::{Cause, EndReason, FlushFailure};
pub(crate) use error::{counted, in_doubt_in_words};
pub use event::{ConnectionEvent, Status};
pub use event_queue::EventQueue;
pub use failback::Preferred;
pub use flight::{Flight, Taken};
pub use handshake::Credentials;
pub use ledger::{Ledger, LossReason, Lost};
pub use liveness::{Covers, Liveness, Ping, Rules};
pub use losses::{DroppedRun, HANDED_BACK};
pub use outbox::{CHUNK, Frame, Gate, Level, MARK, Outbox, Refusal, SHARED_PAYLOAD};
pub use refusals::RefusedName;
pub use returned::{LostMessage, LostMessages};
pub use segment::{FrameView, Segment};
pub use subscriptions::{Accepted, Interest, SidHasher, Subscription, Subscriptions};
