//! Scaffold, dropped when the client's core comes: the signatures that examples and the drop-in program use.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use super::connection::State;
use super::error::*;
use super::message::Message;
use super::request::Request;
use crate::protocol::{HeaderMap, ServerInfo, ToSubject};

/// Scaffold.
#[derive(Clone, Debug)]
pub struct Client {
    never: std::convert::Infallible,
}

/// Scaffold.
#[derive(Debug)]
pub struct Subscriber {
    never: std::convert::Infallible,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident $([$($g:ident),*])? ($($arg:ident : $ty:ty),*) -> $ok:ty, $error:ty;)*) => {
        impl Client {
            $(
                /// Scaffold.
                pub async fn $name $(<$($g: ToSubject),*>)? (&self, $($arg: $ty),*) -> Result<$ok, $error> {
                    let _ = ($($arg,)*);
                    match self.never {}
                }
            )*
        }
    };
}

calls! {
    publish[S](subject: S, payload: Bytes) -> (), PublishError;
    publish_with_headers[S](subject: S, headers: HeaderMap, payload: Bytes) -> (), PublishError;
    publish_with_reply[S, R](subject: S, reply: R, payload: Bytes) -> (), PublishError;
    publish_with_reply_and_headers[S, R](subject: S, reply: R, headers: HeaderMap, payload: Bytes) -> (), PublishError;
    request[S](subject: S, payload: Bytes) -> Message, RequestError;
    request_with_headers[S](subject: S, headers: HeaderMap, payload: Bytes) -> Message, RequestError;
    send_request[S](subject: S, request: Request) -> Message, RequestError;
    subscribe[S](subject: S) -> Subscriber, SubscribeError;
    queue_subscribe[S](subject: S, queue_group: String) -> Subscriber, SubscribeError;
    flush() -> (), FlushError;
    drain() -> (), DrainError;
    force_reconnect() -> (), ReconnectError;
}

impl Client {
    /// Scaffold.
    pub fn timeout(&self) -> Option<Duration> {
        match self.never {}
    }
    /// Scaffold.
    pub fn connection_state(&self) -> State {
        match self.never {}
    }
    /// Scaffold.
    pub fn server_info(&self) -> ServerInfo {
        match self.never {}
    }
    /// Scaffold.
    pub fn max_payload(&self) -> usize {
        match self.never {}
    }
    /// Scaffold.
    pub fn new_inbox(&self) -> String {
        match self.never {}
    }
}

impl Subscriber {
    /// Scaffold.
    pub async fn unsubscribe(&mut self) -> Result<(), UnsubscribeError> {
        match self.never {}
    }
    /// Scaffold.
    pub async fn unsubscribe_after(&mut self, _unsub_after: u64) -> Result<(), UnsubscribeError> {
        match self.never {}
    }
    /// Scaffold.
    pub async fn drain(&mut self) -> Result<(), UnsubscribeError> {
        match self.never {}
    }
}

impl Stream for Subscriber {
    type Item = Message;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Message>> {
        match self.never {}
    }
}
