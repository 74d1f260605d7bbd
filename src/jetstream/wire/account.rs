//! What a server says of an account.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::lenient::{negative_is_none, null_is_default};

/// What an account may use. -1 on the wire, which is no limit, reads as `None` where the type has it.
#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes in memory.
    #[serde(default, deserialize_with = "negative_is_none")]
    pub max_memory: Option<i64>,
    /// The most bytes in files.
    #[serde(default, deserialize_with = "negative_is_none")]
    pub max_storage: Option<i64>,
    /// The most streams.
    #[serde(default, deserialize_with = "negative_is_none")]
    pub max_streams: Option<i64>,
    /// The most consumers.
    #[serde(default, deserialize_with = "negative_is_none")]
    pub max_consumers: Option<i64>,
    /// Whether a stream must limit its bytes.
    #[serde(default)]
    pub max_bytes_required: bool,
    /// The most acknowledgements that a consumer may have pending; -1 is no limit.
    #[serde(default)]
    pub max_ack_pending: i64,
    /// The most bytes of a stream in memory.
    #[serde(default, deserialize_with = "negative_is_none")]
    pub memory_max_stream_bytes: Option<i64>,
    /// The most bytes of a stream in files.
    #[serde(default, deserialize_with = "negative_is_none")]
    pub storage_max_stream_bytes: Option<i64>,
}

/// How the API was used.
#[derive(Debug, Default, Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    /// How many requests the account has made.
    #[serde(default)]
    pub total: u64,
    /// How many of them failed.
    #[serde(default)]
    pub errors: u64,
    /// The level of the server's API: 0 before nats-server 2.11, 1 for 2.11, 2 for 2.12, and more for later ones (ADR-44).
    #[serde(default)]
    pub level: usize,
    /// How many requests are being handled now (2.11).
    #[serde(default)]
    pub inflight: u64,
}

/// What an account may use and uses with one number of replicas.
#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Bytes in memory.
    #[serde(default)]
    pub memory: u64,
    /// Bytes in files.
    #[serde(default)]
    pub storage: u64,
    /// Bytes in memory that streams with a limit have reserved.
    #[serde(default)]
    pub reserved_memory: u64,
    /// Bytes in files that streams with a limit have reserved.
    #[serde(default)]
    pub reserved_storage: u64,
    /// How many streams.
    #[serde(default)]
    pub streams: usize,
    /// How many consumers.
    #[serde(default)]
    pub consumers: usize,
    /// The limits.
    #[serde(default)]
    pub limits: Limits,
}

/// What an account may use, and what it uses.
#[derive(Debug, Default, Deserialize, Clone, PartialEq, Eq)]
pub struct Account {
    /// Bytes in memory.
    #[serde(default)]
    pub memory: u64,
    /// Bytes in files.
    #[serde(default)]
    pub storage: u64,
    /// Bytes in memory that streams with a limit have reserved.
    #[serde(default)]
    pub reserved_memory: u64,
    /// Bytes in files that streams with a limit have reserved.
    #[serde(default)]
    pub reserved_storage: u64,
    /// How many streams.
    #[serde(default)]
    pub streams: usize,
    /// How many consumers.
    #[serde(default)]
    pub consumers: usize,
    /// The domain of the server that answered.
    #[serde(default)]
    pub domain: Option<String>,
    /// The limits; with [tiers](Account::tiers), each of those has its own.
    #[serde(default)]
    pub limits: Limits,
    /// How the API was used.
    #[serde(rename = "api", default)]
    pub requests: Requests,
    /// By number of replicas, `R1` or `R3`, if the account's limits are set so.
    #[serde(default, deserialize_with = "null_is_default")]
    pub tiers: HashMap<String, Tier>,
}
