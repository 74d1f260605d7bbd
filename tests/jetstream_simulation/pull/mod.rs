//! Worlds of the pull machine: one stream of messages, other clients of the same consumer, and everything that goes wrong.
//!
//! Rough and calm parts alternate. All the time: what may come is bounded (J6), a reader that waits has a pull outstanding or a
//! reported reason, and messages that can be delivered don't wait longer than the heartbeat allows (J2). In a calm part everything
//! that was stored is delivered and acknowledged (J8).

mod actions;
mod checks;
mod plan;
mod world;

use crate::seeds;
pub(crate) use plan::{ms, pick};
use world::World;
pub(crate) use world::{Arrived, NEXT, event};

#[test]
fn pulled_messages_always_come() {
    let names = [
        "messages",
        "redeliveries",
        "duplicates",
        "cuts",
        "elections",
        "swallowed pulls",
        "restarts",
        "silent losses",
        "pulls",
        "ends",
    ];
    seeds::run("pulled_messages_always_come", names, |seed, loud| World::new(seed, loud).run());
}
