//! An acknowledgement that is confirmed by the server.

use std::time::Instant;

use bytes::Bytes;

use super::pauses::Pauses;
use crate::client::ConnectionLost;
use crate::jetstream::error::{AckError, AckErrorKind};
use crate::{Client, Request, RequestErrorKind, Subject};

/// Publishes the acknowledgement `payload` to `reply`, and waits until the server has answered that it is stored. While nobody
/// receives it, as during the election of the consumer's leader, it is sent again. If the connection is lost before the answer,
/// it is sent again too if it is `repeatable`.
pub(in crate::jetstream) async fn confirm(
    client: &Client,
    reply: &Subject,
    payload: Bytes,
    repeatable: bool,
    deadline: Option<Instant>,
) -> Result<(), AckError> {
    let mut pauses = Pauses::default();
    loop {
        let left = deadline.map(|end| end.saturating_duration_since(Client::clock()));
        let request = Request::new().payload(payload.clone()).timeout(left);
        let error = match client.send_request(reply.clone(), request).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let lost = error.source_as::<ConnectionLost>().is_some();
        let kind = match error.kind() {
            RequestErrorKind::TimedOut => AckErrorKind::TimedOut,
            RequestErrorKind::NoResponders if pauses.pause(client, deadline).await => continue,
            RequestErrorKind::NoResponders => AckErrorKind::NotReceived,
            _ if lost && repeatable => continue,
            _ if lost => AckErrorKind::InDoubt,
            _ => AckErrorKind::NotSent,
        };
        return Err(error.of_kind(kind));
    }
}
