//! Drives the pull machine of one stream of messages. There is no task: everything happens while the stream is polled.

use std::fmt;
use std::task::{Context as Cx, Poll};
use std::time::Instant;

use super::inlet::Inlet;
use super::inquiry::{Inquirer, Inquiry};
use super::pull_inlet::{PullInlet, Source};
use super::reports::{Listener, Reports};
use crate::client::Delivery;
use crate::jetstream::decide::pull::{Cause, Effect, End, Event, Pull};
use crate::jetstream::decide::settings::Settings;
use crate::{Client, Message, SubscribeError};

/// What a stream of messages gives its reader.
pub(in crate::jetstream) enum Item {
    Message(Message),
    /// Something has been wrong for long.
    Complaint(Cause),
    /// The last item.
    End(End),
}

/// What an effect of the machine leaves to do.
enum Step {
    Deliver,
    Item(Item),
}

/// A stream of messages.
pub(in crate::jetstream) struct Pulling {
    inlet: PullInlet,
    machine: Pull,
    inquirer: Inquirer,
    inquiry: Option<Inquiry>,
    reports: Reports,
    has_ended: bool,
}

impl Pulling {
    /// Subscribes.
    pub(in crate::jetstream) async fn begin(
        source: Source,
        settings: Settings,
        inquirer: Inquirer,
    ) -> Result<Pulling, SubscribeError> {
        let inlet = PullInlet::open(source, &settings).await?;
        let machine = Pull::new(settings, inlet.is_connected(), Client::clock(), rand::random());
        Ok(Pulling { inlet, machine, inquirer, inquiry: None, reports: Reports::default(), has_ended: false })
    }

    /// Somebody who wants to know what is wrong.
    pub(in crate::jetstream) fn listener(&mut self) -> Listener {
        self.reports.listener()
    }

    /// Messages that may still come for pulls that were sent.
    pub(in crate::jetstream) fn outstanding(&self) -> u64 {
        let (expected, doubtful) = self.machine.outstanding();
        expected.saturating_add(doubtful)
    }

    pub(in crate::jetstream) fn poll_item(&mut self, cx: &mut Cx<'_>) -> Poll<Option<Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let polled = self.poll_machine(cx);
        if matches!(polled, Poll::Ready(None | Some(Item::End(_)))) {
            self.has_ended = true;
            self.reports.close();
        }
        polled
    }

    fn poll_machine(&mut self, cx: &mut Cx<'_>) -> Poll<Option<Item>> {
        if self.machine.is_due(Client::clock) {
            self.machine.on(Client::clock(), Event::Polled);
        }
        loop {
            if let Some(Step::Item(item)) = self.act(Client::clock) {
                return Poll::Ready(Some(item));
            }
            match self.inlet.poll_arrival(cx) {
                Poll::Ready(Some(delivery)) => {
                    let now = Client::clock();
                    let Some(event) = self.inlet.event(&delivery) else { continue };
                    self.machine.on(now, event);
                    if !self.inlet.has_arrivals() {
                        self.machine.read_all();
                    }
                    match self.act(|| now) {
                        Some(Step::Deliver) => {
                            if let Delivery::Message(message) = delivery {
                                return Poll::Ready(Some(Item::Message(message)));
                            }
                        }
                        Some(Step::Item(item)) => return Poll::Ready(Some(item)),
                        None => {}
                    }
                }
                Poll::Ready(None) => {
                    return Poll::Ready(self.inlet.refusal().map(|text| Item::End(End::Refused(text))));
                }
                Poll::Pending if Inlet::is_turn_over() => return Poll::Pending,
                Poll::Pending => {
                    if let Some(item) = self.idle(cx) {
                        return Poll::Ready(Some(item));
                    }
                    if self.inlet.poll_until(self.machine.alarm(), cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Nothing has arrived.
    fn idle(&mut self, cx: &mut Cx<'_>) -> Option<Item> {
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
        let step = self.act(|| now);
        // After the effects, one of which may have begun it.
        if let Some(Poll::Ready(found)) = self.inquiry.as_mut().map(|inquiry| inquiry.as_mut().poll(cx)) {
            self.inquiry = None;
            self.machine.on(now, Event::Found(found));
        }
        match step.or_else(|| self.act(|| now))? {
            Step::Item(item) => Some(item),
            Step::Deliver => None,
        }
    }

    /// Does what the machine says, up to something for the reader.
    fn act(&mut self, now: impl Fn() -> Instant) -> Option<Step> {
        while let Some(effect) = self.machine.next_effect() {
            match effect {
                Effect::Pull(sending) => {
                    if !self.inlet.send(sending.token, &self.machine.request(sending)) {
                        self.machine.on(now(), Event::NotSent(sending.token));
                    }
                }
                Effect::Tell(report) => self.reports.tell(report),
                Effect::Probe => self.inlet.probe(),
                Effect::Inquire => self.inquiry = Some(self.inquirer.ask()),
                Effect::Deliver => return Some(Step::Deliver),
                Effect::Complain(cause) => return Some(Step::Item(Item::Complaint(cause))),
                Effect::End(end) => return Some(Step::Item(Item::End(end))),
            }
        }
        None
    }
}

impl fmt::Debug for Pulling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulling").field("inlet", &self.inlet).field("machine", &self.machine).finish_non_exhaustive()
    }
}
