//! Which kind an error has that is made from another one.

use async_nats::error::Error as KindError;
use async_nats::jetstream::consumer::{StreamErrorKind, pull, push};
use async_nats::jetstream::context::{
    AccountErrorKind, ConsumerInfoErrorKind, CreateStreamErrorKind, RequestErrorKind,
};
use async_nats::jetstream::message::StreamMessageErrorKind;
use async_nats::jetstream::stream::{
    ConsumerCreateStrictErrorKind, ConsumerErrorKind, ConsumerResetErrorKind, ConsumerUpdateErrorKind,
    DirectGetErrorKind,
};
use async_nats::{StatusCode, SubscribeErrorKind};

use super::refusal;

/// An error of each kind on the left becomes one of the kind on the right.
macro_rules! converted {
    ($from:ty as $to:ty { $($before:ident => $after:ident),* $(,)? }) => {{
        type Before = $from;
        type After = $to;
        $(assert_eq!(KindError::<After>::from(KindError::from(Before::$before)).kind(), After::$after);)*
    }};
}

/// A server's refusal with each code on the left becomes an error of the kind on the right.
macro_rules! refused {
    ($to:ty { $($code:literal => $after:ident $(($error:expr))?),* $(,)? }) => {{
        type After = $to;
        $(assert_eq!(KindError::<After>::from(refusal($code)).kind(), After::$after $(($error))?);)*
    }};
}

#[test]
fn errors_of_one_call_become_errors_of_another() {
    converted! { async_nats::RequestErrorKind as RequestErrorKind {
        TimedOut => TimedOut, NoResponders => NoResponders, InvalidSubject => InvalidSubject,
        MaxPayloadExceeded => Other, Other => Other,
    } }
    converted! { RequestErrorKind as ConsumerInfoErrorKind {
        TimedOut => TimedOut, InvalidSubject => InvalidName, Other => Request, NoResponders => NoResponders,
    } }
    converted! { RequestErrorKind as CreateStreamErrorKind {
        NoResponders => JetStreamUnavailable, TimedOut => TimedOut, InvalidSubject => InvalidStreamName,
        Other => Response,
    } }
    converted! { RequestErrorKind as AccountErrorKind {
        NoResponders => JetStreamUnavailable, TimedOut => TimedOut, Other => Other, InvalidSubject => Other,
    } }
    converted! { async_nats::RequestErrorKind as DirectGetErrorKind {
        TimedOut => TimedOut, InvalidSubject => Other, MaxPayloadExceeded => Other, Other => Other,
    } }
    converted! { StreamMessageErrorKind as DirectGetErrorKind { MissingHeader => Other, ParseError => Other } }
    converted! { RequestErrorKind as ConsumerResetErrorKind {
        TimedOut => TimedOut, NoResponders => NotFound, InvalidSubject => Request, Other => Request,
    } }
    converted! { RequestErrorKind as ConsumerErrorKind {
        TimedOut => TimedOut, NoResponders => Request, InvalidSubject => Request, Other => Request,
    } }
    converted! { RequestErrorKind as ConsumerUpdateErrorKind {
        TimedOut => TimedOut, NoResponders => Request, InvalidSubject => Request, Other => Request,
    } }
    converted! { RequestErrorKind as ConsumerCreateStrictErrorKind {
        TimedOut => TimedOut, NoResponders => Request, InvalidSubject => Request, Other => Request,
    } }
    converted! { ConsumerErrorKind as ConsumerUpdateErrorKind {
        TimedOut => TimedOut, Request => Request, InvalidConsumerType => InvalidConsumerType,
        InvalidName => InvalidName, Other => Other,
    } }
    converted! { ConsumerErrorKind as ConsumerCreateStrictErrorKind {
        TimedOut => TimedOut, Request => Request, InvalidConsumerType => InvalidConsumerType,
        InvalidName => InvalidName, Other => Other,
    } }
    converted! { ConsumerErrorKind as StreamErrorKind {
        TimedOut => TimedOut, Request => Other, InvalidConsumerType => Other, InvalidName => Other, Other => Other,
    } }
    converted! { pull::MessagesErrorKind as pull::OrderedErrorKind {
        MissingHeartbeat => MissingHeartbeat, ConsumerDeleted => ConsumerDeleted, Pull => Pull,
        PushBasedConsumer => PushBasedConsumer, Other => Other, NoResponders => NoResponders,
        RequestLimitExceeded => RequestLimitExceeded,
    } }
    converted! { SubscribeErrorKind as pull::BatchErrorKind {
        InvalidSubject => Subscribe, InvalidQueueName => Subscribe, Other => Subscribe,
    } }
    converted! { pull::BatchRequestErrorKind as pull::BatchErrorKind {
        Publish => Pull, Flush => Pull, Serialize => Pull,
    } }
    converted! { push::MessagesErrorKind as push::OrderedErrorKind {
        MissingHeartbeat => MissingHeartbeat, ConsumerDeleted => ConsumerDeleted,
        PullBasedConsumer => PullBasedConsumer, Other => Other,
    } }
    let nobody = KindError::from(async_nats::RequestErrorKind::NoResponders);
    let expected = DirectGetErrorKind::ErrorResponse(StatusCode::NO_RESPONDERS, "no responders".to_owned());
    assert_eq!(KindError::<DirectGetErrorKind>::from(nobody).kind(), expected);
    let text = serde_json::from_str::<u8>("x").unwrap_err();
    assert_eq!(KindError::<DirectGetErrorKind>::from(text).kind(), DirectGetErrorKind::Other);
}

#[test]
fn refusals_become_errors_of_a_call() {
    refused! { RequestErrorKind { 10059 => Other, 10003 => Other } }
    refused! { ConsumerInfoErrorKind {
        10014 => NotFound, 10059 => StreamNotFound, 10119 => Offline, 10003 => JetStream(refusal(10003)),
    } }
    refused! { CreateStreamErrorKind { 10059 => NotFound, 10058 => JetStream(refusal(10058)) } }
    refused! { ConsumerResetErrorKind {
        10204 => InvalidReset, 10014 => NotFound, 10059 => NotFound, 10003 => JetStream(refusal(10003)),
    } }
    refused! { ConsumerErrorKind { 10014 => JetStream(refusal(10014)), 10148 => JetStream(refusal(10148)) } }
    refused! { ConsumerCreateStrictErrorKind { 10148 => AlreadyExists, 10149 => JetStream(refusal(10149)) } }
    refused! { ConsumerUpdateErrorKind { 10149 => DoesNotExist, 10148 => JetStream(refusal(10148)) } }
    for (code, kind) in
        [(10149, ConsumerUpdateErrorKind::DoesNotExist), (10148, ConsumerUpdateErrorKind::JetStream(refusal(10148)))]
    {
        let error = KindError::from(ConsumerErrorKind::JetStream(refusal(code)));
        assert_eq!(KindError::<ConsumerUpdateErrorKind>::from(error).kind(), kind);
    }
    for (code, kind) in [
        (10148, ConsumerCreateStrictErrorKind::AlreadyExists),
        (10149, ConsumerCreateStrictErrorKind::JetStream(refusal(10149))),
    ] {
        let error = KindError::from(ConsumerErrorKind::JetStream(refusal(code)));
        assert_eq!(KindError::<ConsumerCreateStrictErrorKind>::from(error).kind(), kind);
    }
}
