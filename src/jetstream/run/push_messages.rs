//! Drives the machine of a push consumer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::access::Access;
use super::call::{CallFailed, Effect, Empty};
use super::inlet::Inlet;
use super::push::{Control, answer, control};
use crate::Client;
use crate::client::Delivery;
use crate::connection::EndReason;
use crate::jetstream::decide::push::Push;
use crate::jetstream::wire::{Call, ConsumerInfo, ErrorCode, Name};

/// How long the answer to whether a consumer exists is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a push consumer yields.
pub(in crate::jetstream) enum Item {
    Message(crate::Message),
    /// Two heartbeats are missing.
    Silent,
    /// The consumer does not exist any more, and nothing more comes.
    Deleted,
    /// The server has refused the subscription, and nothing more comes.
    Refused(EndReason),
}

/// Reads a push consumer.
#[derive(Debug)]
pub(in crate::jetstream) struct PushMessages {
    access: Access,
    stream: String,
    name: String,
    inlet: Inlet,
    machine: Push,
    /// Something has arrived since the inlet was last empty.
    heard: bool,
    asking: Asking,
}

/// Whether the server is being asked if the consumer exists.
enum Asking {
    No,
    Now(Pin<Box<dyn Future<Output = bool> + Send>>),
    /// It does not.
    Ended,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Asking::No => "No",
            Asking::Now(_) => "Now",
            Asking::Ended => "Ended",
        })
    }
}

impl PushMessages {
    pub(in crate::jetstream) fn new(access: Access, info: &ConsumerInfo, inlet: Inlet) -> PushMessages {
        let machine = Push::new(info.config.idle_heartbeat, Client::clock());
        let (stream, name) = (info.stream_name.clone(), info.name.clone());
        PushMessages { access, stream, name, inlet, machine, heard: false, asking: Asking::No }
    }

    /// The next item; `None` at the end.
    pub(in crate::jetstream) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        loop {
            if let Asking::Ended = self.asking {
                return Poll::Ready(None);
            }
            let arrival = match self.inlet.poll_arrival(cx) {
                Poll::Ready(arrival) => arrival,
                Poll::Pending => return self.poll_idle(cx),
            };
            self.heard = true;
            match arrival {
                Some(Delivery::Message(message)) if message.status.is_none() => {
                    return Poll::Ready(Some(Item::Message(message)));
                }
                Some(Delivery::Message(message)) => {
                    if self.control(&message) {
                        return self.end(Item::Deleted);
                    }
                }
                // What a consumer with acknowledgements has lost is delivered again.
                Some(Delivery::Interrupted | Delivery::Lagged(_)) => {}
                None => match self.inlet.end_reason() {
                    Some(reason @ EndReason::Refused(_)) => return self.end(Item::Refused(reason)),
                    _ => return Poll::Ready(None),
                },
            }
        }
    }

    /// Nothing has arrived.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if std::mem::take(&mut self.heard) {
            self.machine.alive(Client::clock());
            self.asking = Asking::No;
        }
        if let Asking::Now(asking) = &mut self.asking {
            if let Poll::Ready(exists) = asking.as_mut().poll(cx) {
                self.asking = Asking::No;
                if !exists {
                    return self.end(Item::Deleted);
                }
            }
        }
        loop {
            let connected = self.inlet.connected_since();
            ready!(self.inlet.poll_until(self.machine.due(connected), cx));
            if self.machine.tick(Client::clock(), connected) {
                self.asking =
                    Asking::Now(Box::pin(exists(self.access.clone(), self.stream.clone(), self.name.clone())));
                return Poll::Ready(Some(Item::Silent));
            }
        }
    }

    /// Whether it says that the consumer was deleted.
    fn control(&self, message: &crate::Message) -> bool {
        match control(message) {
            Some(Control::Heartbeat { stalled, .. }) => answer(&self.inlet, stalled),
            Some(Control::Question { answer: subject }) => answer(&self.inlet, Some(subject)),
            Some(Control::Deleted) => return true,
            None => {}
        }
        false
    }

    fn end(&mut self, item: Item) -> Poll<Option<Item>> {
        self.asking = Asking::Ended;
        Poll::Ready(Some(item))
    }
}

/// Whether a consumer exists, as far as a server says.
async fn exists(access: Access, stream: String, name: String) -> bool {
    let (Ok(stream), Ok(consumer)) = (Name::stream(&stream), Name::consumer(&name)) else { return true };
    let call = Call::ConsumerInfo { stream, consumer };
    let info: Result<ConsumerInfo, _> = access.ask(call, &Empty {}, Effect::Reads, PATIENCE).await;
    let gone = [ErrorCode::CONSUMER_NOT_FOUND, ErrorCode::STREAM_NOT_FOUND, ErrorCode::CONSUMER_DOES_NOT_EXIST];
    !matches!(info, Err(CallFailed::Refused(error)) if gone.contains(&error.error_code()))
}
