//! The texts of every kind, the data of errors, and that all errors can cross threads.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use super::*;
use crate::client::message::OutboundMessage;
use crate::engine::{Cause, Lost};
use crate::protocol::Subject;

fn texts<K: Display>(cases: &[(K, &str)]) {
    for (kind, text) in cases {
        assert_eq!(kind.to_string(), *text);
    }
}

#[test]
fn each_kind_has_its_text() {
    texts(&[
        (ConnectErrorKind::ServerParse, "failed to parse server or server list"),
        (ConnectErrorKind::Dns, "DNS error"),
        (ConnectErrorKind::Authentication, "failed signing nonce"),
        (ConnectErrorKind::AuthorizationViolation, "authorization violation"),
        (ConnectErrorKind::TimedOut, "timed out"),
        (ConnectErrorKind::Tls, "TLS error"),
        (ConnectErrorKind::Io, "IO error"),
        (ConnectErrorKind::MaxReconnects, "reached maximum number of reconnects"),
    ]);
    texts(&[
        (PublishErrorKind::MaxPayloadExceeded, "max payload size exceeded"),
        (PublishErrorKind::InvalidSubject, "invalid subject"),
        (PublishErrorKind::Send, "failed to send message"),
    ]);
    texts(&[
        (RequestErrorKind::TimedOut, "request timed out"),
        (RequestErrorKind::NoResponders, "no responders"),
        (RequestErrorKind::InvalidSubject, "invalid subject"),
        (RequestErrorKind::MaxPayloadExceeded, "max payload size exceeded"),
        (RequestErrorKind::Other, "request failed"),
    ]);
    texts(&[
        (SubscribeErrorKind::InvalidSubject, "invalid subject"),
        (SubscribeErrorKind::InvalidQueueName, "invalid queue name"),
        (SubscribeErrorKind::Other, "subscribe failed"),
    ]);
    texts(&[(FlushErrorKind::SendError, "failed to send flush request"), (FlushErrorKind::FlushError, "flush failed")]);
    texts(&[
        (SetServerPoolErrorKind::Send, "failed to send set_server_pool command"),
        (SetServerPoolErrorKind::InvalidAddress, "invalid server address"),
        (SetServerPoolErrorKind::MixedSchemes, "cannot mix websocket and non-websocket URLs in server pool"),
        (SetServerPoolErrorKind::EmptyPool, "server pool cannot be empty"),
    ]);
    texts(&[(ServerPoolErrorKind::Send, "failed to send server_pool command")]);
    texts(&[
        (TryPublishErrorKind::NoRoom, "no room for the message"),
        (TryPublishErrorKind::BufferFull, "reconnect buffer full"),
        (TryPublishErrorKind::MaxPayloadExceeded, "max payload size exceeded"),
        (TryPublishErrorKind::InvalidSubject, "invalid subject"),
        (TryPublishErrorKind::HeadersUnsupported, "headers not supported by the server"),
        (TryPublishErrorKind::Closed, "the client is closed"),
        (TryPublishErrorKind::Disconnected, "no server is connected"),
    ]);
}

#[test]
fn each_fault_has_its_text() {
    texts(&[
        (SendFault::NoRoom { waited: Duration::from_secs(10) }, "no room for the message after waiting 10s"),
        (
            SendFault::BufferFull { pending: 90, limit: 100, frame: 20 },
            "reconnect buffer full: 90 bytes pending, 20 more would exceed the limit of 100",
        ),
        (SendFault::Closed, "the client is closed"),
        (SendFault::HeadersUnsupported, "the server does not support headers"),
        (SendFault::Disconnected, "no server is connected"),
        (SendFault::NotInTime { waited: Duration::from_secs(2) }, "not sent within 2s"),
        (SendFault::NotInTime { waited: Duration::from_nanos(5_004_346_985) }, "not sent within 5s"),
        (SendFault::NotInTime { waited: Duration::from_micros(1_250) }, "not sent within 1ms"),
        (SendFault::Dropped, "dropped before it was sent"),
        (SendFault::Expired, "the message had expired before a server was connected"),
    ]);
    let lost = "the connection was lost after the request was sent, which may have been received";
    texts(&[
        (ConnectionLost { in_doubt: 0 }, lost),
        (ConnectionLost { in_doubt: 1 }, lost),
        (ConnectionLost { in_doubt: 2 }, &format!("{lost}; in all, 2 messages are in doubt")),
    ]);
    texts(&[(PayloadTooLarge { max: 10, size: 11 }, "Payload size limit of 10 exceeded by message size of 11")]);
    texts(&[(UnsubscribeError::new("closed"), "failed to send unsubscribe")]);
    texts(&[(DrainError::new("closed"), "failed to send drain: closed")]);
    texts(&[(ReconnectError::new("closed"), "failed to send reconnect: closed")]);
}

