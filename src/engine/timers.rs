//! Time: when something is due next, and what happens then.

use std::time::Instant;

use super::effect::Choice;
use super::engine::Engine;
use super::error::EndReason;
use super::intent::{DrainStage, Intent};
use super::line::Line;
use super::lines::{Link, Which};

impl<H> Engine<H> {
    /// The next time at which [`handle_timeout`](Engine::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let intent = match &self.intent {
            Intent::Drain { deadline, stage: DrainStage::Delivering { rest_until: Some(until) }, .. } => {
                Some(*deadline.min(until))
            }
            Intent::Drain { deadline, .. } | Intent::Close { deadline, .. } => Some(*deadline),
            Intent::Run | Intent::End { .. } | Intent::Closed => None,
        };
        let seek = match &self.lines.present {
            Link::Choosing { until, .. } | Link::Backoff { until, .. } => Some(*until),
            Link::Idle | Link::GivingUp(_) | Link::Line(_) => None,
        };
        let (present, candidate) = (self.line_due(Which::Present), self.line_due(Which::Candidate));
        [intent, seek, present, candidate, self.move_due()].into_iter().flatten().min()
    }

    fn line_due(&self, which: Which) -> Option<Instant> {
        match self.lines.line(which)? {
            Line::Dialing(attempt) => attempt.dial_due(),
            Line::Up(connection) => connection.due(&self.config),
        }
    }

    /// Handles the deadlines that have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.intent {
            Intent::Drain { deadline, .. } if deadline <= now => self.finish(EndReason::Drained, false),
            Intent::Close { deadline, .. } if deadline <= now => self.finish(EndReason::Closed, false),
            Intent::Drain { stage: DrainStage::Delivering { rest_until: Some(until) }, .. } if until <= now => {
                self.give_up_readers();
            }
            _ => {}
        }
        match &self.lines.present {
            // Callbacks that don't answer leave the choice to the pool.
            Link::Choosing { until, .. } if *until <= now => self.apply_choice(Choice::default(), now),
            Link::Backoff { until, chosen } if *until <= now => self.backoff_over(*chosen, now),
            Link::Line(_) => self.handle_line_timeout(Which::Present, now),
            _ => {}
        }
        // Whatever has become of the present line.
        self.handle_line_timeout(Which::Candidate, now);
    }

    fn handle_line_timeout(&mut self, which: Which, now: Instant) {
        let happened = match self.lines.line_mut(which) {
            None => return,
            Some(Line::Dialing(attempt)) => attempt.handle_dial_timeout(now),
            Some(Line::Up(connection)) if connection.is_lost() => return,
            Some(Line::Up(connection)) => connection.handle_timeout(&self.config, now),
        };
        self.apply(which, happened, now);
    }

    /// Ends the wait for consumers that have taken the last message of a drain and have not come back.
    fn give_up_readers(&mut self) {
        if let Intent::Drain { stage: DrainStage::Delivering { rest_until }, .. } = &mut self.intent {
            *rest_until = None;
        }
        for sid in self.subscriptions.at_last() {
            self.handle_finished(sid);
        }
    }
}
