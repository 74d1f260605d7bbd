//! Single messages by sequence and by subject: from the leader, in JSON, and directly, in headers.

use super::JetStream;
use super::api::{Answer, read};
use super::fault::Fault;
use super::log::{Stored, covers};
use super::stream::Stream;
use super::time::{Time, parse_rfc3339, rfc3339};
use super::turn::{Turn, status, with_fields};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The most results of one request, and the most bytes of one that says nothing else.
const MOST_SUBJECTS: usize = 1_024;
const MOST_BYTES: u64 = 64 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GetRequest {
    seq: u64,
    last_by_subj: String,
    next_by_subj: String,
    batch: u64,
    max_bytes: u64,
    start_time: Option<String>,
    multi_last: Vec<String>,
    up_to_seq: u64,
    up_to_time: Option<String>,
}

impl GetRequest {
    /// Whether it does not say which messages.
    fn is_empty(&self) -> bool {
        let Self { seq, last_by_subj, next_by_subj, start_time, multi_last, .. } = self;
        let subjects = last_by_subj.len() + next_by_subj.len() + multi_last.len();
        *seq == 0 && subjects == 0 && start_time.is_none()
    }
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
            body => Fault::or_document(body).map_err(|_| (408, "Malformed Request")),
        };
        let request = asked.and_then(|asked| match (subject, asked.is_empty()) {
            ([], true) => Err((408, "Empty Request")),
            ([], false) => Ok(asked),
            (subject, true) => Ok(GetRequest { last_by_subj: subject.join("."), ..asked }),
            (_, false) => Err((408, "Bad Request")),
        });
        let found = request.and_then(|request| {
            if request.batch > 0 || !request.multi_last.is_empty() {
                return self.many(&request, reply, turn).map(|()| None);
            }
            self.find(&request).map(Some).ok_or((404, "Message Not Found"))
        });
        match found {
            Err((code, text)) => turn.status(reply, status(code, text, &[])),
            Ok(None) => {}
            Ok(Some((seq, message))) => {
                turn.say(reply, self.direct_head(seq, message, &[]), message.payload.clone());
            }
        }
        true
    }
}

/// Why a request is refused: code and text of the status.
type Refusal = (u16, &'static str);

impl Stream {
    /// Many messages, each with what is left, and a status at their end.
    fn many(&self, request: &GetRequest, reply: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let multi = !request.multi_last.is_empty();
        let last = self.up_to(request);
        let found: Vec<(u64, &Stored)> = if multi {
            self.last_of_each(request, last)?
        } else {
            let start = self.start(request);
            let pattern = if request.next_by_subj.is_empty() { ">" } else { &request.next_by_subj };
            self.log.iter().filter(|(seq, message)| *seq >= start && covers(pattern, &message.subject)).collect()
        };
        if found.is_empty() {
            return Err((404, if multi { "No Results" } else { "Message Not Found" }));
        }
        let most = if request.batch > 0 { request.batch } else { u64::MAX };
        let room = if request.max_bytes > 0 { request.max_bytes } else { MOST_BYTES };
        let (mut left, mut before, mut bytes) = (found.len() as u64, 0, 0);
        for (sent, (seq, message)) in found.into_iter().enumerate() {
            let size = (message.headers.len() + message.payload.len() + message.subject.len()) as u64;
            if sent as u64 >= most || bytes >= room {
                break;
            }
            bytes += size;
            left -= 1;
            let more = [("Nats-Num-Pending", left), ("Nats-Last-Sequence", before)];
            let head = self.direct_head(seq, message, &more);
            turn.say(reply, head, message.payload.clone());
            before = seq;
        }
        let (left, before, last) = (left.to_string(), before.to_string(), last.to_string());
        let mut fields = vec![("Nats-Num-Pending", left.as_str()), ("Nats-Last-Sequence", before.as_str())];
        if multi {
            fields.push(("Nats-UpTo-Sequence", last.as_str()));
        }
        turn.status(reply, status(204, "EOB", &fields));
        Ok(())
    }

    /// Where a batch begins.
    fn start(&self, request: &GetRequest) -> u64 {
        let Some(time) = request.start_time.as_deref().and_then(parse_rfc3339) else { return request.seq };
        let first = self.log.iter().find(|(_, message)| message.time >= time);
        first.map_or(u64::MAX, |(seq, _)| seq)
    }

    /// The last message that counts.
    fn up_to(&self, request: &GetRequest) -> u64 {
        if let Some(time) = request.up_to_time.as_deref().and_then(parse_rfc3339) {
            return self.log.iter().rev().find(|(_, message)| message.time <= time).map_or(0, |(seq, _)| seq);
        }
        if request.up_to_seq > 0 { request.up_to_seq } else { self.log.last() }
    }

    /// The last message of each subject, from the request's sequence on.
    fn last_of_each(&self, request: &GetRequest, last: u64) -> Result<Vec<(u64, &Stored)>, Refusal> {
        let mut seqs = BTreeSet::new();
        for pattern in &request.multi_last {
            let newest = self.log.subjects(pattern).filter_map(|(_, seqs)| seqs.range(..=last).next_back().copied());
            seqs.extend(newest);
        }
        if seqs.len() > MOST_SUBJECTS {
            return Err((413, "Too Many Results"));
        }
        let wanted = seqs.range(request.seq..);
        Ok(wanted.filter_map(|seq| self.log.get(*seq).map(|message| (*seq, message))).collect())
    }

    /// The headers of a message that is answered directly, with these numbers at the end.
    fn direct_head(&self, seq: u64, message: &Stored, more: &[(&str, u64)]) -> Bytes {
        let (seq, time) = (seq.to_string(), rfc3339(message.time));
        let more: Vec<(&str, String)> = more.iter().map(|(name, number)| (*name, number.to_string())).collect();
        let mut fields = vec![
            ("Nats-Stream", self.config.name.as_str()),
            ("Nats-Subject", message.subject.as_str()),
            ("Nats-Sequence", seq.as_str()),
            ("Nats-Time-Stamp", time.as_str()),
        ];
        fields.extend(more.iter().map(|(name, number)| (*name, number.as_str())));
        with_fields(&message.headers, &fields)
    }
}
