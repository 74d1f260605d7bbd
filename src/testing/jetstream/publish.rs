//! A message that is published to a stream: its expectations, and the acknowledgement.

use super::fault::Fault;
use super::log::Stored;
use super::stream::Stream;
use super::time::Time;
use super::turn::{Turn, field};
use crate::protocol::PubOp;
use bytes::Bytes;
use serde_json::json;

/// Headers of features that the model does not have.
const NOT_HERE: [(&str, &str); 4] = [
    ("Nats-Batch-Id", "batches"),
    ("Nats-Schedule", "scheduled messages"),
    ("Nats-Incr", "counters"),
    ("Nats-Expected-Last-Subject-Sequence-Subject", "expectations for other subjects"),
];

impl Stream {
    /// Stores a message, or refuses it. Returns the acknowledgement, if the publisher gets one.
    pub(super) fn publish(&mut self, subject: &str, message: &PubOp<'_>, turn: &mut Turn<'_>) -> Option<String> {
        let headers = message.headers.unwrap_or_default();
        let outcome = self.accept(subject, headers, message.payload, turn.now);
        if self.config.no_ack || message.reply.is_none() {
            return None;
        }
        let answer = match outcome {
            Ok(Kept { seq, duplicate: false }) => json!({ "stream": self.config.name, "seq": seq }),
            Ok(Kept { seq, duplicate: true }) => {
                json!({ "stream": self.config.name, "seq": seq, "duplicate": true })
            }
            Err(fault) => json!({ "error": fault.json(), "stream": self.config.name, "seq": 0 }),
        };
        Some(answer.to_string())
    }

    fn accept(&mut self, subject: &str, headers: &[u8], payload: &[u8], now: Time) -> Result<Kept, Fault> {
        if self.config.sealed {
            return Err(Fault::new(400, 10109, "invalid operation on sealed stream"));
        }
        let header = |name| field(headers, name).filter(|value| !value.is_empty());
        if let Some((_, what)) = NOT_HERE.iter().find(|(name, _)| header(name).is_some()) {
            return Err(Fault::not_here(what));
        }
        if header("Nats-Expected-Stream").is_some_and(|expected| expected != self.config.name) {
            return Err(Fault::new(400, 10060, "expected stream does not match"));
        }
        let id = header("Nats-Msg-Id");
        if let Some(seq) = id.and_then(|id| self.duplicate(id, now)) {
            return Ok(Kept { seq, duplicate: true });
        }
        self.check_expectations(subject, headers)?;
        let wanted = !self.is_unwanted(subject);
        let ends = self.time_to_live(header("Nats-TTL"), wanted, now)?;
        if u64::try_from(self.config.max_msg_size).is_ok_and(|most| ((headers.len() + payload.len()) as u64) > most) {
            return Err(Fault::new(400, 10054, "message size exceeds maximum allowed"));
        }
        let rollup = header("Nats-Rollup");
        if rollup.is_some() && !self.config.allow_rollup_hdrs {
            return Err(Fault::new(500, 10111, "rollup not permitted"));
        }
        if let Some(value) = rollup.filter(|value| !["sub", "all"].contains(value)) {
            return Err(Fault::new(500, 10111, format!("rollup value invalid: \"{value}\"")));
        }
        self.check_room(subject, self.log.size(subject, headers, payload))?;
        let seq = match wanted {
            false => self.log.skip(now),
            true => self.store(Stored {
                subject: subject.to_owned(),
                headers: Bytes::copy_from_slice(headers),
                payload: Bytes::copy_from_slice(payload),
                time: now,
                ends,
            }),
        };
        self.last_id = id.unwrap_or_default().to_owned();
        if let Some(id) = id {
            self.remember(id, seq, now);
        }
        match rollup {
            Some("sub") => self.roll_up(subject, seq),
            Some("all") => self.roll_up(">", seq),
            _ => {}
        }
        Ok(Kept { seq, duplicate: false })
    }

    fn check_expectations(&self, subject: &str, headers: &[u8]) -> Result<(), Fault> {
        if let Some(expected) = field(headers, "Nats-Expected-Last-Msg-Id") {
            let last = &self.last_id;
            if last != expected {
                return Err(Fault::new(400, 10070, format!("wrong last msg ID: {last}")));
            }
        }
        let number = |name| field(headers, name).map(|text| text.parse::<u64>().unwrap_or(0));
        if number("Nats-Expected-Last-Sequence").is_some_and(|expected| expected != self.log.last()) {
            return Err(Fault::wrong_sequence(self.log.last()));
        }
        if let Some(expected) = number("Nats-Expected-Last-Subject-Sequence") {
            let last = self.log.of_subject(subject).and_then(|seqs| seqs.last().copied()).unwrap_or(0);
            if last != expected {
                return Err(Fault::wrong_sequence(last));
            }
        }
        Ok(())
    }

    /// When the message ends by its own time to live.
    fn time_to_live(&self, header: Option<&str>, wanted: bool, now: Time) -> Result<Option<Time>, Fault> {
        let Some(text) = header else { return Ok(None) };
        let seconds = seconds(text).filter(|seconds| *seconds > 0);
        match (seconds, text) {
            (Some(_), _) | (None, "never") if !self.config.allow_msg_ttl => {
                return Err(Fault::new(400, 10166, "per-message TTL is disabled"));
            }
            (None, "never") => return Ok(None),
            (None, _) if wanted => return Err(Fault::new(400, 10165, "invalid per-message TTL")),
            _ => {}
        }
        let Some(seconds) = seconds else { return Ok(None) };
        Ok(Some(now.saturating_add(seconds.saturating_mul(1_000_000_000))))
    }

    /// Removes all earlier messages that the pattern matches.
    fn roll_up(&mut self, pattern: &str, seq: u64) {
        let all = self.log.subjects(pattern).flat_map(|(_, seqs)| seqs.range(..seq).copied());
        let earlier: Vec<u64> = all.collect();
        for seq in earlier {
            self.remove(seq);
        }
    }
}

/// A message that the stream has.
struct Kept {
    seq: u64,
    duplicate: bool,
}

/// Seconds, or a duration of Go's in whole seconds: `90`, `90s`, `1h30m`.
fn seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let mut total: u64 = 0;
    let mut number = String::new();
    for char in text.chars() {
        let unit = match char {
            '0'..='9' => {
                number.push(char);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    number.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_to_live_is_a_number_or_a_duration() {
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("1h1m5s"), Some(3_665));
        assert_eq!(seconds("5"), seconds("5s"));
        for bad in ["", "x", "5d", "5s1", "-1"] {
            assert_eq!(seconds(bad).filter(|seconds| *seconds > 0), None, "{bad}");
        }
    }
}
