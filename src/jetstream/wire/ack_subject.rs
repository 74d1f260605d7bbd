//! The reply subject of a delivered message, which says where the message stands in its stream and its consumer.
//!
//! `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time ns>.<pending>`, or with domain and account hash before
//! the stream, and perhaps more after `pending` (ADR-15). An acknowledgement is published to it unchanged.

use core::fmt;

use crate::protocol::datetime::{DateTime, from_nanos};

/// Where a delivered message stands, as its reply subject says.
///
/// It borrows from that subject; [`to_owned_info`](Info::to_owned_info) makes a copy that doesn't.
#[derive(Debug, Clone)]
pub struct Info<'a> {
    /// The domain of the stream, if servers say it.
    pub domain: Option<&'a str>,
    /// The hash of the account that has the stream, if servers say it.
    pub acc_hash: Option<&'a str>,
    /// The stream's name.
    pub stream: &'a str,
    /// The consumer's name.
    pub consumer: &'a str,
    /// The message's number in the stream, from 1.
    pub stream_sequence: u64,
    /// The number of this delivery in the consumer, from 1: without gaps, and redeliveries count.
    pub consumer_sequence: u64,
    /// How often the message was delivered, this time included: above 1 it is a redelivery.
    pub delivered: i64,
    /// How many messages the consumer has yet to deliver after this one.
    pub pending: u64,
    /// When the stream stored the message.
    pub published: DateTime,
    /// What a server added to the end.
    pub token: Option<&'a str>,
}

impl Info<'_> {
    /// The same without a reference to the subject.
    #[must_use]
    pub fn to_owned_info(&self) -> OwnedInfo {
        OwnedInfo {
            domain: self.domain.map(str::to_owned),
            acc_hash: self.acc_hash.map(str::to_owned),
            stream: self.stream.to_owned(),
            consumer: self.consumer.to_owned(),
            stream_sequence: self.stream_sequence,
            consumer_sequence: self.consumer_sequence,
            delivered: self.delivered,
            pending: self.pending,
            published: self.published,
            token: self.token.map(str::to_owned),
        }
    }
}

/// [`Info`] that owns its names, to be kept longer than the message. The fields are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of `Info`")]
pub struct OwnedInfo {
    pub domain: Option<String>,
    pub acc_hash: Option<String>,
    pub stream: String,
    pub consumer: String,
    pub stream_sequence: u64,
    pub consumer_sequence: u64,
    pub delivered: i64,
    pub pending: u64,
    pub published: DateTime,
    pub token: Option<String>,
}

/// Why a reply subject is not that of a JetStream message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckSubjectFault {
    /// It does not begin with `$JS.ACK.`: the message did not come from a stream.
    #[error("not a JetStream message: its reply subject does not begin with `$JS.ACK.`")]
    Foreign,
    /// It has fewer tokens than any form has, or ten in all, which no form has.
    #[error("an acknowledgement subject with {found} tokens")]
    Tokens {
        /// How many there are.
        found: usize,
    },
    /// A token that must be a number is none, or doesn't fit.
    #[error("`{field}` in an acknowledgement subject is not a number that fits")]
    Number {
        /// What it would have said.
        field: &'static str,
    },
}

/// A parsed reply subject: what [`Info`] has, with the time still a number, so that nothing is converted that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of `Info`")]
pub struct AckSubject<'a> {
    pub domain: Option<&'a str>,
    pub acc_hash: Option<&'a str>,
    pub stream: &'a str,
    pub consumer: &'a str,
    pub delivered: u64,
    pub stream_sequence: u64,
    pub consumer_sequence: u64,
    /// When the stream stored the message, in nanoseconds since 1970.
    pub published: i64,
    pub pending: u64,
    pub token: Option<&'a str>,
}

/// With the two that all forms begin with.
const TOKENS_V1: usize = 9;
const TOKENS_V2: usize = 11;

impl<'a> AckSubject<'a> {
    /// Parses a reply subject, without an allocation.
    ///
    /// # Errors
    ///
    /// If it is not one of a JetStream message.
    ///
    /// ```
    /// # #[cfg(feature = "internals")] {
    /// use nats_lifeline::jetstream::wire::AckSubject;
    ///
    /// let ack = AckSubject::parse("$JS.ACK.ORDERS.worker.1.100.7.1796047299422753988.5").unwrap();
    /// assert_eq!((ack.stream, ack.stream_sequence, ack.consumer_sequence, ack.pending), ("ORDERS", 100, 7, 5));
    /// # }
    /// ```
    pub fn parse(subject: &'a str) -> Result<Self, AckSubjectFault> {
        let rest = subject.strip_prefix("$JS.ACK.").ok_or(AckSubjectFault::Foreign)?;
        let mut tokens = Tokens { text: rest, at: 0 };
        // Most are of the first form, and then nothing needs to be counted.
        match Self::places(&mut tokens) {
            Ok(ack) if tokens.is_over() => return Ok(ack),
            Ok(_) | Err(_) => {}
        }
        // `$JS` and `ACK` count.
        let found = 3 + rest.bytes().filter(|byte| *byte == b'.').count();
        let mut tokens = Tokens { text: rest, at: 0 };
        match found {
            TOKENS_V1 => Self::places(&mut tokens),
            TOKENS_V2.. => {
                let domain = Some(tokens.text()).filter(|domain| *domain != "_");
                let acc_hash = Some(tokens.text());
                let ack = Self::places(&mut tokens)?;
                let token = (!tokens.is_over()).then(|| tokens.text());
                Ok(Self { domain, acc_hash, token, ..ack })
            }
            _ => Err(AckSubjectFault::Tokens { found }),
        }
    }

