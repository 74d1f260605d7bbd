//! Single messages by sequence and by subject: from the leader, in JSON, and directly, in headers.

use super::JetStream;
use super::api::{Answer, read};
use super::fault::Fault;
use super::log::{Stored, covers};
use super::stream::Stream;
use super::time::{Time, rfc3339};
use super::turn::{Turn, status, with_fields};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct GetRequest {
    seq: u64,
    last_by_subj: String,
    next_by_subj: String,
    // Pages of messages, which this model does not have.
    batch: u64,
    multi_last: Vec<String>,
    start_time: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeleteRequest {
    seq: u64,
    /// Whether the bytes may stay on the disk, which there is none of.
    #[serde(rename = "no_erase")]
    _no_erase: bool,
}

impl JetStream {
    pub(super) fn message_api(&mut self, verb: &str, stream: &str, body: &[u8], now: Time) -> Answer {
        let kind = if verb == "GET" { "stream_msg_get" } else { "stream_msg_delete" };
        let Some(stream) = self.streams.get_mut(stream) else { return Answer::Document(kind, Err(Fault::no_stream())) };
        if stream.is_offline(now) {
            return Answer::NoResponders;
        }
        let result = match verb {
            "GET" => read(body).and_then(|request| stream.get(&request)),
            _ => read(body).and_then(|request| stream.delete(&request)),
        };
        Answer::Document(kind, result)
    }
}

impl Stream {
    fn get(&self, request: &GetRequest) -> Result<Value, Fault> {
        if request.seq == 0 && request.last_by_subj.is_empty() && request.next_by_subj.is_empty() {
            return Err(Fault::bad_request());
        }
        let (seq, message) = self.find(request).ok_or_else(Fault::no_message)?;
        let mut json = json!({ "subject": message.subject, "seq": seq, "time": rfc3339(message.time) });
        if let Some(fields) = json.as_object_mut() {
            for (name, bytes) in [("data", &message.payload), ("hdrs", &message.headers)] {
                if !bytes.is_empty() {
                    fields.insert(name.to_owned(), BASE64.encode(bytes).into());
                }
            }
        }
        Ok(json!({ "message": json }))
    }

    fn delete(&mut self, request: &DeleteRequest) -> Result<Value, Fault> {
        if self.config.sealed {
            return Err(Fault::new(400, 10109, "invalid operation on sealed stream"));
        }
        if self.config.deny_delete {
            return Err(Fault::new(500, 10057, "message delete not permitted"));
        }
        if request.seq > self.log.last() {
            return Err(Fault::new(500, 10057, "stream store EOF"));
        }
        match self.remove(request.seq) {
            true => Ok(json!({ "success": true })),
            false => Err(Fault::new(400, 10043, format!("sequence {} not found", request.seq))),
        }
    }

    fn find(&self, request: &GetRequest) -> Option<(u64, &Stored)> {
        if !request.last_by_subj.is_empty() {
            return self.log.last_of(&request.last_by_subj);
        }
        if !request.next_by_subj.is_empty() {
            return self.log.next(request.seq, |subject| covers(&request.next_by_subj, subject));
        }
        self.log.get(request.seq).map(|message| (request.seq, message))
    }

    /// `DIRECT.GET`: with a body, or with the subject of the last message that is wanted. Returns whether anybody answers.
    pub(super) fn direct_get(&self, subject: &[&str], reply: Option<&str>, body: &[u8], turn: &mut Turn<'_>) -> bool {
        if !self.config.allow_direct || self.is_offline(turn.now) {
            return false;
        }
        let Some(reply) = reply else { return true };
        let asked = match body {
            [] => Ok(GetRequest::default()),
            body => serde_json::from_slice(body).map_err(|_| (408, "Malformed Request")),
        };
        let request = asked.and_then(|asked| match (subject, asked == GetRequest::default()) {
            ([], true) => Err((408, "Empty Request")),
            ([], false) => Ok(asked),
            (subject, true) => Ok(GetRequest { last_by_subj: subject.join("."), ..asked }),
            (_, false) => Err((408, "Bad Request")),
        });
        let found = request.and_then(|request| {
            if request.batch > 0 || !request.multi_last.is_empty() || request.start_time.is_some() {
                return Err((501, "Not Supported By The Broker For Tests"));
            }
            self.find(&request).ok_or((404, "Message Not Found"))
        });
        match found {
            Err((code, text)) => turn.status(reply, status(code, text, &[])),
            Ok((seq, message)) => {
                let (seq, time) = (seq.to_string(), rfc3339(message.time));
                let fields = [
                    ("Nats-Stream", self.config.name.as_str()),
                    ("Nats-Subject", message.subject.as_str()),
                    ("Nats-Sequence", seq.as_str()),
                    ("Nats-Time-Stamp", time.as_str()),
                ];
                turn.say(reply, with_fields(&message.headers, &fields), message.payload.clone());
            }
        }
        true
    }
}
