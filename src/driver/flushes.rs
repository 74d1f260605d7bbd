//! Who waits for a flush, by the token that the engine answers with.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::engine::FlushFailure;

/// Fewer than this are not looked through.
const FEW: usize = 1024;

type Answer = oneshot::Sender<Result<(), FlushFailure>>;

/// Calls that wait. Those that were dropped, or reached their deadline, are forgotten when they may be half of all: an
/// outage may be long, and impatient callers many.
#[derive(Debug)]
pub(super) struct Flushes {
    waiting: HashMap<u64, Answer>,
    last: u64,
    /// Look through them when there are so many.
    look: usize,
}

impl Default for Flushes {
    fn default() -> Self {
        Flushes { waiting: HashMap::new(), last: 0, look: FEW }
    }
}

impl Flushes {
    /// A token for one that waits.
    pub(super) fn add(&mut self, done: Answer) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, done);
        self.last
    }

    /// Whether those that nobody waits for were forgotten just now: then only what [`waits`](Flushes::waits) matters.
    pub(super) fn forget_deserted(&mut self) -> bool {
        if self.waiting.len() < self.look {
            return false;
        }
        self.waiting.retain(|_, done| !done.is_closed());
        self.waiting.shrink_to(FEW);
        self.look = FEW.max(self.waiting.len() * 2);
        true
    }

    pub(super) fn waits(&self, token: u64) -> bool {
        self.waiting.contains_key(&token)
    }

    pub(super) fn remove(&mut self, token: u64) -> Option<Answer> {
        self.waiting.remove(&token)
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deserted_are_forgotten_and_the_patient_are_not() {
        let mut flushes = Flushes::default();
        let (done, mut patient) = oneshot::channel();
        let token = flushes.add(done);
        let mut most = 0;
        for _ in 0..100_000 {
            // Dropped at once: nobody waits.
            flushes.add(oneshot::channel().0);
            flushes.forget_deserted();
            most = most.max(flushes.waiting.len());
        }
        assert!(most <= FEW, "{most} were kept");
        assert!(flushes.waits(token));
        assert!(patient.try_recv().is_err());
        assert!(flushes.remove(token).is_some_and(|done| done.send(Ok(())).is_ok()));
        assert_eq!(patient.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn many_who_wait_are_not_looked_through_each_time() {
        let mut flushes = Flushes::default();
        let mut patient = Vec::new();
        let mut looks = 0;
        for _ in 0..100_000 {
            let (done, outcome) = oneshot::channel();
            flushes.add(done);
            patient.push(outcome);
            looks += usize::from(flushes.forget_deserted());
        }
        assert_eq!(flushes.waiting.len(), 100_000);
        assert!(looks <= 8, "{looks} times");
    }
}
