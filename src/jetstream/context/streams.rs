//! The context's calls about streams.

use std::borrow::Borrow;

use crate::error::Error;
use crate::jetstream::context::Context;
use crate::jetstream::error::{
    CreateStreamError, CreateStreamErrorKind, DeleteStreamError, GetStreamByNameError, GetStreamByNameErrorKind,
    GetStreamError, GetStreamErrorKind, StreamsError, UpdateStreamError,
};
use crate::jetstream::run::call::{CallFailed, Effect, Empty};
use crate::jetstream::run::pages::{Fetched, Pages, list};
use crate::jetstream::stream::{Config, DeleteStatus, Info, Stream};
use crate::jetstream::wire::{Call, External, Filter, InvalidName, Name, NameFault, Page, PageRequest, Source};

list! {
    /// The names of streams, from [`Context::stream_names`].
    StreamNames of String, StreamsError
}

list! {
    /// The infos of streams, from [`Context::streams`].
    Streams of Info, StreamsError
}

impl Context {
    /// Creates a stream.
    ///
    /// A server accepts the same configuration again, so that repeating a call does no harm. The domain of a mirror or a source
    /// is sent as its external API.
    ///
    /// # Errors
    ///
    /// [`JetStream`](CreateStreamErrorKind::JetStream) with
    /// [`STREAM_NAME_EXIST`](crate::jetstream::ErrorCode::STREAM_NAME_EXIST) if there is a stream of this name with another configuration.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// use nats_lifeline::jetstream::stream::Config;
    /// use std::time::Duration;
    ///
    /// let events = context.create_stream(Config {
    ///     name: "EVENTS".to_owned(),
    ///     subjects: vec!["events.*".to_owned()],
    ///     max_age: Duration::from_secs(3600),
    ///     ..Default::default()
    /// }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_stream<S>(&self, stream_config: S) -> Result<Stream<Info>, CreateStreamError>
    where
        Config: From<S>,
    {
        let config = ready(stream_config.into())?;
        let call = Call::StreamCreate { stream: Name::stream(&config.name).map_err(not_created)? };
        let info =
            self.call(call, &config, Effect::Changes).await.map_err(CallFailed::into_error::<CreateStreamError>)?;
        Ok(Stream::new(self.clone(), config.name, info))
    }

    /// The stream of this name, without asking the server: it may not exist.
    ///
    /// # Errors
    ///
    /// If the name is invalid.
    pub async fn get_stream_no_info<T: AsRef<str>>(&self, stream: T) -> Result<Stream<()>, GetStreamError> {
        let name = Name::stream(stream.as_ref()).map_err(not_found)?;
        Ok(Stream::new(self.clone(), name.as_str().to_owned(), ()))
    }

    /// The stream of this name.
    ///
    /// # Errors
    ///
    /// [`JetStream`](GetStreamErrorKind::JetStream) with [`STREAM_NOT_FOUND`](crate::jetstream::ErrorCode::STREAM_NOT_FOUND) if there
    /// is none.
    pub async fn get_stream<T: AsRef<str>>(&self, stream: T) -> Result<Stream, GetStreamError> {
        let name = Name::stream(stream.as_ref()).map_err(not_found)?;
        let info = self.call(Call::StreamInfo { stream: name }, &Empty {}, Effect::Reads).await;
        Ok(Stream::new(self.clone(), name.as_str().to_owned(), info.map_err(CallFailed::into_error::<GetStreamError>)?))
    }

    /// The stream with the name of this configuration; it is created if there is none. One that exists is not compared with the
    /// configuration, and not changed.
    ///
    /// # Errors
    ///
    /// As [`create_stream`](Context::create_stream).
    pub async fn get_or_create_stream<S>(&self, stream_config: S) -> Result<Stream, CreateStreamError>
    where
        S: Into<Config>,
    {
        let config: Config = stream_config.into();
        let stream = Name::stream(&config.name).map_err(not_created)?;
        match self.call(Call::StreamInfo { stream }, &Empty {}, Effect::Reads).await {
            Ok(info) => Ok(Stream::new(self.clone(), config.name, info)),
            Err(CallFailed::Refused(error)) if error.code() == 404 => self.create_stream(config).await,
            Err(failed) => Err(failed.into_error()),
        }
    }

    /// Deletes a stream with all its messages and consumers.
    ///
    /// # Errors
    ///
    /// [`JetStream`](GetStreamErrorKind::JetStream) with [`STREAM_NOT_FOUND`](crate::jetstream::ErrorCode::STREAM_NOT_FOUND) if there
    /// is none.
    pub async fn delete_stream<T: AsRef<str>>(&self, stream: T) -> Result<DeleteStatus, DeleteStreamError> {
        let stream = Name::stream(stream.as_ref()).map_err(not_found)?;
        self.call(Call::StreamDelete { stream }, &Empty {}, Effect::Changes).await.map_err(CallFailed::into_error)
    }

