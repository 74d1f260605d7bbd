//! What the user does.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Pair, addr};
use crate::engine::{Choice, Engine, Frame, Interest, Refusal};

impl Pair {
    pub(in crate::engine::tests) fn command(&mut self, command: impl FnOnce(&mut Engine<u64>, Instant) + 'static) {
        self.commands.push(Box::new(command));
    }

    /// C: connect.
    pub(in crate::engine::tests) fn connect(&mut self) {
        self.command(|engine, now| engine.connect(now));
        self.settle();
    }

    /// C: subscribe, without a round.
    pub(in crate::engine::tests) fn queue_subscribe(
        &mut self,
        subject: &'static str,
        queue: Option<&'static str>,
        sid: u64,
    ) {
        let group = queue.map(str::as_bytes);
        let framed = self.outbox.admit_subscribe(subject.as_bytes(), group, sid);
        self.command(move |engine, _| {
            engine.subscribe(sid, Interest { subject: subject.as_bytes(), queue: group, internal: false }, sid, framed);
        });
    }

    pub(in crate::engine::tests) fn subscribe(&mut self, subject: &'static str, sid: u64) {
        self.queue_subscribe(subject, None, sid);
        self.settle();
    }

    pub(in crate::engine::tests) fn unsubscribe(&mut self, sid: u64) {
        let framed = self.outbox.admit_unsubscribe(sid);
        self.command(move |engine, _| engine.unsubscribe(sid, framed));
        self.settle();
    }

    pub(in crate::engine::tests) fn drain_subscription(&mut self, sid: u64) {
        let framed = self.outbox.admit_unsubscribe(sid);
        self.command(move |engine, _| engine.drain_subscription(sid, framed));
        self.settle();
    }

    pub(in crate::engine::tests) fn unsubscribe_after(&mut self, sid: u64, max: u64) {
        self.command(move |engine, _| engine.unsubscribe_after(sid, max));
        self.settle();
    }

    /// C: flush; `seen` is what the handle has reported. Returns the token.
    pub(in crate::engine::tests) fn flush(&mut self, seen: u64) -> u64 {
        self.next_token += 1;
        let token = self.next_token;
        self.command(move |engine, _| engine.flush(token, seen));
        self.settle();
        token
    }

    pub(in crate::engine::tests) fn force_reconnect(&mut self) {
        self.command(|engine, now| engine.force_reconnect(now));
        self.settle();
    }

    pub(in crate::engine::tests) fn set_pool(&mut self, servers: &[&str]) {
        let servers = servers.iter().map(|name| addr(name)).collect();
        self.command(|engine, now| engine.set_server_pool(servers, now));
        self.settle();
    }

    pub(in crate::engine::tests) fn drain(&mut self, within: Duration) {
        self.command(move |engine, now| engine.drain(within, now));
        self.settle();
    }

    pub(in crate::engine::tests) fn close(&mut self) {
        self.command(|engine, now| engine.close(now));
        self.settle();
    }

    /// C: the consumer of a draining subscription has read it to its end.
    /// The consumer of a draining subscription has taken the last message.
    pub(in crate::engine::tests) fn last_taken(&mut self, sid: u64) {
        self.command(move |engine, now| engine.handle_last_taken(sid, now));
        self.settle();
    }

    pub(in crate::engine::tests) fn finished(&mut self, sid: u64) {
        self.command(move |engine, _| engine.handle_finished(sid));
        self.settle();
    }

    /// C: publish, without a round: the task has not run yet.
    pub(in crate::engine::tests) fn admit(&mut self, subject: &str, payload: &[u8]) -> Result<u64, Refusal> {
        let payload = Bytes::copy_from_slice(payload);
        if self.outbox.wants_ticks() {
            self.outbox.tick(self.now);
        }
        self.outbox.admit(&Frame { subject: subject.as_bytes(), reply: None, headers: None, payload: &payload }, false)
    }

    /// C: publish.
    pub(in crate::engine::tests) fn publish(&mut self, subject: &str, payload: &str) -> u64 {
        let sequence = self.admit(subject, payload.as_bytes()).unwrap();
        self.settle();
        sequence
    }

    /// C: the callbacks answer.
    pub(in crate::engine::tests) fn choose(&mut self, server: Option<&str>, delay: Option<Duration>) {
        let ask = self.asked.take().expect("nobody is asked");
        self.engine.handle_choice(ask, Choice { server: server.map(addr), delay }, self.now);
        self.settle();
    }

    /// C: publishes, and wants to know when the server has it.
    pub(in crate::engine::tests) fn publish_confirmed(&mut self, subject: &str, payload: &str) -> u64 {
        let sequence = self.admit(subject, payload.as_bytes()).unwrap();
        self.outbox.want_pong(sequence);
        self.settle();
        sequence
    }

    // What the world does.
}
