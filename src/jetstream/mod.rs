//! JetStream: streams that store messages, and consumers that deliver them until they are acknowledged.
//!
//! Begin with a [`Context`], which [`new`] makes from a client. The [guide](crate::guide::jetstream) says what to use for what.
//!
//! Every field of a document may be missing, and unknown ones are ignored, because servers of all versions write them. Durations
//! are whole nanoseconds in JSON. Where servers mean "no limit" by a negative number, the field says so or is `None`.

#[cfg(all(feature = "internals", not(docsrs)))]
pub mod wire;
#[cfg(not(all(feature = "internals", not(docsrs))))]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "it is public with `internals`")]
mod wire;

#[cfg(all(feature = "internals", not(docsrs)))]
pub mod decide;
#[cfg(not(all(feature = "internals", not(docsrs))))]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "it is public with `internals`")]
mod decide;

pub mod consumer;
pub mod context;
pub mod message;
pub mod stream;

mod error;
mod run;

pub use context::{Context, ContextBuilder};
pub use message::{AckKind, Message};
pub use wire::{Error, ErrorCode, InvalidName, NameFault};

use crate::Client;

/// A context for the client's account, with the client's timeout.
pub fn new(client: Client) -> Context {
    ContextBuilder::new().build(client)
}

/// A context for the JetStream of this domain, such as one behind a leaf node. See [`ContextBuilder::domain`].
pub fn with_domain<T: AsRef<str>>(client: Client, domain: T) -> Context {
    ContextBuilder::new().domain(domain.as_ref()).build(client)
}

/// A context with this prefix of the API's subjects. See [`ContextBuilder::api_prefix`].
pub fn with_prefix(client: Client, prefix: &str) -> Context {
    ContextBuilder::new().api_prefix(prefix).build(client)
}

/// What an account may use, and what it uses.
pub mod account {
    pub use super::wire::{Account, Limits, Requests, Tier};
}

/// Acknowledgements of published messages, and publishing until there is one.
pub mod publish {
    pub use super::context::{PublishOutcome, RetryOptions};
    pub use super::wire::PublishAck;
}

/// Answers of the API.
pub mod response {
    pub use super::wire::Response;
}
