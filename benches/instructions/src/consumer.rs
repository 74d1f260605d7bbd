//! A consumer with as many messages as anybody pulls.

use nats_lifeline::protocol::{PubOp, message};

/// The subject of its messages.
const SUBJECT: &[u8] = b"orders.new";

const INFO: &[u8] =
    br#"{"type":"io.nats.jetstream.api.v1.consumer_info_response","stream_name":"ORDERS","name":"worker",
"created":"2026-01-01T00:00:00Z","config":{"durable_name":"worker","deliver_policy":"all","ack_policy":"explicit"}}"#;

pub(crate) struct Consumer {
    pub(crate) payload: Vec<u8>,
    pub(crate) delivered: u64,
}

impl Consumer {
    pub(crate) fn answer(&mut self, request: &PubOp<'_>, reply: &[u8], sid: u64, answers: &mut Vec<u8>) {
        if !request.subject.starts_with(b"$JS.API.CONSUMER.MSG.NEXT.") {
            return message(answers, reply, sid, None, None, INFO);
        }
        for _ in 0..batch(request.payload) {
            self.delivered += 1;
            let seq = self.delivered;
            let ack = format!("$JS.ACK.ORDERS.worker.1.{seq}.{seq}.1767225600000000000.1000000");
            message(answers, SUBJECT, sid, Some(ack.as_bytes()), None, &self.payload);
        }
    }
}

/// What a pull asks for.
fn batch(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let number = text.split_once("\"batch\":").map_or("", |(_, rest)| rest);
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    number[..digits].parse().unwrap_or(1)
}
