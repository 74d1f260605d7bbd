//! Bytes and operations: pure functions that neither wait nor decide.
//!
//! This is the protocol of NATS alone, for programs that are no client of their own: a proxy, a recorder, a server for tests.
//!
//! | you want to | use |
//! |---|---|
//! | read operations from received bytes | [`Decoder`], which gives a [`ServerOp`] or a [`ClientOp`], "not yet" ([`Decoded`]), or a [`ProtocolError`] |
//! | limit what is accepted | [`Limits`], [`Oversized`] |
//! | write a client's operations | [`connect`](connect()), [`publish`], [`subscribe`], [`unsubscribe`], [`ping`], [`pong`]; [`publish_short`] and [`PublishPrefix`] for the usual small message |
//! | write a server's operations | [`info`](info()), [`message`], [`ok`], [`err`], [`ping`], [`pong`] |
//! | read or write a header block | [`HeaderMap::from_wire`], [`HeaderMap::wire`]; [`parse_status`] for its status line |
//! | read the JSON of INFO, write that of CONNECT | [`Info`], [`ConnectInfo`] |
//! | read the text of `-ERR` | [`ErrKind`], [`Violation`] |
//! | check or compare names | [`Subject`], [`check_publish_subject`], [`check_subscribe_subject`], [`check_queue_name`], [`matches`](matches()) |
//! | read server addresses | [`ServerAddr`], [`ToServerAddrs`] |
//! | show a peer's text to people | [`shown`], [`cut`] |
//!
//! Nothing in this module does I/O, reads a clock or knows an async runtime, and bytes from outside can't make it panic.
//!
//! A publisher's bytes, as a server reads them:
//!
//! ```
//! use bytes::Bytes;
//! use nats_lifeline::protocol::{ClientOp, Decoded, Decoder, HeaderMap, publish, subscribe};
//!
//! let mut bytes = Vec::new();
//! subscribe(&mut bytes, b"orders.*", Some(b"workers"), 7);
//! publish(&mut bytes, b"orders.new", None, Some(b"NATS/1.0\r\nId: 17\r\n\r\n"), b"four wheels");
//!
//! let mut decoder = Decoder::default();
//! let Ok(Decoded::Op { op, len }) = decoder.decode_client(&bytes) else { panic!("an operation") };
//! assert_eq!(op, ClientOp::Sub { subject: b"orders.*", queue: Some(b"workers"), sid: 7 });
//!
//! bytes.drain(..len);
//! let Ok(Decoded::Op { op: ClientOp::Pub(message), .. }) = decoder.decode_client(&bytes) else { panic!("a message") };
//! let headers = HeaderMap::from_wire(Bytes::copy_from_slice(message.headers.unwrap_or_default()));
//! assert_eq!(headers.get("Id").map(|id| id.as_str()), Some("17"));
//! assert_eq!(message.payload, b"four wheels");
//! ```

// | question | file |
// |---|---|
// | what can be said on the wire | `op` |
// | bytes → one operation, "not yet", or an error | `decoder`, on `scan` |
// | operation → bytes | `encoder`, and `short_frame` for the usual small message |
// | what is too much | `limits` |
// | why bytes were refused | `error` |
// | header blocks and status lines | `headers`, on `header_name`, `header_value`, `header_block`; `header_consts`, `header_serde`, `status` |
// | the two JSON documents | `info`, `connect` |
// | what is not shown, and wiped | `secret` |
// | what `Debug` shows of operations | `debug` |
// | names: subjects, queue groups, server addresses | `subject`, `subject_rules`, `addr`, `addr_list` |
// | what is kept and shown of a peer's text | `foreign` |
// | points in time, of either crate | `datetime`, which `crate::datetime` re-exports |
// | the texts of `-ERR` | `server_error`, on `go_quote` |
//
// Everything is re-exported here, flat.

mod addr;
mod addr_list;
mod connect;
#[cfg(all(any(feature = "chrono", feature = "jetstream"), not(target_family = "wasm")))]
pub(crate) mod datetime;
mod debug;
mod decoder;
mod encoder;
mod error;
mod foreign;
mod go_quote;
mod header_block;
mod header_consts;
mod header_name;
mod header_serde;
mod header_text;
mod header_value;
mod headers;
mod info;
mod limits;
mod op;
mod scan;
mod secret;
mod server_error;
mod short_frame;
mod status;
mod subject;
mod subject_rules;

pub use addr::ServerAddr;
pub use addr_list::ToServerAddrs;
pub use connect::{ConnectInfo, Protocol};
pub use decoder::{Decoded, Decoder, Oversized};
pub use encoder::{
    connect, err, info, message, ok, ping, pong, publish, publish_args_len, publish_head, publish_len, subscribe,
    unsubscribe,
};
pub use error::{ProtocolError, Snippet};
pub use foreign::{FOREIGN, Shown, cut, kept, shown};
pub use header_block::{HeaderError, parse_status};
pub use header_consts::*;
pub use header_name::{HeaderName, IntoHeaderName, ParseHeaderNameError};
pub use header_value::{HeaderValue, IntoHeaderValue, ParseHeaderValueError};
pub use headers::{GetAll, HeaderMap};
pub use info::{Info, InfoError, ServerInfo};
#[cfg(not(target_family = "wasm"))]
pub(crate) use limits::HIGHEST;
pub use limits::Limits;
pub use op::{ClientOp, MsgOp, PubOp, ServerOp};
pub use secret::Secret;
pub use server_error::{ErrKind, Violation};
pub use short_frame::{PublishPrefix, SHORT_FRAME, SHORT_PARTS, publish_short};
pub use status::{InvalidStatusCode, StatusCode};
pub use subject::{Subject, SubjectError, ToSubject};
pub use subject_rules::{SubjectFault, check_publish_subject, check_queue_name, check_subscribe_subject, matches};
