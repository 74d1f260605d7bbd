//! The client as a `Sink` of messages.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;

use super::client::Client;
use super::denied::accepted;
use super::error::PublishError;
use super::message::OutboundMessage;
use super::publish::publish_of;
use crate::driver::{OnFull, Room};
use crate::protocol::HeaderMap;

/// Ready when there is room in the outbox; messages are accepted as by [`publish`](Client::publish). Flushing and
/// closing the sink return immediately, since accepted messages are sent anyway: use
/// [`Client::flush`](Client::flush) for a round trip and [`Client::close`](Client::close) to close the client.
///
/// Subjects are checked as well.
impl Sink<OutboundMessage> for Client {
    type Error = PublishError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        let this = &mut *self;
        let room = this.room.get_or_insert_with(|| Room::new(this.core.handle.clone(), None));
        ready!(Pin::new(room).poll(cx));
        this.room = None;
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: OutboundMessage) -> Result<(), PublishError> {
        let headers = message.headers.as_ref().and_then(HeaderMap::block);
        let publish = publish_of(&message, headers);
        // There was room when the sink was ready; if other publishers have used it since, one more message
        // does no harm.
        let sent = self.check(&publish).and_then(|()| self.admit(&publish, OnFull::Insist, |_| {}).or_else(accepted));
        sent.inspect_err(|_| self.count_refused())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        Poll::Ready(Ok(()))
    }
}
