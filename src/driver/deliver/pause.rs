//! The pause for slow consumers: the task first yields, then stops reading for a while, but never stops writing (D21).

use std::time::{Duration, Instant};

use super::{Delivered, Lagging, lose};
use crate::engine::time::after;

/// A pause, from the read that made a consumer slow to the moment when all have caught up, or the grace is over.
///
/// Time alone does not end it. While the task runs, or the runtime is busy with other tasks, consumers cannot run: they
/// get their turn when the task yields, and the grace begins after the first one.
#[derive(Debug)]
pub(in crate::driver) struct Pause {
    grace: Duration,
    /// The end of the grace. `None` before the consumers have had a turn.
    until: Option<Instant>,
    /// The poll of the task in which this was last checked. Within a poll nobody else may be able to run.
    turn: u64,
    /// Turns of the consumers so far.
    yields: u32,
    lagging: Vec<Lagging>,
}

/// What the task must do during a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum PauseState {
    /// Continue reading.
    Over,
    /// Yield, then ask again.
    Yield,
    /// Wait for a consumer, but no longer than the [`deadline`](Pause::deadline).
    Wait,
}

/// The task yields this often before it waits.
const YIELDS: u32 = 64;

impl Pause {
    /// Begins in poll number `turn` of the task.
    pub(in crate::driver) fn new(grace: Duration, turn: u64) -> Pause {
        Pause { grace, until: None, turn, yields: 0, lagging: Vec::new() }
    }

    /// Adds more slow consumers, in poll number `turn`. All have their turn from then on.
    pub(in crate::driver) fn add(&mut self, lagging: Vec<Lagging>, turn: u64) {
        (self.until, self.yields, self.turn) = (None, 0, turn);
        self.lagging.extend(lagging);
    }

    /// Checks the consumers, in poll number `turn` of the task.
    pub(in crate::driver) fn poll(&mut self, now: Instant, turn: u64, out: &mut Delivered) -> PauseState {
        if turn != self.turn {
            self.turn = turn;
            self.yields = self.yields.saturating_add(1);
        }
        if self.yields == 0 {
            return PauseState::Yield;
        }
        let until = *self.until.get_or_insert_with(|| after(now, self.grace));
        self.lagging.retain(|Lagging { sid, inbox }| {
            if now >= until {
                inbox.stop_waiting().into_iter().for_each(|lost| lose(*sid, inbox, lost, out));
            }
            inbox.is_waited_for()
        });
        if self.lagging.is_empty() {
            PauseState::Over
        } else if self.yields < YIELDS {
            PauseState::Yield
        } else {
            PauseState::Wait
        }
    }

    /// The latest time for the next check. While yielding, the task wakes itself.
    pub(in crate::driver) fn deadline(&self) -> Option<Instant> {
        self.until.filter(|_| self.yields >= YIELDS)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::driver::inbox::{Inbox, InboxLimits, WhenFull};
    use crate::driver::reads::Share;

    const GRACE: Duration = Duration::from_millis(10);

    /// A pause that began in poll 1, for an inbox with one message more than its limit of 1.
    fn pause() -> (Pause, Arc<Inbox>) {
        let inbox = Arc::new(Inbox::new(None));
        let limits = InboxLimits { messages: 1, bytes: 1 << 20, when_full: WhenFull::DropNewest };
        let mut pause = Pause::new(GRACE, 1);
        for _ in 0..2 {
            if inbox.offer(Share::of(b"a", None, None, b""), &limits).lagging {
                pause.add(vec![Lagging { sid: 1, inbox: inbox.clone() }], 1);
            }
        }
        (pause, inbox)
    }

    #[test]
    fn who_joins_a_pause_that_is_nearly_over_has_a_turn_too() {
        let (mut pause, inbox) = pause();
        let (mut out, now) = (Delivered::default(), Instant::now());
        assert_eq!(pause.poll(now, 2, &mut out), PauseState::Yield);
        pause.add(vec![Lagging { sid: 2, inbox: inbox.clone() }], 2);
        assert_eq!(pause.poll(now + GRACE, 2, &mut out), PauseState::Yield);
        assert!(out.losing.is_empty());
        assert_eq!(pause.poll(now + GRACE, 3, &mut out), PauseState::Yield, "its grace begins");
        assert_eq!(pause.poll(now + 2 * GRACE, 4, &mut out), PauseState::Over);
        assert_eq!(out.losing.len(), 1);
    }

    // Fault J8: the task counted a yield for each of its rounds, of which it makes 16 in one poll.
    #[test]
    fn nothing_is_lost_before_the_consumer_has_had_its_turn_however_long_the_poll_takes() {
        let (mut pause, inbox) = pause();
        let (begun, mut out) = (Instant::now(), Delivered::default());
        for round in 1..=1000 {
            assert_eq!(pause.poll(begun + round * GRACE, 1, &mut out), PauseState::Yield);
        }
        assert_eq!((inbox.unread(), inbox.dropped()), (2, 0));
    }

    #[test]
    fn the_grace_begins_with_the_first_turn() {
        let (mut pause, inbox) = pause();
        let (begun, mut out) = (Instant::now(), Delivered::default());
        let turn = begun + 5 * GRACE;
        assert_eq!(pause.poll(turn, 2, &mut out), PauseState::Yield);
        assert_eq!(pause.poll(turn + GRACE - Duration::from_nanos(1), 3, &mut out), PauseState::Yield);
        assert_eq!((inbox.unread(), inbox.dropped()), (2, 0));
        assert_eq!(pause.poll(turn + GRACE, 4, &mut out), PauseState::Over);
        assert_eq!((inbox.unread(), inbox.dropped()), (1, 1));
    }

    #[test]
    fn the_task_waits_after_64_turns_and_many_rounds_of_one_poll_are_one_turn() {
        let (mut pause, inbox) = pause();
        let (begun, mut out) = (Instant::now(), Delivered::default());
        for turn in 2..=64 {
            for _ in 0..16 {
                assert_eq!(pause.poll(begun, turn, &mut out), PauseState::Yield);
                assert_eq!(pause.deadline(), None);
            }
        }
        assert_eq!(pause.poll(begun, 65, &mut out), PauseState::Wait);
        assert_eq!(pause.deadline(), Some(begun + GRACE));
        drop(inbox.abandon());
        assert_eq!(pause.poll(begun, 65, &mut out), PauseState::Over);
    }
}
