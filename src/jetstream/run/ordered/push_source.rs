//! An incarnation that pushes to an inbox of its own.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::maker::Maker;
use super::source::{Signal, Source};
use crate::client::{Delivery, SubscribeError};
use crate::connection::EndReason;
use crate::jetstream::decide::ordered::Cause;
use crate::jetstream::decide::push::{Effect, Push};
use crate::jetstream::run::inlet::Inlet;
use crate::jetstream::run::push::{Control, control, options};
use crate::jetstream::wire::ConsumerConfig;
use crate::{Client, Subject};

#[derive(Debug)]
pub(in crate::jetstream) struct PushSource {
    inlet: Inlet,
    machine: Push,
}

impl PushSource {
    pub(in crate::jetstream) async fn subscribe(
        client: &Client,
        subject: Subject,
    ) -> Result<PushSource, SubscribeError> {
        let inlet = Inlet::open(client, subject, options(true)).await?;
        // The machine of the ordered consumer watches over the silence.
        let machine = Push::new(std::time::Duration::ZERO, Client::clock());
        Ok(PushSource { inlet, machine })
    }

    fn control(&mut self, message: &crate::Message) -> Signal<EndReason> {
        let (answer, effect, signal) = match control(message) {
            Some(Control::Heartbeat { sent, stalled }) => {
                let effect = self.machine.heartbeat(stalled.as_ref().map(|subject| subject.as_bytes()));
                (stalled, effect, Signal::Heartbeat { sent })
            }
            Some(Control::FlowControl { answer }) => {
                let effect = self.machine.flow_control(answer.as_bytes());
                (Some(answer), effect, Signal::Nothing)
            }
            Some(Control::Deleted) => return Signal::Lost(Cause::Gone),
            None => return Signal::Nothing,
        };
        if let (Effect::Answer, Some(answer)) = (effect, answer) {
            // One that can't be buffered is asked for again by a heartbeat.
            if self.inlet.post(answer, None, Bytes::new()).is_err() {
                self.machine.interrupted();
            }
        }
        signal
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
        Poll::Ready(match ready!(self.inlet.poll_arrival(cx)) {
            Some(Delivery::Message(message)) if message.status.is_none() => Signal::Message(message),
            Some(Delivery::Message(message)) => self.control(&message),
            Some(Delivery::Lagged(_)) => Signal::Lost(Cause::Lagged),
            Some(Delivery::Interrupted) => {
                self.machine.interrupted();
                Signal::Lost(Cause::Interrupted)
            }
            None => match self.inlet.end_reason() {
                Some(reason @ EndReason::Refused(_)) => Signal::Failed(reason),
                _ => Signal::End,
            },
        })
    }
}
