//! One kind of error for each call, with the variants and texts that programs written for async-nats match on.
//!
//! The source of an error says more: the name that was refused with its rule, the server's error, or the client's.

mod ack;
mod batch;
mod consumer;
mod context;
mod messages;
mod pull;
mod push;
mod stream;

pub use ack::{AckError, AckErrorKind};
pub use batch::{BatchPublishError, BatchPublishErrorKind};
pub use consumer::{
    ConsumerCreateStrictError, ConsumerCreateStrictErrorKind, ConsumerError, ConsumerErrorKind, ConsumerInfoError,
    ConsumerInfoErrorKind, ConsumerResetError, ConsumerResetErrorKind, ConsumerUpdateError, ConsumerUpdateErrorKind,
};
pub use context::{
    AccountError, AccountErrorKind, CreateStreamError, CreateStreamErrorKind, DeleteStreamError, DeleteStreamErrorKind,
    GetStreamByNameError, GetStreamByNameErrorKind, GetStreamError, GetStreamErrorKind, PublishError, PublishErrorKind,
    RequestError, RequestErrorKind, StreamsError, StreamsErrorKind, UpdateStreamError, UpdateStreamErrorKind,
};
pub use messages::{StreamError, StreamErrorKind};
pub use pull::{
    BatchError, BatchErrorKind, BatchRequestError, BatchRequestErrorKind, ConsumerRecreateError as PullRecreateError,
    ConsumerRecreateErrorKind as PullRecreateErrorKind, MessagesError, MessagesErrorKind,
    OrderedError as PullOrderedError, OrderedErrorKind as PullOrderedErrorKind,
};
pub use push::{
    ConsumerRecreateError as PushRecreateError, ConsumerRecreateErrorKind as PushRecreateErrorKind,
    MessagesError as PushMessagesError, MessagesErrorKind as PushMessagesErrorKind, OrderedError as PushOrderedError,
    OrderedErrorKind as PushOrderedErrorKind,
};
pub use stream::{
    ConsumersError, ConsumersErrorKind, DeleteMessageError, DeleteMessageErrorKind, DirectGetError, DirectGetErrorKind,
    InfoError, LastRawMessageError, LastRawMessageErrorKind, PurgeError, PurgeErrorKind, RawMessageError,
    RawMessageErrorKind,
};
