//! What a user types: the client, its options, messages, events and errors. Thin handles over the layers below.

// Until the client's core calls them, nothing does.
#![allow(dead_code)]

pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod message;
pub(crate) mod options;
pub(crate) mod request;
pub(crate) mod scaffold;
pub mod traits;
mod traits_impl;

pub use error::{
    CloseError, DrainError, DrainReport, FlushError, FlushErrorKind, PayloadTooLarge, PublishError, PublishErrorKind,
    ReconnectError, RequestError, RequestErrorKind, SendFault, ServerPoolError, ServerPoolErrorKind,
    SetServerPoolError, SetServerPoolErrorKind, SubscribeError, SubscribeErrorKind, TryPublishError,
    TryPublishErrorKind,
};
pub use options::InvalidOption;
pub use request::Request;
pub use scaffold::Client;
