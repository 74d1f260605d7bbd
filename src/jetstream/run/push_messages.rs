//! Drives the machine of a push consumer.

use std::task::{Context, Poll, ready};

use super::inlet::Inlet;
use super::inquiry::{Inquirer, Inquiry};
use super::push::{Control, answer, control};
use crate::Client;
use crate::client::Delivery;
use crate::connection::EndReason;
use crate::jetstream::decide::push::{Due, Push};
use crate::jetstream::wire::{AckSubject, ConsumerInfo};

/// What a push consumer yields.
pub(in crate::jetstream) enum Item {
    Message(crate::Message),
    /// Two heartbeats are missing.
    Silent,
    /// The consumer does not exist any more, and nothing more comes.
    Deleted,
    /// The server has refused the subscription or an answer of the flow control, and nothing more comes.
    Refused(EndReason),
}

/// Reads a push consumer.
#[derive(Debug)]
pub(in crate::jetstream) struct PushMessages {
    inquirer: Inquirer,
    inlet: Inlet,
    machine: Push,
    /// Something has arrived since the inlet was last empty.
    heard: bool,
    asking: Asking,
}

/// Whether the server is being asked if the consumer exists.
enum Asking {
    No,
    Now(Inquiry),
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
    pub(in crate::jetstream) fn new(inquirer: Inquirer, info: &ConsumerInfo, inlet: Inlet) -> PushMessages {
        let machine = Push::new(info.config.idle_heartbeat, Client::clock());
        PushMessages { inquirer, inlet, machine, heard: false, asking: Asking::No }
    }

    /// The next item; `None` at the end.
    pub(in crate::jetstream) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        loop {
            if let Asking::Ended = self.asking {
                return Poll::Ready(None);
            }
            let arrival = match self.inlet.poll_arrival(cx) {
                Poll::Ready(arrival) => arrival,
                Poll::Pending if Inlet::is_turn_over() => return Poll::Pending,
                Poll::Pending => return self.poll_idle(cx),
            };
            self.heard = true;
            match arrival {
                Some(Delivery::Message(message)) if message.status.is_none() => {
                    if self.is_new(&message) {
                        return Poll::Ready(Some(Item::Message(message)));
                    }
                }
                Some(Delivery::Message(message)) => {
                    if self.control(&message) {
                        return self.end(Item::Deleted);
                    }
                }
                // What a consumer with acknowledgements has lost is delivered again.
                Some(Delivery::Lagged(_)) => {}
                Some(Delivery::Interrupted) => self.machine.interrupted(),
                None => match self.inlet.end_reason() {
                    Some(reason @ EndReason::Refused(_)) => return self.end(Item::Refused(reason)),
                    _ => return Poll::Ready(None),
                },
            }
        }
    }

    fn is_new(&mut self, message: &crate::Message) -> bool {
        let place = message.reply.as_ref().and_then(|reply| AckSubject::parse(reply).ok());
        let is_new = self.machine.is_new(place.as_ref(), Client::clock());
        if !self.inlet.has_arrivals() {
            self.machine.read_all();
        }
        is_new
    }

    /// Nothing has arrived.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        self.machine.read_all();
        if std::mem::take(&mut self.heard) {
            self.machine.alive(Client::clock());
            self.asking = Asking::No;
        }
        // Without the answers of the flow control, the consumer stalls sooner or later.
        if let Poll::Ready(reason) = self.inlet.poll_refused(cx) {
            return self.end(Item::Refused(reason));
        }
        loop {
            if let Asking::Now(asking) = &mut self.asking {
                if let Poll::Ready(found) = asking.as_mut().poll(cx) {
                    self.asking = Asking::No;
                    if self.machine.found(found, Client::clock()) {
                        return self.end(Item::Deleted);
                    }
                }
            }
            // Silence begins with the connection, whether something comes over it or not.
            let connected = Some(ready!(self.inlet.poll_connected(cx)));
            ready!(self.inlet.poll_until(self.machine.due(connected), cx));
            let Some(due) = self.machine.tick(Client::clock(), connected) else { continue };
            self.asking = Asking::Now(self.inquirer.ask());
            if due == Due::Silent {
                return Poll::Ready(Some(Item::Silent));
            }
        }
    }

    /// Whether it says that the consumer was deleted.
    fn control(&mut self, message: &crate::Message) -> bool {
        match control(message) {
            Some(Control::Heartbeat { stalled, .. }) => answer(&mut self.inlet, stalled),
            Some(Control::Question { answer: subject }) => answer(&mut self.inlet, Some(subject)),
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
