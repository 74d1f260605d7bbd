//! JetStream: streams that store messages, and consumers that deliver them until they are acknowledged.
//!
//! So far this module has what programs write and read: configurations, infos, acknowledgements and errors, with the names that
//! async-nats has. There is no context to send them with yet.
//!
//! Every field of a document may be missing, and unknown ones are ignored, because servers of all versions write them. Durations
//! are whole nanoseconds in JSON. Where servers mean "no limit" by a negative number, the field says so or is `None`.

#[cfg(all(feature = "internals", not(docsrs)))]
pub mod wire;
#[cfg(not(all(feature = "internals", not(docsrs))))]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "it is public with `internals`; its users are to come")]
mod wire;

pub mod message;

pub use message::AckKind;
pub use wire::{Error, ErrorCode};

/// What an account may use, and what it uses.
pub mod account {
    pub use super::wire::{Account, Limits, Requests, Tier};
}

/// Consumers: their configurations and infos.
pub mod consumer {
    pub use super::wire::{
        AckPolicy, ConsumerConfig as Config, ConsumerInfo as Info, DeliverPolicy, FromConsumer, IntoConsumerConfig,
        PriorityGroupState, PriorityPolicy, ReplayPolicy, SequenceInfo, WrongKind,
    };

    /// Pull consumers, which clients ask for messages.
    pub mod pull {
        pub use super::super::wire::{BatchConfig, OrderedPullConfig as OrderedConfig, PullConfig as Config};
    }

    /// Push consumers, which deliver messages to a subject.
    pub mod push {
        pub use super::super::wire::{OrderedPushConfig as OrderedConfig, PushConfig as Config};
    }
}

/// Acknowledgements of published messages.
pub mod publish {
    pub use super::wire::PublishAck;
}

/// Answers of the API.
pub mod response {
    pub use super::wire::Response;
}

/// Streams: their configurations and infos.
pub mod stream {
    pub use super::wire::{
        ClusterInfo, Compression, ConsumerLimits, ConsumerResetResponse, DeleteStatus, DirectGetRequest, DiscardPolicy,
        External, PagedInfo, PauseResponse, PeerInfo, PersistenceMode, Placement, PurgeRequest, PurgeResponse,
        RawMessage, RawMessageRequest, Republish, RetentionPolicy, Source, SourceInfo, State, StorageType,
        StreamConfig as Config, StreamConsumerSource, StreamInfo as Info, StreamInfoRequest, SubjectTransform,
    };
}
