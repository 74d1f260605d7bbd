//! The task's reading half: bytes in, operations to the engine, messages to their inboxes.

use std::task::{Context, Poll};
use std::time::Instant;

use super::{READ_MAX, Task, WORK};
use crate::driver::deliver::{Overrun, Pause, PauseState};
use crate::driver::link::{Input, Link, Stream};
use crate::driver::statistics::Statistics;
use crate::driver::transport::cause;
use crate::engine::{Cause, ConnectionEvent};
use crate::protocol::{Decoded, ProtocolError, ServerOp};

/// An operation of this many bytes, such as a long INFO, counts as two. Arbitrary.
const WORTH_ONE: usize = 256;

impl Task {
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let paused = self.is_paused(cx, now);
        let mut moved = false;
        for at in 0..self.links.len() {
            // A handshake brings no messages: it does not wait for the consumers of another connection.
            let waits = paused && self.links.get(at).is_some_and(|link| self.engine.expects_messages_of(link.epoch));
            moved |= !waits && self.read_from(at, cx, now);
        }
        moved
    }

    fn read_from(&mut self, at: usize, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(Link { epoch, stream: Stream::Up(transport), input, .. }) = self.links.get_mut(at) else {
            return false;
        };
        let epoch = *epoch;
        if self.engine.is_securing(epoch) {
            // The upgrade is about to begin: bytes that arrive now are TLS, or must not be trusted.
            return false;
        }
        if input.more {
            let mut input = std::mem::take(input);
            self.decode(&mut input, epoch, now);
            self.put_back(at, input);
            return true;
        }
        let buf = &mut input.buf;
        let spare = buf.capacity() - buf.len();
        // An announced message is no reason to reserve its size: bytes must come first.
        let room = (self.want / 2).max(input.needed.min(buf.len().max(self.want)));
        self.sorter.release();
        if spare < room {
            self.buffers.make_room(buf, room.max(self.want), now);
        }
        let spare = buf.capacity() - buf.len();
        let n = match transport.poll_read(cx, buf) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => {
                self.engine.handle_lost(epoch, Cause::ClosedByServer, now);
                return true;
            }
            Poll::Ready(Err(error)) => {
                self.engine.handle_lost(epoch, cause(error), now);
                return true;
            }
            Poll::Ready(Ok(n)) => n,
        };
        if n == spare {
            self.want = (self.want * 4).min(READ_MAX);
        }
        Statistics::add(&self.shared.counters().in_bytes, n as u64);
        self.engine.handle_received(epoch, now);
        let mut input = std::mem::take(input);
        self.decode(&mut input, epoch, now);
        self.put_back(at, input);
        true
    }

    fn put_back(&mut self, at: usize, input: Input) {
        if let Some(link) = self.links.get_mut(at) {
            link.input = input;
        }
    }

    /// Decodes every complete operation, and delivers the messages. When the work limit of a poll is reached, the rest
    /// waits for the next poll.
    fn decode(&mut self, input: &mut Input, epoch: u64, now: Instant) {
        self.sorter.begin();
        input.more = false;
        let mut at = 0;
        let mut expected = self.engine.expects_messages_of(epoch);
        let fault = loop {
            at += input.skip_from(at);
            let rest = input.buf.get(at..).unwrap_or_default();
            match input.decoder.decode_server(rest) {
                Ok(Decoded::Op { op: ServerOp::Msg(message), len }) if expected => {
                    self.sorter.push(&message, &input.buf, &mut self.engine.subscriptions);
                    at = self.sorter.push_alike(&input.buf, at + len, &input.decoder);
                }
                Ok(Decoded::Op { .. }) if !self.sorter.is_empty() => {
                    // Messages before an operation are delivered before it acts: a PONG may end a subscription.
                    self.deliver(input, at);
                    self.sorter.begin();
                    at = 0;
                }
                Ok(Decoded::Op { op, len }) => {
                    self.engine.handle_op(epoch, &op, now);
                    at += len;
                    if !self.engine.is_live(epoch) || self.is_cut_off(input, at, epoch, now) {
                        break None;
                    }
                    expected = self.engine.expects_messages_of(epoch);
                    self.work += 1 + len / WORTH_ONE;
                    if self.work >= WORK {
                        input.more = true;
                        break None;
                    }
                }
                Ok(Decoded::NeedMore(needed)) => {
                    input.needed = needed;
                    break None;
                }
                Err(error) => {
                    let ProtocolError::TooLarge { size, limit } = error else { break Some(error) };
                    if !expected || !input.announces_message(at) {
                        break Some(error);
                    }
                    // Messages before it are delivered before it is reported missing.
                    self.deliver(input, at);
                    self.sorter.begin();
                    at = 0;
                    self.skip_message(input, size, limit);
                    self.work += 1;
                    if self.work >= WORK {
                        input.more = true;
                        break None;
                    }
                }
            }
        };
        self.deliver(input, at);
        if let Some(error) = fault {
            self.engine.handle_lost(epoch, Cause::Protocol(error), now);
        }
    }

    /// The buffer begins with a message over the limits: skips it, and reports the loss to its subscription.
    fn skip_message(&mut self, input: &mut Input, size: u64, limit: usize) {
        let Some(message) = input.decoder.oversized(&input.buf) else { return };
        input.skip = message.len;
        let event = ConnectionEvent::message_too_large(message.sid, message.subject, size, limit);
        self.shared.listeners.emit(&event);
        let error = ProtocolError::TooLarge { size, limit };
        self.sorter.miss(&message, error, &mut self.engine, &mut self.delivered);
        self.wake_all();
    }

    /// Whether nothing more is read for now, since the link is about to be encrypted. Unencrypted bytes after INFO
    /// could come from anybody: they are never read.
    fn is_cut_off(&mut self, input: &Input, at: usize, epoch: u64, now: Instant) -> bool {
        let securing = self.engine.is_securing(epoch);
        if securing && input.buf.len() > at {
            let text = format!("{} unencrypted bytes arrived after INFO, before TLS began", input.buf.len() - at);
            self.engine.handle_lost(epoch, Cause::Tls(text.into()), now);
        }
        securing
    }

    /// Delivers the messages in the first `consumed` bytes of the buffer.
    fn deliver(&mut self, input: &mut Input, consumed: usize) {
        Statistics::add(&self.shared.counters().in_messages, self.sorter.messages());
        let allocated = self.want.max(input.buf.capacity());
        self.sorter.deliver(&mut input.buf, consumed, allocated, &mut self.engine, &mut self.delivered);
        if !self.delivered.lagging.is_empty() {
            let lagging = std::mem::take(&mut self.delivered.lagging);
            let grace = self.shared.settings.slow_consumer_grace;
            self.pause.get_or_insert_with(|| Pause::new(grace, self.turn)).add(lagging, self.turn);
        }
        self.report_losses();
        if self.delivered.wakers.len() > 1 {
            // Several readers run next, and may publish: this poll ends, so that one write takes it all. Otherwise the first of
            // them would wake this task, which would run before the second one.
            self.work = WORK;
        }
        self.wake_all();
    }

    fn report_losses(&mut self) {
        for Overrun { sid, dropped, begins, closes } in self.delivered.losing.drain(..) {
            let event = ConnectionEvent::slow_consumer(sid, dropped);
            if begins {
                self.shared.listeners.emit(&event);
            } else {
                self.shared.listeners.repeat(&event);
            }
            if closes {
                self.engine.handle_overrun(sid);
            }
        }
    }

    /// Whether reading waits for a consumer. Writing, PONGs and timers never do.
    fn is_paused(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        let Some(pause) = &mut self.pause else {
            return false;
        };
        let paused = match pause.poll(now, self.turn, &mut self.delivered) {
            PauseState::Over => {
                self.pause = None;
                false
            }
            PauseState::Yield => {
                self.let_others_run(cx);
                true
            }
            PauseState::Wait => true,
        };
        self.report_losses();
        self.wake_all();
        paused
    }
}
