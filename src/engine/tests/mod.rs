//! Dialogues with the engine on a virtual clock, and properties of its parts. Random walks over the whole are in `tests/simulation`.
//!
//! `S:` is what the server does, `C:` what the client does. Time is one base instant plus offsets.

mod addresses;
mod backoff;
mod bounds;
mod candidate;
mod choosing;
mod closing;
mod commands;
mod confirming;
mod cuts;
mod delivery;
mod ending;
mod ending_moves;
mod event_queue;
mod failback;
mod first_connection;
mod flushing;
mod foreign;
mod groups;
mod growth;
mod handshake;
mod interest;
mod journal;
mod lame_ducks;
pub(crate) mod laws;
mod liveness;
mod moving;
mod outbox;
mod pair;
mod poison;
mod pool;
mod recovery;
mod refusals;
mod secure;
mod servers;
mod silent_servers;
mod states;
mod subscription_limit;
mod subscriptions;
mod time;
mod writing;
