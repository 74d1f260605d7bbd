//! The harness for tests against real servers: nats-server processes, a raw observer, a fault proxy.
//!
//! It shares no code with the client under test, so that both cannot be wrong in the same way.

// Every test binary uses only a part of it.
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
#[cfg(feature = "jetstream")]
pub(crate) mod trouble;

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

/// The longest wait for something that should happen immediately. Far more than needed on an idle machine, so that a
/// loaded one does not fail a test.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Repeats the check every few milliseconds until it returns true. Panics with `what` after `timeout`.
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

/// The output of a future that must be ready within [`SOON`]; a hang becomes a named failure.
#[track_caller]
pub(crate) fn soon<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    within(what, SOON, future)
}

/// The output of a future that must be ready within `timeout`.
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

/// Repeats a request until a leader accepts it.
pub(crate) async fn until_ok<T, E>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    within(what, SOON * 2, async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    })
    .await
}
