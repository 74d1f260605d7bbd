//! Pending flushes, by the token of the engine's answer.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::engine::FlushFailure;

/// Fewer than this are not searched.
const FEW: usize = 1024;

type Answer = oneshot::Sender<Result<(), FlushFailure>>;

/// Pending flushes. Those whose caller is gone or has reached its deadline are forgotten when they may be half of all:
/// an outage may be long, and callers with short deadlines many.
#[derive(Debug)]
pub(super) struct Flushes {
    waiting: HashMap<u64, Answer>,
    last: u64,
    /// The number at which they are searched next.
    search_at: usize,
}

impl Default for Flushes {
    fn default() -> Self {
        Flushes { waiting: HashMap::new(), last: 0, search_at: FEW }
    }
}

impl Flushes {
    /// Adds a pending flush and returns its token.
    pub(super) fn add(&mut self, done: Answer) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, done);
        self.last
    }

    /// Forgets flushes without a caller, if it is time to. `true`: only those that still [wait](Flushes::waits) matter
    /// now.
    pub(super) fn forget_abandoned(&mut self) -> bool {
        if self.waiting.len() < self.search_at {
            return false;
        }
        self.waiting.retain(|_, done| !done.is_closed());
        self.waiting.shrink_to(FEW);
        self.search_at = FEW.max(self.waiting.len() * 2);
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
    fn abandoned_flushes_are_forgotten_and_pending_ones_are_not() {
        let mut flushes = Flushes::default();
        let (done, mut patient) = oneshot::channel();
        let token = flushes.add(done);
        let mut most = 0;
        for _ in 0..100_000 {
            // The receiver is dropped immediately.
            flushes.add(oneshot::channel().0);
            flushes.forget_abandoned();
            most = most.max(flushes.waiting.len());
        }
        assert!(most <= FEW, "{most} were kept");
        assert!(flushes.waits(token));
        assert!(patient.try_recv().is_err());
        assert!(flushes.remove(token).is_some_and(|done| done.send(Ok(())).is_ok()));
        assert_eq!(patient.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn many_pending_flushes_are_not_searched_on_each_call() {
        let mut flushes = Flushes::default();
        let mut patient = Vec::new();
        let mut searches = 0;
        for _ in 0..100_000 {
            let (done, outcome) = oneshot::channel();
            flushes.add(done);
            patient.push(outcome);
            searches += usize::from(flushes.forget_abandoned());
        }
        assert_eq!(flushes.waiting.len(), 100_000);
        assert!(searches <= 8, "{searches} times");
    }
}
