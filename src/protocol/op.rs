//! The operations of the protocol, in both directions, borrowed from the received bytes.

/// An operation of a server.
///
/// Every slice points into the buffer that was given to
/// [`Decoder::decode_server`](super::Decoder::decode_server).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ServerOp<'a> {
    /// `INFO {json}`: the JSON without surrounding blanks. It is not parsed here, so that a bad one does not end the
    /// connection; see [`Info::parse`](super::Info::parse).
    Info(&'a [u8]),
    /// `MSG` or `HMSG`.
    Msg(MsgOp<'a>),
    /// `PING`, to be answered with `PONG`.
    Ping,
    /// `PONG`, the answer to one of our `PING`s.
    Pong,
    /// `+OK`, sent only to clients that asked for `verbose`.
    Ok,
    /// `-ERR 'text'`: the text without the single quotes around it, otherwise unchanged;
    /// [`ErrKind::parse`](super::ErrKind::parse) parses it.
    Err(&'a [u8]),
}

/// One delivered message: `MSG subject sid [reply] size` or
/// `HMSG subject sid [reply] header-size total-size`, with its body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MsgOp<'a> {
    /// The subject it was published to. It may contain any bytes except blanks, CR and LF: a server doesn't check that it is
    /// UTF-8.
    pub subject: &'a [u8],
    /// The sid of its subscription, as given in our `SUB`.
    pub sid: u64,
    /// The reply subject.
    pub reply: Option<&'a [u8]>,
    /// `None` for `MSG`. The raw header block for `HMSG`, which may be empty or malformed: servers pass on what the publisher
    /// sent. [`HeaderMap::from_wire`](super::HeaderMap::from_wire) reads it.
    pub headers: Option<&'a [u8]>,
    /// The payload, without the header block and without the CR LF after it.
    pub payload: &'a [u8],
}

/// An operation of a client.
///
/// Every slice points into the buffer that was given to
/// [`Decoder::decode_client`](super::Decoder::decode_client).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ClientOp<'a> {
    /// `CONNECT {json}`: the JSON without surrounding blanks. `Debug` does not show it, because it has the password.
    Connect(&'a [u8]),
    /// `PUB` or `HPUB`.
    Pub(PubOp<'a>),
    /// `SUB subject [queue] sid`.
    Sub {
        /// The subject, possibly with wildcards.
        subject: &'a [u8],
        /// The queue group to join.
        queue: Option<&'a [u8]>,
        /// The sid of the new subscription.
        sid: u64,
    },
    /// `UNSUB sid [max]`.
    Unsub {
        /// The subscription to end.
        sid: u64,
        /// End it after this many messages in all; `None` or `0` ends it now. Anything that is not a number counts as none, as
        /// in servers.
        max: Option<u64>,
    },
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
}

/// One published message: `PUB subject [reply] size` or
/// `HPUB subject [reply] header-size total-size`, with its body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PubOp<'a> {
    /// The subject to publish to.
    pub subject: &'a [u8],
    /// The reply subject.
    pub reply: Option<&'a [u8]>,
    /// `None` for `PUB`; the raw header block for `HPUB`, which may be empty. [`HeaderMap::from_wire`](super::HeaderMap::from_wire)
    /// reads it.
    pub headers: Option<&'a [u8]>,
    /// The payload, without the header block and without the CR LF after it.
    pub payload: &'a [u8],
}