#[test]
fn a_close_error_sums_up_its_report() {
    let lost = Lost { closed: 2, expired: 1, ..Lost::default() };
    let report = DrainReport { ended: true, lost, in_doubt: 4, undelivered: 5, ..DrainReport::default() };
    let error = CloseError::new(report);
    assert_eq!(error.to_string(), "closed with 3 messages never sent, 4 in doubt and 5 unread");
    assert_eq!(error.report(), report);
    let text = "not closed, since its runtime is not running, with 0 messages never sent, 0 in doubt and 0 unread";
    assert_eq!(CloseError::new(DrainReport::default()).to_string(), text);
}

/// What a program prints whose `main` returns the error: the hint is in it.
#[test]
fn the_debug_form_of_a_failed_connect_reads_like_its_text() {
    let nobody = || Cause::from(io::Error::from(io::ErrorKind::ConnectionRefused));
    let mut tried = NotConnected::new(nobody());
    tried.add("localhost:4222".to_owned(), nobody());
    let text = tried.to_string();
    assert!(text.starts_with("localhost:4222: ") && text.contains("is the server running"), "{text}");
    let error = ConnectError::with_source(ConnectErrorKind::Io, tried);
    assert_eq!(format!("{error:?}"), format!("Error {{ kind: Io, source: Some(NotConnected({text})) }}"));
}

#[test]
fn an_error_shows_its_kind_and_its_source() {
    let error = PublishError::new(PublishErrorKind::Send);
    assert_eq!(error.to_string(), "failed to send message");
    assert!(error.source().is_none());

    let error = PublishError::with_source(PublishErrorKind::Send, SendFault::Closed);
    assert_eq!(error.kind(), PublishErrorKind::Send);
    assert_eq!(error.to_string(), "failed to send message: the client is closed");
    assert_eq!(error.source().and_then(|source| source.downcast_ref()), Some(&SendFault::Closed));
    assert_eq!(error.source_as::<SendFault>(), Some(&SendFault::Closed));
    assert!(error.source_as::<PayloadTooLarge>().is_none());
}

#[test]
fn errors_turn_into_each_other_without_losing_the_reason() {
    let error = FlushError::from(FlushErrorKind::SendError);
    assert_eq!(error.kind(), FlushErrorKind::SendError);

    let error = ConnectError::from(io::Error::from(io::ErrorKind::ConnectionRefused));
    assert_eq!(error.kind(), ConnectErrorKind::Io);
    assert_eq!(error.source_as::<io::Error>().map(io::Error::kind), Some(io::ErrorKind::ConnectionRefused));

    let publish = PublishError::with_source(PublishErrorKind::Send, SendFault::Closed);
    let error = RequestError::from(publish);
    assert_eq!(error.kind(), RequestErrorKind::Other);
    assert_eq!(error.to_string(), "request failed: failed to send message: the client is closed");
    assert!(error.source_as::<PublishError>().is_some());

    let error = RequestError::from(SubscribeError::new(SubscribeErrorKind::InvalidSubject));
    assert_eq!(error.kind(), RequestErrorKind::Other);
    assert_eq!(error.to_string(), "request failed: invalid subject");
}

#[test]
fn a_refused_message_is_returned() {
    let message = OutboundMessage {
        subject: Subject::from_static("foo"),
        reply: None,
        payload: "precious".into(),
        headers: None,
    };
    let error = TryPublishError::new(TryPublishErrorKind::NoRoom, message);
    assert_eq!(error.to_string(), "no room for the message");
    assert!(error.source().is_none());
    assert_eq!(error.message().subject.as_str(), "foo");

    let too_large = PayloadTooLarge { max: 1, size: 8 };
    let error = TryPublishError::with_source(TryPublishErrorKind::MaxPayloadExceeded, error.into_message(), too_large);
    assert_eq!(error.to_string(), "max payload size exceeded: Payload size limit of 1 exceeded by message size of 8");
    assert!(error.source().is_some_and(|source| source.is::<PayloadTooLarge>()));
    assert_eq!(&error.into_message().payload[..], b"precious");
}

#[test]
fn errors_cross_threads_and_fit_into_a_box() {
    fn fits<E: Into<crate::Error> + Send + Sync + Unpin + 'static>() {}
    fits::<ConnectError>();
    fits::<PublishError>();
    fits::<RequestError>();
    fits::<SubscribeError>();
    fits::<FlushError>();
    fits::<SetServerPoolError>();
    fits::<ServerPoolError>();
    fits::<TryPublishError>();
    fits::<SendFault>();
    fits::<UnsubscribeError>();
    fits::<DrainError>();
    fits::<ReconnectError>();
    fits::<CloseError>();
}
