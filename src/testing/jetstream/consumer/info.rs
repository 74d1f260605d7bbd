//! What a consumer answers about itself.

use super::super::stream_config::with_version;
use super::super::time::{Time, parse_rfc3339, rfc3339};
use super::super::{ConsumerState, turn::Turn};
use super::{Consumer, Place};
use serde_json::{Value, json};

/// Whether a document is one of a list, which leaves out what the server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Creation {
    Single,
    Listed,
}

impl Consumer {
    /// The document of its state.
    pub(in super::super) fn info(&self, turn: &Turn<'_>, kind: Creation) -> Value {
        let now = turn.now;
        let config = match kind {
            Creation::Single => with_version(self.config.plain_json()),
            Creation::Listed => self.config.plain_json(),
        };
        let mut info = json!({
            "stream_name": self.stream,
            "name": self.name,
            "created": rfc3339(self.created),
            "config": config,
            "delivered": place(self.delivered),
            "ack_floor": place(self.floor),
            "num_ack_pending": self.open.len(),
            "num_redelivered": self.repeats.len(),
            "num_waiting": self.pulls.len(),
            "num_pending": self.ahead,
            "ts": rfc3339(now),
        });
        if let Some(fields) = info.as_object_mut() {
            if !self.config.is_pull() && turn.wanted(&self.config.deliver_subject) {
                fields.insert("push_bound".to_owned(), true.into());
            }
            if let Some(left) = self.pause_left(now) {
                fields.insert("paused".to_owned(), true.into());
                fields.insert("pause_remaining".to_owned(), left.into());
            }
        }
        info
    }

    /// How much longer it is paused.
    pub(in super::super) fn pause_left(&self, now: Time) -> Option<u64> {
        let until = self.config.pause_until.as_deref().and_then(parse_rfc3339)?;
        until.checked_sub(now).filter(|left| *left > 0)
    }

    /// What waiting pulls still ask for, by their reply subjects.
    pub(in super::super) fn waiting_pulls(&self) -> impl Iterator<Item = (&str, u64)> {
        self.pulls.iter().map(|pull| (pull.reply.as_str(), pull.left))
    }

    /// Its state for a test.
    pub(in super::super) fn state(&self) -> ConsumerState {
        ConsumerState {
            delivered_consumer: self.delivered.consumer,
            delivered_stream: self.delivered.stream,
            ack_floor_consumer: self.floor.consumer,
            ack_floor_stream: self.floor.stream,
            ack_pending: self.open.len() as u64,
            redelivered: self.repeats.len() as u64,
            waiting_pulls: self.pulls.len() as u64,
            pending: self.ahead,
        }
    }
}

fn place(place: Place) -> Value {
    let mut json = json!({ "consumer_seq": place.consumer, "stream_seq": place.stream });
    if let (Some(fields), Some(at)) = (json.as_object_mut(), place.at) {
        fields.insert("last_active".to_owned(), rfc3339(at).into());
    }
    json
}
