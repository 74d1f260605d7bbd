//! Frames: encoded frames read back in any cut; arbitrary bytes neither panic nor read differently in pieces.

use crate::generated::{body, client_op, config, nearly, server_op, sizes, token, written};
use crate::wire::{End, Op, Side, feed};
use nats_lifeline::protocol::{
    Decoded, Decoder, Limits, SHORT_PARTS, publish, publish_args_len, publish_head, publish_len, publish_short,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A step without its operation.
trait MapLen {
    /// The length of an operation, or how many bytes are missing.
    fn map_len(self) -> Result<usize, usize>;
}

impl<T> MapLen for Decoded<T> {
    fn map_len(self) -> Result<usize, usize> {
        match self {
            Decoded::Op { len, .. } => Ok(len),
            Decoded::NeedMore(more) => Err(more),
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn server_bytes_read_back_in_any_cut(
        ops in vec(server_op(), 0..8),
        sizes in sizes(),
    ) {
        let bytes = written(&ops);
        let (read, end) = feed(Side::Server, Limits::default(), &bytes, sizes);
        prop_assert_eq!(end, End::Clean);
        prop_assert_eq!(read, ops);
    }

    #[test]
    fn client_bytes_read_back_in_any_cut(
        ops in vec(client_op(), 0..8),
        sizes in sizes(),
    ) {
        let bytes = written(&ops);
        let (read, end) = feed(Side::Client, Limits::default(), &bytes, sizes);
        prop_assert_eq!(end, End::Clean);
        prop_assert_eq!(read, ops);
    }

    #[test]
    fn a_partial_operation_is_never_decoded(
        ops in vec(server_op(), 1..4),
        cut in any::<prop::sample::Index>(),
        sizes in sizes(),
    ) {
        let before = written(&ops[..ops.len() - 1]);
        let all = written(&ops);
        let cut = before.len() + cut.index(all.len() - before.len());
        let (read, end) = feed(Side::Server, Limits::default(), &all[..cut], sizes);
        prop_assert_eq!(read, &ops[..ops.len() - 1]);
        let expected = if cut == before.len() { End::Clean } else { End::NeedMore };
        prop_assert_eq!(end, expected);
    }

    #[test]
    fn any_bytes_read_the_same_in_any_cut(
        bytes in prop_oneof![nearly(), vec(any::<u8>(), 0..60)],
        sizes in sizes(),
        line in prop_oneof![Just(131_072_usize), 0..40_usize],
    ) {
        let limits = Limits { line, headers: 50, total: 500 };
        for side in [Side::Server, Side::Client] {
            let whole = feed(side, limits, &bytes, []);
            prop_assert_eq!(&feed(side, limits, &bytes, sizes.clone()), &whole);
            prop_assert_eq!(&feed(side, limits, &bytes, std::iter::repeat(1)), &whole);
        }
    }

    #[test]
    fn lengths_are_known_before_writing(body in body()) {
        let (reply, headers) = (body.reply.as_deref(), body.headers.as_deref());
        let lens = (
            body.subject.len(),
            reply.map(<[u8]>::len),
            headers.map(<[u8]>::len),
            body.payload.len(),
        );
        let all = written(&[Op::Pub(body.clone())]);
        prop_assert_eq!(publish_len(lens.0, lens.1, lens.2, lens.3), all.len());
        let line = all.iter().position(|byte| *byte == b'\n').unwrap();
        let word = if headers.is_some() { 5 } else { 4 };
        prop_assert_eq!(publish_args_len(lens.0, lens.1, lens.2, lens.3), line - 1 - word);
        let mut head = Vec::new();
        publish_head(&mut head, &body.subject, reply, headers, body.payload.len());
        head.extend_from_slice(&body.payload);
        head.extend_from_slice(b"\r\n");
        prop_assert_eq!(head, all);
    }

    #[test]
    fn slices_point_into_the_buffer(op in server_op()) {
        use nats_lifeline::protocol::ServerOp;
        let bytes = written(&[op]);
        if let Ok(Decoded::Op { op: ServerOp::Msg(msg), .. }) = Decoder::default().decode_server(&bytes) {
            let range = bytes.as_ptr_range();
            for slice in [Some(msg.subject), msg.reply, msg.headers, Some(msg.payload)] {
                if let Some(slice) = slice.filter(|slice| !slice.is_empty()) {
                    prop_assert!(range.contains(&slice.as_ptr()));
                }
            }
        }
    }

    #[test]
    fn requested_sizes_are_within_the_limits(
        bytes in prop_oneof![
            nearly(),
            vec(server_op(), 1..4).prop_map(|ops| written(&ops)),
            vec(client_op(), 1..4).prop_map(|ops| written(&ops)),
            // Sizes beyond every limit.
            "(MSG a 1|HMSG a 1 0|PUB a|HPUB a 0) [0-9]{1,25}\r\n".prop_map(String::into_bytes),
        ],
        sizes in sizes(),
        line in prop_oneof![Just(131_072_usize), 0..60_usize],
        headers in 0..80_usize,
        total in prop_oneof![Just(0_usize), 0..200_usize],
    ) {
        let limits = Limits { line, headers, total };
        // A line and its LF, a body and its line end. The operation's name, with a blank, is recognised before the
        // limit applies.
        let most = line.max("CONNECT ".len()) + 1 + total + 2;
        for side in [Side::Server, Side::Client] {
            let (mut decoder, mut start, mut end) = (Decoder::new(limits), 0, 0);
            let mut sizes = sizes.iter().copied().chain(std::iter::repeat(usize::MAX));
            while end < bytes.len() {
                end += sizes.next().unwrap_or(1).min(bytes.len() - end);
                loop {
                    let buf = &bytes[start..end];
                    let step = match side {
                        Side::Server => decoder.decode_server(buf).map(|step| step.map_len()),
                        Side::Client => decoder.decode_client(buf).map(|step| step.map_len()),
                    };
                    match step {
                        Ok(Ok(len)) => {
                            prop_assert!(len <= most, "an operation of {len} bytes");
                            start += len;
                        }
                        Ok(Err(more)) => {
                            prop_assert!(buf.len() + more <= most, "{} and {more} bytes, at most {most}", buf.len());
                            break;
                        }
                        // Further reads do not use this decoder.
                        Err(_) => { start = end; break; }
                    }
                }
            }
        }
    }

    #[test]
    fn a_short_frame_is_the_frame(subject in token(), payload in vec(any::<u8>(), 0..140)) {
        let (mut short, mut usual) = (b"before".to_vec(), b"before".to_vec());
        publish(&mut usual, &subject, None, None, &payload);
        match publish_short(&mut short, &subject, &payload) {
            Some(len) => {
                prop_assert_eq!(len, publish_len(subject.len(), None, None, payload.len()));
                prop_assert_eq!(short, usual);
            }
            None => {
                prop_assert!(subject.len() + payload.len() > SHORT_PARTS);
                prop_assert_eq!(short, b"before");
            }
        }
    }
}
