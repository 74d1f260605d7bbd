//! The question to the server, whether a consumer still exists.

use std::pin::Pin;
use std::time::Duration;

use super::access::Access;
use super::call::{CallFailed, Effect, Empty};
use crate::jetstream::decide::pull::Found;
use crate::jetstream::wire::{Call, ConsumerInfo, ErrorCode, Name};

/// How long the answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A question that was asked.
pub(in crate::jetstream) type Inquiry = Pin<Box<dyn Future<Output = Found> + Send>>;

/// Asks about one consumer.
#[derive(Debug, Clone)]
pub(in crate::jetstream) struct Inquirer {
    access: Access,
    stream: String,
    consumer: String,
}

impl Inquirer {
    /// Asks about the consumer that `info` describes.
    pub(in crate::jetstream) fn new(access: Access, info: &ConsumerInfo) -> Inquirer {
        Inquirer { access, stream: info.stream_name.clone(), consumer: info.name.clone() }
    }

    pub(in crate::jetstream) fn ask(&self) -> Inquiry {
        let inquirer = self.clone();
        Box::pin(async move { inquirer.found().await })
    }

    async fn found(&self) -> Found {
        let (Ok(stream), Ok(consumer)) = (Name::stream(&self.stream), Name::consumer(&self.consumer)) else {
            return Found::Unknown;
        };
        let call = Call::ConsumerInfo { stream, consumer };
        let info: Result<ConsumerInfo, _> = self.access.ask(call, &Empty {}, Effect::Reads, PATIENCE).await;
        let gone = [ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND, ErrorCode::CONSUMER_DOES_NOT_EXIST];
        match info {
            Ok(_) => Found::Exists,
            Err(CallFailed::Refused(error)) if gone.contains(&error.error_code()) => Found::Gone,
            Err(_) => Found::Unknown,
        }
    }
}
