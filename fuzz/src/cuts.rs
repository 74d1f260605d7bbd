//! The decoder: any cut of a stream reads the same, and the decoder keeps its contract.

use core::fmt::Debug;
use core::ops::Range;

use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, Limits, ProtocolError, ServerOp};

use super::choices::{Choices, Sizes};
use super::owned::Owned;

/// Limits, sizes of pieces, and then a server's bytes.
pub fn decoder_server(input: &[u8]) {
    any_cut_reads_the_same::<Server>(input);
}

/// Limits, sizes of pieces, and then a client's bytes.
pub fn decoder_client(input: &[u8]) {
    any_cut_reads_the_same::<Client>(input);
}

/// One direction of the protocol.
pub(super) trait Side {
    type Op<'a>: Copy + PartialEq + Debug + Parts<'a> + Into<Owned>;

    fn decode<'a>(decoder: &mut Decoder, bytes: &'a [u8]) -> Result<Decoded<Self::Op<'a>>, ProtocolError>;

    /// What the short way for runs of messages finds. It may always leave an operation to `decode`.
    fn alike<'a>(_: &Decoder, _: &'a [u8]) -> Option<Decoded<Self::Op<'a>>> {
        None
    }
}

/// An operation made of slices.
pub(super) trait Parts<'a> {
    /// The slices, in the order of the wire.
    fn parts(&self) -> [&'a [u8]; 4];
}

pub(super) struct Server;
pub(super) struct Client;

impl Side for Server {
    type Op<'a> = ServerOp<'a>;

    fn decode<'a>(decoder: &mut Decoder, bytes: &'a [u8]) -> Result<Decoded<ServerOp<'a>>, ProtocolError> {
        decoder.decode_server(bytes)
    }

    fn alike<'a>(decoder: &Decoder, bytes: &'a [u8]) -> Option<Decoded<ServerOp<'a>>> {
        decoder.decode_alike(bytes).map(|(message, len)| Decoded::Op { op: ServerOp::Msg(message), len })
    }
}

impl Side for Client {
    type Op<'a> = ClientOp<'a>;

    fn decode<'a>(decoder: &mut Decoder, bytes: &'a [u8]) -> Result<Decoded<ClientOp<'a>>, ProtocolError> {
        decoder.decode_client(bytes)
    }
}

impl<'a> Parts<'a> for ServerOp<'a> {
    fn parts(&self) -> [&'a [u8]; 4] {
        match *self {
            ServerOp::Msg(message) => [
                message.subject,
                message.reply.unwrap_or_default(),
                message.headers.unwrap_or_default(),
                message.payload,
            ],
            ServerOp::Info(text) | ServerOp::Err(text) => [text, &[], &[], &[]],
            ServerOp::Ping | ServerOp::Pong | ServerOp::Ok => [&[]; 4],
        }
    }
}

impl<'a> Parts<'a> for ClientOp<'a> {
    fn parts(&self) -> [&'a [u8]; 4] {
        match *self {
            ClientOp::Pub(message) => [
                message.subject,
                message.reply.unwrap_or_default(),
                message.headers.unwrap_or_default(),
                message.payload,
            ],
            ClientOp::Connect(text) => [text, &[], &[], &[]],
            ClientOp::Sub { subject, queue, .. } => [subject, queue.unwrap_or_default(), &[], &[]],
            ClientOp::Unsub { .. } | ClientOp::Ping | ClientOp::Pong => [&[]; 4],
        }
    }
}

/// Two decoders read the same bytes in parallel: one gets them in pieces, the other one always gets all of them.
fn any_cut_reads_the_same<S: Side>(input: &[u8]) {
    let mut choices = Choices::new(input);
    let limits = choices.limits();
    let mut sizes = Sizes::new(&mut choices);
    let bytes = choices.rest();
    let (mut cut, mut whole) = (Decoder::new(limits), Decoder::new(limits));
    let (mut start, mut end) = (0, 0);
    // An operation cannot be complete before this many bytes have arrived.
    let mut not_before = 0;
    loop {
        let arrived = &bytes[start..end];
        let step = S::decode(&mut cut, arrived);
        match step {
            Ok(Decoded::Op { op, len }) => {
                assert!(end >= not_before, "complete before what was asked for had arrived");
                assert!((1..=arrived.len()).contains(&len), "an operation of {len} bytes");
                check_parts(&op.parts(), &arrived[..len], &limits);
                assert_eq!(S::decode(&mut whole, &bytes[start..]), Ok(Decoded::Op { op, len }));
                start += len;
                not_before = 0;
            }
            Ok(Decoded::NeedMore(more)) => {
                assert!(more > 0, "nothing is missing");
                assert!(more <= limits.total.saturating_add(2).max(1), "{more} bytes are over the limit");
                if end == bytes.len() {
                    return assert_eq!(S::decode(&mut whole, &bytes[start..]), step);
                }
                not_before = end + more;
                end += sizes.next().min(bytes.len() - end);
            }
            Err(error) => match S::decode(&mut whole, &bytes[start..]) {
                Err(other) => return assert_eq!(kind(error), kind(other)),
                other => panic!("{error:?} in pieces, {other:?} at once"),
            },
        }
    }
}

/// Each part lies inside the bytes of the operation, after the previous part.
fn check_parts(parts: &[&[u8]; 4], bytes: &[u8], limits: &Limits) {
    let mut behind = 0;
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let Range { start, end } = place(bytes, part);
        assert!(behind <= start && end <= bytes.len(), "{start}..{end} of {}, behind {behind}", bytes.len());
        behind = end;
    }
    let [subject, reply, headers, payload] = parts;
    assert!(subject.len() + reply.len() <= limits.line);
    assert!(headers.len() <= limits.headers && headers.len() + payload.len() <= limits.total);
}

fn place(bytes: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
    start..start.wrapping_add(part.len())
}

/// The error without its sample of the bytes, which depends on the bytes that had arrived.
pub(super) fn kind(error: ProtocolError) -> (&'static str, Option<ProtocolError>) {
    let sampled = matches!(error, ProtocolError::UnknownOp { .. });
    (error.name(), (!sampled).then_some(error))
}
