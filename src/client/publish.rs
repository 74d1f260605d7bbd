//! Publishing: one path from a message to the outbox, for every way to call it.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::Client;
use super::denied::{accepted, publish_error, try_error};
use super::error::{InvalidName, PublishError, PublishErrorKind, TryPublishError, TryPublishErrorKind};
use super::message::OutboundMessage;
use super::wait;
use crate::driver::{Denied, OnFull, Priority, Publish, Room};
use crate::engine::{Frame, OverflowPolicy, Refusal};
use crate::protocol::{HeaderMap, Subject, ToSubject, check_publish_subject, publish_args_len};

/// `message`, with its encoded headers, on its way into the outbox.
pub(super) fn publish_of<'a>(message: &'a OutboundMessage, headers: Option<&'a [u8]>) -> Publish<'a> {
    let reply = message.reply.as_ref().map(Subject::as_bytes);
    Publish::new(message.subject.as_bytes(), &message.payload).with_reply(reply).with_headers(headers)
}

/// The bytes of a subject, whatever its form; `made` keeps it if it had to be made.
#[inline(always)]
pub(super) fn wire_bytes<'a, S: ToSubject>(given: &'a S, made: &'a mut Option<Subject>) -> &'a [u8] {
    match given.wire_bytes() {
        Some(bytes) => bytes,
        None => made.insert(given.to_subject()).as_bytes(),
    }
}

/// A size in digits, at its longest, with a blank.
pub(super) const SIZE_ARG: usize = 11;

