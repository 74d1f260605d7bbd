//! Delivering: to pulls, or to the deliver subject.

use super::super::consumer_config::Ack;
use super::super::log::{Log, Stored};
use super::super::time::{Time, rfc3339};
use super::super::turn::{Out, Turn, with_fields};
use super::{Consumer, Open, Place};
use bytes::Bytes;
use serde_json::json;

impl Consumer {
    /// Delivers what can be delivered now. Returns the sequences that it is done with, for streams that keep messages only for
    /// their consumers.
    pub(in super::super) fn advance(&mut self, log: &Log, turn: &mut Turn<'_>) -> Vec<u64> {
        let mut done = Vec::new();
        if self.election(turn.now).is_some() || self.is_paused(turn.now) {
            return done;
        }
        loop {
            let Some(seq) = self.next_message(log, turn) else {
                if self.open.len() < self.most_open() {
                    self.end_of_stream(turn);
                }
                return done;
            };
            let Some(message) = log.get(seq) else { return done };
            let sent = match self.config.is_pull() {
                true => self.deliver_to_pull(seq, message, turn),
                false => self.deliver_to_subject(seq, message, turn),
            };
            if !sent {
                return done;
            }
            if !self.acks() {
                done.push(seq);
            }
        }
    }

    fn most_open(&self) -> usize {
        match usize::try_from(self.config.max_ack_pending) {
            Ok(most) if most > 0 => most,
            _ => usize::MAX,
        }
    }

    /// The message that is delivered next, if there is one now.
    fn next_message(&mut self, log: &Log, turn: &mut Turn<'_>) -> Option<u64> {
        while let Some(seq) = self.again.front().copied() {
            let delivered = self.times(seq);
            let most = u64::try_from(self.config.max_deliver).unwrap_or(u64::MAX);
            if self.open.contains_key(&seq) && log.get(seq).is_some() && delivered < most {
                return Some(seq);
            }
            self.again.pop_front();
            if self.open.contains_key(&seq) && delivered >= most {
                self.give_up(seq, delivered, turn);
            } else {
                self.close(seq);
            }
        }
        if self.open.len() >= self.most_open() {
            return None;
        }
        if let Some(first) = self.starts.first() {
            return Some(*first);
        }
        let (seq, _) = log.next(self.next, |subject| self.config.wants(subject))?;
        Some(seq)
    }

    fn deliver_to_pull(&mut self, seq: u64, message: &Stored, turn: &mut Turn<'_>) -> bool {
        loop {
            let Some(mut pull) = self.next_pull(turn) else { return false };
            if pull.bytes.is_some_and(|bytes| self.size(seq, message) > bytes) {
                turn.status(&pull.reply, pull.too_large());
                continue;
            }
            let size = self.send(seq, message, pull.reply.clone(), turn);
            if let Some(end) = pull.serve(size, turn.now) {
                turn.status(&pull.reply, end);
            }
            if pull.left > 0 {
                self.pulls.push_back(pull);
            }
            return true;
        }
    }

    fn deliver_to_subject(&mut self, seq: u64, message: &Stored, turn: &mut Turn<'_>) -> bool {
        if !turn.wanted(&self.config.deliver_subject) || self.is_stalled() {
            return false;
        }
        let to = self.config.deliver_subject.clone();
        let size = self.send(seq, message, to, turn);
        self.sent(size, turn);
        true
    }

    /// What a message will take of a pull's bytes.
    fn size(&self, seq: u64, message: &Stored) -> u64 {
        let number = self.delivered.consumer + 1;
        let reply = self.reply(seq, message.time, self.times(seq) + 1, number, self.ahead.saturating_sub(1));
        let payload = if self.config.headers_only { 0 } else { message.payload.len() };
        (message.subject.len() + reply.len() + message.headers.len() + payload) as u64
    }

    /// Delivers a message. Returns its size.
    fn send(&mut self, seq: u64, message: &Stored, to: String, turn: &mut Turn<'_>) -> u64 {
        let again = self.again.front() == Some(&seq) && self.open.contains_key(&seq);
        let times = self.times(seq) + 1;
        if again {
            self.again.pop_front();
        } else {
            if !self.starts.remove(&seq) {
                self.next = seq + 1;
            }
            self.ahead = self.ahead.saturating_sub(1);
            self.delivered.stream = seq;
        }
        self.delivered.consumer += 1;
        self.delivered.at = Some(turn.now);
        if times > 1 {
            self.repeats.insert(seq, times);
        }
        self.track(seq, times, turn.now);
        let reply = self.reply(seq, message.time, times, self.delivered.consumer, self.ahead);
        let (headers, payload) = match self.config.headers_only {
            true => {
                let size = message.payload.len().to_string();
                (with_fields(&message.headers, &[("Nats-Msg-Size", &size)]), Bytes::new())
            }
            false => (message.headers.clone(), message.payload.clone()),
        };
        let size = message.subject.len() + reply.len() + headers.len() + payload.len();
        turn.deliver(Out { to, subject: message.subject.clone(), reply: Some(reply), headers, payload });
        size as u64
    }

    fn track(&mut self, seq: u64, times: u64, now: Time) {
        if self.config.ack_policy == Ack::None {
            self.floor = Place { at: None, ..self.delivered };
            return;
        }
        let due = now.saturating_add(self.config.patience(times));
        let number = self.delivered.consumer;
        let open = self.open.entry(seq).or_insert(Open { number, due });
        self.due.remove(&(open.due, seq));
        open.due = due;
        self.due.insert((due, seq));
    }

    /// How often a message was delivered.
    fn times(&self, seq: u64) -> u64 {
        let once = u64::from(self.open.contains_key(&seq));
        self.repeats.get(&seq).copied().unwrap_or(once)
    }

    fn reply(&self, seq: u64, time: Time, times: u64, number: u64, ahead: u64) -> String {
        format!("$JS.ACK.{}.{}.{times}.{seq}.{number}.{time}.{ahead}", self.stream, self.name)
    }

    /// Messages that were not acknowledged in time are delivered again.
    pub(super) fn overdue(&mut self, now: Time) {
        while let Some((due, seq)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            self.due.remove(&(due, seq));
            if !self.again.contains(&seq) {
                self.again.push_back(seq);
            }
        }
    }

    /// A message was delivered as often as allowed. It stays in the stream, of a work queue too, and the floor stays below it.
    fn give_up(&mut self, seq: u64, deliveries: u64, turn: &mut Turn<'_>) {
        if let Some(open) = self.open.remove(&seq) {
            self.due.remove(&(open.due, seq));
        }
        let (stream, consumer) = (&self.stream, &self.name);
        let subject = format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{consumer}");
        let advisory = json!({
            "type": "io.nats.jetstream.advisory.v1.max_deliver",
            "id": format!("{stream}.{consumer}.{seq}.{deliveries}"),
            "timestamp": rfc3339(turn.now),
            "stream": stream,
            "consumer": consumer,
            "stream_seq": seq,
            "deliveries": deliveries,
        });
        turn.answer(&subject, advisory.to_string());
    }
}
