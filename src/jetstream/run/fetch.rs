//! Drives the fetch machine of one batch.

use std::task::{Context as Cx, Poll};

use super::inlet::Inlet;
use super::pull_inlet::{PullInlet, Source};
use crate::client::Delivery;
use crate::jetstream::decide::fetch::{Effect, End, Fetch};
use crate::jetstream::decide::pull::Event;
use crate::jetstream::decide::settings::Settings;
use crate::{Client, Message, SubscribeError};

/// A batch.
#[derive(Debug)]
pub(in crate::jetstream) struct Fetching {
    inlet: PullInlet,
    machine: Fetch,
    end: Option<End>,
}

impl Fetching {
    /// Begins the batch: its pull is sent.
    pub(in crate::jetstream) async fn begin(source: Source, settings: Settings) -> Result<Fetching, SubscribeError> {
        let inlet = PullInlet::open(source, &settings).await?;
        let machine = Fetch::new(settings, inlet.is_connected(), Client::clock(), rand::random());
        let mut fetching = Fetching { inlet, machine, end: None };
        fetching.act();
        Ok(fetching)
    }

    /// How the batch has ended.
    pub(in crate::jetstream) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    pub(in crate::jetstream) fn poll_message(&mut self, cx: &mut Cx<'_>) -> Poll<Option<Message>> {
        while self.end.is_none() {
            match self.inlet.poll_arrival(cx) {
                Poll::Ready(Some(delivery)) => {
                    if let Some(message) = self.arrived(delivery) {
                        return Poll::Ready(Some(message));
                    }
                }
                Poll::Ready(None) => self.end = Some(self.inlet.refusal().map_or(End::Closed, End::Refused)),
                Poll::Pending if Inlet::is_turn_over() => return Poll::Pending,
                Poll::Pending => {
                    self.idle(cx);
                    if self.end.is_none() && self.inlet.poll_until(self.machine.alarm(), cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    fn arrived(&mut self, delivery: Delivery) -> Option<Message> {
        self.machine.on(Client::clock(), self.inlet.event(&delivery)?);
        if !self.inlet.has_arrivals() {
            self.machine.read_all();
        }
        match (self.act(), delivery) {
            (true, Delivery::Message(message)) => Some(message),
            _ => None,
        }
    }

    fn idle(&mut self, cx: &mut Cx<'_>) {
        let now = Client::clock();
        if let Some(unsent) = self.inlet.poll_unsent(cx) {
            self.machine.on(now, unsent);
        }
        if self.machine.is_down() {
            if let Poll::Ready(since) = self.inlet.poll_connected(cx) {
                self.machine.on(now, Event::Connected(since));
            }
        }
        self.machine.on(now, Event::Waiting);
        self.act();
    }

    /// Does what the machine says. Returns whether the message that has just arrived is delivered.
    fn act(&mut self) -> bool {
        let mut delivers = false;
        while let Some(effect) = self.machine.next_effect() {
            match effect {
                Effect::Pull(sending) => {
                    if !self.inlet.send(sending.token, &self.machine.request(sending)) {
                        self.machine.on(Client::clock(), Event::NotSent(sending.token));
                    }
                }
                Effect::Deliver => delivers = true,
                Effect::End(end) => self.end = Some(end),
            }
        }
        delivers
    }
}
