//! Pulls: reading one, refusing it, and ending those that wait.

use super::super::time::Time;
use super::super::turn::{Turn, status};
use super::Consumer;
use bytes::Bytes;
use serde::Deserialize;
use std::time::Duration;

/// A pull that waits for messages.
#[derive(Debug)]
pub(super) struct Pull {
    pub(super) reply: String,
    /// How many messages it still wants.
    pub(super) left: u64,
    /// How many bytes it still takes, if it said so.
    pub(super) bytes: Option<u64>,
    expires: Option<Time>,
    pub(super) no_wait: bool,
    heartbeat: u64,
    beats_at: Time,
    pub(super) served: u64,
}

/// The body of a pull.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    batch: i64,
    expires: i64,
    max_bytes: i64,
    idle_heartbeat: i64,
    no_wait: bool,
}

impl Request {
    fn read(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).unwrap_or("?").trim();
        let request = match text.as_bytes().first() {
            None => Self::default(),
            Some(b'{') => serde_json::from_str(text).map_err(|error| error.to_string())?,
            Some(_) => Self { batch: text.parse().unwrap_or_default(), ..Self::default() },
        };
        if request.idle_heartbeat > 0 && request.idle_heartbeat.saturating_mul(2) > request.expires {
            return Err("heartbeat value too large".to_owned());
        }
        Ok(request)
    }
}

impl Pull {
    /// What it has not received.
    fn left_over(&self, code: u16, text: &str) -> Bytes {
        let (messages, bytes) = (self.left.to_string(), self.bytes.unwrap_or_default().to_string());
        status(code, text, &[("Nats-Pending-Messages", &messages), ("Nats-Pending-Bytes", &bytes)])
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let beat = Some(self.beats_at).filter(|_| self.heartbeat > 0);
        [self.expires, beat].into_iter().flatten().min()
    }

    /// The status of a pull whose next message is too large for it.
    pub(super) fn too_large(&self) -> Bytes {
        self.left_over(409, "Message Size Exceeds MaxBytes")
    }

    /// Counts a message. Returns the status that ends the pull, if there is one to send.
    pub(super) fn serve(&mut self, size: u64, now: Time) -> Option<Bytes> {
        self.left = self.left.saturating_sub(1);
        self.served += 1;
        self.beats_at = now.saturating_add(self.heartbeat);
        let bytes = self.bytes.as_mut()?;
        *bytes = bytes.saturating_sub(size);
        (self.left == 0 && *bytes > 0).then(|| self.left_over(409, "Batch Completed"))
    }
}

impl Consumer {
    /// A pull arrives. What it gets is delivered afterwards.
    pub(in super::super) fn pull(&mut self, reply: &str, body: &[u8], turn: &mut Turn<'_>) {
        if let Err(refusal) = self.accept(reply, body, turn) {
            turn.status(reply, refusal);
        }
        self.active = turn.now;
    }

    fn accept(&mut self, reply: &str, body: &[u8], turn: &mut Turn<'_>) -> Result<(), Bytes> {
        let refused = |code, text: &str| Err(status(code, text, &[]));
        if !self.config.is_pull() {
            return refused(409, "Consumer is push based");
        }
        let request = Request::read(body).map_err(|text| status(400, &format!("Bad Request - {text}"), &[]))?;
        let batch = u64::try_from(request.batch).unwrap_or(1).max(1);
        let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
        let (expires, max_bytes) = (positive(request.expires), positive(request.max_bytes));
        let config = &self.config;
        if let Some(most) = positive(config.max_batch).filter(|most| batch > *most) {
            return refused(409, &format!("Exceeded MaxRequestBatch of {most}"));
        }
        let most = config.max_expires;
        if most > 0 && expires.is_some_and(|expires| expires > most) {
            return refused(409, &format!("Exceeded MaxRequestExpires of {}", go_duration(most)));
        }
        if let Some(most) = positive(config.max_bytes).filter(|most| max_bytes.is_some_and(|bytes| bytes > *most)) {
            return refused(409, &format!("Exceeded MaxRequestMaxBytes of {most}"));
        }
        let heartbeat = positive(request.idle_heartbeat).unwrap_or_default();
        if self.pulls.len() as u64 >= positive(config.max_waiting).unwrap_or(u64::MAX) {
            self.expire_pulls(turn);
            self.pulls.retain(|pull| turn.wanted(&pull.reply));
            if self.pulls.len() as u64 >= positive(self.config.max_waiting).unwrap_or(u64::MAX) {
                // A server drops a pull with a heartbeat without a word.
                return if heartbeat > 0 { Ok(()) } else { refused(409, "Exceeded MaxWaiting") };
            }
        }
        if request.no_wait {
            let available = self.ahead + self.again.len() as u64;
            if available == 0 && expires.is_none() {
                return refused(404, "No Messages");
            }
            let asked: u64 = self.pulls.iter().map(|pull| pull.left).sum();
            if available > 0 && available < asked {
                return refused(408, "Requests Pending");
            }
        }
        self.pulls.push_back(Pull {
            reply: reply.to_owned(),
            left: batch,
            bytes: max_bytes,
            expires: expires.map(|expires| turn.now.saturating_add(expires)),
            no_wait: request.no_wait,
            heartbeat,
            beats_at: turn.now.saturating_add(heartbeat),
            served: 0,
        });
        Ok(())
    }

