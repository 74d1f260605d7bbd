//! An incarnation that is pulled from.

use std::task::{Context, Poll};
use std::time::Duration;

use super::maker::Maker;
use super::source::{Signal, Source};
use crate::client::{Delivery, SubscribeError, SubscribeErrorKind};
use crate::connection::EndReason;
use crate::error::Error;
use crate::header::NATS_LAST_CONSUMER;
use crate::jetstream::decide::ordered::Cause;
use crate::jetstream::decide::pull::{Effect, End, Event, Pull};
use crate::jetstream::decide::settings::Settings;
use crate::jetstream::run::access::Access;
use crate::jetstream::run::inlet::Inlet;
use crate::jetstream::run::pull_inlet::{PullInlet, Source as Consumer};
use crate::jetstream::wire::{Call, ConsumerConfig, Name, PullStatus};
use crate::{Client, Message};

/// How many messages are requested at a time.
const BATCH: u64 = 500;

/// Why an incarnation can't be pulled from, nor any other one.
pub(in crate::jetstream) enum PullFailed {
    /// The pull machine has ended.
    Ended(End),
    /// The server has refused the subscription.
    Subscription(EndReason),
}

#[derive(Debug)]
pub(in crate::jetstream) struct PullSource {
    inlet: PullInlet,
    machine: Pull,
}

/// What a pull of an ordered consumer asks for, within what the consumer allows.
fn settings(config: &ConsumerConfig) -> Settings {
    let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
    let mut settings = Settings { batch: BATCH, ..Settings::default() };
    settings.batch = settings.batch.min(limit(config.max_batch).unwrap_or(BATCH));
    settings.max_bytes = limit(config.max_bytes).unwrap_or_default();
    if !config.max_expires.is_zero() {
        settings.shorten(config.max_expires.max(Duration::from_millis(1)));
    }
    settings
}

impl PullSource {
    pub(in crate::jetstream) async fn subscribe(
        access: &Access,
        stream: &str,
        name: &str,
        config: &ConsumerConfig,
    ) -> Result<PullSource, SubscribeError> {
        let invalid = |invalid| Error::with_source(SubscribeErrorKind::InvalidSubject, invalid);
        let (stream, consumer) = (Name::stream(stream).map_err(invalid)?, Name::consumer(name).map_err(invalid)?);
        let next = access.prefix.subject(Call::ConsumerNext { stream, consumer }).into();
        let settings = settings(config);
        let client = access.client.clone();
        let inlet = PullInlet::open(Consumer { client, next, pinned: false }, &settings).await?;
        let machine = Pull::new(settings, inlet.is_connected(), Client::clock(), rand::random());
        Ok(PullSource { inlet, machine })
    }

    /// What has arrived, for the machine of the ordered consumer; `None`: this is nothing for it.
    fn arrived(&mut self, delivery: Delivery) -> Option<Signal<PullFailed>> {
        let now = Client::clock();
        let cause = match &delivery {
            Delivery::Message(message) => gone(message),
            Delivery::Lagged(_) => Some(Cause::Lagged),
            Delivery::Interrupted => Some(Cause::Interrupted),
        };
        if let Some(cause) = cause {
            return Some(Signal::Lost(cause));
        }
        self.machine.on(now, self.inlet.event(&delivery)?);
        if !self.inlet.has_arrivals() {
            self.machine.read_all();
        }
        match (self.act(), delivery) {
            (Some(Step::Deliver), Delivery::Message(message)) => Some(Signal::Message(message)),
            (Some(Step::Signal(signal)), _) => Some(signal),
            (None, Delivery::Message(message)) => heartbeat(&message),
            _ => None,
        }
    }

    /// Does what the machine says.
    fn act(&mut self) -> Option<Step> {
        while let Some(effect) = self.machine.next_effect() {
            match effect {
                Effect::Pull(sending) => {
                    if !self.inlet.send(sending.token, &self.machine.request(sending)) {
                        self.machine.on(Client::clock(), Event::NotSent(sending.token));
                    }
                }
                Effect::Deliver => return Some(Step::Deliver),
                Effect::Probe => self.inlet.probe(),
                // Instead of asking whether it exists, another one is created.
                Effect::Inquire => return Some(Step::Signal(Signal::Lost(Cause::Silent))),
                Effect::Tell(_) | Effect::Complain(_) => {}
                Effect::End(end) => return Some(Step::Signal(ended(end))),
            }
        }
        None
    }
}

enum Step {
    Deliver,
    Signal(Signal<PullFailed>),
}

fn ended(end: End) -> Signal<PullFailed> {
    match end {
        End::Gone => Signal::Lost(Cause::Gone),
        end => Signal::Failed(PullFailed::Ended(end)),
    }
}

fn status(message: &Message) -> Option<PullStatus> {
    Some(PullStatus::of(message.status?, message.description.as_deref().unwrap_or_default()))
}

/// Whether the consumer is gone, for all that is known: it lives in the memory of one server.
fn gone(message: &Message) -> Option<Cause> {
    match status(message)? {
        PullStatus::NoResponders | PullStatus::ConsumerDeleted => Some(Cause::Gone),
        _ => None,
    }
}

fn heartbeat(message: &Message) -> Option<Signal<PullFailed>> {
    if status(message)? != PullStatus::IdleHeartbeat {
        return None;
    }
    let sent = message.headers.as_ref().and_then(|headers| headers.get(NATS_LAST_CONSUMER));
    Some(Signal::Heartbeat { sent: sent.and_then(|sent| sent.as_str().parse().ok()) })
}

impl Source for PullSource {
    type Fault = PullFailed;

    async fn open(maker: &Maker, incarnation: u64) -> Result<PullSource, SubscribeError> {
        PullSource::subscribe(maker.access(), maker.stream(), &maker.name(incarnation), maker.config()).await
    }

    fn configure(&self, config: &mut ConsumerConfig) {
        config.deliver_subject = None;
    }

    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal<PullFailed>> {
        if self.machine.is_due(Client::clock) {
            self.machine.on(Client::clock(), Event::Polled);
        }
        loop {
            if let Some(Step::Signal(signal)) = self.act() {
                return Poll::Ready(signal);
            }
            match self.inlet.poll_arrival(cx) {
                Poll::Ready(Some(delivery)) => {
                    if let Some(signal) = self.arrived(delivery) {
                        return Poll::Ready(signal);
                    }
                }
                Poll::Ready(None) => {
                    return Poll::Ready(match self.inlet.end_reason() {
                        Some(reason @ EndReason::Refused(_)) => Signal::Failed(PullFailed::Subscription(reason)),
                        _ => Signal::End,
                    });
                }
                Poll::Pending if Inlet::is_turn_over() => return Poll::Pending,
                Poll::Pending => {
                    let now = Client::clock();
                    if let Some(unsent) = self.inlet.poll_unsent(cx) {
                        self.machine.on(now, unsent);
                    }
                    if self.machine.is_down() {
                        if let Poll::Ready(since) = self.inlet.poll_connected(cx) {
                            self.machine.on(now, Event::Connected(since));
                        }
                    }
                    if let Poll::Ready(probed) = self.inlet.poll_probe(cx) {
                        self.machine.on(now, probed);
                    }
                    self.machine.on(now, Event::Waiting);
                    if let Some(Step::Signal(signal)) = self.act() {
                        return Poll::Ready(signal);
                    }
                    if self.inlet.poll_until(self.machine.alarm(), cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}
