//! Tests of what belongs to the whole process: its memory, its descriptors, its dial permits. Each runs while no other test
//! of this target does, and they are no part of another target, whose tests would be counted with them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod broker_leaks;
mod dial_permits;
#[cfg(target_os = "linux")]
mod flat_memory;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::Builder;

/// The process, until it is dropped. A test that failed has left it in order for the next.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test while no other one does. Its runtime begins and ends within its turn: a runtime has descriptors too.
fn alone<T>(test: impl Future<Output = T>) -> T {
    let _turn = turn();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// The same on a runtime with two workers.
fn alone_with_two_workers<T>(test: impl Future<Output = T>) -> T {
    let _turn = turn();
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}
