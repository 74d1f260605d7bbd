//! A message that is sent until it is stored: when it may be sent again, and what is known at the end.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::backoff;

/// What became of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jetstream) enum Heard {
    /// A stream has stored it.
    Stored,
    /// The stream refused it.
    Refused,
    /// It has not left the client, nobody had it, or the stream's servers were busy with something else: it was not stored.
    NotStored,
    /// It has not left the client, and can't.
    Impossible,
    /// It may have been stored.
    Lost,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jetstream) enum Next {
    /// Send it, and wait for the outcome until then; what has not left the client by then is withdrawn.
    Send { until: Instant },
    /// Wait until then.
    Pause { until: Instant },
    /// Find out how long the stream recognizes the message by its id, until then.
    AskWindow { until: Instant },
    /// It is over.
    End(Fate),
}

/// What is known of the message at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jetstream) enum Fate {
    Stored,
    /// It was refused, and is not stored.
    Refused,
    /// It is not stored, and will not be.
    NotSent,
    /// It may be stored, once.
    InDoubt,
}

/// The state of one message. All tries carry the same id, by which the stream stores it once if the last try reaches it within
/// its duplicate window of the first.
#[derive(Debug)]
pub(in crate::jetstream) struct Publishing {
    /// When the caller wants to know.
    deadline: Instant,
    /// How long one try waits for its acknowledgement.
    patience: Duration,
    /// The stream's duplicate window; `None`: not known yet.
    window: Option<Duration>,
    /// When the first try was sent that may have been stored.
    doubt: Option<Instant>,
    /// When the present try was sent.
    sent: Instant,
    /// Tries that have not stored it, of those that were no reason to doubt.
    unstored: u32,
}

impl Publishing {
    /// A message that was not sent yet.
    pub(in crate::jetstream) fn new(
        now: Instant,
        deadline: Instant,
        patience: Duration,
        window: Option<Duration>,
    ) -> Self {
        Publishing { deadline, patience, window, doubt: None, sent: now, unstored: 0 }
    }

    /// The first try, or the next one after a pause or after the window was found out.
    pub(in crate::jetstream) fn go_on(&mut self, now: Instant) -> Next {
        if now >= self.end() {
            return Next::End(self.unanswered());
        }
        if self.doubt.is_some() && self.window.is_none() {
            return Next::AskWindow { until: self.deadline };
        }
        self.sent = now;
        let patient = now.checked_add(self.patience).unwrap_or(self.deadline);
        Next::Send { until: patient.min(self.end()) }
    }

    /// The stream's duplicate window is known, or can't be found out (`None`): then no further try is safe.
    pub(in crate::jetstream) fn window(&mut self, window: Option<Duration>, now: Instant) -> Next {
        self.window = window.or(Some(Duration::ZERO));
        self.go_on(now)
    }

    /// A try is over.
    pub(in crate::jetstream) fn heard(&mut self, heard: Heard, now: Instant) -> Next {
        match heard {
            Heard::Stored => Next::End(Fate::Stored),
            // Not every refusal says that an earlier try was refused too.
            Heard::Refused if self.doubt.is_some() => Next::End(Fate::InDoubt),
            Heard::Refused => Next::End(Fate::Refused),
            Heard::Lost => {
                self.doubt.get_or_insert(self.sent);
                self.go_on(now)
            }
            Heard::Impossible => Next::End(self.unanswered()),
            Heard::NotStored => {
                self.unstored = self.unstored.saturating_add(1);
                let until = now.checked_add(backoff::pause(self.unstored)).unwrap_or(self.deadline);
                if until >= self.end() { Next::End(self.unanswered()) } else { Next::Pause { until } }
            }
        }
    }

    /// No try is sent, or leaves the client, from then on: nine tenths of the window after the first one in doubt, since clocks
    /// and networks need the rest.
    fn end(&self) -> Instant {
        let safe = match (self.doubt, self.window) {
            (Some(doubt), Some(window)) => doubt.checked_add(window / 10 * 9),
            _ => None,
        };
        safe.map_or(self.deadline, |safe| safe.min(self.deadline))
    }

    fn unanswered(&self) -> Fate {
        if self.doubt.is_some() { Fate::InDoubt } else { Fate::NotSent }
    }
}
