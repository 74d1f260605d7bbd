//! What programs may rely on without running anything: fields, variants, traits, texts and constants.
//!
//! The matches have no `_` arm on purpose: no enum of async-nats is `#[non_exhaustive]`, so programs match
//! exhaustively, and a new variant would break them.

use std::fmt::Display;

use async_nats::client::FlushErrorKind;
use async_nats::connection::{ShouldFlush, State};
use async_nats::error::Error as KindError;
use async_nats::{
    CallbackError, ClientError, ConnectError, ConnectErrorKind, Event, Protocol, PublishError, PublishErrorKind,
    RequestError, RequestErrorKind, ServerError, ServerPoolErrorKind, SetServerPoolErrorKind, SubjectError,
    SubscribeErrorKind,
};

fn error(kind: impl Display) -> String {
    kind.to_string()
}

#[test]
fn errors_states_and_events_have_these_variants_and_texts() {
    let connect = |kind| match kind {
        ConnectErrorKind::ServerParse => "failed to parse server or server list",
        ConnectErrorKind::Dns => "DNS error",
        ConnectErrorKind::Authentication => "failed signing nonce",
        ConnectErrorKind::AuthorizationViolation => "authorization violation",
        ConnectErrorKind::TimedOut => "timed out",
        ConnectErrorKind::Tls => "TLS error",
        ConnectErrorKind::Io => "IO error",
        ConnectErrorKind::MaxReconnects => "reached maximum number of reconnects",
    };
    assert_eq!(error(ConnectErrorKind::Io), connect(ConnectErrorKind::Io));
    let publish = |kind| match kind {
        PublishErrorKind::MaxPayloadExceeded => "max payload size exceeded",
        PublishErrorKind::InvalidSubject => "invalid subject",
        PublishErrorKind::Send => "failed to send message",
    };
    assert_eq!(error(PublishErrorKind::Send), publish(PublishErrorKind::Send));
    let request = |kind| match kind {
        RequestErrorKind::TimedOut => "request timed out",
        RequestErrorKind::NoResponders => "no responders",
        RequestErrorKind::InvalidSubject => "invalid subject",
        RequestErrorKind::MaxPayloadExceeded => "max payload size exceeded",
        RequestErrorKind::Other => "request failed",
    };
    assert_eq!(error(RequestErrorKind::Other), request(RequestErrorKind::Other));
    let subscribe = |kind| match kind {
        SubscribeErrorKind::InvalidSubject => "invalid subject",
        SubscribeErrorKind::InvalidQueueName => "invalid queue name",
        SubscribeErrorKind::Other => "subscribe failed",
    };
    assert_eq!(error(SubscribeErrorKind::Other), subscribe(SubscribeErrorKind::Other));
    let flush = |kind| match kind {
        FlushErrorKind::SendError => "failed to send flush request",
        FlushErrorKind::FlushError => "flush failed",
    };
    assert_eq!(error(FlushErrorKind::FlushError), flush(FlushErrorKind::FlushError));
    let set_pool = |kind| match kind {
        SetServerPoolErrorKind::Send => "failed to send set_server_pool command",
        SetServerPoolErrorKind::InvalidAddress => "invalid server address",
        SetServerPoolErrorKind::MixedSchemes => "cannot mix websocket and non-websocket URLs in server pool",
        SetServerPoolErrorKind::EmptyPool => "server pool cannot be empty",
    };
    assert_eq!(error(SetServerPoolErrorKind::EmptyPool), set_pool(SetServerPoolErrorKind::EmptyPool));
    let pool = |kind| match kind {
        ServerPoolErrorKind::Send => "failed to send server_pool command",
    };
    assert_eq!(error(ServerPoolErrorKind::Send), pool(ServerPoolErrorKind::Send));
    let state = |state| match state {
        State::Pending => "pending",
        State::Connected => "connected",
        State::Disconnected => "disconnected",
    };
    assert_eq!(error(State::Pending), state(State::Pending));
    let event = |event: &Event| match event {
        Event::Connected => "connected".to_owned(),
        Event::Disconnected => "disconnected".to_owned(),
        Event::LameDuckMode => "lame duck mode detected".to_owned(),
        Event::Draining => "draining".to_owned(),
        Event::Closed => "closed".to_owned(),
        Event::SlowConsumer(sid) => format!("slow consumers for subscription {sid}"),
        Event::ServerError(ServerError::AuthorizationViolation) => {
            "server error: nats: authorization violation".to_owned()
        }
        Event::ServerError(ServerError::SlowConsumer(sid)) => {
            format!("server error: nats: subscription {sid} is a slow consumer")
        }
        Event::ServerError(ServerError::Other(text)) => format!("server error: nats: {text}"),
        Event::ClientError(ClientError::Other(text)) => format!("client error: nats: {text}"),
        Event::ClientError(ClientError::MaxReconnects) => "client error: nats: max reconnects reached".to_owned(),
        Event::ClientError(ClientError::ServerNotInPool) => {
            "client error: nats: reconnect callback returned server not in pool".to_owned()
        }
    };
    for sample in [Event::SlowConsumer(3), Event::ClientError(ClientError::MaxReconnects)] {
        assert_eq!(error(&sample), event(&sample));
    }
    match CallbackError::from(ClientError::MaxReconnects) {
        CallbackError::Client(_) => {}
        CallbackError::Server(_) => unreachable!(),
    }
    match ShouldFlush::May {
        ShouldFlush::Yes | ShouldFlush::May | ShouldFlush::No => {}
    }
    match SubjectError::InvalidFormat {
        SubjectError::InvalidFormat => {}
    }
    match Protocol::Dynamic {
        Protocol::Original | Protocol::Dynamic => {}
    }
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    assert_eq!(ConnectError::from(refused).kind(), ConnectErrorKind::Io);
    assert_eq!(KindError::with_source(PublishErrorKind::Send, "no way").to_string(), "failed to send message: no way");
    let nested = RequestError::from(PublishError::from(PublishErrorKind::InvalidSubject));
    assert_eq!(nested.to_string(), "request failed: invalid subject");
}
