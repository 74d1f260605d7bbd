//! The inlet of a pull consumer: pulls out, messages and statuses in.

use std::fmt;
use std::task::{Context as Cx, Poll, ready};
use std::time::Instant;

use super::inlet::Inlet;
use crate::client::{Delivery, Pong, SendFault};
use crate::connection::EndReason;
use crate::jetstream::decide::pull::{Arrival, Event};
use crate::jetstream::decide::settings::Settings;
use crate::jetstream::wire::{AckSubject, PullRequest, PullStatus};
use crate::options::{Handover, SubscribeOptions};
use crate::{Client, HeaderMap, Message, Subject, SubscribeError};

/// Room for the statuses of a stream that is not read, besides its messages and heartbeats.
const ROOM_FOR_STATUSES: u64 = 4_096;

/// No status or heartbeat is larger, in bytes.
const STATUS: u64 = 1_024;

/// A consumer, as a client sees it that pulls.
#[derive(Debug)]
pub(in crate::jetstream) struct Source {
    pub(in crate::jetstream) client: Client,
    /// The subject of pulls.
    pub(in crate::jetstream) next: Subject,
    /// Whether clients can be pinned.
    pub(in crate::jetstream) pinned: bool,
}

/// Pulls go out with the reply subject `<inbox>.<token>`, and everything comes in under `<inbox>.*`.
pub(in crate::jetstream) struct PullInlet {
    inlet: Inlet,
    source: Source,
    /// `<inbox>.`
    inbox: String,
    body: Vec<u8>,
    /// The token of the last pull.
    last: u64,
    /// Why a server refuses pulls.
    refused: String,
    /// The answer to a PING that is under way.
    probe: Option<Pong>,
}

impl PullInlet {
    /// For pulls that ask for as much as `settings` say.
    pub(in crate::jetstream) async fn open(source: Source, settings: &Settings) -> Result<PullInlet, SubscribeError> {
        let client = &source.client;
        let inbox = format!("{}.", client.new_inbox());
        let (messages, bytes) = room(settings, client.max_payload());
        let options = SubscribeOptions::new().handover(Handover::Overlap).capacity(messages).byte_capacity(bytes);
        let inlet = Inlet::open(client, format!("{inbox}*").into(), options).await?;
        Ok(PullInlet { inlet, source, inbox, body: Vec::new(), last: 0, refused: String::new(), probe: None })
    }

    pub(in crate::jetstream) fn is_connected(&self) -> bool {
        self.inlet.connected_since().is_some()
    }

    /// Sends a pull, or has it buffered. `false`: there is no room for it.
    pub(in crate::jetstream) fn send(&mut self, token: u64, pull: &PullRequest<'_>) -> bool {
        self.last = token;
        self.body.clear();
        pull.write(&mut self.body);
        let reply = format!("{}{token}", self.inbox).into();
        let body = bytes::Bytes::copy_from_slice(&self.body);
        self.inlet.post(self.source.next.clone(), Some(reply), body).is_ok()
    }

    pub(in crate::jetstream) fn poll_arrival(&mut self, cx: &mut Cx<'_>) -> Poll<Option<Delivery>> {
        self.inlet.poll_arrival(cx)
    }

    /// Whether something has arrived that was not taken yet.
    pub(in crate::jetstream) fn has_arrivals(&self) -> bool {
        self.inlet.has_arrivals()
    }

    /// Why nothing more arrives, once that is known.
    pub(in crate::jetstream) fn end_reason(&self) -> Option<EndReason> {
        self.inlet.end_reason()
    }

    /// Why the subscription has ended, if a server refused it.
    pub(in crate::jetstream) fn refusal(&self) -> Option<String> {
        match self.inlet.end_reason() {
            Some(EndReason::Refused(error)) => Some(format!("no subscription to the inbox: {error}")),
            _ => None,
        }
    }