impl Client {
    /// Publishes a message.
    ///
    /// Ok means that the message was accepted: it is in the outbox, in order after everything that this client and
    /// its clones published before. Use [`flush`](Client::flush) to know when the server has processed it. If the
    /// server accepts bytes more slowly than they are published, this waits for room, up to
    /// [`publish_timeout`](crate::ConnectOptions::publish_timeout) (10 s). While disconnected the message is
    /// buffered, up to [`reconnect_buffer_size`](crate::ConnectOptions::reconnect_buffer_size) in total; beyond that
    /// it is refused immediately. If the future is dropped before it is ready, nothing was published.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`](PublishErrorKind::InvalidSubject) and
    /// [`MaxPayloadExceeded`](PublishErrorKind::MaxPayloadExceeded), with the rule and the numbers as their source;
    /// [`Send`](PublishErrorKind::Send) with a [`SendFault`](crate::client::SendFault) as its source. In all these cases the message will not
    /// be sent.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// client.publish("orders.new", "four wheels".into()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[allow(clippy::manual_async_fn, reason = "an async fn would move its arguments once more, which is felt here")]
    pub fn publish<S: ToSubject>(
        &self,
        subject: S,
        payload: Bytes,
    ) -> impl Future<Output = Result<(), PublishError>> + use<'_, S> {
        async move {
            let mut made = None;
            let subject = wire_bytes(&subject, &mut made);
            if self.publish_short(subject, &payload) {
                return Ok(());
            }
            self.publish_accepted(Publish::new(subject, &payload)).await
        }
    }

    /// [`publish`](Client::publish) with headers. An empty map is sent as a message without headers.
    ///
    /// # Errors
    ///
    /// As `publish`; the headers count towards the size.
    pub async fn publish_with_headers<S: ToSubject>(
        &self,
        subject: S,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let (mut made, headers) = (None, headers.block());
        let subject = wire_bytes(&subject, &mut made);
        self.publish_accepted(Publish::new(subject, &payload).with_headers(headers)).await
    }

    /// [`publish`](Client::publish) with a reply subject.
    ///
    /// # Errors
    ///
    /// As `publish`; the reply subject is checked by the same rules.
    pub async fn publish_with_reply<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let mut made = (None, None);
        let (subject, reply) = (wire_bytes(&subject, &mut made.0), wire_bytes(&reply, &mut made.1));
        self.publish_accepted(Publish::new(subject, &payload).with_reply(Some(reply))).await
    }

    /// [`publish`](Client::publish) with headers and a reply subject.
    ///
    /// # Errors
    ///
    /// As `publish`.
    pub async fn publish_with_reply_and_headers<S: ToSubject, R: ToSubject>(
        &self,
        subject: S,
        reply: R,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), PublishError> {
        let (mut made, headers) = ((None, None), headers.block());
        let (subject, reply) = (wire_bytes(&subject, &mut made.0), wire_bytes(&reply, &mut made.1));
        let publish = Publish::new(subject, &payload).with_reply(Some(reply)).with_headers(headers);
        self.publish_accepted(publish).await
    }

    /// Publishes without waiting. A refused message is returned in the error.
    ///
    /// # Errors
    ///
    /// [`NoRoom`](TryPublishErrorKind::NoRoom) where [`publish`](Client::publish) would wait; otherwise the errors of
    /// `publish`.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::Client) {
    /// if let Err(error) = client.try_publish("ticks", "1".into()) {
    ///     let message = error.into_message();
    ///     eprintln!("kept back: {} bytes for {}", message.payload.len(), message.subject);
    /// }
    /// # }
    /// ```
    pub fn try_publish<S: ToSubject>(&self, subject: S, payload: Bytes) -> Result<(), TryPublishError> {
        self.try_publish_message(OutboundMessage { subject: subject.to_subject(), reply: None, payload, headers: None })
    }

    /// [`try_publish`](Client::try_publish) of a whole message.
    ///
    /// # Errors
    ///
    /// As `try_publish`.
    pub fn try_publish_message(&self, message: OutboundMessage) -> Result<(), TryPublishError> {
        self.try_publish_with(Priority::Usual, message, |_| {})
    }

    pub(super) fn try_publish_with(
        &self,
        priority: Priority,
        message: OutboundMessage,
        registered: impl FnOnce(u64),
    ) -> Result<(), TryPublishError> {
        let headers = message.headers.as_ref().and_then(HeaderMap::block);
        let publish = publish_of(&message, headers).with_priority(priority);
        let admitted = self
            .check(&publish)
            .map_err(Fault::Publish)
            .and_then(|()| self.admit(&publish, OnFull::Never, registered).map_err(Fault::Denied));
        match admitted {
            Ok(()) => Ok(()),
            Err(Fault::Publish(error)) => {
                self.count_refused();
                let kind = TryPublishErrorKind::InvalidSubject;
                Err(match error.into_source() {
                    Some(rule) => TryPublishError::with_source(kind, message, rule),
                    None => TryPublishError::new(kind, message),
                })
            }
            // Accepted, and counted as lost: that is what the policy was chosen for.
            Err(Fault::Denied(Denied::Outbox(Refusal::Dropped))) => Ok(()),
            Err(Fault::Denied(denied)) => {
                self.count_refused();
                Err(try_error(denied, message))
            }
        }
    }

    /// The fast path for a short message. `false`: nothing was done; the usual path also finds out why.
    fn publish_short(&self, subject: &[u8], payload: &Bytes) -> bool {
        // A short frame's control line is shorter than any `max_control_line` that may be set.
        check_publish_subject(subject).is_ok() && self.shared().publish_short(subject, payload)
    }

    /// Publishes a message, waiting for room if need be.
    pub(super) async fn publish_accepted(&self, publish: Publish<'_>) -> Result<(), PublishError> {
        self.publish_numbered(publish, |_| {}).await
    }

    /// The same; `numbered` gets the message's number when it is admitted.
    pub(super) async fn publish_numbered(
        &self,
        publish: Publish<'_>,
        numbered: impl Fn(u64) + Copy,
    ) -> Result<(), PublishError> {
        match self.publish_now(&publish, numbered) {
            Ok(()) => Ok(()),
            Err(fault) => self.publish_later(publish, fault, numbered).await,
        }
    }

    /// Publishing when nothing is in the way. Not an `async fn`, so that a publish that need not wait is a call and
    /// not a state machine.
    fn publish_now(&self, publish: &Publish<'_>, numbered: impl Fn(u64)) -> Result<(), Fault> {
        self.check(publish).map_err(Fault::Publish)?;
        self.admit(publish, OnFull::Yield, numbered).map_err(Fault::Denied)
    }

    /// Publishing when something is in the way. Boxed, since it is rare and would make the future of every publish
    /// large.
    #[cold]
    async fn publish_later(
        &self,
        publish: Publish<'_>,
        fault: Fault,
        numbered: impl Fn(u64) + Copy,
    ) -> Result<(), PublishError> {
        let published = match fault {
            Fault::Publish(error) => Err(error),
            Fault::Denied(denied) => {
                let limit = Some(self.core.settings.publish_timeout);
                Box::pin(self.publish_slowly(publish, denied, wait::deadline(limit), numbered)).await.or_else(accepted)
            }
        };
        published.inspect_err(|_| self.count_refused())
    }

    /// Counts a message whose publisher gets an error.
    #[cold]
    pub(super) fn count_refused(&self) {
        self.shared().refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Checks that the subjects and the control line can go on the wire.
    #[inline(always)]
    pub(super) fn check(&self, publish: &Publish<'_>) -> Result<(), PublishError> {
        let Frame { subject, reply, headers, payload } = publish.frame;
        let invalid = |fault: crate::Error| PublishError::with_source(PublishErrorKind::InvalidSubject, fault);
        // Whatever the user wants to skip: a blank or a line end would change what the server and we ourselves read.
        check_publish_subject(subject).map_err(|rule| invalid(InvalidName::new(subject, rule).into()))?;
        if let Some(reply) = reply {
            check_publish_subject(reply).map_err(|rule| invalid(InvalidName::new(reply, rule).into()))?;
        }
        let reply = reply.map(<[u8]>::len);
        let longest = subject.len() + reply.unwrap_or(0) + 1 + 2 * SIZE_ARG;
        let limit = self.core.settings.config.max_control_line;
        if longest > limit {
            let args = publish_args_len(subject.len(), reply, headers.map(<[u8]>::len), payload.len());
            if args > limit {
                let text = format!("the control line would have {args} bytes; max_control_line is {limit}");
                return Err(invalid(text.into()));
            }
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn admit(
        &self,
        publish: &Publish<'_>,
        on_full: OnFull,
        registered: impl FnOnce(u64),
    ) -> Result<(), Denied> {
        self.shared().publish(publish, on_full, registered)
    }

    /// Publishes a message whose number the caller needs. No deadline: the caller has one around this.
    pub(super) async fn publish_registered(
        &self,
        publish: Publish<'_>,
        registered: impl Fn(u64) + Copy,
    ) -> Result<(), PublishError> {
        let published = match self.check(&publish) {
            Ok(()) => match self.admit(&publish, OnFull::Yield, registered) {
                Ok(()) => return Ok(()),
                Err(denied) => self.publish_slowly(publish, denied, None, registered).await.map_err(publish_error),
            },
            Err(error) => Err(error),
        };
        published.inspect_err(|_| self.count_refused())
    }

    /// The path of a message that was not admitted immediately.
    #[cold]
    async fn publish_slowly(
        &self,
        publish: Publish<'_>,
        first: Denied,
        deadline: Option<Instant>,
        registered: impl Fn(u64) + Copy,
    ) -> Result<(), Denied> {
        let began = wait::now();
        // What is critical does not wait for a connection.
        let critical = publish.priority == Priority::Critical;
        let buffered = (!critical).then(|| publish.frame.len());
        let mut room = pin!(Room::new(self.core.handle.clone(), buffered));
        let (mut denied, mut deadline) = (first, deadline);
        loop {
            let until = match &denied {
                Denied::Yield => {
                    wait::yield_once().await;
                    Some(None)
                }
                Denied::Outbox(Refusal::NoRoom) => Some(Some(deadline)),
                Denied::Outbox(Refusal::Full { .. } | Refusal::TooMany { .. } | Refusal::TooLarge { .. })
                    if !critical =>
                {
                    self.patience_while_down().map(|limit| {
                        // The policy's own limit counts here, and for callers still in line when a server is there again.
                        let down = began.checked_add(limit);
                        deadline = deadline.zip(down).map(|(usual, down)| usual.max(down));
                        Some(down)
                    })
                }
                _ => None,
            };
            let Some(until) = until else { return Err(denied) };
            if let Some(until) = until {
                if wait::until(self.shared(), until, room.as_mut()).await.is_err() {
                    return Err(Denied::NotInTime { waited: wait::now().saturating_duration_since(began) });
                }
            }
            match self.admit(&publish, OnFull::Never, registered) {
                Ok(()) => return Ok(()),
                Err(again) => denied = again,
            }
        }
    }

    /// How long a publish waits for room while no server is connected; `None`: it is refused.
    fn patience_while_down(&self) -> Option<Duration> {
        match self.core.settings.config.outbox.overflow {
            OverflowPolicy::Wait(limit) => Some(limit),
            _ => None,
        }
    }
}

enum Fault {
    Publish(PublishError),
    Denied(Denied),
}