    /// The seven tokens that both forms have.
    #[inline]
    fn places(tokens: &mut Tokens<'a>) -> Result<Self, AckSubjectFault> {
        let (stream, consumer) = (tokens.text(), tokens.text());
        let delivered = tokens.number("delivered")?;
        // A count is an `i64` in `Info`.
        if i64::try_from(delivered).is_err() {
            return Err(AckSubjectFault::Number { field: "delivered" });
        }
        Ok(Self {
            domain: None,
            acc_hash: None,
            stream,
            consumer,
            delivered,
            stream_sequence: tokens.number("stream sequence")?,
            consumer_sequence: tokens.number("consumer sequence")?,
            published: tokens.time()?,
            pending: tokens.number("pending")?,
            token: None,
        })
    }

    /// The same for programs.
    ///
    /// # Errors
    ///
    /// If the time is out of the range that [`DateTime`] has, which 64 bits of nanoseconds are not.
    pub fn info(&self) -> Result<Info<'a>, AckSubjectFault> {
        let out_of_range = AckSubjectFault::Number { field: "time" };
        Ok(Info {
            domain: self.domain,
            acc_hash: self.acc_hash,
            stream: self.stream,
            consumer: self.consumer,
            stream_sequence: self.stream_sequence,
            consumer_sequence: self.consumer_sequence,
            delivered: i64::try_from(self.delivered).unwrap_or(i64::MAX),
            pending: self.pending,
            published: from_nanos(self.published.into()).map_err(|_| out_of_range)?,
            token: self.token,
        })
    }
}

/// The subject again: of the second form if it has a domain or an account hash.
impl fmt::Display for AckSubject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$JS.ACK.")?;
        if self.domain.is_some() || self.acc_hash.is_some() || self.token.is_some() {
            write!(f, "{}.{}.", self.domain.unwrap_or("_"), self.acc_hash.unwrap_or_default())?;
        }
        write!(f, "{}.{}.{}.", self.stream, self.consumer, self.delivered)?;
        let Self { stream_sequence, consumer_sequence, published, pending, .. } = self;
        write!(f, "{stream_sequence}.{consumer_sequence}.{published}.{pending}")?;
        self.token.map_or(Ok(()), |token| write!(f, ".{token}"))
    }
}

/// The tokens of a subject. It is read in one pass, since this is done for each delivered message.
struct Tokens<'a> {
    text: &'a str,
    /// Where the next one begins. Behind the last one it is greater than the length.
    at: usize,
}

/// More digits than this may be more than 64 bits.
const SAFE_DIGITS: usize = 19;

impl<'a> Tokens<'a> {
    /// Whether none is left.
    #[inline]
    fn is_over(&self) -> bool {
        self.at > self.text.len()
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next one; after the last one, nothing.
    #[inline]
    fn text(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len());
        self.take(length)
    }

    /// The next one, of digits only: no sign.
    #[inline]
    fn number(&mut self, field: &'static str) -> Result<u64, AckSubjectFault> {
        let rest = self.rest();
        self.behind(leading_number(rest), rest, field)
    }

    /// The next one. A time may be before 1970.
    #[inline]
    fn time(&mut self) -> Result<i64, AckSubjectFault> {
        let (rest, field) = (self.rest(), "time");
        let fault = AckSubjectFault::Number { field };
        if rest.first() == Some(&b'-') {
            return self.text().parse().map_err(|_| fault);
        }
        i64::try_from(self.behind(leading_long_number(rest), rest, field)?).map_err(|_| fault)
    }

    /// Goes on behind a number of this many digits.
    #[inline]
    fn behind(
        &mut self,
        (number, digits): (u64, usize),
        rest: &[u8],
        field: &'static str,
    ) -> Result<u64, AckSubjectFault> {
        if digits == 0 || rest.get(digits).is_some_and(|byte| *byte != b'.') {
            return Err(AckSubjectFault::Number { field });
        }
        if digits > SAFE_DIGITS {
            return self.take(digits).parse().map_err(|_| AckSubjectFault::Number { field });
        }
        self.at += digits + 1;
        Ok(number)
    }

    /// The token of this length that begins here.
    fn take(&mut self, length: usize) -> &'a str {
        let token = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.at += length + 1;
        token
    }
}

/// The number that this begins with, modulo 2^64, and how many digits it has.
#[inline]
fn leading_number(bytes: &[u8]) -> (u64, usize) {
    go_on(0, bytes, bytes)
}

/// The same for long numbers: eight digits at a time are read as one integer, with the first one in its lowest byte.
#[inline]
fn leading_long_number(bytes: &[u8]) -> (u64, usize) {
    let (mut number, mut rest) = (0_u64, bytes);
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        let text = u64::from_le_bytes(*eight);
        // Zero for each digit, up to the first byte that is none.
        let high = |word: u64| (word & (EACH * 0xf0)) ^ (EACH * 0x30);
        if high(text) | high(text.wrapping_add(EACH * 0x06)) != 0 {
            break;
        }
        number = number.wrapping_mul(100_000_000).wrapping_add(eight_digits(text & (EACH * 0x0f)));
        rest = after;
    }
    go_on(number, rest, bytes)
}

/// Adds the digits that `rest` begins with to a number that `bytes` begins with.
#[inline]
fn go_on(mut number: u64, rest: &[u8], bytes: &[u8]) -> (u64, usize) {
    let mut digits = bytes.len() - rest.len();
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(digit.into());
        digits += 1;
    }
    (number, digits)
}

/// One in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// The number of eight digits, one in each byte: neighbours are joined, three times.
fn eight_digits(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10 * 256 + 1).wrapping_shr(8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 * 65_536 + 1).wrapping_shr(16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 * 4_294_967_296 + 1).wrapping_shr(32)
}

#[cfg(test)]
mod tests;
