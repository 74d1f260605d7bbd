//! The task's other inputs: dials, and the answers of the users' callbacks.

use std::task::{Context, Poll};
use std::time::Instant;

use super::Task;
use crate::driver::link::Stream;

impl Task {
    pub(super) fn poll_asked(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(Poll::Ready((ask, choice))) = self.asked.as_mut().map(|asked| asked.poll(cx)) else {
            return false;
        };
        self.asked = None;
        self.engine.handle_choice(ask, choice, now);
        true
    }

    pub(super) fn poll_dial(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        let engine = &mut self.engine;
        self.links.retain_mut(|link| {
            let (Stream::Dialing(coming) | Stream::Securing(coming)) = &mut link.stream else {
                return true;
            };
            let Poll::Ready(outcome) = coming.as_mut().poll(cx) else {
                return true;
            };
            moved = true;
            let dialled = matches!(link.stream, Stream::Dialing(_));
            match outcome {
                Ok((transport, prepared)) => {
                    link.stream = Stream::Up(transport);
                    if dialled {
                        link.prepared = prepared;
                        engine.handle_dialed(link.epoch, link.prepared.others.len(), now);
                    } else {
                        engine.handle_upgraded(link.epoch, now);
                    }
                    true
                }
                Err(cause) => {
                    if dialled {
                        engine.handle_dial_failed(link.epoch, cause, now);
                    } else {
                        link.stream = Stream::Over;
                        engine.handle_upgrade_failed(link.epoch, cause, now);
                    }
                    !dialled
                }
            }
        });
        moved
    }

    /// Polls pending questions for credentials.
    pub(super) fn poll_credentials(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let mut moved = false;
        for link in &mut self.links {
            let Some(Poll::Ready(answer)) = link.asked.as_mut().map(|asked| asked.poll(cx)) else {
                continue;
            };
            link.asked = None;
            moved = true;
            self.engine.handle_credentials(link.epoch, answer, now);
        }
        moved
    }
}
