//! The engine decides: phases, pool, backoff, liveness, subscriptions, outbox, ledger. It has no I/O, no clock and no tokio;
//! `now` and a seed are arguments, and what has to be done is returned as values.
//!
//! | module | what it has |
//! |---|---|
//! | `engine` | the state machine: its fields, its getters, the end of a connection |
//! | `attempt`, `connection`, `line`, `lines`, `candidate` | values: one attempt, the connection that it becomes, a line to one server, the one or two lines of a client |
//! | `stimulus`, `command`, `timers`, `exchange` | the four ways in: the world, the user, time, the outbox |
//! | `choose`, `handshake`, `announce`, `delivery`, `refused`, `subscription_limit`, `poison` | the consequences: the way to a server, the handshake, `Connected`, loading and PONGs, `-ERR` |
//! | `moving`, `failback`, `adopting` | planned moves |
//! | `pool`, `outbox`, `subscriptions`, `asked`, `liveness`, `recovery`, `report` | parts with their own data, which know nothing of the engine |
//! | `harness` | a driver without I/O, for tests and fuzzing |
//!
//! No promise: this is public only with the feature `internals`, for simulations, fuzzing and experiments. Names and behaviour
//! may change in any version.

mod adopting;
mod announce;
mod asked;
mod attempt;
mod candidate;
mod choose;
mod command;
mod config;
mod connection;
mod delivery;
mod effect;
mod subscription_limit;
// The file that connects the parts has the name of the whole: where else would one look?
#[allow(clippy::module_inception)]
mod engine;
mod error;
mod exchange;
mod failback;
mod handshake;
mod happened;
#[cfg(any(test, feature = "internals"))]
pub mod harness;
mod history;
mod intent;
mod ledger;
mod line;
mod lines;
mod liveness;
mod moving;
mod names;
mod outbox;
mod output;
mod poison;
pub mod pool;
mod recovery;
mod refusals;
mod refused;
mod replay;
mod report;
mod stimulus;
mod subscriptions;
mod suspicion;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod time;
mod timers;

pub use config::{Config, DeliveryMode, Handover, OutboxRules, OverflowPolicy};
pub use effect::{Choice, CloseHow, Effect};
pub use engine::{Engine, ExchangeInput};
pub use error::{Cause, EndReason, FlushFailure};
pub(crate) use error::{counted, in_doubt_in_words};
pub use handshake::Credentials;
pub use ledger::{Ledger, LossReason, Lost};
pub use outbox::{DroppedRun, Flight, Frame, Gate, LostMessage, LostMessages, Outbox, Refusal, Segment};
pub use pool::backoff;
pub use refusals::RefusedName;
pub use report::{ConnectionEvent, EventQueue, Status};
pub(crate) use report::{Fault, Level, Projection};
pub use subscriptions::{Interest, Purpose, Subscriptions};

// Parts of the above that the other layers use without naming them.
#[cfg(any(test, feature = "internals"))]
pub use {
    config::{Identity, Preferred},
    subscriptions::{Accepted, Subscription},
};
