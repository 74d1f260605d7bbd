//! What programs may rely on without running anything: fields, variants, traits, texts and constants.
//!
//! The matches have no `_` arm on purpose: no enum of async-nats is `#[non_exhaustive]`, so programs match them in
//! full, and a variant more would break those.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;

use async_nats::client::{self, DrainError, FlushError, FlushErrorKind, ReconnectError};
use async_nats::connection::{ShouldFlush, State};
use async_nats::error::Error as KindError;
use async_nats::header::{self, IntoHeaderName, IntoHeaderValue};
use async_nats::message::OutboundMessage;
use async_nats::status::InvalidStatusCode;
use async_nats::subject::ToSubject;
use async_nats::{
    Auth, AuthError, CallbackError, Client, ClientError, ConnectError, ConnectErrorKind, ConnectInfo, ConnectOptions,
    Event, HeaderMap, HeaderName, HeaderValue, Message, Protocol, PublishError, PublishErrorKind, Request,
    RequestError, RequestErrorKind, ServerAddr, ServerError, ServerInfo, ServerPoolErrorKind, SetServerPoolErrorKind,
    StatusCode, Subject, SubjectError, SubscribeError, SubscribeErrorKind, Subscriber, ToServerAddrs, UnsubscribeError,
};
use bytes::Bytes;

/// Checks what can only be seen at run time; the rest was checked when this was compiled.
pub(crate) fn check() {
    constants();
    texts();
    literals();
    addresses();
    credentials();
}

/// The ways to prove who we are and to know whom we speak to, by their names and types.
fn credentials() {
    let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY".to_owned();
    let _ = ConnectOptions::with_nkey(seed.clone()).nkey(seed);
    let sign =
        |nonce: Vec<u8>| async move { if nonce.is_empty() { Err(AuthError::new("no nonce")) } else { Ok(nonce) } };
    let _ = ConnectOptions::with_jwt("a.b.c".to_owned(), sign).jwt("a.b.c".to_owned(), sign);
    let _ = ConnectOptions::with_auth_callback(|_nonce: Vec<u8>| async move {
        let mut auth = Auth::new();
        auth.jwt = Some("a.b.c".to_owned());
        auth.nkey = Some("U".to_owned());
        auth.signature = Some(vec![0; 64]);
        auth.username = Some("u".to_owned());
        auth.password = Some("p".to_owned());
        auth.token = Some("t".to_owned());
        Ok::<Auth, AuthError>(auth.clone())
    });
    assert!(ConnectOptions::with_credentials("nothing").is_err() && ConnectOptions::new().credentials("").is_err());
    let path = std::path::PathBuf::from("/nowhere.pem");
    let _ = ConnectOptions::new()
        .add_root_certificates(path.clone())
        .add_client_certificate(path.clone(), path)
        .require_tls(true)
        .tls_first();
    let _ = |config: async_nats::rustls::ClientConfig| ConnectOptions::new().tls_client_config(config);
    let _ = async || {
        let options = ConnectOptions::with_credentials_file("/nowhere.creds").await?;
        options.credentials_file(std::path::Path::new("/nowhere.creds")).await
    };
    assert_eq!(format!("{} {:?}", AuthError::new("why"), AuthError::new(7)), "AuthError(why) AuthError(7)");
}

fn error(kind: impl Display) -> String {
    kind.to_string()
}

fn texts() {
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

fn literals() {
    let message = Message {
        subject: "a".into(),
        reply: Some(Subject::from("b".to_owned())),
        payload: Bytes::new(),
        headers: None,
        status: StatusCode::from_u16(503).ok(),
        description: None,
        length: 2,
    };
    let Message { subject, reply, payload, headers, status, description: _, length: _ } = message;
    assert_eq!(status, Some(StatusCode::NO_RESPONDERS));
    let OutboundMessage { .. } = OutboundMessage { subject, reply, payload, headers };
    let request = Request { payload: None, headers: Some(HeaderMap::new()), timeout: Some(None), inbox: None };
    assert!(request.timeout == Some(None));
    let info = ServerInfo { server_id: "x".to_owned(), lame_duck_mode: true, jetstream: false, ..Default::default() };
    assert_eq!((info.max_payload, info.client_id, info.connect_urls.len()), (0, 0, 0));
    let connect = ConnectInfo {
        verbose: false,
        pedantic: false,
        user_jwt: None,
        nkey: None,
        signature: None,
        name: None,
        echo: true,
        lang: "rust".to_owned(),
        version: "0".to_owned(),
        protocol: Protocol::Dynamic,
        tls_required: false,
        user: None,
        pass: Some("hunter2".to_owned()),
        auth_token: None,
        headers: true,
        no_responders: true,
    };
    assert!(!format!("{connect:?}").contains("hunter2"));

    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_MESSAGE_ID, "1".into_header_value());
    headers.append("A".into_header_name(), String::from("b"));
    assert_eq!((headers.len(), headers.is_empty(), headers.iter().count()), (2, false, 2));
    assert_eq!(headers.get("A").map(HeaderValue::as_str), Some("b"));
    assert_eq!(headers.get_last("A").map(ToString::to_string).as_deref(), Some("b"));
    let collected: HeaderMap = [(HeaderName::from_static("A"), HeaderValue::from(1u64))].into_iter().collect();
    assert_eq!(collected.get_all("A").count(), 1);
    assert!(HeaderValue::from_str("a\r\nb").is_err() && HeaderName::from_str("a:b").is_err());
}

