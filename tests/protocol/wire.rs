//! Owned operations, and a driver that feeds a decoder in pieces, for the protocol tests.

use nats_lifeline::protocol::{
    ClientOp, Decoded, Decoder, Limits, ProtocolError, ServerOp, err, info, message, ok, ping, pong, publish,
    subscribe, unsubscribe,
};

/// An operation of either direction that owns its bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Ping,
    Pong,
    Ok,
    Err(Vec<u8>),
    Info(Vec<u8>),
    Connect(Vec<u8>),
    Msg(u64, Body),
    Pub(Body),
    Sub(Vec<u8>, Option<Vec<u8>>, u64),
    Unsub(u64, Option<u64>),
}

/// The content of MSG, HMSG, PUB and HPUB.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) subject: Vec<u8>,
    pub(crate) reply: Option<Vec<u8>>,
    pub(crate) headers: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

/// Only the first bytes of long values: a failing case must stay readable.
fn short(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(80)];
    format!("\"{}\" ({} bytes)", start.escape_ascii(), bytes.len())
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("subject", &short(&self.subject))
            .field("reply", &self.reply.as_deref().map(short))
            .field("headers", &self.headers.as_deref().map(short))
            .field("payload", &short(&self.payload))
            .finish()
    }
}

impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ping => f.write_str("PING"),
            Self::Pong => f.write_str("PONG"),
            Self::Ok => f.write_str("+OK"),
            Self::Err(text) => write!(f, "-ERR {}", short(text)),
            Self::Info(json) => write!(f, "INFO {}", short(json)),
            Self::Connect(json) => write!(f, "CONNECT {}", short(json)),
            Self::Msg(sid, body) => write!(f, "MSG {sid} {body:?}"),
            Self::Pub(body) => write!(f, "PUB {body:?}"),
            Self::Sub(subject, queue, sid) => {
                let queue = queue.as_deref().map(short);
                write!(f, "SUB {} {queue:?} {sid}", short(subject))
            }
            Self::Unsub(sid, max) => write!(f, "UNSUB {sid} {max:?}"),
        }
    }
}

impl From<ServerOp<'_>> for Op {
    fn from(op: ServerOp<'_>) -> Self {
        match op {
            ServerOp::Info(json) => Self::Info(json.to_vec()),
            ServerOp::Msg(msg) => Self::Msg(
                msg.sid,
                Body {
                    subject: msg.subject.to_vec(),
                    reply: msg.reply.map(<[u8]>::to_vec),
                    headers: msg.headers.map(<[u8]>::to_vec),
                    payload: msg.payload.to_vec(),
                },
            ),
            ServerOp::Ping => Self::Ping,
            ServerOp::Pong => Self::Pong,
            ServerOp::Ok => Self::Ok,
            ServerOp::Err(text) => Self::Err(text.to_vec()),
        }
    }
}

impl From<ClientOp<'_>> for Op {
    fn from(op: ClientOp<'_>) -> Self {
        match op {
            ClientOp::Connect(json) => Self::Connect(json.to_vec()),
            ClientOp::Pub(frame) => Self::Pub(Body {
                subject: frame.subject.to_vec(),
                reply: frame.reply.map(<[u8]>::to_vec),
                headers: frame.headers.map(<[u8]>::to_vec),
                payload: frame.payload.to_vec(),
            }),
            ClientOp::Sub { subject, queue, sid } => Self::Sub(subject.to_vec(), queue.map(<[u8]>::to_vec), sid),
            ClientOp::Unsub { sid, max } => Self::Unsub(sid, max),
            ClientOp::Ping => Self::Ping,
            ClientOp::Pong => Self::Pong,
        }
    }
}

impl Op {
    /// Appends the operation, encoded by the library.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ping => ping(out),
            Self::Pong => pong(out),
            Self::Ok => ok(out),
            Self::Err(text) => err(out, &String::from_utf8_lossy(text)),
            Self::Info(json) => info(out, json),
            // The library encodes CONNECT only from its type.
            Self::Connect(json) => {
                out.extend_from_slice(b"CONNECT ");
                out.extend_from_slice(json);
                out.extend_from_slice(b"\r\n");
            }
            Self::Msg(sid, body) => {
                message(out, &body.subject, *sid, body.reply.as_deref(), body.headers.as_deref(), &body.payload)
            }
            Self::Pub(body) => {
                publish(out, &body.subject, body.reply.as_deref(), body.headers.as_deref(), &body.payload)
            }
            Self::Sub(subject, queue, sid) => subscribe(out, subject, queue.as_deref(), *sid),
            Self::Unsub(sid, max) => unsubscribe(out, *sid, *max),
        }
    }
}

/// Which side's operations are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Server,
    Client,
}

/// How decoding a stream of bytes ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Clean,
    NeedMore,
    Error(ProtocolError),
}

impl PartialEq for End {
    /// Compares all but the sample in `UnknownOp`, which depends on the bytes that had arrived.
    fn eq(&self, other: &Self) -> bool {
        use ProtocolError::UnknownOp;
        match (self, other) {
            (Self::Error(UnknownOp { .. }), Self::Error(UnknownOp { .. })) => true,
            (Self::Error(ours), Self::Error(theirs)) => ours == theirs,
            (Self::Clean, Self::Clean) | (Self::NeedMore, Self::NeedMore) => true,
            _ => false,
        }
    }
}

/// The decoded operations, and how decoding ended.
pub(crate) type Outcome = (Vec<Op>, End);

/// Feeds `input` in pieces of the given sizes (the last piece is the rest), like a driver,
/// and checks the decoder's contract.
pub(crate) fn feed(side: Side, limits: Limits, input: &[u8], sizes: impl IntoIterator<Item = usize>) -> Outcome {
    let mut decoder = Decoder::new(limits);
    let mut sizes = sizes.into_iter();
    let (mut ops, mut start, mut end) = (Vec::new(), 0, 0);
    // An operation cannot be complete before this many bytes have arrived.
    let mut not_before = 0;
    loop {
        while start < end {
            let buf = &input[start..end];
            let step = match side {
                Side::Server => decoder.decode_server(buf).map(|step| owned(step, Op::from)),
                Side::Client => decoder.decode_client(buf).map(|step| owned(step, Op::from)),
            };
            match step {
                Ok(Decoded::Op { op, len }) => {
                    assert!(len > 0 && len <= buf.len(), "an operation of {len} bytes");
                    assert!(start + len >= not_before, "complete before its announced end");
                    ops.push(op);
                    start += len;
                    not_before = 0;
                }
                Ok(Decoded::NeedMore(bytes)) => {
                    assert!(bytes > 0, "nothing is missing");
                    not_before = end + bytes;
                    break;
                }
                Err(error) => return (ops, End::Error(error)),
            }
        }
        if end == input.len() {
            let clean = start == end;
            return (ops, if clean { End::Clean } else { End::NeedMore });
        }
        let size = sizes.next().unwrap_or(usize::MAX).max(1);
        end += size.min(input.len() - end);
    }
}

fn owned<T>(step: Decoded<T>, own: impl Fn(T) -> Op) -> Decoded<Op> {
    match step {
        Decoded::Op { op, len } => Decoded::Op { op: own(op), len },
        Decoded::NeedMore(bytes) => Decoded::NeedMore(bytes),
    }
}
