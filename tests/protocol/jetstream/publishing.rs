//! Acknowledgements of published messages, and the place of delivered ones.

use nats_lifeline::datetime::from_nanos;
use nats_lifeline::jetstream::ErrorCode;
use nats_lifeline::jetstream::publish::PublishAck;
use nats_lifeline::jetstream::wire::AckSubject;

use super::{lines, ok, recorded, refused, text};

#[test]
fn an_acknowledgement_says_where_the_message_is() {
    let ack: PublishAck = ok("publish_ack");
    let expected = PublishAck { stream: "ORDERS".to_owned(), sequence: 100, ..PublishAck::default() };
    assert_eq!(ack, expected);
    assert_eq!(ok::<PublishAck>("publish_ack_duplicate"), PublishAck { duplicate: true, ..expected });
    let ack: PublishAck = ok("publish_ack_domain");
    assert_eq!((ack.stream.as_str(), ack.domain.as_str(), ack.sequence), ("S", "hub", 1));
    let ack: PublishAck = ok("publish_ack_counter");
    assert_eq!((ack.value.as_deref(), ack.sequence), (Some("2"), 1));
    let ack: PublishAck = ok("publish_ack_batch");
    assert_eq!((ack.batch_id.as_deref(), ack.batch_size, ack.sequence), (Some("b"), Some(2), 2));
    assert!(ack.names_a_stream() && !PublishAck::default().names_a_stream());
}

#[test]
fn a_refusal_comes_with_a_stream_and_is_one_all_the_same() {
    for (name, code) in [
        ("publish_ack_wrong_sequence", ErrorCode::STREAM_WRONG_LAST_SEQUENCE),
        ("publish_ack_wrong_subject_sequence", ErrorCode::STREAM_WRONG_LAST_SEQUENCE),
        ("publish_ack_wrong_stream", ErrorCode::STREAM_NOT_MATCH),
        ("publish_ack_wrong_message_id", ErrorCode::STREAM_WRONG_LAST_MESSAGE_ID),
        ("publish_ack_bad_ttl", ErrorCode::MESSAGE_TTL_INVALID),
    ] {
        let error = refused::<PublishAck>(name, 400, code);
        assert!(!error.error_code().is_temporary() && error.description().is_some());
    }
    let name = "publish_ack_wrong_subject_sequence_cluster";
    let code = super::answer::<PublishAck>(name).into_result().unwrap_err().error_code();
    assert!(code.is_wrong_last_sequence(), "a cluster may have another code: {code:?}");
}

#[test]
fn ack_subjects_say_where_a_message_stands() {
    let file = text("ack_subjects.txt");
    let subjects = lines(&file);
    assert_eq!(subjects.len(), 4);
    let of = |name: &str| {
        let (_, subject) = subjects.iter().find(|(found, _)| *found == name).unwrap();
        let ack = AckSubject::parse(subject).unwrap();
        assert_eq!(ack.to_string(), *subject, "{name}");
        let info = ack.info().unwrap();
        recorded(info.published);
        assert_eq!(info.published, from_nanos(ack.published.into()).unwrap());
        (ack, info.to_owned_info())
    };
    for (name, delivered, stream_sequence, consumer_sequence, pending) in
        [("first", 1, 100, 1, 5), ("second", 1, 101, 2, 4), ("redelivered", 2, 101, 7, 0)]
    {
        let (ack, info) = of(name);
        assert_eq!((ack.domain, ack.acc_hash, ack.token), (None, None, None), "{name}");
        assert_eq!((info.stream.as_str(), info.consumer.as_str(), info.delivered), ("ORDERS", "worker", delivered));
        let numbers = (info.stream_sequence, info.consumer_sequence, info.pending);
        assert_eq!(numbers, (stream_sequence, consumer_sequence, pending), "{name}");
    }
    assert_eq!(of("second").0.published, of("redelivered").0.published, "the time is that of the message");
    let (_, info) = of("domain");
    assert_eq!((info.domain.as_deref(), info.stream.as_str(), info.consumer.as_str()), (Some("hub"), "S", "c"));
    assert_eq!((info.stream_sequence, info.pending), (1, 0));
    assert!(info.acc_hash.is_some_and(|hash| hash.len() == 8));
}
