//! Drives the machine of an ordered consumer: reads the incarnation that lives, and creates the next one beside it.

pub(in crate::jetstream) mod maker;
pub(in crate::jetstream) mod pull_source;
pub(in crate::jetstream) mod push_source;
pub(in crate::jetstream) mod source;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use maker::{CreateFailed, Made, Maker};
use source::{Signal, Source};

use crate::Client;
use crate::client::Alarm;
use crate::jetstream::decide::ordered::{Arrival, Created, Effect, Gap, Ordered, Report, Rules, Verdict};
use crate::jetstream::run::connecting::Connecting;
use crate::jetstream::run::inlet::Inlet;
use crate::jetstream::wire::AckSubject;

/// What an ordered consumer yields.
pub(in crate::jetstream) enum Item<E> {
    /// The next message.
    Message(crate::Message),
    /// The stream has lost messages before the next one.
    Gap(Gap),
    /// Deliveries have stopped, or go on.
    Report(Report),
    /// It can't be created again for a while, because of this error.
    Troubled(Option<CreateFailed>),
    /// It has ended for this reason.
    Failed(E),
}

/// An ordered consumer. `S` is where the messages of an incarnation come from.
#[derive(Debug)]
pub(in crate::jetstream) struct Driver<S: Source> {
    machine: Ordered,
    maker: Arc<Maker>,
    stage: Stage<S>,
    /// A message whose gap is reported first.
    after_gap: Option<crate::Message>,
    /// Something has arrived since the source was last empty.
    heard: bool,
    connecting: Connecting,
    alarm: Alarm,
    set: Option<Instant>,
    /// The attempts to create the next incarnation so far.
    attempts: u32,
    /// The error of the last one.
    error: Option<CreateFailed>,
}

type Making<S> = Pin<Box<dyn Future<Output = Made<S>> + Send>>;

/// Follows the machine's phase.
enum Stage<S> {
    /// It reads the live incarnation.
    Reading(S),
    /// An attempt to create one is running.
    Creating(Making<S>),
    /// No attempt is running. What was prepared for an incarnation serves for the next attempt on the same one.
    Waiting(Option<(u64, S)>),
    Ended,
}

impl<S> std::fmt::Debug for Stage<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stage::Reading(_) => "Reading",
            Stage::Creating(_) => "Creating",
            Stage::Waiting(_) => "Waiting",
            Stage::Ended => "Ended",
        })
    }
}

impl<S: Source> Driver<S> {
    /// Reads an incarnation that exists, from `source`.
    pub(in crate::jetstream) fn adopt(maker: Maker, rules: Rules, created: Created, source: S) -> Driver<S> {
        let now = Client::clock();
        let machine = Ordered::adopt(rules, created, now);
        let alarm = maker.client().alarm();
        Driver {
            machine,
            maker: Arc::new(maker),
            stage: Stage::Reading(source),
            after_gap: None,
            heard: false,
            connecting: Connecting::default(),
            alarm,
            set: None,
            attempts: 0,
            error: None,
        }
    }

    /// The number in the stream of the last message that was delivered.
    pub(in crate::jetstream) fn last(&self) -> Option<u64> {
        self.machine.last()
    }

