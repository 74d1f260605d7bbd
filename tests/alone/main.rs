//! Tests of resources of the whole process: memory, descriptors, dial permits. They run one at a time, in a target of
//! their own, so that no other test is measured with them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod broker_leaks;
mod dial_permits;
#[cfg(target_os = "linux")]
mod flat_memory;
mod idle_memory;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::Builder;

/// Reserves the process until the guard is dropped. A failed test leaves it usable for the next one.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test while no other one runs. Its runtime is made and dropped within this time, because a runtime has
/// descriptors too.
fn alone<T>(test: impl Future<Output = T>) -> T {
    let _turn = turn();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// The same on a runtime with two workers.
fn alone_with_two_workers<T>(test: impl Future<Output = T>) -> T {
    let _turn = turn();
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}
