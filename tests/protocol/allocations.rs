//! Code that must not allocate: reading any bytes in any cut, and writing into a buffer with spare capacity.

use crate::generated::{body, client_op, config, nearly, server_op, sizes, written};
use crate::wire::Side;
use allocation_counter::measure;
use nats_lifeline::protocol::{
    Decoded, Decoder, Limits, ProtocolError, check_publish_subject, check_queue_name, check_subscribe_subject, matches,
    message, parse_status, ping, pong, publish, publish_short, subscribe, unsubscribe,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::hint::black_box;

/// Reads everything, in pieces of these sizes, up to the first error. Returns the number of operations.
fn read_all(side: Side, limits: Limits, bytes: &[u8], sizes: &[usize]) -> (usize, Option<ProtocolError>) {
    let mut decoder = Decoder::new(limits);
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(usize::MAX));
    let (mut start, mut end, mut ops) = (0, 0, 0);
    while end < bytes.len() {
        end += sizes.next().unwrap_or(1).min(bytes.len() - end);
        loop {
            let buf = &bytes[start..end];
            let len = match side {
                Side::Server => match decoder.decode_server(buf) {
                    Ok(Decoded::Op { op, len }) => black_box((op, len)).1,
                    Ok(Decoded::NeedMore(_)) => break,
                    Err(error) => return (ops, Some(error)),
                },
                Side::Client => match decoder.decode_client(buf) {
                    Ok(Decoded::Op { op, len }) => black_box((op, len)).1,
                    Ok(Decoded::NeedMore(_)) => break,
                    Err(error) => return (ops, Some(error)),
                },
            };
            ops += 1;
            start += len;
            if start == end {
                break;
            }
        }
    }
    (ops, None)
}

/// The number of allocations in `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    measure(work).count_total
}

#[test]
fn an_allocation_is_detected() {
    assert_eq!(allocations(|| drop(black_box(Vec::<u8>::with_capacity(10)))), 1);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn reading_whole_sessions_allocates_nothing(
        server in vec(server_op(), 1..8),
        client in vec(client_op(), 1..8),
        sizes in sizes(),
    ) {
        for (side, ops) in [(Side::Server, server), (Side::Client, client)] {
            let bytes = written(&ops);
            let mut read = (0, None);
            prop_assert_eq!(allocations(|| read = read_all(side, Limits::default(), &bytes, &sizes)), 0);
            prop_assert_eq!(read, (ops.len(), None));
        }
    }

    #[test]
    fn reading_any_bytes_allocates_nothing_even_if_they_are_refused(
        bytes in prop_oneof![nearly(), vec(any::<u8>(), 0..80), "(MSG a 1|HMSG a 1 0|PUB a) [0-9]{1,25}\r\nx".prop_map(String::into_bytes)],
        sizes in sizes(),
        line in prop_oneof![Just(131_072_usize), 0..40_usize],
    ) {
        let limits = Limits { line, headers: 50, total: 500 };
        for side in [Side::Server, Side::Client] {
            prop_assert_eq!(allocations(|| _ = black_box(read_all(side, limits, &bytes, &sizes))), 0);
        }
        // The first line of a header block, and the checks of names.
        let block = [b"NATS/1.0 ", &bytes[..]].concat();
        let looked = allocations(|| {
            let _ = black_box((parse_status(&bytes), parse_status(&block)));
            let _ = black_box((check_publish_subject(&bytes), check_subscribe_subject(&bytes), check_queue_name(&bytes)));
            black_box(matches(&block, &bytes));
        });
        prop_assert_eq!(looked, 0);
    }

    #[test]
    fn writing_into_spare_capacity_allocates_nothing(body in body(), sid in any::<u64>(), max in any::<u64>()) {
        let mut out = Vec::with_capacity(16 * 1024);
        let (subject, reply, headers) = (&body.subject[..], body.reply.as_deref(), body.headers.as_deref());
        let written = allocations(|| {
            publish(&mut out, subject, reply, headers, &body.payload);
            message(&mut out, subject, sid, reply, headers, &body.payload);
            let _ = black_box(publish_short(&mut out, subject, &body.payload));
            subscribe(&mut out, subject, reply, sid);
            unsubscribe(&mut out, sid, Some(max));
            ping(&mut out);
            pong(&mut out);
        });
        prop_assert_eq!(written, 0);
    }
}

/// What happens for every delivered message, every pull and every acknowledgement.
#[test]
fn jetstreams_hot_paths_allocate_what_they_return_only() {
    use nats_lifeline::StatusCode;
    use nats_lifeline::jetstream::AckKind;
    use nats_lifeline::jetstream::publish::PublishAck;
    use nats_lifeline::jetstream::response::Response;
    use nats_lifeline::jetstream::wire::{AckSubject, PullRequest, PullStatus};

    let subject = "$JS.ACK.hub.szMpdrwD.ORDERS.worker.1.100.7.1796047299422753988.5";
    let none = |work: &mut dyn FnMut() -> bool| assert_eq!(allocations(|| assert!(work())), 0);
    none(&mut || AckSubject::parse(black_box(subject)).unwrap().info().unwrap().pending == 5);
    none(&mut || AckSubject::parse(black_box("_INBOX.x")).is_err());
    none(&mut || PullStatus::of(StatusCode::REQUEST_TERMINATED, "Exceeded MaxWaiting") == PullStatus::OverMaxWaiting);
    none(&mut || bytes::Bytes::from(AckKind::Ack) == "+ACK");
    let mut body = Vec::with_capacity(256);
    let pull = PullRequest { batch: 500, group: Some("jobs"), ..Default::default() };
    assert_eq!(allocations(|| pull.write(&mut body)), 0);
    let json = r#"{"stream":"ORDERS","seq":100,"duplicate":true}"#;
    let mut read = None;
    let count = allocations(|| read = serde_json::from_str::<Response<PublishAck>>(json).ok());
    assert_eq!((count, read.unwrap().into_result().unwrap().sequence), (1, 100), "the stream's name");
}
