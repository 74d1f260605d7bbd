//! Publishing over any outage: a message is sent again, under one id, until it is stored.

use std::time::{Duration, Instant};

use super::judging::{Judged, judged, never_stored};
use super::{Context, PublishError, PublishErrorKind};
use crate::jetstream::decide::publish::{Fate, Heard, Next, Publishing};
use crate::jetstream::message::PublishMessage;
use crate::jetstream::run::pauses::Pauses;
use crate::jetstream::run::publications::Known;
use crate::jetstream::wire::PublishAck;
use crate::message::OutboundMessage;
use crate::protocol::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use crate::{Client, ToSubject};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// How [`Context::publish_retry`] goes on.
///
/// ```
/// use nats_lifeline::jetstream::publish::RetryOptions;
/// use std::time::Duration;
///
/// // As long as a deployment of the servers may take, on a stream with a window of an hour.
/// let options =
///     RetryOptions::new().within(Duration::from_secs(600)).duplicate_window(Duration::from_secs(3_600));
/// # drop(options);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it does nothing until a message is published with it"]
pub struct RetryOptions {
    within: Duration,
    window: Option<Duration>,
}

impl Default for RetryOptions {
    fn default() -> Self {
        RetryOptions { within: Duration::from_secs(60), window: None }
    }
}

impl RetryOptions {
    /// A minute, and the duplicate window that the stream says.
    pub fn new() -> RetryOptions {
        RetryOptions::default()
    }

    /// Sets how long the call may take in all, outages included. Default: 1 minute.
    pub fn within(mut self, within: Duration) -> RetryOptions {
        self.within = within;
        self
    }

    /// Sets the stream's duplicate window, so that the stream is not asked for it: a program may not be allowed to. If the
    /// stream's own is shorter, a message may be stored twice. Default: it is asked for, and only if a message has to be sent
    /// again whose first copy may have been stored.
    pub fn duplicate_window(mut self, window: Duration) -> RetryOptions {
        self.window = Some(window);
        self
    }
}

/// What became of a message that [`Context::publish_retry`] published.
#[derive(Debug)]
#[must_use = "the message may not be stored"]
#[non_exhaustive]
pub enum PublishOutcome {
    /// It is stored, once. `duplicate` is true if an earlier try had been stored and its acknowledgement was lost.
    Stored(PublishAck),
    /// The stream refused it, with the error that is the source; it is not stored.
    #[non_exhaustive]
    Refused {
        /// The message, with its id.
        message: OutboundMessage,
        /// The refusal.
        error: PublishError,
    },
    /// It is not stored, and will not be: nobody had it in time, or it can't be sent.
    #[non_exhaustive]
    NotSent {
        /// The message, with its id.
        message: OutboundMessage,
        /// What went wrong last.
        error: PublishError,
    },
    /// It may be stored, once: no acknowledgement came in time, and sending it again could store it twice.
    #[non_exhaustive]
    InDoubt {
        /// The message, with its id.
        message: OutboundMessage,
        /// What went wrong last.
        error: PublishError,
    },
}

impl PublishOutcome {
    /// The acknowledgement, if the message is stored.
    pub fn stored(&self) -> Option<&PublishAck> {
        match self {
            PublishOutcome::Stored(ack) => Some(ack),
            _ => None,
        }
    }
}

