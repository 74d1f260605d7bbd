//! Streams that a stream copies messages from.

use serde::{Deserialize, Serialize};

use super::lenient::{is_default, null_is_default};
use super::rfc3339;
use super::stream_config::SubjectTransform;
use crate::protocol::datetime::DateTime;

/// A stream that another one copies messages from: the origin of a mirror, or one of several sources.
#[derive(Clone, Debug, Serialize, Deserialize, Eq, PartialEq, Default)]
pub struct Source {
    /// The name of the origin.
    #[serde(default)]
    pub name: String,
    /// The first message that is copied, by its number; `None` is the first that there is.
    #[serde(default, rename = "opt_start_seq", skip_serializing_if = "is_default")]
    pub start_sequence: Option<u64>,
    /// The first message that is copied, by when it was stored.
    #[serde(default, rename = "opt_start_time", skip_serializing_if = "is_default", with = "rfc3339::option")]
    pub start_time: Option<DateTime>,
    /// The subjects of messages that are copied; wildcards are allowed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter_subject: Option<String>,
    /// How the origin is reached, if it is in another account or domain.
    #[serde(default, skip_serializing_if = "is_default")]
    pub external: Option<External>,
    /// The domain of the origin: short for an [`external`](Source::external) with its API prefix. Set at most one of the two.
    #[serde(default, skip_serializing_if = "is_default")]
    pub domain: Option<String>,
    /// What becomes of the subjects (nats-server 2.10).
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "null_is_default")]
    pub subject_transforms: Vec<SubjectTransform>,
    /// An existing consumer of the origin that is to be used (2.14).
    #[serde(default, skip_serializing_if = "is_default")]
    pub consumer: Option<StreamConsumerSource>,
}

/// An existing consumer by which messages are copied.
#[derive(Clone, Debug, Serialize, Deserialize, Eq, PartialEq, Default)]
pub struct StreamConsumerSource {
    /// Its name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub name: String,
    /// The subject that it delivers to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deliver_subject: String,
}

impl StreamConsumerSource {
    /// The consumer with this name, and the subject that it delivers to.
    pub fn new(name: impl Into<String>, deliver_subject: impl Into<String>) -> Self {
        Self { name: name.into(), deliver_subject: deliver_subject.into() }
    }
}

/// How a stream in another account or domain is reached.
#[derive(Clone, Debug, Serialize, Deserialize, Eq, PartialEq, Default)]
pub struct External {
    /// The prefix of its API here, such as `$JS.hub.API`.
    #[serde(rename = "api", default)]
    pub api_prefix: String,
    /// The prefix of the subjects that messages are delivered to.
    #[serde(rename = "deliver", default, skip_serializing_if = "is_default")]
    pub delivery_prefix: Option<String>,
}
