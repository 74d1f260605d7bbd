//! How a consumer's stream makes requests of the API by itself.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::call::{Call as Request, CallFailed, Effect, encode};
use crate::Client;
use crate::jetstream::error::RequestError;
use crate::jetstream::wire::{Call, Prefix, Response};

/// What requests need of a context.
#[derive(Clone, Debug)]
pub(in crate::jetstream) struct Access {
    pub(in crate::jetstream) client: Client,
    pub(in crate::jetstream) prefix: Prefix,
    /// Of a request; `None`: it waits for ever.
    pub(in crate::jetstream) timeout: Option<Duration>,
    /// Limits how many consumers are being created again.
    pub(in crate::jetstream) permits: Arc<Semaphore>,
}

impl Access {
    /// One attempt of one request, which is given up after `patience`.
    pub(in crate::jetstream) async fn ask<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        body: &impl Serialize,
        effect: Effect,
        patience: Duration,
    ) -> Result<T, CallFailed> {
        let patience = self.timeout.map_or(patience, |timeout| timeout.min(patience));
        let deadline = Client::clock().checked_add(patience);
        let subject = self.prefix.subject(call).into();
        let request = Request { client: &self.client, subject, effect, deadline };
        let answer = request.raw(encode(body)?).await.map_err(RequestError::from)?;
        match request.read::<Response<T>>(&answer.payload)? {
            Response::Ok(answer) => Ok(answer),
            Response::Err { error } => Err(CallFailed::Refused(error)),
        }
    }
}
