//! A request with headers, its own timeout or its own inbox.

use std::time::Duration;

use bytes::Bytes;

use crate::protocol::HeaderMap;

/// A request for [`Client::send_request`](crate::Client::send_request): what to send, and how long to wait.
///
/// ```
/// use nats_lifeline::Request;
/// use std::time::Duration;
///
/// let request = Request::new().payload("ping".into()).timeout(Some(Duration::from_millis(500)));
/// assert_eq!(request.timeout, Some(Some(Duration::from_millis(500))));
/// ```
#[derive(Debug, Default)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    /// The content; `None` is an empty one.
    pub payload: Option<Bytes>,
    /// The headers.
    pub headers: Option<HeaderMap>,
    /// How long to wait for the reply. `None`: as the client's
    /// [`request_timeout`](crate::ConnectOptions::request_timeout) says; `Some(None)`: for ever.
    pub timeout: Option<Option<Duration>>,
    /// The subject that the reply comes to. `None`: one of the client's own, over the subscription that all requests
    /// share. A subject given here costs a subscription for this request alone.
    pub inbox: Option<String>,
}

impl Request {
    /// A request with an empty payload, no headers, the client's timeout and the client's inbox.
    pub fn new() -> Request {
        Request::default()
    }

    /// Sets the content.
    pub fn payload(mut self, payload: Bytes) -> Request {
        self.payload = Some(payload);
        self
    }

    /// Sets the headers. The server must support headers, as all since version 2.2 do.
    pub fn headers(mut self, headers: HeaderMap) -> Request {
        self.headers = Some(headers);
        self
    }

    /// Sets how long to wait for the reply, instead of the client's
    /// [`request_timeout`](crate::ConnectOptions::request_timeout); `None` waits for ever.
    ///
    /// The time covers everything: waiting for room, an outage, the request and its reply.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Request {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the subject that the reply comes to.
    pub fn inbox(mut self, inbox: String) -> Request {
        self.inbox = Some(inbox);
        self
    }
}
