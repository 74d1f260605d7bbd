//! A NATS client that treats a lost connection as the normal case.
//!

// README defines its links at its end, as paths in the repository. Here the same links lead to items and to docs.rs: of two
// definitions the first one counts.
#![doc = include_str!("guide/readme_links.md")]
#![doc = include_str!("../README.md")]
// On docs.rs, which sets `docsrs` and has a nightly compiler, items that need a feature say which.
#![cfg_attr(docsrs, feature(doc_cfg), doc(auto_cfg(hide(target_family = "wasm"))))]
// Plain sums of `Instant` and `Duration` panic when they overflow; clippy.toml leaves numbers out.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

// The layers, from the bottom up. On targets without an operating system the upper two are left out, which proves that
// the lower ones do not need one.
pub mod protocol;

// It comes without any promise, so it is public only with the feature `internals`, and not on docs.rs.
#[cfg(all(feature = "internals", not(docsrs)))]
pub mod engine;
#[cfg(not(all(feature = "internals", not(docsrs))))]
#[allow(unreachable_pub, reason = "it is public with `internals`")]
#[cfg_attr(target_family = "wasm", allow(dead_code, unused_imports, reason = "its driver is left out"))]
mod engine;

#[cfg(not(target_family = "wasm"))]
mod driver;

#[cfg(not(target_family = "wasm"))]
pub mod client;

#[cfg(all(feature = "blocking", not(target_family = "wasm")))]
pub mod blocking;
// A guest of the client: it uses the client's public names, and the protocol's pure ones.
#[cfg(not(target_family = "wasm"))]
pub mod guide;
#[cfg(all(feature = "jetstream", not(target_family = "wasm")))]
pub mod jetstream;

#[cfg(not(target_family = "wasm"))]
mod names;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;

#[cfg(not(target_family = "wasm"))]
pub use names::*;
pub use protocol::{
    ConnectInfo, HeaderMap, HeaderName, HeaderValue, Protocol, ServerAddr, ServerInfo, StatusCode, Subject,
    SubjectError, ToServerAddrs, ToSubject,
};
/// The TLS library, for [`ConnectOptions::tls_client_config`].
#[cfg(all(feature = "tls", not(target_family = "wasm")))]
pub use rustls;

/// Headers: names, values, the map, and the names that NATS itself uses.
pub mod header {
    pub use crate::protocol::{
        GetAll, HeaderMap, HeaderName, HeaderValue, IntoHeaderName, IntoHeaderValue, ParseHeaderNameError,
        ParseHeaderValueError,
    };
    pub use crate::protocol::{
        NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_EOB, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE,
        NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        NATS_EXPECTED_STREAM, NATS_LAST_CONSUMER, NATS_LAST_SEQUENCE, NATS_LAST_STREAM, NATS_MARKER_REASON,
        NATS_MESSAGE_ID, NATS_MESSAGE_TTL, NATS_PIN_ID, NATS_REQUIRED_API_LEVEL, NATS_ROLLUP, NATS_SCHEDULE,
        NATS_SCHEDULE_DAILY, NATS_SCHEDULE_HOURLY, NATS_SCHEDULE_MONTHLY, NATS_SCHEDULE_NEXT, NATS_SCHEDULE_ROLLUP,
        NATS_SCHEDULE_ROLLUP_SUB, NATS_SCHEDULE_SOURCE, NATS_SCHEDULE_TARGET, NATS_SCHEDULE_TIME_ZONE,
        NATS_SCHEDULE_TTL, NATS_SCHEDULE_WEEKLY, NATS_SCHEDULE_YEARLY, NATS_SCHEDULER, NATS_SEQUENCE, NATS_STREAM,
        NATS_SUBJECT, NATS_TIME_STAMP,
    };
}

/// Status codes of messages.
pub mod status {
    pub use crate::protocol::{InvalidStatusCode, StatusCode};
}

/// Subjects.
pub mod subject {
    pub use crate::protocol::{Subject, SubjectError, ToSubject};
}
