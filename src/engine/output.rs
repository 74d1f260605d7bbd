//! What the engine hands out: effects to carry out, in order, and what may be dropped.

use std::collections::VecDeque;

use super::effect::Effect;
use super::outbox::{Flight, Segment};
use super::report::ConnectionEvent;

/// What the engine hands out.
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

    /// What a flight held is not sent any more.
    pub(super) fn discard(&mut self, flight: &mut Flight) {
        self.garbage.extend(flight.clear());
    }

    /// What may be dropped as soon as no lock is held: payloads have destructors of their own.
    pub(super) fn garbage(&mut self) -> &mut Vec<Segment> {
        &mut self.garbage
    }
}
