//! The engine's output: effects to carry out, in order, and segments to drop.

use std::collections::VecDeque;

use super::effect::Effect;
use super::outbox::{Flight, Segment};
use super::report::ConnectionEvent;

/// The engine's output.
#[derive(Debug)]
pub(super) struct Output<H> {
    effects: VecDeque<Effect<H>>,
    garbage: Vec<Segment>,
}

impl<H> Output<H> {
    pub(super) fn new() -> Output<H> {
        Output { effects: VecDeque::new(), garbage: Vec::new() }
    }

    pub(super) fn push(&mut self, effect: Effect<H>) {
        self.effects.push_back(effect);
    }

    pub(super) fn emit(&mut self, event: ConnectionEvent) {
        self.push(Effect::Emit(event));
    }

    pub(super) fn pop(&mut self) -> Option<Effect<H>> {
        self.effects.pop_front()
    }

    /// Gives unused memory back.
    pub(super) fn shrink(&mut self) {
        self.effects.shrink_to(4);
        self.garbage.shrink_to(4);
    }

    /// Discards what is in a flight: it will not be sent.
    pub(super) fn discard(&mut self, flight: &mut Flight) {
        self.garbage.extend(flight.clear());
    }

    /// Segments to drop as soon as no lock is held: payloads may have destructors of their own.
    pub(super) fn garbage(&mut self) -> &mut Vec<Segment> {
        &mut self.garbage
    }
}
