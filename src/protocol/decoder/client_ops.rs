//! Operations of clients, for tools and test servers.

use super::args::{hpub, pub_, sub, unsub};
use super::{Decoded, Decoder, Step, json, unknown};
use crate::protocol::op::{ClientOp, PubOp};
use crate::protocol::scan::{Ends, Word, word};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientWord {
    Connect,
    Pub,
    Hpub,
    Sub,
    Unsub,
    Ping,
    Pong,
}

const CLIENT_WORDS: &[(&[u8], Ends, ClientWord)] = &[
    (b"PUB", Ends::AtBlank, ClientWord::Pub),
    (b"HPUB", Ends::AtBlank, ClientWord::Hpub),
    (b"SUB", Ends::AtBlank, ClientWord::Sub),
    (b"UNSUB", Ends::AtBlank, ClientWord::Unsub),
    (b"PING", Ends::Anywhere, ClientWord::Ping),
    (b"PONG", Ends::Anywhere, ClientWord::Pong),
    (b"CONNECT", Ends::Anywhere, ClientWord::Connect),
];

impl Decoder {
    /// Reads one operation of a client. The type's doc has the contract.
    ///
    /// Anything after `PING` and `PONG` is ignored up to the end of the line, as servers do.
    ///
    /// # Errors
    ///
    /// If the bytes are not, and can't become, an operation, or exceed a limit.
    pub fn decode_client<'a>(&mut self, buf: &'a [u8]) -> Step<ClientOp<'a>> {
        if self.body.is_some() {
            return self.finish_pub(buf);
        }
        let (op, word_len) = match word(CLIENT_WORDS, buf) {
            Word::Known(op, len) => (op, len),
            Word::Partial => return Ok(Decoded::NeedMore(1)),
            Word::Unknown => return Err(unknown(buf)),
        };
        let Some((line, len)) = self.line(buf, word_len)? else {
            return Ok(Decoded::NeedMore(1));
        };
        let op = match op {
            ClientWord::Ping => ClientOp::Ping,
            ClientWord::Pong => ClientOp::Pong,
            ClientWord::Connect => ClientOp::Connect(json("CONNECT", line)?),
            ClientWord::Sub => sub(line)?,
            ClientWord::Unsub => unsub(line)?,
            ClientWord::Pub | ClientWord::Hpub => {
                let parse = if op == ClientWord::Hpub { hpub } else { pub_ };
                self.body = Some(parse(buf, line, len, &self.limits)?);
                return self.finish_pub(buf);
            }
        };
        Ok(Decoded::Op { op, len })
    }

    fn finish_pub<'a>(&mut self, buf: &'a [u8]) -> Step<ClientOp<'a>> {
        Ok(match self.finish(buf)? {
            Decoded::NeedMore(bytes) => Decoded::NeedMore(bytes),
            Decoded::Op { op: frame, len } => Decoded::Op {
                op: ClientOp::Pub(PubOp {
                    subject: frame.subject,
                    reply: frame.reply,
                    headers: frame.headers,
                    payload: frame.payload,
                }),
                len,
            },
        })
    }
}
