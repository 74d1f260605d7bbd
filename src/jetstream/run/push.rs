//! What a push consumer sends beside its messages, and how its subscription is bounded.

use bytes::Bytes;

use super::inlet::Inlet;
use crate::Subject;
use crate::header::{HeaderName, NATS_LAST_CONSUMER};
use crate::jetstream::wire::PullStatus;
use crate::options::{Handover, SubscribeOptions};

/// `Nats-Consumer-Stalled`: the subject of the answer that a stalled consumer waits for.
const STALLED: HeaderName = HeaderName::from_static("Nats-Consumer-Stalled");

/// Flow control stops a server at 32 MiB of unread messages; a reply subject and our own share come on top.
const FLOW_WINDOW: usize = 64 << 20;

/// A message of the consumer itself.
pub(in crate::jetstream) enum Control {
    Heartbeat {
        /// How many messages it has sent.
        sent: Option<u64>,
        /// It waits for an empty message there.
        stalled: Option<Subject>,
    },
    /// The flow control asks whether the reader keeps up.
    Question {
        /// Where it expects an empty message when the ones before this one have been delivered.
        answer: Subject,
    },
    /// The consumer was deleted.
    Deleted,
}

/// Reads a message that has a status.
pub(in crate::jetstream) fn control(message: &crate::Message) -> Option<Control> {
    let text = message.description.as_deref().unwrap_or_default();
    match PullStatus::of(message.status?, text) {
        PullStatus::FlowControl => message.reply.clone().map(|answer| Control::Question { answer }),
        PullStatus::IdleHeartbeat => {
            let header = |name| message.headers.as_ref().and_then(|headers| headers.get(name));
            Some(Control::Heartbeat {
                sent: header(NATS_LAST_CONSUMER).and_then(|sent| sent.as_str().parse().ok()),
                stalled: header(STALLED).map(|subject| Subject::from(subject.as_str())),
            })
        }
        PullStatus::ConsumerDeleted => Some(Control::Deleted),
        _ => None,
    }
}

/// Tells a consumer that the messages so far have been delivered. An answer that can't be buffered is asked for again, by a
/// heartbeat.
pub(in crate::jetstream) fn answer(inlet: &mut Inlet, subject: Option<Subject>) {
    if let Some(subject) = subject {
        let _ = inlet.post(subject, None, Bytes::new());
    }
}

/// The options of the subscription. During a planned move inboxes overlap: what comes twice is recognized by its numbers.
pub(in crate::jetstream) fn options(has_flow_control: bool) -> SubscribeOptions {
    let options = SubscribeOptions::new().handover(Handover::Overlap);
    match has_flow_control {
        true => options.capacity(usize::MAX).byte_capacity(FLOW_WINDOW),
        false => options,
    }
}
