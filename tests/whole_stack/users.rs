//! Who uses the client: publishers, some who ask what became of each message or want no delay, a flusher, a requester.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nats_lifeline::client::{FlushErrorKind, FlushFailure, PublishOutcome, SendFault, TryPublishErrorKind};
use nats_lifeline::connection::{LossReason, Status};
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::options::OverflowPolicy;
use nats_lifeline::{Client, HeaderMap, PublishError, PublishErrorKind, Request, RequestErrorKind};
use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use crate::carrier::Network;
use crate::content::{self, Id};

/// The client's `publish_timeout`.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// What the users know.
#[derive(Default)]
pub(crate) struct Book {
    /// When each message was accepted. Each user's are all before a number.
    pub(crate) accepted: BTreeMap<Id, Instant>,
    /// What was said of messages whose publisher wanted to know.
    pub(crate) outcomes: BTreeMap<Id, Outcome>,
    /// What was handed back by an event, and when.
    pub(crate) lost: BTreeMap<Id, (LossReason, Instant)>,
    /// Messages that were dropped by the very call that published them.
    pub(crate) dropped: Vec<Id>,
    /// When connections were lost.
    pub(crate) losses: Vec<Instant>,
    pub(crate) flushes: u64,
    pub(crate) replies: u64,
    /// Critical messages that were refused.
    pub(crate) refused: u64,
    /// Messages of the neighbour's.
    pub(crate) said: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Confirmed,
    InDoubt,
    NotSent(Option<SendFault>),
}

/// Everything that a user needs.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) client: Client,
    pub(crate) network: Network,
    pub(crate) book: Arc<Mutex<Book>>,
    pub(crate) rng: SmallRng,
}

impl User {
    fn size(&mut self) -> usize {
        let most = if self.rng.random_bool(0.9) { 100 } else { 4_000 };
        self.rng.random_range(0..most)
    }

