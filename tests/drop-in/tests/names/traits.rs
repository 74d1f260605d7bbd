//! Traits that programs require of these types.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::ops::Deref;
use std::str::FromStr;

use async_nats::client::{self, traits};
use async_nats::connection::{ShouldFlush, State};
use async_nats::header::{GetAll, IntoHeaderName, IntoHeaderValue, ParseHeaderNameError, ParseHeaderValueError};
use async_nats::message::OutboundMessage;
use async_nats::status::InvalidStatusCode;
use async_nats::{
    Auth, AuthError, CallbackError, Client, ClientError, ConnectError, ConnectErrorKind, ConnectInfo, ConnectOptions,
    Event, HeaderMap, HeaderName, HeaderValue, Message, Protocol, PublishError, PublishErrorKind, ReconnectToServer,
    Request, RequestError, RequestErrorKind, Server, ServerAddr, ServerError, ServerInfo, ServerPoolError,
    ServerPoolErrorKind, SetServerPoolError, SetServerPoolErrorKind, Statistics, StatusCode, Subject, SubjectError,
    SubscribeError, SubscribeErrorKind, Subscriber, ToServerAddrs, ToSubject, UnsubscribeError,
};
use bytes::Bytes;
use futures_util::{Sink, Stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn shared<T: Send + Sync + Unpin + 'static>() {}
fn cloned<T: Clone + Debug>() {}
fn compared<T: Clone + Debug + Eq>() {}
fn shown<T: Clone + Debug + Eq + Display>() {}
fn kind<T: Copy + Debug + PartialEq + Display>() {}
fn default<T: Default + Debug>() {}
fn error<T: StdError + Send + Sync + 'static + Into<async_nats::Error>>() {}
fn written<T: Serialize>() {}
fn read<T: DeserializeOwned>() {}
fn from<T: From<F>, F>() {}
fn tried<T: TryFrom<F, Error = E>, F, E: StdError>() {}
fn parsed<T: FromStr<Err = E>, E: StdError>() {}
fn seen_as<T: AsRef<U>, U: ?Sized>() {}

fn connection() {
    fn publishes<T: traits::Publisher + traits::Subscriber + traits::Requester + traits::TimeoutProvider>() {}
    fn takes<T: Sink<OutboundMessage, Error = PublishError>>() {}
    fn gives<T: Stream<Item = Message>>() {}
    shared::<Client>();
    cloned::<Client>();
    publishes::<Client>();
    takes::<Client>();
    shared::<Subscriber>();
    gives::<Subscriber>();
    shared::<ConnectOptions>();
    cloned::<ConnectOptions>();
    default::<ConnectOptions>();
    default::<Statistics>();
    shared::<Statistics>();
    shared::<Request>();
    fn default_only<T: Default>() {}
    default_only::<Request>();
    default_only::<Auth>();
    fn cloned_only<T: Clone>() {}
    cloned_only::<Auth>();
    cloned::<Server>();
    fn displayed<T: Display>() {}
    displayed::<Server>();
    cloned::<ReconnectToServer>();
    shown::<State>();
    compared::<ShouldFlush>();
    shown::<Event>();
    shown::<ServerError>();
    shown::<ClientError>();
    shown::<CallbackError>();
    from::<CallbackError, ServerError>();
    from::<CallbackError, ClientError>();
    compared::<ServerInfo>();
    default::<ServerInfo>();
    read::<ServerInfo>();
    cloned::<ConnectInfo>();
    written::<ConnectInfo>();
    compared::<Protocol>();
    fn copied<T: Copy>() {}
    copied::<Protocol>();
    written::<Protocol>();
    read::<Protocol>();
}

fn errors() {
    kind::<ConnectErrorKind>();
    kind::<PublishErrorKind>();
    kind::<RequestErrorKind>();
    kind::<SubscribeErrorKind>();
    kind::<client::FlushErrorKind>();
    kind::<SetServerPoolErrorKind>();
    kind::<ServerPoolErrorKind>();
    error::<ConnectError>();
    error::<PublishError>();
    error::<RequestError>();
    error::<SubscribeError>();
    error::<client::FlushError>();
    error::<SetServerPoolError>();
    error::<ServerPoolError>();
    error::<client::DrainError>();
    error::<client::ReconnectError>();
    error::<UnsubscribeError>();
    error::<ServerError>();
    error::<SubjectError>();
    error::<AuthError>();
    error::<ParseHeaderNameError>();
    error::<ParseHeaderValueError>();
    error::<InvalidStatusCode>();
    fn equal<T: Clone + PartialEq>() {}
    equal::<AuthError>();
    fn equal_only<T: PartialEq>() {}
    equal_only::<UnsubscribeError>();
    cloned::<ParseHeaderNameError>();
    cloned::<ParseHeaderValueError>();
    shown::<SubjectError>();
    from::<ConnectError, std::io::Error>();
    from::<ConnectError, ConnectErrorKind>();
    from::<PublishError, PublishErrorKind>();
    from::<RequestError, PublishError>();
    from::<RequestError, SubscribeError>();
    // The module also has each name.
    let _: fn(client::PublishError) -> PublishError = |error| error;
    let _: fn(client::RequestError) -> RequestError = |error| error;
    let _: fn(client::SubscribeError) -> SubscribeError = |error| error;
    let _: fn(client::ServerPoolError) -> ServerPoolError = |error| error;
    let _: fn(client::SetServerPoolError) -> SetServerPoolError = |error| error;
    let _: fn(client::Client) -> Client = |client| client;
    let _: fn(client::Request) -> Request = |request| request;
    let _: fn(client::Statistics) -> Statistics = |sums| sums;
    let _: [client::PublishErrorKind; 0] = [PublishErrorKind::Send; 0];
    let _: [client::RequestErrorKind; 0] = [RequestErrorKind::Other; 0];
    let _: [client::SubscribeErrorKind; 0] = [SubscribeErrorKind::Other; 0];
    let _: [client::ServerPoolErrorKind; 0] = [ServerPoolErrorKind::Send; 0];
    let _: [client::SetServerPoolErrorKind; 0] = [SetServerPoolErrorKind::Send; 0];
}

fn values() {
    cloned::<Message>();
    written::<Message>();
    read::<Message>();
    cloned::<OutboundMessage>();
    fn ordered<T: Ord + Display + Debug + Clone + Deref<Target = str>>() {}
    ordered::<Subject>();
    seen_as::<Subject, str>();
    written::<Subject>();
    read::<Subject>();
    from::<Subject, &'static str>();
    from::<Subject, String>();
    tried::<Subject, Bytes, std::str::Utf8Error>();
    fn subject<T: ToSubject>() {}
    subject::<Subject>();
    subject::<&'static str>();
    subject::<String>();

    compared::<HeaderMap>();
    default::<HeaderMap>();
    written::<HeaderMap>();
    read::<HeaderMap>();
    fn collected<T: FromIterator<(HeaderName, HeaderValue)>>() {}
    collected::<HeaderMap>();
    fn values<'a, T: Iterator<Item = &'a HeaderValue>>() {}
    values::<GetAll<'static, HeaderValue>>();
    shown::<HeaderName>();
    fn hashed<T: Hash + Eq>() {}
    hashed::<HeaderName>();
    parsed::<HeaderName, ParseHeaderNameError>();
    tried::<HeaderName, &'static str, ParseHeaderNameError>();
    tried::<HeaderName, String, ParseHeaderNameError>();
    seen_as::<HeaderName, str>();
    seen_as::<HeaderName, [u8]>();
    written::<HeaderName>();
    read::<HeaderName>();
    shown::<HeaderValue>();
    default::<HeaderValue>();
    parsed::<HeaderValue, ParseHeaderValueError>();
    seen_as::<HeaderValue, str>();
    seen_as::<HeaderValue, [u8]>();
    written::<HeaderValue>();
    read::<HeaderValue>();
    from::<HeaderValue, i16>();
    from::<HeaderValue, i32>();
    from::<HeaderValue, i64>();
    from::<HeaderValue, isize>();
    from::<HeaderValue, u16>();
    from::<HeaderValue, u32>();
    from::<HeaderValue, u64>();
    from::<HeaderValue, usize>();
    from::<HeaderValue, &'static str>();
    from::<HeaderValue, String>();
    fn name<T: IntoHeaderName>() {}
    name::<&str>();
    name::<String>();
    name::<HeaderName>();
    fn value<T: IntoHeaderValue>() {}
    value::<&str>();
    value::<String>();
    value::<HeaderValue>();

    hashed::<StatusCode>();
    kind::<StatusCode>();
    default::<StatusCode>();
    fn compared_with_numbers<T: Ord + PartialEq<u16>>()
    where
        u16: PartialEq<T> + From<T>,
    {
    }
    compared_with_numbers::<StatusCode>();
    parsed::<StatusCode, InvalidStatusCode>();
    from::<StatusCode, &'static StatusCode>();
    tried::<StatusCode, &'static [u8], InvalidStatusCode>();
    tried::<StatusCode, &'static str, InvalidStatusCode>();
    tried::<StatusCode, u16, InvalidStatusCode>();
    written::<StatusCode>();
    read::<StatusCode>();

    hashed::<ServerAddr>();
    cloned::<ServerAddr>();
    parsed::<ServerAddr, std::io::Error>();
    fn addresses<T: ToServerAddrs<Iter = I> + ?Sized, I: Iterator<Item = ServerAddr>>() {}
    addresses::<ServerAddr, std::option::IntoIter<ServerAddr>>();
    // A text may be a list here (fault D3), so its iterator has another type.
    addresses::<str, _>();
    addresses::<String, _>();
    addresses::<[&str], std::vec::IntoIter<ServerAddr>>();
    addresses::<Vec<String>, std::vec::IntoIter<ServerAddr>>();
    addresses::<&'static [ServerAddr], std::iter::Cloned<std::slice::Iter<'static, ServerAddr>>>();
    addresses::<Vec<ServerAddr>, std::vec::IntoIter<ServerAddr>>();
    addresses::<&&str, _>();
}
