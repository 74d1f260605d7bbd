//! A stream's info with its subjects.

use std::pin::Pin;
use std::task::{Context as Cx, Poll};

use crate::jetstream::context::Context;
use crate::jetstream::error::InfoError;
use crate::jetstream::run::call::{CallFailed, Effect};
use crate::jetstream::run::pages::{Fetched, Pages};
use crate::jetstream::stream::Stream;
use crate::jetstream::wire::{Call, Filter, Name, StreamInfo as Info, StreamInfoRequest};

impl<I> Stream<I> {
    /// The info, and the subjects that match `subjects_filter`, each with the number of its messages.
    ///
    /// # Errors
    ///
    /// As [`get_info`](Stream::get_info).
    ///
    /// ```no_run
    /// # async fn example(orders: nats_lifeline::jetstream::stream::Stream) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut subjects = orders.info_with_subjects("orders.>").await?;
    /// while let Some((subject, messages)) = subjects.try_next().await? {
    ///     println!("{subject}: {messages}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn info_with_subjects<F: AsRef<str>>(&self, subjects_filter: F) -> Result<InfoWithSubjects, InfoError> {
        self.info_builder().subjects(subjects_filter.as_ref()).fetch().await
    }

    /// Asks for the info and more: the subjects, or the numbers of removed messages.
    pub fn info_builder(&self) -> StreamInfoBuilder {
        StreamInfoBuilder {
            context: self.context().clone(),
            stream: self.name().to_owned(),
            deleted: false,
            filter: String::new(),
        }
    }
}

/// What to ask for besides the info, from [`Stream::info_builder`].
#[derive(Debug)]
#[must_use = "it asks for nothing until it is fetched"]
pub struct StreamInfoBuilder {
    context: Context,
    stream: String,
    deleted: bool,
    filter: String,
}

impl StreamInfoBuilder {
    /// Sets whether [`State::deleted`](crate::jetstream::stream::State::deleted) has the numbers of removed messages. Default false.
    pub fn with_deleted(mut self, deleted: bool) -> Self {
        self.deleted = deleted;
        self
    }

    /// Sets which subjects to list; wildcards are allowed. Default: none.
    pub fn subjects<S: Into<String>>(mut self, subject: S) -> Self {
        self.filter = subject.into();
        self
    }

    /// Asks for the info and the first page of subjects.
    ///
    /// # Errors
    ///
    /// As [`get_info`](Stream::get_info).
    pub async fn fetch(self) -> Result<InfoWithSubjects, InfoError> {
        let StreamInfoBuilder { context, stream, deleted, filter } = self;
        if !filter.is_empty() {
            Filter::new(&filter)?;
        }
        let info = ask(&context, &stream, StreamInfoRequest::new(0, deleted, filter.clone()))
            .await
            .map_err(CallFailed::into_error::<InfoError>)?;
        Ok(InfoWithSubjects::starting_with(context, stream, info, filter))
    }
}

async fn ask(context: &Context, stream: &str, request: StreamInfoRequest) -> Result<Info, CallFailed> {
    let stream = Name::stream(stream)?;
    context.call(Call::StreamInfo { stream }, &request, Effect::Reads).await
}

/// A stream's info, and its subjects as a stream of items: each with the number of its messages. The pages are asked for one
/// after the other.
#[derive(Debug)]
pub struct InfoWithSubjects {
    /// The info, as it was at the first page.
    pub info: Info,
    subjects: Pages<(String, usize)>,
}

impl InfoWithSubjects {
    /// The subjects of the page in `info`, and then those of the other pages. `subject`: the filter.
    pub fn new(context: Context, info: Info, subject: String) -> Self {
        let stream = info.config.name.clone();
        InfoWithSubjects::starting_with(context, stream, info, subject)
    }

    fn starting_with(context: Context, stream: String, mut info: Info, filter: String) -> Self {
        let Fetched { items, next } = page(&mut info);
        let subjects = Pages::after(items, next, move |offset| {
            let (context, stream) = (context.clone(), stream.clone());
            let request = StreamInfoRequest::new(offset, false, filter.clone());
            async move { ask(&context, &stream, request).await.map(|mut info| page(&mut info)) }
        });
        InfoWithSubjects { info, subjects }
    }
}

/// The subjects of an info.
fn page(info: &mut Info) -> Fetched<(String, usize)> {
    let subjects = info.state.take_subjects().unwrap_or_default();
    Fetched { next: info.page().next(subjects.len()), items: subjects.into_iter().collect() }
}

impl futures_core::Stream for InfoWithSubjects {
    type Item = Result<(String, usize), InfoError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Option<Self::Item>> {
        self.subjects.poll_item(cx)
    }
}