    /// Ends pulls whose time is over, and says that the others live.
    pub(super) fn expire_pulls(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let delivered = self.delivered;
        self.pulls.retain_mut(|pull| {
            if pull.expires.is_some_and(|time| time <= now) {
                turn.status_of_timeout(&pull.reply, pull.left_over(408, "Request Timeout"));
                return false;
            }
            if pull.heartbeat > 0 && pull.beats_at <= now {
                if !turn.wanted(&pull.reply) {
                    return false;
                }
                pull.beats_at = now.saturating_add(pull.heartbeat);
                let (consumer, stream) = (delivered.consumer.to_string(), delivered.stream.to_string());
                let fields = [("Nats-Last-Consumer", consumer.as_str()), ("Nats-Last-Stream", stream.as_str())];
                turn.status(&pull.reply, status(100, "Idle Heartbeat", &fields));
            }
            true
        });
    }

    /// There is no more to deliver: pulls that don't wait end.
    pub(super) fn end_of_stream(&mut self, turn: &mut Turn<'_>) {
        self.pulls.retain(|pull| {
            let ends = pull.no_wait && pull.served > 0;
            if ends {
                turn.status_of_timeout(&pull.reply, status(404, "No Messages", &[]));
            }
            !ends
        });
    }

    /// The pull that gets the next message: the first one that somebody still listens for. The others are dropped.
    pub(super) fn next_pull(&mut self, turn: &Turn<'_>) -> Option<Pull> {
        loop {
            let pull = self.pulls.pop_front()?;
            if turn.wanted(&pull.reply) {
                return Some(pull);
            }
        }
    }
}

/// A duration as Go writes it.
fn go_duration(nanos: u64) -> String {
    let duration = Duration::from_nanos(nanos);
    let seconds = duration.as_secs();
    let fraction = duration.as_secs_f64() - seconds as f64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => format!("{duration:?}"),
        (0, 0, _) => format!("{}s", duration.as_secs_f64()),
        (0, minutes, rest) => format!("{minutes}m{}s", rest as f64 + fraction),
        (hours, minutes, rest) => format!("{hours}h{minutes}m{}s", rest as f64 + fraction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_is_nothing_a_number_or_json() {
        let batch = |body: &str| Request::read(body.as_bytes()).map(|request| request.batch);
        assert_eq!(batch(""), Ok(0));
        assert_eq!(batch("7"), Ok(7));
        assert_eq!(batch(r#"{"batch":8}"#), Ok(8));
        assert_eq!(batch("x"), Ok(0));
        assert!(batch(r#"{"batch":8,"idle_heartbeat":6,"expires":11}"#).is_err());
    }

    #[test]
    fn durations_are_written_as_go_does() {
        let second = 1_000_000_000;
        assert_eq!(go_duration(20 * second), "20s");
        assert_eq!(go_duration(60 * second), "1m0s");
        assert_eq!(go_duration(3_661 * second + second / 2), "1h1m1.5s");
        assert_eq!(go_duration(second / 2), "500ms");
    }
}
