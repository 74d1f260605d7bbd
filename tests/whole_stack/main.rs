//! The whole stack over a network in memory: the real client, its driver and its users, on a clock that stands still while
//! anybody has something to do, against one to three model servers that route to each other.
//!
//! One seed is one world. Its connections are cut at a byte in either direction, fall silent, stall, are refused or hang in
//! the dial; the client's streams take and give little at a time, keep what they took until they are flushed, and fail after having
//! handed some of it on; a quarter of the worlds speak TLS over them. Servers crash, come back, say that they will stop, and
//! tell of each other; there are preferred ones; the user wants to be elsewhere. Overflow policy, limits and age are drawn. Even
//! seeds are at most once, odd ones at least once. Then there is peace, in which everything must come through, and the account is
//! checked: [`account`], [`losses`] and [`deliveries`] for what must hold.
//!
//! Calm worlds have nothing but planned moves. There nothing may be in doubt, missing, late, refused or sent twice.
//!
//! `SEEDS=n` runs the first n seeds, `SEED=x` one alone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod account;
mod carrier;
mod cluster;
mod content;
mod deliveries;
mod losses;
mod neighbour;
mod plan;
mod readers;
mod routes;
mod secure;
mod server;
mod stream;
mod tally;
mod tap;
mod users;
mod weather;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use plan::Plan;
use tally::Tally;

/// In every run of the tests: a second each, or less, without optimization.
const SEEDS: u64 = 10;

/// So many worlds have something of everything.
const MANY: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

// I1, I2, I3, I4, I5, I7, I9, I10, promise 3
#[test]
fn the_invariants_hold_from_the_users_to_the_wire() {
    let began = Instant::now();
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let mut sum = Tally::default();
    for seed in seeds.clone() {
        match catch_unwind(AssertUnwindSafe(|| world::run(seed))) {
            Ok(tally) => sum.add(tally),
            Err(complaint) => {
                eprintln!(
                    "seed {seed} failed; SEED={seed} cargo test --test whole_stack repeats it\n{:#?}",
                    Plan::of(seed)
                );
                resume_unwind(complaint);
            }
        }
    }
    if seeds.end - seeds.start >= MANY {
        let mut nothing = sum.nothing_of();
        nothing.retain(|what| *what != "secure" || cfg!(feature = "ring"));
        assert!(nothing.is_empty(), "these worlds had nothing of {nothing:?}: {sum:#?}");
    }
    println!("{} seeds: {sum:#?}\nin {:.1} s", seeds.end - seeds.start, began.elapsed().as_secs_f64());
}
