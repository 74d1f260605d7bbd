//! An acknowledgement that is confirmed by the server.

use std::time::Instant;

use bytes::Bytes;

use super::pauses::Pauses;
use crate::client::ConnectionLost;
use crate::error::Error;
use crate::jetstream::error::{AckError, AckErrorKind};
use crate::{Client, Request, RequestError, RequestErrorKind, Subject};

/// The reason of the last try is no reason for the first one.
#[derive(Debug, thiserror::Error)]
#[error("it may have been received before a connection was lost, and was not confirmed since")]
struct SentBefore {
    #[source]
    last: RequestError,
}

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
    // A lost connection may have taken it along.
    let mut may_be_stored = false;
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
            _ if lost && repeatable => {
                may_be_stored = true;
                continue;
            }
            _ if lost || may_be_stored => AckErrorKind::InDoubt,
            _ => AckErrorKind::NotSent,
        };
        return Err(match may_be_stored {
            true => Error::with_source(kind, SentBefore { last: error }),
            false => error.of_kind(kind),
        });
    }
}
