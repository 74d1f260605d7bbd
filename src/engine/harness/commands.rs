//! What the user does.

use std::time::{Duration, Instant};

use super::Harness;
use crate::engine::{Engine, Interest, Purpose};
use crate::protocol::ServerAddr;

impl Harness {
    /// Queues a command, as a handle does.
    pub fn command(&mut self, command: impl FnOnce(&mut Engine<u64>, Instant) + 'static) {
        self.commands.push(Box::new(command));
    }

    /// Carries out a command.
    fn act(&mut self, command: impl FnOnce(&mut Engine<u64>, Instant) + 'static) {
        self.command(command);
        self.settle();
    }

    /// See [`Engine::connect`].
    pub fn connect(&mut self) {
        self.act(|engine, now| engine.connect(now));
    }

    /// Subscribes, without a round of the driver.
    pub fn queue_subscribe(&mut self, subject: &'static str, queue: Option<&'static str>, sid: u64) {
        let (subject, queue) = (subject.as_bytes(), queue.map(str::as_bytes));
        self.add_interest(Interest { subject, queue, purpose: Purpose::Messages(None) }, sid);
    }

    fn add_interest(&mut self, interest: Interest<'static>, sid: u64) {
        let framed = self.outbox.admit_subscribe(interest.subject, interest.queue, sid);
        self.command(move |engine, _| engine.subscribe(sid, interest, sid, framed));
    }

    /// Subscribes for a purpose.
    pub fn subscribe_for(&mut self, purpose: Purpose, subject: &'static str, sid: u64) {
        self.add_interest(Interest { subject: subject.as_bytes(), queue: None, purpose }, sid);
        self.settle();
    }

    /// See [`Engine::subscribe`].
    pub fn subscribe(&mut self, subject: &'static str, sid: u64) {
        self.queue_subscribe(subject, None, sid);
        self.settle();
    }

    /// See [`Engine::unsubscribe`].
    pub fn unsubscribe(&mut self, sid: u64) {
        let framed = self.outbox.admit_unsubscribe(sid);
        self.act(move |engine, _| engine.unsubscribe(sid, framed));
    }

    /// See [`Engine::drain_subscription`].
    pub fn drain_subscription(&mut self, sid: u64) {
        let framed = self.outbox.admit_unsubscribe(sid);
        self.act(move |engine, _| engine.drain_subscription(sid, framed));
    }

    /// See [`Engine::unsubscribe_after`].
    pub fn unsubscribe_after(&mut self, sid: u64, max: u64) {
        self.act(move |engine, _| engine.unsubscribe_after(sid, max));
    }

    /// See [`Engine::flush`]. Returns the token.
    pub fn flush(&mut self, seen: u64) -> u64 {
        self.next_token += 1;
        let token = self.next_token;
        self.act(move |engine, _| engine.flush(token, seen));
        token
    }

    /// Nobody waits for this flush any more.
    pub fn cancel_flush(&mut self, token: u64) {
        self.act(move |engine, _| engine.keep_flushes(|other| other != token));
    }

    /// See [`Engine::force_reconnect`].
    pub fn force_reconnect(&mut self) {
        self.act(|engine, now| engine.force_reconnect(now));
    }

    /// See [`Engine::set_server_pool`].
    pub fn set_pool(&mut self, servers: Vec<ServerAddr>) {
        self.act(|engine, now| engine.set_server_pool(servers, now));
    }

    /// See [`Engine::drain`].
    pub fn drain(&mut self, within: Duration) {
        self.act(move |engine, now| engine.drain(within, now));
    }

    /// See [`Engine::close`].
    pub fn close(&mut self) {
        self.act(|engine, now| engine.close(now));
    }

    /// See [`Engine::handle_last_taken`].
    pub fn last_taken(&mut self, sid: u64) {
        self.act(move |engine, now| engine.handle_last_taken(sid, now));
    }

    /// See [`Engine::handle_finished`].
    pub fn finished(&mut self, sid: u64) {
        self.act(move |engine, _| engine.handle_finished(sid));
    }
}
