//! Many messages of a stream at a time, from any replica.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Cx, Poll, ready};
use std::time::Instant;

use futures_core::Stream as Items;

use super::get::checked;
use crate::client::{Replies, SendFault};
use crate::datetime::DateTime;
use crate::error::Error;
use crate::header::{HeaderName, NATS_LAST_SEQUENCE};
use crate::jetstream::context::Context;
use crate::jetstream::error::{DirectGetError, DirectGetErrorKind};
use crate::jetstream::run::call;
use crate::jetstream::run::pauses::Pauses;
use crate::jetstream::stream::Stream;
use crate::jetstream::wire::{Call, Filter, InvalidName, ManyRequest, Name, StreamMessage};
use crate::options::RepliesOptions;
use crate::{Client, Message, StatusCode};

/// Asked for at a time, so that an answer neither overflows a client that reads slowly nor is lost as a whole.
const PAGE: u64 = 1_000;
const PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// A server takes this many subjects in one request (`JSMaxMultiGetSubjects` of nats-server).
const MOST_SUBJECTS: usize = 1_024;

/// Which messages to get from any replica, from [`Stream::get_many`].
#[derive(Debug)]
#[must_use = "it asks for nothing until it is sent"]
pub struct GetMany {
    context: Context,
    stream: String,
    request: ManyRequest,
    /// Whether the last messages of some subjects are wanted.
    last: bool,
    most: Option<u64>,
}

impl<I> Stream<I> {
    /// Gets many messages from any replica, in order of their numbers: those with a subject, or the last ones of some subjects.
    /// The stream must [allow it](crate::jetstream::stream::Config::allow_direct), and its servers must be 2.11 or newer
    /// (ADR-31).
    ///
    /// A replica may be behind the leader: a message that was just stored may not be there yet.
    ///
    /// ```no_run
    /// # async fn example(orders: nats_lifeline::jetstream::stream::Stream) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::StreamExt;
    ///
    /// // The last message of each order.
    /// let mut last = orders.get_many().last_by_subjects(["orders.*"]).send()?;
    /// while let Some(message) = last.next().await {
    ///     let message = message?;
    ///     println!("{}: {} bytes", message.subject, message.payload.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many(&self) -> GetMany {
        let request = ManyRequest { batch: PAGE, max_bytes: PAGE_BYTES, ..ManyRequest::default() };
        GetMany { context: self.context().clone(), stream: self.name().to_owned(), request, last: false, most: None }
    }
}

impl GetMany {
    /// Begins at this message. Default: at the first one.
    pub fn sequence(mut self, sequence: u64) -> Self {
        self.request.sequence = Some(sequence);
        self
    }

    /// Begins at the first message that was stored at this time or after it.
    pub fn start_time(mut self, time: DateTime) -> Self {
        self.request.start_time = Some(time);
        self
    }

    /// Only messages with this subject; wildcards are allowed. Default: all.
    pub fn subject<S: Into<String>>(mut self, subject: S) -> Self {
        self.request.next_by_subject = Some(subject.into());
        self
    }

    /// The last message of each subject that matches one of these; wildcards are allowed. At most 1,024 subjects are given, and at most
    /// as many match: if there are more, the server answers 413.
    ///
    /// They are those as of the moment of the first page. If one of them is removed or replaced before it is sent, or a connection is lost,
    /// the others are asked for again: then a subject whose message has changed can come again, with the new one.
    pub fn last_by_subjects<S: Into<String>>(mut self, subjects: impl IntoIterator<Item = S>) -> Self {
        self.request.last_by_subjects = subjects.into_iter().map(Into::into).collect();
        self.last = true;
        self
    }

    /// With [`last_by_subjects`](GetMany::last_by_subjects): the last ones as of this message. There are none as of 0, before the first
    /// one.
    pub fn up_to_sequence(mut self, sequence: u64) -> Self {
        self.request.up_to_sequence = Some(sequence);
        self
    }

    /// With [`last_by_subjects`](GetMany::last_by_subjects): the last ones as of this time.
    pub fn up_to_time(mut self, time: DateTime) -> Self {
        self.request.up_to_time = Some(time);
        self
    }

    /// At most this many messages. Default: no limit.
    pub fn messages(mut self, most: u64) -> Self {
        self.most = Some(most);
        self
    }