    /// That the last pull was lost before it was sent, or that a server refuses it, for a machine. To be polled when nothing has
    /// arrived.
    pub(in crate::jetstream) fn poll_unsent(&mut self, cx: &mut Cx<'_>) -> Option<Event<'_>> {
        match self.inlet.poll_unsent(cx) {
            Poll::Pending => None,
            Poll::Ready(SendFault::Refused { error }) => {
                self.refused = error.to_string();
                Some(Event::Refused(&self.refused))
            }
            Poll::Ready(_) => Some(Event::NotSent(self.last)),
        }
    }

    /// Sends a PING after what was sent so far.
    pub(in crate::jetstream) fn probe(&mut self) {
        self.probe = Some(self.source.client.ping());
    }

    /// That it was answered, or will not be, for a machine.
    pub(in crate::jetstream) fn poll_probe(&mut self, cx: &mut Cx<'_>) -> Poll<Event<'static>> {
        let Some(probe) = &mut self.probe else { return Poll::Pending };
        let answered = ready!(probe.poll(cx));
        self.probe = None;
        Poll::Ready(Event::Probed { answered })
    }

    /// What has arrived, for a machine. `None`: nothing of ours.
    pub(in crate::jetstream) fn event<'a>(&self, delivery: &'a Delivery) -> Option<Event<'a>> {
        match delivery {
            Delivery::Message(message) => match message.subject.strip_prefix(self.inbox.as_str()) {
                None => Some(Event::Message(self.arrival(message))),
                Some(token) => status(token, message),
            },
            Delivery::Lagged(count) => Some(Event::Lagged(*count)),
            _ => Some(Event::Interrupted),
        }
    }

    fn arrival<'a>(&self, message: &'a Message) -> Arrival<'a> {
        let place = message.reply.as_ref().and_then(|reply| AckSubject::parse(reply).ok());
        let headers = message.headers.as_ref().filter(|_| self.source.pinned);
        let pin = headers.and_then(|headers| headers.get("Nats-Pin-Id")).map(|id| id.as_str());
        Arrival { bytes: u64::try_from(message.length).unwrap_or(u64::MAX), place, pin }
    }

    /// Ready when there is a connection, with the time since when.
    pub(in crate::jetstream) fn poll_connected(&mut self, cx: &mut Cx<'_>) -> Poll<Instant> {
        self.inlet.poll_connected(cx)
    }

    pub(in crate::jetstream) fn poll_until(&mut self, at: Option<Instant>, cx: &mut Cx<'_>) -> Poll<()> {
        self.inlet.poll_until(at, cx)
    }
}

impl fmt::Debug for PullInlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullInlet").field("source", &self.source).field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

/// How many messages and bytes have to fit in, so that nothing is dropped that was asked for: two batches and their heartbeats.
fn room(settings: &Settings, max_payload: usize) -> (usize, usize) {
    let Settings { batch, max_bytes, expires, heartbeat, .. } = settings;
    let beats = expires.as_nanos().checked_div(heartbeat.as_nanos()).unwrap_or_default();
    let statuses = u64::try_from(beats).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(ROOM_FOR_STATUSES);
    let messages = batch.saturating_mul(2);
    let largest = u64::try_from(max_payload).unwrap_or(u64::MAX).saturating_add(STATUS);
    let bytes = if *max_bytes > 0 { max_bytes.saturating_mul(2) } else { messages.saturating_mul(largest) };
    let all = |room: u64| usize::try_from(room).unwrap_or(usize::MAX);
    (all(messages.saturating_add(statuses)), all(bytes.saturating_add(statuses.saturating_mul(STATUS))))
}

/// A status on the reply subject of a pull.
fn status<'a>(token: &str, message: &'a Message) -> Option<Event<'a>> {
    let (token, code) = (token.parse().ok()?, message.status?);
    let text = message.description.as_deref().unwrap_or_default();
    let number = |headers: &HeaderMap, name: &'static str| headers.get(name)?.as_str().parse().ok();
    let left = message.headers.as_ref().and_then(|headers| {
        let bytes = number(headers, "Nats-Pending-Bytes").unwrap_or_default();
        Some((number(headers, "Nats-Pending-Messages")?, bytes))
    });
    Some(Event::Status { token, status: PullStatus::of(code, text), text, left })
}
