//! The inlet of a pull consumer: pulls out, messages and statuses in.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Cx, Poll, ready};
use std::time::Instant;

use super::inlet::Inlet;
use crate::client::Delivery;
use crate::connection::{EndReason, Status};
use crate::jetstream::decide::pull::{Arrival, Event};
use crate::jetstream::wire::{AckSubject, PullRequest, PullStatus};
use crate::options::{Handover, SubscribeOptions};
use crate::{Client, HeaderMap, Message, Subject, SubscribeError};

/// Room for statuses and heartbeats of a stream that is not read, besides its messages.
const ROOM_FOR_STATUSES: u64 = 4_096;

/// A consumer, as a client sees it that pulls.
#[derive(Debug)]
pub(in crate::jetstream) struct Source {
    pub(in crate::jetstream) client: Client,
    /// The subject of pulls.
    pub(in crate::jetstream) next: Subject,
    /// Whether clients can be pinned.
    pub(in crate::jetstream) pinned: bool,
}

type Connecting = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Pulls go out with the reply subject `<inbox>.<token>`, and everything comes in under `<inbox>.*`.
pub(in crate::jetstream) struct PullInlet {
    inlet: Inlet,
    source: Source,
    /// `<inbox>.`
    inbox: String,
    body: Vec<u8>,
    /// Only while there is no connection.
    connecting: Option<Connecting>,
}

impl PullInlet {
    pub(in crate::jetstream) async fn open(source: Source, batch: u64) -> Result<PullInlet, SubscribeError> {
        let client = &source.client;
        let inbox = format!("{}.", client.new_inbox());
        let room = batch.saturating_mul(2).saturating_add(ROOM_FOR_STATUSES);
        let options = SubscribeOptions::new().handover(Handover::Overlap);
        let options = options.capacity(usize::try_from(room).unwrap_or(usize::MAX));
        let inlet = Inlet::open(client, format!("{inbox}*").into(), options).await?;
        Ok(PullInlet { inlet, source, inbox, body: Vec::new(), connecting: None })
    }

    pub(in crate::jetstream) fn is_connected(&self) -> bool {
        self.inlet.connected_since().is_some()
    }

    /// Sends a pull, or has it buffered. `false`: there is no room for it.
    pub(in crate::jetstream) fn send(&mut self, token: u64, pull: &PullRequest<'_>) -> bool {
        self.body.clear();
        pull.write(&mut self.body);
        let reply = format!("{}{token}", self.inbox).into();
        let body = bytes::Bytes::copy_from_slice(&self.body);
        self.inlet.post(self.source.next.clone(), Some(reply), body).is_ok()
    }

    pub(in crate::jetstream) fn poll_arrival(&mut self, cx: &mut Cx<'_>) -> Poll<Option<Delivery>> {
        self.inlet.poll_arrival(cx)
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
        if let Some(since) = self.inlet.connected_since() {
            self.connecting = None;
            return Poll::Ready(since);
        }
        let client = self.inlet.client();
        let connecting = self.connecting.get_or_insert_with(|| {
            let mut status = client.status_watch();
            Box::pin(async move { status.wait_for(Status::Connected).await })
        });
        let connected = ready!(connecting.as_mut().poll(cx));
        self.connecting = None;
        // If that is over already, the next poll waits for the next connection. If the client has ended, so has the inlet.
        match self.inlet.connected_since() {
            Some(since) => Poll::Ready(since),
            None => {
                if connected {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
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
