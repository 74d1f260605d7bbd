//! When a message is sent again, and its outcome.

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
        Next::Pause { until: start + secs(8) + backoff::pause(1) }
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

    let mut doubtful = Publishing::new(start, start + secs(60), secs(5), Some(secs(120)));
    doubtful.go_on(start);
    doubtful.heard(Heard::Lost, at(100));
    assert_eq!(doubtful.heard(Heard::Refused, at(700)), Next::End(Fate::InDoubt), "the first try may have been stored");
}

/// A stream that recognizes ids for a while, counted from the last time that it stored one.
struct Stream {
    window: Duration,
    stored: Vec<Instant>,
}

impl Stream {
    fn take(&mut self, now: Instant) {
        if self.stored.last().is_none_or(|at| now >= *at + self.window) {
            self.stored.push(now);
        }
    }
}

proptest! {
    // J1: whatever is lost in whatever direction, it is stored once at most, and the outcome is true.
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
                Next::AskWindow { until } => {
                    let (asked, in_time) = (now + Duration::from_millis(took), until > now + Duration::from_millis(took));
                    now = asked.min(until);
                    message.window(in_time.then_some(window), now)
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
        // Tries that take no time don't bring the end nearer.
        prop_assert!(now < deadline, "no end");
    }
}
