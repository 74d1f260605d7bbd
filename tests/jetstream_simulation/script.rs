//! The script of a world: what has happened, for whoever repeats a seed.

use std::time::Instant;

pub(crate) struct Script {
    begun: Instant,
    is_shown: bool,
}

impl Script {
    pub(crate) fn new(begun: Instant, is_shown: bool) -> Script {
        Script { begun, is_shown }
    }

    pub(crate) fn say(&self, now: Instant, what: impl FnOnce() -> String) {
        if self.is_shown {
            let text: String = what().chars().take(400).collect();
            println!("{:9.3} {text}", (now - self.begun).as_secs_f64());
        }
    }
}
