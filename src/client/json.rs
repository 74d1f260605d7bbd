//! JSON payloads: values in, values out, and errors that name the subject.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::error::{PublishError, PublishErrorKind, RequestError, RequestErrorKind};
use super::message::Message;
use crate::protocol::{Subject, ToSubject, cut, shown};

/// A payload that is not the expected JSON, or a value that has no JSON form.
///
/// `Display` shows the line and the column, and no more than the beginning of serde_json's text, which may quote the payload;
/// control characters are escaped. The [`source`](std::error::Error::source) is serde_json's error, unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// A received payload is not JSON, or not of the expected type.
    #[error("the payload of {} can't be read as {expected}: {}", shown(subject), Reason(source))]
    Read {
        /// The subject of the message.
        subject: Subject,
        /// The expected Rust type.
        expected: &'static str,
        /// The reason.
        source: serde_json::Error,
    },
    /// A value cannot be written as JSON, for instance a map whose keys are not strings.
    #[error("the value for {} can't be written as JSON: {}", shown(subject), Reason(source))]
    Write {
        /// The subject that it was to be published to.
        subject: Subject,
        /// The reason.
        source: serde_json::Error,
    },
}

/// serde_json's text, which quotes keys and values of the payload: cut and escaped, with the place unchanged.
struct Reason<'a>(&'a serde_json::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let place = match (self.0.line(), self.0.column()) {
            (0, _) => String::new(),
            (line, column) => format!(" at line {line} column {column}"),
        };
        let reason = text.strip_suffix(&place).unwrap_or(&text);
        write!(f, "{}{place}", shown(&cut(reason)))
    }
}

impl Message {
    /// Reads the payload as JSON. The value may borrow from the message.
    ///
    /// # Errors
    ///
    /// [`JsonError::Read`], which names the subject, the type and the place in the payload. The message is still there.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), nats_lifeline::Error> {
    /// use futures_util::StreamExt;
    /// use nats_lifeline::testing::Broker;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Order {
    ///     wheels: u32,
    /// }
    ///
    /// let broker = Broker::start().await?;
    /// let client = nats_lifeline::connect(broker.url()).await?;
    /// let mut orders = client.subscribe("orders.new").await?;
    /// client.publish_json("orders.new", &Order { wheels: 4 }).await?;
    ///
    /// let message = orders.next().await.unwrap();
    /// let order: Order = message.json()?;
    /// assert_eq!(order.wheels, 4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        serde_json::from_slice(&self.payload).map_err(|source| JsonError::Read {
            subject: self.subject.clone(),
            expected: std::any::type_name::<T>(),
            source,
        })
    }
}

impl Client {
    /// [`publish`](Client::publish) of a value as JSON.
    ///
    /// # Errors
    ///
    /// As `publish`; also of kind [`Send`](PublishErrorKind::Send) with a [`JsonError::Write`] as its source.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// #[derive(serde::Serialize)]
    /// struct Order {
    ///     wheels: u32,
    /// }
    ///
    /// client.publish_json("orders.new", &Order { wheels: 4 }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish_json<S, T>(&self, subject: S, value: &T) -> Result<(), PublishError>
    where
        S: ToSubject,
        T: Serialize + ?Sized,
    {
        let subject = subject.to_subject();
        let payload = self.json_payload(&subject, value)?;
        self.publish(subject, payload).await
    }

    /// [`request`](Client::request) with a value as JSON, whose reply is read as JSON.
    ///
    /// # Errors
    ///
    /// As `request`; also of kind [`Other`](RequestErrorKind::Other) with a [`JsonError`] as its source. If the reply
    /// could not be read, the request was served: [`is_safe_to_repeat`](RequestError::is_safe_to_repeat) is false.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) -> Result<(), nats_lifeline::Error> {
    /// let sum: i64 = client.request_json("sum", &[1, 2, 39]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn request_json<S, T, R>(&self, subject: S, value: &T) -> Result<R, RequestError>
    where
        S: ToSubject,
        T: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let subject = subject.to_subject();
        let payload = self.json_payload(&subject, value)?;
        let mut reply = self.request(subject.clone(), payload).await?;
        // The inbox would not help: the error names the subject of the request.
        reply.subject = subject;
        reply.json().map_err(|error| RequestError::with_source(RequestErrorKind::Other, error))
    }

    /// The payload for `subject`. A value that can't be written counts as a refused message.
    fn json_payload<T: Serialize + ?Sized>(&self, subject: &Subject, value: &T) -> Result<Bytes, PublishError> {
        serde_json::to_vec(value).map(Bytes::from).map_err(|source| {
            self.count_refused();
            PublishError::with_source(PublishErrorKind::Send, JsonError::Write { subject: subject.clone(), source })
        })
    }
}
