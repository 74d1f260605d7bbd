//! Who uses the client: publishers, one who asks what became of each message, a flusher, a requester, a subscriber.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{FlushErrorKind, FlushFailure, PublishOutcome};
use nats_lifeline::{Client, HeaderMap, PublishErrorKind, Request, RequestErrorKind, Subscriber};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::carrier::Network;
use crate::content::{self, Id};

/// What the users know.
#[derive(Default)]
pub(crate) struct Book {
    /// How many messages of each were accepted: all before that number.
    pub(crate) accepted: BTreeMap<char, u64>,
    /// What was said of messages whose publisher wanted to know.
    pub(crate) outcomes: BTreeMap<Id, Outcome>,
    pub(crate) flushes: u64,
    pub(crate) replies: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Confirmed,
    InDoubt,
    NotSent,
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

    /// One message after the other, each offered until it is accepted.
    pub(crate) async fn publish(mut self, who: char) {
        for number in 0..self.network.plan.messages {
            let id = (who, number);
            let payload = content::payload(id, self.size());
            while !self.offer(id, payload.clone()).await {
                self.rest(200).await;
            }
            self.book.lock().unwrap().accepted.insert(who, number + 1);
            if self.rng.random_bool(0.5) {
                self.rest(200).await;
            }
        }
    }

    /// Whether it was accepted.
    async fn offer(&mut self, id: Id, payload: bytes::Bytes) -> bool {
        let subject = content::subject(id);
        let refused = match self.rng.random_range(0..3) {
            0 => return self.client.try_publish(subject, payload).is_ok(),
            1 => {
                let mut headers = HeaderMap::new();
                headers.insert("Number", id.1.to_string());
                self.client.publish_with_headers(subject, headers, payload).await
            }
            _ => self.client.publish(subject, payload).await,
        };
        if let Err(error) = &refused {
            assert_eq!(error.kind(), PublishErrorKind::Send, "{error}");
        }
        refused.is_ok()
    }

    /// Wants to know of each message.
    pub(crate) async fn publish_confirmed(mut self, who: char) {
        for number in 0..self.network.plan.messages / 4 {
            let id = (who, number);
            let payload = content::payload(id, self.size());
            let outcome = match self.client.publish_confirmed(content::subject(id), payload.clone()).await {
                PublishOutcome::Confirmed => Outcome::Confirmed,
                PublishOutcome::InDoubt => Outcome::InDoubt,
                PublishOutcome::NotSent { message, .. } => {
                    assert_eq!(message.payload, payload, "not what was published");
                    Outcome::NotSent
                }
                other => panic!("{other:?}"),
            };
            self.book.lock().unwrap().outcomes.insert(id, outcome);
            if outcome == Outcome::Confirmed {
                let processed = self.network.server.lock().unwrap().processed.contains_key(&id);
                assert!(processed, "{id:?} was confirmed, and the server has never seen it");
            }
            self.rest(300).await;
        }
    }

    /// Ok is said only for what arrived: what is missing was told before, by this handle.
    pub(crate) async fn flush(mut self) {
        let mut told = 0;
        while !self.network.peace.load(Ordering::Relaxed) {
            let accepted = self.book.lock().unwrap().accepted.clone();
            match self.client.flush_timeout(Duration::from_secs(5)).await {
                Ok(()) => {
                    let server = self.network.server.lock().unwrap();
                    let before = accepted.iter().flat_map(|(who, count)| (0..*count).map(|number| (*who, number)));
                    let missing = before.filter(|id| !server.processed.contains_key(id)).count() as u64;
                    assert!(missing <= told, "flush is Ok, {missing} are missing, {told} were told to be in doubt");
                    self.book.lock().unwrap().flushes += 1;
                }
                Err(error) => {
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

    /// The reply is that to this request, or there is none.
    pub(crate) async fn request(mut self, who: char) {
        let mut number = 0;
        while !self.network.peace.load(Ordering::Relaxed) {
            let _ = self.ask((who, number)).await;
            number += 1;
            self.rest(400).await;
        }
    }

    pub(crate) async fn ask(&mut self, id: Id) -> Result<(), RequestErrorKind> {
        let payload = content::payload(id, self.size());
        let patience = Duration::from_millis(self.rng.random_range(0..3_000));
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

/// Reads until the message `last`; what came, in order.
pub(crate) async fn listen(mut subscriber: Subscriber, last: Id) -> Vec<Id> {
    let mut came = Vec::new();
    while let Some(message) = subscriber.next().await {
        let id = content::read(&message.payload).unwrap_or_else(|| panic!("nobody published this: {message:?}"));
        assert_eq!(message.subject.as_str(), content::subject(id));
        let number = message.headers.as_ref().and_then(|headers| headers.get("Number")).map(|value| value.as_str());
        assert!(number.is_none_or(|number| number == id.1.to_string()), "another's headers: {message:?}");
        came.push(id);
        if id == last {
            return came;
        }
    }
    panic!("the subscription ended");
}