    async fn rest(&mut self, below: u64) {
        let milliseconds = self.rng.random_range(0..below);
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    fn is_at_peace(&self) -> bool {
        self.network.peace.load(Ordering::Relaxed)
    }

    /// One message after the other, each offered until it is accepted; in a calm world for as long as something may happen.
    pub(crate) async fn publish(mut self, who: char) {
        let mut number = 0;
        while number < self.network.plan.messages || (self.network.plan.calm && !self.is_at_peace()) {
            let id = (who, number);
            let payload = content::payload(id, self.size());
            while !self.offer(id, payload.clone()).await {
                self.rest(200).await;
            }
            self.book.lock().unwrap().accepted.insert(id, Instant::now());
            number += 1;
            if self.rng.random_bool(0.5) {
                self.rest(200).await;
            }
        }
    }

    /// Whether it was accepted.
    async fn offer(&mut self, id: Id, payload: bytes::Bytes) -> bool {
        let subject = content::subject(id);
        let refused = match self.rng.random_range(0..3) {
            0 => return self.try_offer(id, subject, payload),
            1 => {
                let mut headers = HeaderMap::new();
                headers.insert("Number", id.1.to_string());
                self.client.publish_with_headers(subject, headers, payload).await
            }
            _ => self.client.publish(subject, payload).await,
        };
        if let Err(error) = &refused {
            self.check_refusal(error);
        }
        refused.is_ok()
    }

    /// Nobody else runs meanwhile, so what this one call has done is seen in the account.
    fn try_offer(&mut self, id: Id, subject: String, payload: bytes::Bytes) -> bool {
        let before = self.client.stats();
        let accepted = self.client.try_publish(subject, payload).is_ok();
        let after = self.client.stats();
        assert!(after.balances(), "{after:?}");
        assert_eq!(after.accepted - before.accepted, u64::from(accepted), "{before:?} {after:?}");
        let dropped = after.lost.overflow - before.lost.overflow;
        match self.network.plan.overflow {
            OverflowPolicy::DropOldest => assert!(accepted || dropped == 0, "dropped for one that was refused"),
            OverflowPolicy::DropNewest => {
                assert!(dropped <= u64::from(accepted), "{dropped} dropped, and only the newest may be");
                if dropped == 1 {
                    self.book.lock().unwrap().dropped.push(id);
                }
            }
            _ => assert_eq!(dropped, 0, "this policy drops nothing"),
        }
        accepted
    }

    /// Whether the policy has such refusals.
    fn check_refusal(&self, error: &PublishError) {
        assert_eq!(error.kind(), PublishErrorKind::Send, "{error}");
        let fault = error.source_as::<SendFault>().expect("a refusal has its reason");
        let policy = self.network.plan.overflow;
        let fits = match fault {
            SendFault::NoRoom { waited } => match policy {
                OverflowPolicy::Wait(limit) => *waited >= limit.min(PATIENCE),
                _ => *waited >= PATIENCE,
            },
            SendFault::BufferFull { frame, limit, .. } if frame > limit => true,
            // What is on its way to a server that is being left can't be dropped.
            SendFault::BufferFull { .. } | SendFault::TooManyMessages { .. } => {
                matches!(policy, OverflowPolicy::Error | OverflowPolicy::DropOldest)
            }
            _ => false,
        };
        assert!(fits, "{policy:?} refuses with {fault:?}");
    }

    /// Wants to know of each message.
    pub(crate) async fn publish_confirmed(mut self, who: char) {
        let mut number = 0;
        while number < self.network.plan.messages / 4 || (self.network.plan.calm && !self.is_at_peace()) {
            self.confirm((who, number)).await;
            number += 1;
            self.rest(300).await;
        }
    }

    pub(crate) async fn confirm(&mut self, id: Id) -> bool {
        let payload = content::payload(id, self.size());
        let outcome = match self.client.publish_confirmed(content::subject(id), payload.clone()).await {
            PublishOutcome::Confirmed => Outcome::Confirmed,
            PublishOutcome::InDoubt => Outcome::InDoubt,
            PublishOutcome::NotSent { message, error, .. } => {
                assert_eq!(message.payload, payload, "not what was published");
                Outcome::NotSent(error.source_as::<SendFault>().cloned())
            }
            other => panic!("{other:?}"),
        };
        let confirmed = outcome == Outcome::Confirmed;
        assert!(confirmed || !self.network.plan.calm, "{id:?}: {outcome:?}, and nothing has happened");
        self.book.lock().unwrap().outcomes.insert(id, outcome);
        if confirmed {
            let processed = self.network.cluster.lock().unwrap().processed.contains_key(&id);
            assert!(processed, "{id:?} was confirmed, and no server has ever seen it");
        }
        confirmed
    }

    /// Now or not at all: what is refused is not offered again.
    pub(crate) async fn publish_critical(mut self, who: char) {
        let mut number = 0;
        while !self.is_at_peace() {
            let id = (who, number);
            let payload = content::payload(id, self.size());
            let subject = content::subject(id);
            let (began, held) = (Instant::now(), self.network.held());
            let connected = self.client.status() == Status::Connected;
            let disconnected = if self.rng.random_bool(0.5) {
                let message = OutboundMessage { subject: subject.into(), reply: None, payload, headers: None };
                match self.client.try_publish_critical(message) {
                    Ok(()) => None,
                    Err(error) => Some(error.kind() == TryPublishErrorKind::Disconnected),
                }
            } else {
                match self.client.publish_critical(subject, payload).await {
                    Ok(()) => None,
                    Err(error) => Some(error.source_as() == Some(&SendFault::Disconnected)),
                }
            };
            match disconnected {
                None => {
                    // Whatever a clone sees later, at this moment there was a connection.
                    let held = self.network.held();
                    assert!(held > 0 || began < Instant::now(), "{id:?} is critical, and is held for nobody");
                    self.book.lock().unwrap().accepted.insert(id, Instant::now());
                    number += 1;
                }
                Some(disconnected) => {
                    assert!(!self.network.plan.calm || !connected, "{id:?} is refused, and there is a connection");
                    assert!(held > 0 || began == Instant::now(), "{id:?} has waited for a connection");
                    self.book.lock().unwrap().refused += u64::from(disconnected);
                }
            }
            self.rest(300).await;
        }
    }

    /// Ok is only for what has arrived: what is missing was reported before, to this handle or by an event.
    pub(crate) async fn flush(mut self) {
        let mut told = 0;
        while !self.is_at_peace() {
            let accepted: Vec<Id> = self.book.lock().unwrap().accepted.keys().copied().collect();
            match self.client.flush_timeout(Duration::from_secs(5)).await {
                Ok(()) => {
                    let mut missing = accepted;
                    missing.retain(|id| !self.network.cluster.lock().unwrap().processed.contains_key(id));
                    // Who reads the events comes after us.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    let mut book = self.book.lock().unwrap();
                    missing.retain(|id| !book.lost.contains_key(id));
                    let count = missing.len() as u64;
                    assert!(count <= told, "flush is Ok, {told} were reported as in doubt, missing: {missing:?}");
                    book.flushes += 1;
                }
                Err(error) => {
                    assert!(!self.network.plan.calm, "{error}, and nothing has happened");
                    assert_eq!(error.kind(), FlushErrorKind::FlushError, "{error}");
                    let failure = error.source().and_then(|source| source.downcast_ref::<FlushFailure>());
                    if let Some(FlushFailure::InDoubt(count)) = failure {
                        assert!(!self.network.plan.resends, "nothing is in doubt at least once");
                        told += count;
                    }
                }
            }
            self.rest(400).await;
        }
    }

    /// The reply is that to this request, or there is none. A planned move takes none away.
    pub(crate) async fn request(mut self, who: char) {
        let mut number = 0;
        while !self.is_at_peace() {
            let outcome = self.ask((who, number)).await;
            assert!(!self.network.plan.calm || outcome.is_ok(), "request {number}: {outcome:?}");
            number += 1;
            self.rest(400).await;
        }
    }

    pub(crate) async fn ask(&mut self, id: Id) -> Result<(), RequestErrorKind> {
        let payload = content::payload(id, self.size());
        let patience = Duration::from_millis(self.rng.random_range(0..3_000));
        let patience = if self.network.plan.calm { Duration::from_secs(5) } else { patience };
        let request = Request::new().payload(payload.clone()).timeout(Some(patience));
        match self.client.send_request("ask", request).await {
            Ok(reply) => {
                assert_eq!(reply.payload, payload, "a reply to another request");
                self.book.lock().unwrap().replies += 1;
                Ok(())
            }
            Err(error) => {
                let kind = error.kind();
                assert!(matches!(kind, RequestErrorKind::TimedOut | RequestErrorKind::Other), "{error}");
                Err(kind)
            }
        }
    }
}
