//! An operation of either direction that owns its bytes and can be encoded.

use nats_lifeline::protocol::{self, ClientOp, ServerOp};

/// An operation of either direction. Missing fields are empty.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Owned {
    /// In upper case.
    pub(super) word: &'static str,
    /// Subject, or the text of INFO, CONNECT and -ERR.
    pub(super) text: Vec<u8>,
    /// Reply subject, or queue group.
    pub(super) second: Option<Vec<u8>>,
    pub(super) sid: u64,
    pub(super) max: Option<u64>,
    pub(super) headers: Option<Vec<u8>>,
    pub(super) payload: Vec<u8>,
}

impl Owned {
    pub(super) fn new(word: &'static str, text: &[u8]) -> Self {
        Self { word, text: text.to_vec(), ..Self::default() }
    }

    /// Appends it as the crate's encoder writes it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (second, headers) = (self.second.as_deref(), self.headers.as_deref());
        match self.word {
            "PING" => protocol::ping(out),
            "PONG" => protocol::pong(out),
            "+OK" => protocol::ok(out),
            "-ERR" => protocol::err(out, &String::from_utf8_lossy(&self.text)),
            "INFO" => protocol::info(out, &self.text),
            // The crate encodes CONNECT only from its type; `info` covers that.
            "CONNECT" => out.extend([b"CONNECT ", &self.text[..], b"\r\n"].concat()),
            "SUB" => protocol::subscribe(out, &self.text, second, self.sid),
            "UNSUB" => protocol::unsubscribe(out, self.sid, self.max),
            "MSG" | "HMSG" => protocol::message(out, &self.text, self.sid, second, headers, &self.payload),
            _ => protocol::publish(out, &self.text, second, headers, &self.payload),
        }
    }
}

impl From<ServerOp<'_>> for Owned {
    fn from(op: ServerOp<'_>) -> Self {
        match op {
            ServerOp::Info(json) => Self::new("INFO", json),
            ServerOp::Err(reason) => Self::new("-ERR", reason),
            ServerOp::Ping => Self::new("PING", b""),
            ServerOp::Pong => Self::new("PONG", b""),
            ServerOp::Ok => Self::new("+OK", b""),
            ServerOp::Msg(message) => Self {
                word: if message.headers.is_some() { "HMSG" } else { "MSG" },
                text: message.subject.to_vec(),
                second: message.reply.map(<[u8]>::to_vec),
                sid: message.sid,
                max: None,
                headers: message.headers.map(<[u8]>::to_vec),
                payload: message.payload.to_vec(),
            },
        }
    }
}

impl From<ClientOp<'_>> for Owned {
    fn from(op: ClientOp<'_>) -> Self {
        match op {
            ClientOp::Connect(json) => Self::new("CONNECT", json),
            ClientOp::Ping => Self::new("PING", b""),
            ClientOp::Pong => Self::new("PONG", b""),
            ClientOp::Sub { subject, queue, sid } => {
                Self { second: queue.map(<[u8]>::to_vec), sid, ..Self::new("SUB", subject) }
            }
            ClientOp::Unsub { sid, max } => Self { sid, max, ..Self::new("UNSUB", b"") },
            ClientOp::Pub(message) => Self {
                word: if message.headers.is_some() { "HPUB" } else { "PUB" },
                text: message.subject.to_vec(),
                second: message.reply.map(<[u8]>::to_vec),
                headers: message.headers.map(<[u8]>::to_vec),
                payload: message.payload.to_vec(),
                ..Self::default()
            },
        }
    }
}
