//! The bodies of requests about streams and their messages.

use serde::Serialize;

use super::lenient::is_default;
use super::rfc3339;
use crate::protocol::datetime::DateTime;

/// A page of a list, such as that of stream names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PageRequest<'a> {
    /// How many items to leave out at the beginning.
    pub offset: usize,
    /// For streams: only those that store this subject.
    #[serde(skip_serializing_if = "is_default")]
    pub subject: Option<&'a str>,
}

/// What to say of a stream besides its configuration and counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StreamInfoRequest {
    offset: usize,
    deleted_details: bool,
    subjects_filter: String,
}

impl StreamInfoRequest {
    /// With the numbers of removed messages or not, and with a page of the subjects that match the filter; an empty filter
    /// gives none.
    #[must_use]
    pub fn new(offset: usize, deleted_details: bool, subjects_filter: String) -> Self {
        Self { offset, deleted_details, subjects_filter }
    }
}

/// What to purge: everything if nothing is set. `sequence` and `keep` exclude each other (ADR-10).
#[derive(Default, Debug, Serialize, Clone, PartialEq, Eq)]
pub struct PurgeRequest {
    /// Only messages before this one.
    #[serde(default, rename = "seq", skip_serializing_if = "is_default")]
    pub sequence: Option<u64>,
    /// Only messages with these subjects; wildcards are allowed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub filter: Option<String>,
    /// All but the last ones, this many.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep: Option<u64>,
}

/// Which single message to get from the stream's leader.
#[derive(Debug, Serialize, Default, Clone, PartialEq, Eq)]
pub struct RawMessageRequest {
    #[serde(rename = "seq", skip_serializing_if = "is_default")]
    pub(in super::super) sequence: Option<u64>,
    #[serde(rename = "last_by_subj", skip_serializing_if = "is_default")]
    pub(in super::super) last_by_subject: Option<String>,
    #[serde(rename = "next_by_subj", skip_serializing_if = "is_default")]
    pub(in super::super) next_by_subject: Option<String>,
}

/// Which single message to get from any replica or mirror. The last one of a subject is asked for by the subject of the
/// request, with an empty body.
#[derive(Debug, Serialize, Default, Clone, PartialEq, Eq)]
pub struct DirectGetRequest {
    #[serde(rename = "seq", skip_serializing_if = "is_default")]
    pub(in super::super) sequence: Option<u64>,
    #[serde(rename = "last_by_subj", skip_serializing)]
    pub(in super::super) last_by_subject: Option<String>,
    #[serde(rename = "next_by_subj", skip_serializing_if = "is_default")]
    pub(in super::super) next_by_subject: Option<String>,
}

/// Which messages to get from any replica or mirror, in order of their numbers (nats-server 2.11, ADR-31): from one on that
/// match a subject, or the last ones of some subjects.
#[derive(Debug, Serialize, Default, Clone, PartialEq, Eq)]
pub struct ManyRequest {
    #[serde(skip_serializing_if = "is_default")]
    pub(in super::super) batch: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(in super::super) max_bytes: u64,
    #[serde(rename = "seq", skip_serializing_if = "is_default")]
    pub(in super::super) sequence: Option<u64>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "is_default")]
    pub(in super::super) start_time: Option<DateTime>,
    #[serde(rename = "next_by_subj", skip_serializing_if = "is_default")]
    pub(in super::super) next_by_subject: Option<String>,
    #[serde(rename = "multi_last", skip_serializing_if = "is_default")]
    pub(in super::super) last_by_subjects: Vec<String>,
    #[serde(rename = "up_to_seq", skip_serializing_if = "is_default")]
    pub(in super::super) up_to_sequence: Option<u64>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "is_default")]
    pub(in super::super) up_to_time: Option<DateTime>,
}

/// Which message to delete.
#[derive(Debug, Serialize, Default, Clone, Copy, PartialEq, Eq)]
pub struct DeleteMessageRequest {
    /// Its number.
    #[serde(rename = "seq")]
    pub sequence: u64,
    /// Only takes it out of the stream, without overwriting its bytes on the disk.
    #[serde(skip_serializing_if = "is_default")]
    pub no_erase: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn what_is_not_asked_for_is_left_out() {
        assert_eq!(to_value(PageRequest { offset: 256, subject: None }).unwrap(), json!({ "offset": 256 }));
        let page = PageRequest { offset: 0, subject: Some("orders.*") };
        assert_eq!(to_value(page).unwrap(), json!({ "offset": 0, "subject": "orders.*" }));
        let info = StreamInfoRequest::new(7, true, ">".to_owned());
        assert_eq!(to_value(info).unwrap(), json!({ "offset": 7, "deleted_details": true, "subjects_filter": ">" }));
        assert_eq!(to_value(PurgeRequest::default()).unwrap(), json!({}));
        let purge = PurgeRequest { sequence: Some(5), filter: Some("a".to_owned()), keep: None };
        assert_eq!(to_value(purge).unwrap(), json!({ "seq": 5, "filter": "a" }));
        let last = DirectGetRequest { last_by_subject: Some("a".to_owned()), ..DirectGetRequest::default() };
        assert_eq!(to_value(last).unwrap(), json!({}), "it is in the subject of the request");
        let next =
            RawMessageRequest { sequence: Some(1), next_by_subject: Some("a".to_owned()), last_by_subject: None };
        assert_eq!(to_value(next).unwrap(), json!({ "seq": 1, "next_by_subj": "a" }));
        assert_eq!(to_value(ManyRequest::default()).unwrap(), json!({}));
        let many = ManyRequest { batch: 5, last_by_subjects: vec!["a".to_owned()], ..ManyRequest::default() };
        assert_eq!(to_value(many).unwrap(), json!({ "batch": 5, "multi_last": ["a"] }));
        let delete = DeleteMessageRequest { sequence: 3, no_erase: true };
        assert_eq!(to_value(delete).unwrap(), json!({ "seq": 3, "no_erase": true }));
    }
}