impl Context {
    /// Publishes a message and waits until a stream has stored it. Over any outage, and while the stream has no leader, it is
    /// sent again with the same id, by which the stream stores it once: its own `Nats-Msg-Id`, or else a new unique one. That
    /// goes on until the deadline, or until nine tenths of the stream's duplicate window have passed since the first try that
    /// may have been stored.
    ///
    /// Messages of concurrent calls may be stored in another order than they were given. It takes a permit of
    /// [`max_ack_inflight`](super::ContextBuilder::max_ack_inflight) for each try. Dropping the future ends the tries.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) {
    /// use nats_lifeline::jetstream::message::PublishMessage;
    /// use nats_lifeline::jetstream::publish::{PublishOutcome, RetryOptions};
    ///
    /// let order = PublishMessage::build().payload("four wheels".into()).message_id("order-17");
    /// match context.publish_retry("orders.new", order, RetryOptions::new()).await {
    ///     PublishOutcome::Stored(ack) => println!("message {}", ack.sequence),
    ///     PublishOutcome::InDoubt { message, .. } => eprintln!("look for it: {:?}", message.headers),
    ///     other => eprintln!("not stored: {other:?}"),
    /// }
    /// # }
    /// ```
    pub async fn publish_retry<S: ToSubject>(
        &self,
        subject: S,
        publish: PublishMessage,
        options: RetryOptions,
    ) -> PublishOutcome {
        let mut message = OutboundMessage::from(publish.outbound_message(subject));
        let headers = message.headers.get_or_insert_default();
        // By a blank id, servers recognize nothing.
        let id = headers.get(NATS_MESSAGE_ID).filter(|id| !id.as_str().trim().is_empty());
        if id.is_none() {
            headers.insert(NATS_MESSAGE_ID, crate::client::unique_name().as_str());
        }
        let publication = self.inner().publications.begin();
        let now = Client::clock();
        // A time that the clock can't show is as far away as a year.
        let deadline = now.checked_add(options.within).or_else(|| now.checked_add(YEAR)).unwrap_or(now);
        let mut publishing = Publishing::new(now, deadline, self.ack_wait(), options.window);
        let mut next = publishing.go_on(now);
        let (mut stored, mut last) = (None, PublishError::from(PublishErrorKind::TimedOut));
        let fate = loop {
            next = match next {
                Next::Send { until } => {
                    let heard = match self.send_once(&message, until).await {
                        Ok(ack) => {
                            stored = Some(ack);
                            Heard::Stored
                        }
                        Err((heard, error)) => {
                            last = error;
                            heard
                        }
                    };
                    publishing.heard(heard, Client::clock())
                }
                Next::Pause { until } => {
                    self.inner().client.pause_until(until).await;
                    publishing.go_on(Client::clock())
                }
                Next::AskWindow { until } => {
                    let window = self.window_of(&message, until).await;
                    publishing.window(window, Client::clock())
                }
                Next::End(fate) => break fate,
            };
        };
        let (known, outcome) = match (fate, stored) {
            (Fate::Stored, Some(ack)) => (Known::Stored { duplicate: ack.duplicate }, PublishOutcome::Stored(ack)),
            (Fate::Refused, _) => (Known::Refused, PublishOutcome::Refused { message, error: last }),
            (Fate::NotSent, _) => (Known::NotSent, PublishOutcome::NotSent { message, error: last }),
            (Fate::InDoubt | Fate::Stored, _) => (Known::InDoubt, PublishOutcome::InDoubt { message, error: last }),
        };
        publication.settle(known);
        outcome
    }

    /// One try.
    async fn send_once(&self, message: &OutboundMessage, until: Instant) -> Result<PublishAck, (Heard, PublishError)> {
        let request = self.start(message, Some(until)).await.map_err(|error| {
            let waits = matches!(error.kind(), PublishErrorKind::MaxAckPending | PublishErrorKind::TimedOut);
            (if waits { Heard::NotStored } else { Heard::Impossible }, error)
        })?;
        let (heard, error) = match judged(request.outcome(Some(until)).await) {
            Judged::Final(_, Ok(ack)) => return Ok(ack),
            Judged::NotStoredYet(error) => match never_stored(message) {
                Some(error) => (Heard::Impossible, error),
                None => (Heard::NotStored, error),
            },
            Judged::Final(Known::Refused, Err(error)) => (Heard::Refused, error),
            // An outage.
            Judged::Final(Known::NotSent, Err(error)) if error.kind() == PublishErrorKind::TimedOut => {
                (Heard::NotStored, error)
            }
            Judged::Final(Known::NotSent, Err(error)) => (Heard::Impossible, error),
            Judged::Final(_, Err(error)) => (Heard::Lost, error),
        };
        let ended = heard == Heard::NotStored && self.inner().client.has_ended();
        Err((if ended { Heard::Impossible } else { heard }, error))
    }

    /// How long the stream that stores the message recognizes its id; asked for until `until`. `None` if nobody says it.
    async fn window_of(&self, message: &OutboundMessage, until: Instant) -> Option<Duration> {
        let expected = message.headers.as_ref().and_then(|headers| headers.get(NATS_EXPECTED_STREAM));
        let client = &self.inner().client;
        let mut pauses = Pauses::default();
        loop {
            let asked = async {
                let name = match expected {
                    Some(name) => name.to_string(),
                    None => self.stream_by_subject(message.subject.as_str()).await.ok()?,
                };
                Some(self.get_stream(&name).await.ok()?.cached_info().config.duplicate_window)
            };
            match client.until(Some(until), asked).await? {
                Some(window) => return Some(window),
                // An election, or an outage.
                None if !client.has_ended() && pauses.pause(client, Some(until)).await => {}
                None => return None,
            }
        }
    }
}
