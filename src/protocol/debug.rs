//! What `Debug` shows of operations: bytes as text, and nothing of CONNECT, which has the password.

use core::fmt;

use super::decoder::Oversized;
use super::op::{ClientOp, MsgOp, PubOp, ServerOp};

/// Bytes in double quotes, escaped where they are not printable ASCII.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Debug for ServerOp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerOp::Info(json) => f.debug_tuple("Info").field(&Text(json)).finish(),
            ServerOp::Msg(message) => f.debug_tuple("Msg").field(message).finish(),
            ServerOp::Ping => f.write_str("Ping"),
            ServerOp::Pong => f.write_str("Pong"),
            ServerOp::Ok => f.write_str("Ok"),
            ServerOp::Err(text) => f.debug_tuple("Err").field(&Text(text)).finish(),
        }
    }
}

impl fmt::Debug for ClientOp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The whole JSON: an invalid one can't be searched for what is secret.
            ClientOp::Connect(_) => f.write_str("Connect(\"***\")"),
            ClientOp::Pub(message) => f.debug_tuple("Pub").field(message).finish(),
            ClientOp::Sub { subject, queue, sid } => f
                .debug_struct("Sub")
                .field("subject", &Text(subject))
                .field("queue", &queue.map(Text))
                .field("sid", sid)
                .finish(),
            ClientOp::Unsub { sid, max } => f.debug_struct("Unsub").field("sid", sid).field("max", max).finish(),
            ClientOp::Ping => f.write_str("Ping"),
            ClientOp::Pong => f.write_str("Pong"),
        }
    }
}

impl fmt::Debug for MsgOp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MsgOp { subject, sid, reply, headers, payload } = self;
        f.debug_struct("MsgOp")
            .field("subject", &Text(subject))
            .field("sid", sid)
            .field("reply", &reply.map(Text))
            .field("headers", &headers.map(Text))
            .field("payload", &Text(payload))
            .finish()
    }
}

impl fmt::Debug for PubOp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PubOp { subject, reply, headers, payload } = self;
        f.debug_struct("PubOp")
            .field("subject", &Text(subject))
            .field("reply", &reply.map(Text))
            .field("headers", &headers.map(Text))
            .field("payload", &Text(payload))
            .finish()
    }
}

impl fmt::Debug for Oversized<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Oversized { subject, sid, size, len } = self;
        f.debug_struct("Oversized")
            .field("subject", &Text(subject))
            .field("sid", sid)
            .field("size", size)
            .field("len", len)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use crate::protocol::{Decoded, Decoder, Limits, PublishPrefix};

    /// `Debug` of everything that the decoder finds, in both forms. None of it is a list of numbers.
    fn debug<T: Debug>(found: T) -> String {
        let (line, lines) = (format!("{found:?}"), format!("{found:#?}"));
        assert!(!line.contains('[') && !lines.contains('['), "{line}");
        assert!(!lines.contains("hunter2") && !line.contains("joe"), "{lines}");
        line
    }

    fn server(bytes: &str) -> String {
        match Decoder::default().decode_server(bytes.as_bytes()) {
            Ok(Decoded::Op { op, .. }) => debug(op),
            other => panic!("{other:?}"),
        }
    }

    fn client(bytes: &str) -> String {
        match Decoder::default().decode_client(bytes.as_bytes()) {
            Ok(Decoded::Op { op, .. }) => debug(op),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_operations_of_a_server_are_shown_as_text() {
        assert_eq!(server("INFO {\"port\":1}\r\n"), r#"Info("{\"port\":1}")"#);
        assert_eq!(
            server("HMSG a.b 7 _r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"),
            r#"Msg(MsgOp { subject: "a.b", sid: 7, reply: Some("_r"), headers: Some("NATS/1.0\r\n\r\n"), payload: "hi" })"#
        );
        assert_eq!(
            server("MSG caf\u{e9} 7 0\r\n\r\n"),
            r#"Msg(MsgOp { subject: "caf\xc3\xa9", sid: 7, reply: None, headers: None, payload: "" })"#
        );
        assert_eq!(server("-ERR 'Stale Connection'\r\n"), r#"Err("Stale Connection")"#);
        assert_eq!([server("PING\r\n"), server("PONG\r\n"), server("+OK\r\n")], ["Ping", "Pong", "Ok"]);
    }

    #[test]
    fn the_operations_of_a_client_are_shown_as_text_and_connect_is_not_shown() {
        assert_eq!(client("CONNECT {\"user\":\"joe\",\"pass\":\"hunter2\"}\r\n"), r#"Connect("***")"#);
        assert_eq!(client("CONNECT no JSON, hunter2\r\n"), r#"Connect("***")"#);
        assert_eq!(
            client("HPUB a _r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"),
            r#"Pub(PubOp { subject: "a", reply: Some("_r"), headers: Some("NATS/1.0\r\n\r\n"), payload: "hi" })"#
        );
        assert_eq!(client("SUB a.* q 7\r\n"), r#"Sub { subject: "a.*", queue: Some("q"), sid: 7 }"#);
        assert_eq!(client("UNSUB 7 3\r\n"), "Unsub { sid: 7, max: Some(3) }");
        assert_eq!([client("PING\r\n"), client("PONG\r\n")], ["Ping", "Pong"]);
    }

    #[test]
    fn the_subject_of_a_message_that_is_too_large_and_of_a_prefix_is_shown_as_text() {
        let mut decoder = Decoder::new(Limits { total: 5, ..Limits::default() });
        let control_line = b"MSG a.b 7 6\r\n";
        decoder.decode_server(control_line).unwrap_err();
        let oversized = debug(decoder.oversized(control_line));
        assert_eq!(oversized, r#"Some(Oversized { subject: "a.b", sid: 7, size: 6, len: 21 })"#);
        assert_eq!(debug(PublishPrefix::new(b"a.b")), r#"PublishPrefix("PUB a.b")"#);
    }
}