    /// Changes the configuration of a stream.
    ///
    /// # Errors
    ///
    /// [`NotFound`](CreateStreamErrorKind::NotFound) if there is none of this name.
    pub async fn update_stream<S>(&self, config: S) -> Result<Info, UpdateStreamError>
    where
        S: Borrow<Config>,
    {
        let config = ready(config.borrow().clone())?;
        let stream = Name::stream(&config.name).map_err(not_created)?;
        self.call(Call::StreamUpdate { stream }, &config, Effect::Changes).await.map_err(CallFailed::into_error)
    }

    /// Changes the configuration of a stream, or creates it if there is none.
    ///
    /// # Errors
    ///
    /// As [`create_stream`](Context::create_stream).
    pub async fn create_or_update_stream(&self, config: Config) -> Result<Info, CreateStreamError> {
        match self.update_stream(&config).await {
            Err(error) if error.kind() == CreateStreamErrorKind::NotFound => {
                Ok(self.create_stream(config).await?.into_info())
            }
            updated => updated,
        }
    }

    /// The name of a stream that stores this subject, or any subject that matches it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](GetStreamByNameErrorKind::NotFound) if there is none.
    pub async fn stream_by_subject<T: Into<String>>(&self, subject: T) -> Result<String, GetStreamByNameError> {
        let subject = subject.into();
        if let Err(invalid) = Filter::new(&subject) {
            return Err(Error::with_source(GetStreamByNameErrorKind::InvalidSubject, invalid));
        }
        let request = PageRequest { offset: 0, subject: Some(&subject) };
        let page: Result<Page<String>, _> = self.call(Call::StreamNames, &request, Effect::Reads).await;
        let first = page.map_err(CallFailed::into_error::<GetStreamByNameError>)?.items.into_iter().next();
        first.ok_or_else(|| GetStreamByNameErrorKind::NotFound.into())
    }

    /// The names of all streams.
    ///
    /// ```no_run
    /// # async fn example(context: nats_lifeline::jetstream::Context) -> Result<(), nats_lifeline::Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut names = context.stream_names();
    /// while let Some(name) = names.try_next().await? {
    ///     println!("{name}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream_names(&self) -> StreamNames {
        let context = self.clone();
        StreamNames(Pages::new(move |offset| page(context.clone(), Call::StreamNames, offset)))
    }

    /// The infos of all streams.
    pub fn streams(&self) -> Streams {
        let context = self.clone();
        Streams(Pages::new(move |offset| page(context.clone(), Call::StreamList, offset)))
    }
}

/// A page of a list that needs no name.
async fn page<T: serde::de::DeserializeOwned>(
    context: Context,
    call: Call<'static>,
    offset: usize,
) -> Result<Fetched<T>, CallFailed> {
    let request = PageRequest { offset, subject: None };
    let page: Page<T> = context.call(call, &request, Effect::Reads).await?;
    Ok(Fetched { next: page.next(), items: page.items })
}

/// The configuration as it is sent.
fn ready(mut config: Config) -> Result<Config, CreateStreamError> {
    let sources = config.mirror.iter_mut().chain(config.sources.iter_mut().flatten());
    for source in sources {
        externalize(source)?;
    }
    Ok(config)
}

/// Servers don't know the domain of a source: it is a prefix of its API.
fn externalize(source: &mut Source) -> Result<(), CreateStreamError> {
    let Some(domain) = source.domain.take() else { return Ok(()) };
    if source.external.is_some() {
        return Err(CreateStreamErrorKind::DomainAndExternalSet.into());
    }
    let prefix = crate::jetstream::wire::Prefix::of_domain(&domain);
    let prefix = prefix.map_err(|invalid| Error::with_source(CreateStreamErrorKind::InvalidStreamName, invalid))?;
    source.external = Some(External { api_prefix: prefix.as_str().to_owned(), delivery_prefix: None });
    Ok(())
}

fn not_created(invalid: InvalidName) -> CreateStreamError {
    let kind = match invalid.fault() {
        NameFault::Empty => CreateStreamErrorKind::EmptyStreamName,
        _ => CreateStreamErrorKind::InvalidStreamName,
    };
    Error::with_source(kind, invalid)
}

fn not_found(invalid: InvalidName) -> GetStreamError {
    let kind = match invalid.fault() {
        NameFault::Empty => GetStreamErrorKind::EmptyName,
        _ => GetStreamErrorKind::InvalidStreamName,
    };
    Error::with_source(kind, invalid)
}