    /// The next item; `None` at the end.
    pub(in crate::jetstream) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item<S::Fault>>> {
        loop {
            if let Some(message) = self.after_gap.take() {
                return Poll::Ready(Some(Item::Message(message)));
            }
            if let Some(effect) = self.machine.effect() {
                match self.act(effect) {
                    Some(item) => return Poll::Ready(Some(item)),
                    None => continue,
                }
            }
            let item = match &mut self.stage {
                Stage::Reading(source) => match source.poll_signal(cx) {
                    Poll::Ready(signal) => self.hear(signal),
                    Poll::Pending if Inlet::is_turn_over() => return Poll::Pending,
                    Poll::Pending => {
                        self.caught_up();
                        ready!(self.poll_tick(cx));
                        continue;
                    }
                },
                Stage::Creating(making) => match making.as_mut().poll(cx) {
                    Poll::Ready(made) => {
                        self.made(made);
                        continue;
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Stage::Waiting(_) => {
                    ready!(self.poll_tick(cx));
                    continue;
                }
                Stage::Ended => return Poll::Ready(None),
            };
            match item {
                Heard::Item(item) => return Poll::Ready(Some(item)),
                Heard::Nothing => {}
            }
        }
    }

    fn hear(&mut self, signal: Signal<S::Fault>) -> Heard<S::Fault> {
        let Some(incarnation) = self.machine.incarnation() else { return Heard::Nothing };
        self.heard = true;
        match signal {
            Signal::Message(message) => return self.judge(incarnation, message),
            Signal::Heartbeat { sent } => self.machine.heartbeat(incarnation, sent, Client::clock()),
            Signal::Lost(cause) => self.machine.lost(incarnation, cause, Client::clock()),
            Signal::Nothing => {}
            Signal::Failed(fault) => {
                self.stage = Stage::Ended;
                return Heard::Item(Item::Failed(fault));
            }
            Signal::End => self.stage = Stage::Ended,
        }
        Heard::Nothing
    }

    #[inline]
    fn judge(&mut self, incarnation: u64, message: crate::Message) -> Heard<S::Fault> {
        let Some(arrival) = arrival(&message) else { return Heard::Nothing };
        match self.machine.message(incarnation, arrival, Client::clock) {
            Verdict::Deliver => Heard::Item(Item::Message(message)),
            Verdict::DeliverAfter(gap) => {
                self.after_gap = Some(message);
                Heard::Item(Item::Gap(gap))
            }
            Verdict::Ignore => Heard::Nothing,
        }
    }

    /// The source is empty for now.
    fn caught_up(&mut self) {
        if std::mem::take(&mut self.heard) {
            if let Some(incarnation) = self.machine.incarnation() {
                self.machine.alive(incarnation, Client::clock());
            }
        }
    }

    fn act(&mut self, effect: Effect) -> Option<Item<S::Fault>> {
        match effect {
            Effect::Create { incarnation, from } => {
                let prepared = match std::mem::replace(&mut self.stage, Stage::Waiting(None)) {
                    Stage::Waiting(Some((of, source))) if of == incarnation => Some(source),
                    _ => None,
                };
                let making = Arc::clone(&self.maker).make(incarnation, from, self.attempts, prepared);
                self.attempts = self.attempts.saturating_add(1);
                self.stage = Stage::Creating(Box::pin(making));
            }
            Effect::Retire { incarnation } => self.maker.delete(incarnation),
            Effect::Report(Report::Troubled(_)) => return Some(Item::Troubled(self.error.take())),
            Effect::Report(report) => {
                if let Report::Interrupted(cause) = report {
                    let (stream, last) = (self.maker.stream(), self.machine.last());
                    tracing::debug!(stream, last, ?cause, "an ordered consumer is created again");
                    // Its subscription ends; what it still sends would be ignored.
                    self.stage = Stage::Waiting(None);
                    self.heard = false;
                }
                return Some(Item::Report(report));
            }
        }
        None
    }

    fn made(&mut self, made: Made<S>) {
        let now = Client::clock();
        match made.outcome {
            Ok((source, created)) => {
                self.stage = Stage::Reading(source);
                (self.attempts, self.error) = (0, None);
                self.machine.created(made.incarnation, created, now);
            }
            Err((source, failed)) => {
                self.stage = match self.maker.client().has_ended() {
                    true => Stage::Ended,
                    false => Stage::Waiting(source.map(|source| (made.incarnation, source))),
                };
                let fault = failed.fault;
                self.error = Some(failed);
                self.machine.create_failed(made.incarnation, fault, now);
            }
        }
    }

    fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Silence begins with the connection, whether something comes over it or not.
        let connected = match self.connecting.poll(self.maker.client(), cx) {
            Poll::Ready(since) => Some(since),
            Poll::Pending => None,
        };
        let due = self.machine.due(connected);
        // An alarm that is too early is set again when it rings: cheaper than at each message.
        let early = matches!((self.set, due), (Some(set), Some(due)) if set <= due);
        if !early && self.set != due {
            self.set = due;
            self.alarm.set(due);
        }
        if self.set.is_none() {
            return Poll::Pending;
        }
        ready!(self.alarm.poll(cx));
        self.set = None;
        self.machine.tick(Client::clock(), connected);
        Poll::Ready(())
    }
}

enum Heard<E> {
    Item(Item<E>),
    Nothing,
}

/// The numbers of a message.
fn arrival(message: &crate::Message) -> Option<Arrival> {
    let numbers = AckSubject::parse(message.reply.as_ref()?).ok()?;
    let AckSubject { stream_sequence, consumer_sequence, pending, .. } = numbers;
    Some(Arrival { stream: stream_sequence, consumer: consumer_sequence, pending })
}

impl<S: Source> Drop for Driver<S> {
    fn drop(&mut self) {
        // An attempt that is under way is given up first: a request that was not sent yet is not sent.
        self.stage = Stage::Ended;
        self.machine.on_server().for_each(|incarnation| self.maker.delete(incarnation));
    }
}