fn constants() {
    const SUBJECT: Subject = Subject::from_static_validated("a.b");
    assert_eq!(SUBJECT.to_subject().into_string(), "a.b");
    assert!(SUBJECT.starts_with("a.") && SUBJECT.is_valid());
    assert!(Subject::validated("a b").is_err() && Subject::from_utf8(vec![0xff]).is_err());
    assert!(Subject::try_from(Bytes::from_static(b"a")).is_ok_and(|subject| subject.as_str() == "a"));
    assert_eq!(header::NATS_MESSAGE_ID.to_string(), "Nats-Msg-Id");
    assert_eq!(header::NATS_BATCH_COMMIT_FINAL, "1");
    let codes = [StatusCode::IDLE_HEARTBEAT, StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::TIMEOUT];
    assert_eq!(codes.map(|code| code.as_u16()), [100, 200, 404, 408]);
    assert!(StatusCode::TIMEOUT.is_client_error() && StatusCode::default() == 200u16);
    let bad: Result<StatusCode, InvalidStatusCode> = "99".parse();
    assert!(bad.is_err());
}

fn addresses() {
    fn count<A: ToServerAddrs>(addrs: A) -> usize {
        addrs.to_server_addrs().map_or(0, Iterator::count)
    }
    let addr: ServerAddr = "joe:pw@example.com".parse().unwrap();
    assert_eq!((addr.scheme(), addr.host(), addr.port()), ("nats", "example.com", 4222));
    assert_eq!((addr.username(), addr.password(), addr.has_user_pass()), (Some("joe"), Some("pw"), true));
    assert!(!addr.tls_required() && !addr.is_websocket());
    assert_eq!(count("a") + count(String::from("a")) + count(&addr) + count(addr.clone()), 4);
    assert_eq!(count(vec!["a", "b"]) + count(["a", "b"].as_slice()) + count(vec![String::from("a")]), 5);
    assert_eq!(count(vec![addr.clone()]) + count([addr.clone(), addr].as_slice()), 3);
}

/// Traits that programs ask of these types, checked by the compiler.
#[allow(dead_code)]
fn traits() {
    fn shared<T: Send + Sync + Unpin + 'static>() {}
    fn cloned<T: Clone + Debug>() {}
    fn compared<T: Clone + Debug + Eq>() {}
    fn ordered<T: Ord + Display + AsRef<str>>() {}
    fn hashed<T: Hash + Eq>() {}
    fn copied<T: Copy + Debug + PartialEq + Display>() {}
    fn default<T: Default>() {}
    fn boxed<T: std::error::Error + Into<async_nats::Error>>() {}
    shared::<Client>();
    shared::<Subscriber>();
    shared::<Message>();
    shared::<ConnectOptions>();
    cloned::<Client>();
    cloned::<ConnectOptions>();
    cloned::<Message>();
    cloned::<OutboundMessage>();
    compared::<Event>();
    compared::<ServerError>();
    compared::<ClientError>();
    compared::<CallbackError>();
    compared::<ServerInfo>();
    compared::<State>();
    compared::<HeaderMap>();
    ordered::<Subject>();
    hashed::<ServerAddr>();
    hashed::<HeaderName>();
    hashed::<StatusCode>();
    copied::<ConnectErrorKind>();
    copied::<PublishErrorKind>();
    copied::<RequestErrorKind>();
    copied::<SubscribeErrorKind>();
    copied::<FlushErrorKind>();
    copied::<SetServerPoolErrorKind>();
    copied::<ServerPoolErrorKind>();
    default::<ConnectOptions>();
    default::<Request>();
    boxed::<ConnectError>();
    boxed::<PublishError>();
    boxed::<RequestError>();
    boxed::<SubscribeError>();
    boxed::<FlushError>();
    boxed::<client::PublishError>();
    boxed::<UnsubscribeError>();
    boxed::<DrainError>();
    boxed::<ReconnectError>();
    boxed::<ServerError>();
}

#[test]
fn names_texts_and_constants_are_those_of_async_nats() {
    check();
}
