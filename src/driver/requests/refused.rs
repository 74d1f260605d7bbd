//! Requests that the server refuses, found by subject. The index of subjects exists once something was refused.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::task::Waker;

use super::{Failing, Inner, RequestFailure, Requests, SlotState, Ticket};
use crate::driver::lock;
use crate::engine::RefusedName;

/// Requests by the hash of their subject. Some ended ones may still be among them.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    tickets: HashMap<u64, Vec<Ticket>>,
    /// The number of tickets.
    count: usize,
}

impl Subjects {
    fn add(&mut self, subject: u64, ticket: Ticket) {
        self.tickets.entry(subject).or_default().push(ticket);
        self.count += 1;
    }
}

/// The number of ended requests that may be in the index. Arbitrary.
const STALE: usize = 1024;

impl Inner {
    /// Adds a new request to the index, if there is one. A stale index is dropped, and made again when it is needed.
    pub(super) fn note_subject(&mut self, subject: u64, ticket: Ticket) {
        let most = 2 * self.slots.len() + STALE;
        match &mut self.subjects {
            Some(subjects) if subjects.count < most => subjects.add(subject, ticket),
            subjects => *subjects = None,
        }
    }

    fn refuse(
        &mut self,
        ticket: Ticket,
        failure: &RequestFailure,
        wakers: &mut Vec<Waker>,
        concerned: impl Fn(u64, bool) -> bool,
    ) -> Failing {
        let failing = self.slot(ticket).map_or(Failing::NotConcerned, |slot| slot.fail(failure, wakers, concerned));
        if failing.is_over() {
            self.free(ticket.index);
        }
        failing
    }

    fn subjects(&self) -> Subjects {
        let mut subjects = Subjects::default();
        for (slot, index) in self.slots.iter().zip(0..) {
            if slot.state.is_waiting() {
                subjects.add(slot.subject, Ticket { index, generation: slot.generation });
            }
        }
        subjects
    }
}

impl Requests {
    /// The server refuses messages with these names among those with the numbers `after + 1..=through`.
    pub(in crate::driver) fn refused(&self, names: &[RefusedName], after: u64, through: u64, wakers: &mut Vec<Waker>) {
        let mut inner = lock(&self.inner);
        let mut subjects = inner.subjects.take().unwrap_or_else(|| inner.subjects());
        let concerned = |sequence: u64, _: bool| after < sequence && sequence <= through;
        for name in names {
            let RefusedName { subject, reply } = name;
            let failure = RequestFailure::Refused(name.error());
            if *reply {
                if let Some(ticket) = Ticket::decode(subject.as_bytes()) {
                    inner.refuse(ticket, &failure, wakers, concerned);
                }
                continue;
            }
            let number = self.hasher.hash_one(subject.as_bytes());
            let Some(mut tickets) = subjects.tickets.remove(&number) else {
                continue;
            };
            let before = tickets.len();
            tickets.retain(|ticket| {
                let failing = inner.refuse(*ticket, &failure, wakers, concerned);
                failing == Failing::NotConcerned && inner.state(*ticket).is_some_and(|state| state.is_waiting())
            });
            subjects.count -= before - tickets.len();
            if !tickets.is_empty() {
                subjects.tickets.insert(number, tickets);
            }
        }
        inner.subjects = Some(subjects);
    }
}

impl SlotState {
    fn is_waiting(&self) -> bool {
        self.sequence().is_some()
    }
}
