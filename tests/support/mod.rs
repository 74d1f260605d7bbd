//! The harness of the tests against real servers: nats-server processes, a raw observer, a fault proxy.
//!
//! It shares no code with the client under test, so that both cannot be wrong in the same way.

// Every test binary takes what it needs and leaves the rest.
#![allow(dead_code, unused_imports)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod binary;
pub(crate) mod black_hole;
pub(crate) mod closing;
pub(crate) mod cluster;
pub(crate) mod events;
pub(crate) mod fake;
#[cfg(feature = "nkeys")]
pub(crate) mod jwt;
pub(crate) mod line;
pub(crate) mod memory;
pub(crate) mod monitor;
pub(crate) mod pki;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod raw;
pub(crate) mod server;
pub(crate) mod timeline;

pub(crate) use binary::debian_server;
pub(crate) use cluster::Cluster;
pub(crate) use events::CallbackLog;
pub(crate) use pki::Authority;
pub(crate) use proxy::{Cut, Direction, Proxy, Watch};
pub(crate) use raw::{RawClient, RawMessage};
pub(crate) use server::{Server, ServerBuilder};
pub(crate) use timeline::Timeline;

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// What a test waits for at most when it expects something to happen at once. Far above what is
/// needed on an idle machine, because a loaded one must not fail a test.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Asks again every few milliseconds until the answer is yes. Panics with `what` after `timeout`.
#[track_caller]
pub(crate) fn eventually(
    what: &str,
    timeout: Duration,
    mut holds: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        while !holds().await {
            assert!(start.elapsed() < timeout, "{caller}: not within {timeout:?}: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The value of a future that must be ready within [`SOON`]; a hang becomes a named failure.
#[track_caller]
pub(crate) fn soon<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    within(what, SOON, future)
}

/// The value of a future that must be ready within `timeout`.
#[track_caller]
pub(crate) fn within<F: Future>(what: &str, timeout: Duration, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(timeout, future).await {
            Ok(value) => value,
            Err(_) => panic!("{caller}: not within {timeout:?}: {what}"),
        }
    }
}
