//! Everything in async-nats 0.51's `jetstream` except key-value and object store: names, signatures, fields, variants, traits and texts.
//!
//! Each macro below expands to code that the compiler checks; only `kinds!` also does something at run time.

#![allow(deprecated)]

mod codes;
mod consumer;
mod context;
mod conversions;
mod documents;
mod implementing;
mod message;
mod pull;
mod stream;

use async_nats::jetstream::{self, AckKind, Context, ContextBuilder, Error, ErrorCode, Message};
use async_nats::{Client, StatusCode};

/// A value of any type; it is never called.
fn any<T>() -> T {
    unreachable!()
}

/// Requires that a future has this output and can be spawned.
fn gives<T>(_: impl Future<Output = T> + Send) {}

/// The struct has these public fields, and no other unless `..` says so: it can be destructured and constructed.
macro_rules! fields {
    ($type:ty { $($field:ident: $of:ty),+ $(,)? }) => {
        const _: fn($type) = |value| {
            type This = $type;
            let This { $($field),+ } = value;
            $(let _: $of = $field;)+
        };
    };
    ($type:ty { $($field:ident: $of:ty,)+ .. }) => {
        const _: fn($type) = |value| {
            type This = $type;
            let This { $($field,)+ .. } = value;
            $(let _: $of = $field;)+
        };
    };
}

/// The enum has these variants, and no other.
macro_rules! variants {
    ($type:ty { $($variant:ident $(($($part:tt),*))? $({ $field:ident: _ })?),* $(,)? }) => {
        const _: fn($type) = |value| {
            type This = $type;
            match value {
                $(This::$variant $(($($part),*))? $({ $field: _ })? => {})*
            }
        };
    };
}

/// The type has these traits.
macro_rules! has {
    ($type:ty: $($bounds:tt)+) => {
        const _: fn() = || {
            fn check<T: $($bounds)+>() {}
            check::<$type>();
        };
    };
}

/// The first is another name for the second.
macro_rules! same {
    ($one:ty = $other:ty) => {
        const _: fn($one) -> $other = |value| value;
    };
}

/// Methods, with the types of type parameters, arguments and results.
macro_rules! methods {
    ($type:ty: $($name:ident $(::<$($parameter:ty),*>)? ($($argument:ty),*) -> $result:ty;)*) => {
        const _: fn() = || {
            $(let _: $result = any::<$type>().$name $(::<$($parameter),*>)? ($(any::<$argument>()),*);)*
        };
    };
}

/// The same for methods with a future.
macro_rules! futures {
    ($type:ty: $($name:ident $(::<$($parameter:ty),*>)? ($($argument:ty),*) -> $result:ty;)*) => {
        const _: fn() = || {
            $(super::gives::<$result>(any::<$type>().$name $(::<$($parameter),*>)? ($(any::<$argument>()),*));)*
        };
    };
}

/// The same for functions of a type without `self`.
macro_rules! functions {
    ($type:ty: $($name:ident $(::<$($parameter:ty),*>)? ($($argument:ty),*) -> $result:ty;)*) => {
        const _: fn() = || {
            $(let _: $result = <$type>::$name $(::<$($parameter),*>)? ($(any::<$argument>()),*);)*
        };
    };
}

/// The kind of error has these variants and no other, with these texts.
macro_rules! kinds {
    ($type:ty { $($variant:ident $(($($part:ident),*))? = $text:literal),* $(,)? }) => {{
        type Kind = $type;
        let text = |kind: &Kind| match kind {
            $(Kind::$variant $(($($part),*))? => format!($text),)*
        };
        for kind in [$(Kind::$variant $(($({ let $part = super::sample(); $part }),*))?),*] {
            assert_eq!(kind.to_string(), text(&kind));
        }
    }};
}

use {fields, functions, futures, has, kinds, methods, same, variants};

/// Values in kinds of errors.
trait Sample {
    fn sample() -> Self;
}

impl Sample for Error {
    fn sample() -> Error {
        refusal(10059)
    }
}

impl Sample for StatusCode {
    fn sample() -> StatusCode {
        StatusCode::NO_RESPONDERS
    }
}

impl Sample for String {
    fn sample() -> String {
        "no responders".to_owned()
    }
}

fn sample<T: Sample>() -> T {
    T::sample()
}

/// What a server answers that refuses a request.
fn refusal(code: u64) -> Error {
    serde_json::from_str(&format!(r#"{{"code":404,"err_code":{code},"description":"not here"}}"#)).unwrap()
}

fn of_the_root() {
    let _: fn(Client) -> Context = jetstream::new;
    let _: fn(Client, &'static str) -> Context = jetstream::with_domain::<&'static str>;
    let _: fn(Client, &str) -> Context = jetstream::with_prefix;
    let _: ContextBuilder<jetstream::context::Yes> = ContextBuilder::new();
    let _: [fn(&Error) -> ErrorCode; 2] = [Error::error_code, Error::kind];
    let _: fn(&Error) -> usize = Error::code;
    let _: fn(jetstream::message::Message) -> Message = |message| message;
    let _: fn(jetstream::message::AckKind) -> AckKind = |kind| kind;
    let _: u64 = ErrorCode::STREAM_NOT_FOUND.0;
}

#[test]
fn an_error_of_a_server_has_a_text_code_and_error_code() {
    let error = refusal(10059);
    assert_eq!(error.to_string(), "not here (code 404, error code 10059)");
    assert_eq!((error.code(), error.kind()), (404, ErrorCode::STREAM_NOT_FOUND));
    let bare: Error = serde_json::from_str(r#"{"code":503}"#).unwrap();
    assert_eq!((bare.error_code(), bare.to_string()), (ErrorCode(0), "unknown (code 503, error code 0)".to_owned()));
}
