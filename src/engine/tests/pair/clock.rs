//! Time, as an engine's test lets it pass.

use std::time::Duration;

use super::Pair;

impl Pair {
    /// The process is stopped: time passes, and no deadline is looked at.
    pub(in crate::engine::tests) fn sleep(&mut self, by: Duration) {
        self.now += by;
    }

    /// Time passes, and every deadline on the way is kept.
    pub(in crate::engine::tests) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        self.settle();
        let (mut at, mut again) = (self.now, 0);
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            again = if self.now == at { again + 1 } else { 0 };
            assert!(again < 100, "a deadline that was kept comes again for ever");
            at = self.now;
            self.settle();
            self.engine.handle_timeout(self.now);
            self.settle();
        }
        self.now = until;
        self.settle();
    }
}