    /// The messages. They are asked for in pages as they are read. If a connection is lost, it goes on after the last message
    /// that came.
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`](DirectGetErrorKind::InvalidSubject), and [`Request`](DirectGetErrorKind::Request) for choices that
    /// exclude each other or are over a limit; the source names the rule. In the stream, as its last item:
    /// [`ErrorResponse`](DirectGetErrorKind::ErrorResponse) with what the server said, with 503 if the stream does not exist or
    /// does not allow it; [`TimedOut`](DirectGetErrorKind::TimedOut) if nothing has come for the context's timeout.
    pub fn send(mut self) -> Result<StoredMessages, DirectGetError> {
        let invalid = |invalid: InvalidName| Error::with_source(DirectGetErrorKind::InvalidSubject, invalid);
        Name::stream(&self.stream).map_err(invalid)?;
        let request = &mut self.request;
        for subject in request.next_by_subject.iter().chain(&request.last_by_subjects) {
            Filter::new(subject).map_err(invalid)?;
        }
        let (last, up_to) = (self.last, (request.up_to_sequence, request.up_to_time));
        let rule = match () {
            () if last && request.last_by_subjects.is_empty() => Some("last_by_subjects without a subject".to_owned()),
            () if last && (request.next_by_subject.is_some() || request.start_time.is_some()) => {
                Some("last_by_subjects excludes subject and start_time".to_owned())
            }
            () if !last && up_to != (None, None) => {
                Some("up_to_sequence and up_to_time need last_by_subjects".to_owned())
            }
            () if up_to.0.is_some() && up_to.1.is_some() => Some("up_to_sequence excludes up_to_time".to_owned()),
            () if request.sequence.is_some() && request.start_time.is_some() => {
                Some("sequence excludes start_time".to_owned())
            }
            () if request.last_by_subjects.len() > MOST_SUBJECTS => {
                Some(format!("{} subjects; a server takes at most {MOST_SUBJECTS}", request.last_by_subjects.len()))
            }
            () => None,
        };
        if let Some(rule) = rule {
            return Err(Error::with_source(DirectGetErrorKind::Request, rule));
        }
        if !last && request.next_by_subject.is_none() {
            request.next_by_subject = Some(">".to_owned());
        }
        if !last && request.sequence.is_none() && request.start_time.is_none() {
            request.sequence = Some(1);
        }
        // Servers take 0 for no limit.
        let left = if up_to.0 == Some(0) { 0 } else { self.most.unwrap_or(u64::MAX) };
        let next = (left > 0).then_some(Asking { context: self.context, stream: self.stream, request: self.request });
        Ok(StoredMessages { items: VecDeque::new(), next, asked: None, left })
    }
}

/// The messages of [`GetMany::send`].
pub struct StoredMessages {
    items: VecDeque<StreamMessage>,
    /// What to ask for next; `None` while that is being asked, and at the end.
    next: Option<Asking>,
    asked: Option<Pin<Box<dyn Future<Output = Page> + Send>>>,
    /// How many more are wanted.
    left: u64,
}

impl fmt::Debug for StoredMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMessages").field("received", &self.items.len()).finish_non_exhaustive()
    }
}

impl Items for StoredMessages {
    type Item = Result<StreamMessage, DirectGetError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            // A server may send more than it was asked for.
            if this.left == 0 {
                return Poll::Ready(None);
            }
            if let Some(message) = this.items.pop_front() {
                this.left -= 1;
                return Poll::Ready(Some(Ok(message)));
            }
            if let Some(mut asking) = this.next.take() {
                asking.request.batch = PAGE.min(this.left);
                this.asked = Some(Box::pin(asking.page()));
            }
            let Some(asked) = &mut this.asked else { return Poll::Ready(None) };
            let page = ready!(asked.as_mut().poll(cx));
            this.asked = None;
            match page {
                Ok((items, next)) => (this.items, this.next) = (items, next),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

/// What came, and what to ask for after it.
type Page = Result<(VecDeque<StreamMessage>, Option<Asking>), DirectGetError>;

struct Asking {
    context: Context,
    stream: String,
    request: ManyRequest,
}

impl Asking {
    /// Asks for one page, and again if nothing of it has come.
    async fn page(mut self) -> Page {
        let timeout = self.context.call_timeout();
        let deadline = timeout.and_then(|timeout| Client::clock().checked_add(timeout));
        let mut pauses = Pauses::default();
        loop {
            let mut items = VecDeque::new();
            let error = match self.one_try(&mut items, deadline).await {
                Ok(more) => {
                    let more = more && !items.is_empty();
                    return Ok((items, more.then_some(self)));
                }
                Err(Failed::ForGood(error)) if items.is_empty() => return Err(error),
                Err(Failed::ForGood(error) | Failed::Lost(error)) => error,
            };
            if !items.is_empty() {
                return Ok((items, Some(self)));
            }
            let client = &self.context.inner().client;
            if client.has_ended() || !pauses.pause(client, deadline).await {
                return Err(error);
            }
        }
    }

    /// Adds to `items` what comes, and moves the request behind it. Returns whether there is more.
    async fn one_try(
        &mut self,
        items: &mut VecDeque<StreamMessage>,
        deadline: Option<Instant>,
    ) -> Result<bool, Failed> {
        let mut replies = self.ask(deadline).await?;
        while let Some(reply) = next(&mut replies).await {
            let reply = match reply {
                Ok(reply) => reply,
                Err(error) => return Err(Failed::of(error)),
            };
            if reply.status.is_some_and(|status| status.as_u16() == END_OF_BATCH) {
                return Ok(self.end_of_page(&reply, items));
            }
            if reply.status == Some(StatusCode::NOT_FOUND) {
                // Of the last ones, one was removed while they were being sent, and the server has stopped there.
                let last = !self.request.last_by_subjects.is_empty();
                let removed = last && reply.description.as_deref() == Some("Message Not Found");
                return if removed { Err(Failed::Lost(DirectGetErrorKind::NotFound.into())) } else { Ok(false) };
            }
            let reply = checked(reply).map_err(Failed::ForGood)?;
            if number(&reply, NATS_NUM_PENDING).is_none() {
                let old = "the server answers single messages only: nats-server 2.11 or newer is needed";
                return Err(Failed::ForGood(Error::with_source(DirectGetErrorKind::Request, old)));
            }
            let Message { headers, payload, .. } = reply;
            let message = StreamMessage::from_direct(headers.unwrap_or_default(), payload)
                .map_err(|fault| Failed::ForGood(Error::with_source(DirectGetErrorKind::Other, fault)))?;
            self.go_on_after(message.sequence);
            items.push_back(message);
        }
        Err(Failed::Lost(DirectGetErrorKind::TimedOut.into()))
    }

    async fn ask(&self, deadline: Option<Instant>) -> Result<Replies, Failed> {
        let for_good =
            |invalid: InvalidName| Failed::ForGood(Error::with_source(DirectGetErrorKind::InvalidSubject, invalid));
        let stream = Name::stream(&self.stream).map_err(for_good)?;
        let other = |error| Failed::ForGood(Error::with_source(DirectGetErrorKind::Other, error));
        let subject = self.context.subject_of(Call::DirectGet { stream }).map_err(other)?;
        let body = call::encode(&self.request).map_err(other)?;
        let mut options = RepliesOptions::new();
        if let Some(deadline) = deadline {
            // A page that takes longer is asked for again where it broke off.
            options = options.timeout(deadline.saturating_duration_since(Client::clock()));
        }
        self.context.inner().client.request_stream(subject, body, options).await.map_err(Failed::of)
    }

    /// The page is complete. Returns whether there is more.
    fn end_of_page(&mut self, end: &Message, items: &VecDeque<StreamMessage>) -> bool {
        if let (Some(up_to), false) = (number(end, NATS_UP_TO_SEQUENCE), self.request.last_by_subjects.is_empty()) {
            self.request.up_to_sequence = Some(up_to);
            self.request.up_to_time = None;
        }
        if let Some(last) = number(end, NATS_LAST_SEQUENCE).filter(|_| items.is_empty()) {
            self.go_on_after(last);
        }
        number(end, NATS_NUM_PENDING).is_some_and(|pending| pending > 0)
    }

    fn go_on_after(&mut self, sequence: u64) {
        self.request.sequence = Some(sequence.saturating_add(1));
        self.request.start_time = None;
    }
}

enum Failed {
    /// Asking again would not help.
    ForGood(DirectGetError),
    /// The rest can be asked for again.
    Lost(DirectGetError),
}

impl Failed {
    /// An outage ends, and a refusal does not.
    fn of(error: crate::RequestError) -> Failed {
        use crate::RequestErrorKind as Kind;
        let refused = matches!(error.source_as::<SendFault>(), Some(SendFault::Refused { .. }));
        match error.kind() {
            Kind::NoResponders | Kind::InvalidSubject | Kind::MaxPayloadExceeded => Failed::ForGood(error.into()),
            Kind::Other if refused => Failed::ForGood(error.into()),
            Kind::TimedOut | Kind::Other => Failed::Lost(error.into()),
        }
    }
}

/// The end of a page: `204 EOB`.
const END_OF_BATCH: u16 = 204;

const NATS_NUM_PENDING: HeaderName = HeaderName::from_static("Nats-Num-Pending");
const NATS_UP_TO_SEQUENCE: HeaderName = HeaderName::from_static("Nats-UpTo-Sequence");

async fn next(replies: &mut Replies) -> Option<Result<Message, crate::RequestError>> {
    std::future::poll_fn(|cx| Pin::new(&mut *replies).poll_next(cx)).await
}

fn number(message: &Message, name: HeaderName) -> Option<u64> {
    message.headers.as_ref()?.get_last(name)?.as_str().parse().ok()
}
