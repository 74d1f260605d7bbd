//! A message that is sent until it is stored: when it may be sent again, and what is known at the end.

use std::time::{Duration, Instant};

/// The pause before a message is sent again that nobody had; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

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
    pause: Duration,
}

impl Publishing {
    /// A message that was not sent yet.
    pub(in crate::jetstream) fn new(
        now: Instant,
        deadline: Instant,
        patience: Duration,
        window: Option<Duration>,
    ) -> Self {
        Publishing { deadline, patience, window, doubt: None, sent: now, pause: FIRST_PAUSE }
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
                let until = now.checked_add(self.pause).unwrap_or(self.deadline);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_window_is_asked_for_before_the_second_try_and_ends_the_tries() {
        let start = Instant::now();
        let mut message = Publishing::new(start, start + secs(60), secs(5), None);
        assert_eq!(message.go_on(start), Next::Send { until: start + secs(5) });
        let lost = start + secs(1);
        assert_eq!(message.heard(Heard::Lost, lost), Next::AskWindow { until: start + secs(60) });
        let known = start + secs(2);
        assert_eq!(message.window(Some(secs(10)), known), Next::Send { until: start + secs(7) });
        assert_eq!(message.heard(Heard::Lost, start + secs(7)), Next::Send { until: start + secs(9) });
        assert_eq!(
            message.heard(Heard::NotStored, start + secs(8)),
            Next::Pause { until: start + secs(8) + FIRST_PAUSE }
        );
        assert_eq!(message.go_on(start + secs(9)), Next::End(Fate::InDoubt));
        let mut unknown = Publishing::new(start, start + secs(60), secs(5), None);
        unknown.go_on(start);
        unknown.heard(Heard::Lost, lost);
        assert_eq!(unknown.window(None, known), Next::End(Fate::InDoubt));
    }

    #[test]
    fn what_nobody_had_is_no_doubt() {
        let start = Instant::now();
        let mut message = Publishing::new(start, start + secs(1), secs(5), None);
        assert_eq!(message.go_on(start), Next::Send { until: start + secs(1) });
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(message.heard(Heard::NotStored, at(0)), Next::Pause { until: at(100) });
        message.go_on(at(100));
        assert_eq!(message.heard(Heard::NotStored, at(100)), Next::Pause { until: at(300) });
        message.go_on(at(300));
        assert_eq!(message.heard(Heard::NotStored, at(700)), Next::End(Fate::NotSent));
        assert_eq!(message.heard(Heard::Refused, at(700)), Next::End(Fate::Refused));
        assert_eq!(message.heard(Heard::Impossible, at(700)), Next::End(Fate::NotSent));
    }

    /// A stream that recognizes ids for a while, counted from the last time that it stored one.
    struct Stream {
        window: Duration,
        stored: Vec<Instant>,
    }

    impl Stream {
        fn take(&mut self, now: Instant) {
            if !self.stored.last().is_some_and(|at| now < *at + self.window) {
                self.stored.push(now);
            }
        }
    }

    proptest! {
        // J1: whatever is lost in whatever direction, it is stored once at most; and what is said at the end is true.
        #[test]
        fn a_message_is_stored_once_and_the_end_is_true(
            tries in prop::collection::vec((0u8..5, 0u64..4_000, 0u64..3_000), 1..60),
            window in 1u64..20,
            deadline in 1u64..60,
        ) {
            let start = Instant::now();
            let (window, deadline) = (secs(window), start + secs(deadline));
            let mut stream = Stream { window, stored: Vec::new() };
            let mut message = Publishing::new(start, deadline, secs(2), None);
            let (mut now, mut next, mut refused) = (start, message.go_on(start), false);
            for (kind, took, travels) in tries.into_iter().cycle().take(1_000) {
                next = match next {
                    Next::End(fate) => {
                        prop_assert!(now <= deadline + secs(2), "told late");
                        match fate {
                            Fate::Stored => prop_assert_eq!(stream.stored.len(), 1),
                            Fate::Refused | Fate::NotSent => prop_assert!(stream.stored.is_empty()),
                            Fate::InDoubt => prop_assert!(stream.stored.len() <= 1),
                        }
                        prop_assert_eq!(fate == Fate::Refused, refused && fate != Fate::InDoubt);
                        return Ok(());
                    }
                    Next::AskWindow { .. } => {
                        now += Duration::from_millis(took);
                        message.window(Some(window), now)
                    }
                    Next::Pause { until } => {
                        prop_assert!(until > now);
                        now = until;
                        message.go_on(now)
                    }
                    Next::Send { until } => {
                        prop_assert!(until > now);
                        // It leaves the client before `until`, and arrives a little later.
                        let leaves = now + Duration::from_millis(took).min((until - now) * 9 / 10);
                        let arrives = leaves + Duration::from_millis(travels).min(window / 20);
                        now = (leaves + Duration::from_millis(travels)).min(until);
                        let heard = match kind {
                            0 => Heard::NotStored,
                            1 if travels % 5 == 0 => Heard::Impossible,
                            1 => Heard::NotStored,
                            2 => Heard::Lost,
                            3 => { stream.take(arrives); Heard::Lost }
                            _ if travels % 7 == 0 && stream.stored.is_empty() => { refused = true; Heard::Refused }
                            _ => { stream.take(arrives); Heard::Stored }
                        };
                        message.heard(heard, now)
                    }
                };
            }
            prop_assert!(false, "no end");
        }
    }
}
