//! An incarnation that pushes to an inbox of its own.

use std::task::{Context, Poll};

use super::maker::Maker;
use super::source::{Signal, Source};
use crate::client::{Delivery, SubscribeError};
use crate::connection::EndReason;
use crate::jetstream::decide::ordered::Cause;
use crate::jetstream::run::inlet::Inlet;
use crate::jetstream::run::push::{Control, answer, control, options};
use crate::jetstream::wire::ConsumerConfig;
use crate::{Client, Subject};

#[derive(Debug)]
pub(in crate::jetstream) struct PushSource {
    inlet: Inlet,
}

impl PushSource {
    pub(in crate::jetstream) async fn subscribe(
        client: &Client,
        subject: Subject,
    ) -> Result<PushSource, SubscribeError> {
        let inlet = Inlet::open(client, subject, options(true)).await?;
        Ok(PushSource { inlet })
    }

    fn control(&mut self, message: &crate::Message) -> Signal<EndReason> {
        match control(message) {
            Some(Control::Heartbeat { sent, stalled }) => {
                answer(&mut self.inlet, stalled);
                Signal::Heartbeat { sent }
            }
            Some(Control::Question { answer: subject }) => {
                answer(&mut self.inlet, Some(subject));
                Signal::Nothing
            }
            Some(Control::Deleted) => Signal::Lost(Cause::Gone),
            None => Signal::Nothing,
        }
    }
}

impl Source for PushSource {
    type Fault = EndReason;

    async fn open(maker: &Maker, _incarnation: u64) -> Result<PushSource, SubscribeError> {
        let client = maker.client();
        PushSource::subscribe(client, client.new_inbox().into()).await
    }

    fn configure(&self, config: &mut ConsumerConfig) {
        config.deliver_subject = Some(self.inlet.subject().to_string());
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal<EndReason>> {
        let Poll::Ready(arrival) = self.inlet.poll_arrival(cx) else {
            // Without the answers of the flow control, the consumer stalls sooner or later.
            return self.inlet.poll_refused(cx).map(Signal::Failed);
        };
        Poll::Ready(match arrival {
            Some(Delivery::Message(message)) if message.status.is_none() => Signal::Message(message),
            Some(Delivery::Message(message)) => self.control(&message),
            Some(Delivery::Lagged(_)) => Signal::Lost(Cause::Lagged),
            Some(Delivery::Interrupted) => Signal::Lost(Cause::Interrupted),
            None => match self.inlet.end_reason() {
                Some(reason @ EndReason::Refused(_)) => Signal::Failed(reason),
                _ => Signal::End,
            },
        })
    }
}
