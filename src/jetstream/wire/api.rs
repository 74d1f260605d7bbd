//! The subjects of the JetStream API: the one place that forms `<prefix>.<verb>…`.

use core::fmt;

use super::name::{Filter, InvalidName, Name, NameFault, NameKind};
use crate::protocol::check_subscribe_subject;

/// What comes before the verb of every API subject: `$JS.API`, `$JS.<domain>.API`, or what an account imports the API as (ADR-19).
///
/// Acknowledgements and replies to flow control are never prefixed: they go to the reply subject as received.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use nats_lifeline::jetstream::wire::{Call, Name, Prefix};
///
/// let stream = Name::stream("ORDERS").unwrap();
/// let hub = Prefix::of_domain("hub").unwrap();
/// assert_eq!(hub.subject(Call::StreamInfo { stream }), "$JS.hub.API.STREAM.INFO.ORDERS");
/// assert_eq!(Prefix::default().subject(Call::Account), "$JS.API.INFO");
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Default for Prefix {
    fn default() -> Self {
        Self("$JS.API".to_owned())
    }
}

impl Prefix {
    /// Any prefix.
    ///
    /// # Errors
    ///
    /// If a subject that begins with it would be invalid, or if it has wildcards.
    pub fn new(prefix: &str) -> Result<Self, InvalidName> {
        let refuse = |fault| Err(InvalidName::new("API prefix", prefix, fault));
        if let Err(fault) = check_subscribe_subject(prefix.as_bytes()) {
            return refuse(NameFault::Subject(fault));
        }
        let mut at = 0;
        for token in prefix.split('.') {
            match token {
                "*" => return refuse(NameFault::Forbidden { char: '*', at }),
                ">" => return refuse(NameFault::Forbidden { char: '>', at }),
                _ => at += token.len() + 1,
            }
        }
        Ok(Self(prefix.to_owned()))
    }

    /// The prefix of a domain: `$JS.<domain>.API`.
    ///
    /// # Errors
    ///
    /// If the domain is not a single token.
    pub fn of_domain(domain: &str) -> Result<Self, InvalidName> {
        Name::new(NameKind::Domain, domain).map(|domain| Self(format!("$JS.{}.API", domain.as_str())))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject of a request.
    #[must_use]
    pub fn subject(&self, call: Call<'_>) -> String {
        format!("{}.{call}", self.0)
    }
}

/// A request of the API, with what its subject contains. Names are checked before they come here, so each gives one valid
/// subject of its verb. `Display` shows it without the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "a stream's and a consumer's name")]
pub enum Call<'a> {
    /// The account's limits and what it uses.
    Account,
    /// Creates a stream.
    StreamCreate { stream: Name<'a> },
    /// Changes a stream's configuration.
    StreamUpdate { stream: Name<'a> },
    /// A stream's configuration and state.
    StreamInfo { stream: Name<'a> },
    /// Deletes a stream.
    StreamDelete { stream: Name<'a> },
    /// Names of streams, by pages of 1,024.
    StreamNames,
    /// Infos of streams, by pages of 256.
    StreamList,
    /// Removes messages.
    StreamPurge { stream: Name<'a> },
    /// One message, from the stream's leader.
    StreamMessageGet { stream: Name<'a> },
    /// Deletes one message.
    StreamMessageDelete { stream: Name<'a> },
    /// One or more messages, from any replica or mirror.
    DirectGet { stream: Name<'a> },
    /// The last message of a subject, from any replica or mirror. Its body is empty.
    DirectGetLast { stream: Name<'a>, subject: Filter<'a> },
    /// Creates or changes a consumer. The filter is in the subject exactly if the consumer has one filter (ADR-34).
    ConsumerCreate { stream: Name<'a>, consumer: Name<'a>, filter: Option<Filter<'a>> },
    /// A consumer's configuration and state.
    ConsumerInfo { stream: Name<'a>, consumer: Name<'a> },
    /// Deletes a consumer.
    ConsumerDelete { stream: Name<'a>, consumer: Name<'a> },
    /// Names of a stream's consumers, by pages of 1,024.
    ConsumerNames { stream: Name<'a> },
    /// Infos of a stream's consumers, by pages of 256.
    ConsumerList { stream: Name<'a> },
    /// Pauses or resumes a consumer (nats-server 2.11).
    ConsumerPause { stream: Name<'a>, consumer: Name<'a> },
    /// Takes the pin from a client (nats-server 2.11).
    ConsumerUnpin { stream: Name<'a>, consumer: Name<'a> },
    /// Starts a consumer again (nats-server 2.14).
    ConsumerReset { stream: Name<'a>, consumer: Name<'a> },
    /// Pulls messages.
    ConsumerNext { stream: Name<'a>, consumer: Name<'a> },
}

impl<'a> Call<'a> {
    /// What the subject contains: verb, stream, consumer, and a last part.
    fn parts(self) -> (&'static str, Option<Name<'a>>, Option<Name<'a>>, Option<Filter<'a>>) {
        let of_stream = |verb, stream| (verb, Some(stream), None, None);
        let of_consumer = |verb, stream, consumer| (verb, Some(stream), Some(consumer), None);
        match self {
            Call::Account => ("INFO", None, None, None),
            Call::StreamCreate { stream } => of_stream("STREAM.CREATE", stream),
            Call::StreamUpdate { stream } => of_stream("STREAM.UPDATE", stream),
            Call::StreamInfo { stream } => of_stream("STREAM.INFO", stream),
            Call::StreamDelete { stream } => of_stream("STREAM.DELETE", stream),
            Call::StreamNames => ("STREAM.NAMES", None, None, None),
            Call::StreamList => ("STREAM.LIST", None, None, None),
            Call::StreamPurge { stream } => of_stream("STREAM.PURGE", stream),
            Call::StreamMessageGet { stream } => of_stream("STREAM.MSG.GET", stream),
            Call::StreamMessageDelete { stream } => of_stream("STREAM.MSG.DELETE", stream),
            Call::DirectGet { stream } => of_stream("DIRECT.GET", stream),
            Call::DirectGetLast { stream, subject } => ("DIRECT.GET", Some(stream), None, Some(subject)),
            Call::ConsumerCreate { stream, consumer, filter } => {
                ("CONSUMER.CREATE", Some(stream), Some(consumer), filter)
            }
            Call::ConsumerInfo { stream, consumer } => of_consumer("CONSUMER.INFO", stream, consumer),
            Call::ConsumerDelete { stream, consumer } => of_consumer("CONSUMER.DELETE", stream, consumer),
            Call::ConsumerNames { stream } => of_stream("CONSUMER.NAMES", stream),
            Call::ConsumerList { stream } => of_stream("CONSUMER.LIST", stream),
            Call::ConsumerPause { stream, consumer } => of_consumer("CONSUMER.PAUSE", stream, consumer),
            Call::ConsumerUnpin { stream, consumer } => of_consumer("CONSUMER.UNPIN", stream, consumer),
            Call::ConsumerReset { stream, consumer } => of_consumer("CONSUMER.RESET", stream, consumer),
            Call::ConsumerNext { stream, consumer } => of_consumer("CONSUMER.MSG.NEXT", stream, consumer),
        }
    }
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, stream, consumer, last) = self.parts();
        f.write_str(verb)?;
        let names = [stream.map(Name::as_str), consumer.map(Name::as_str), last.map(Filter::as_str)];
        names.into_iter().flatten().try_for_each(|part| write!(f, ".{part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::SubjectFault;

    #[test]
    fn every_call_has_its_subject() {
        let (stream, consumer) = (Name::stream("S").unwrap(), Name::consumer("c").unwrap());
        let filter = Filter::new("a.*").unwrap();
        let cases = [
            (Call::Account, "INFO"),
            (Call::StreamCreate { stream }, "STREAM.CREATE.S"),
            (Call::StreamUpdate { stream }, "STREAM.UPDATE.S"),
            (Call::StreamInfo { stream }, "STREAM.INFO.S"),
            (Call::StreamDelete { stream }, "STREAM.DELETE.S"),
            (Call::StreamNames, "STREAM.NAMES"),
            (Call::StreamList, "STREAM.LIST"),
            (Call::StreamPurge { stream }, "STREAM.PURGE.S"),
            (Call::StreamMessageGet { stream }, "STREAM.MSG.GET.S"),
            (Call::StreamMessageDelete { stream }, "STREAM.MSG.DELETE.S"),
            (Call::DirectGet { stream }, "DIRECT.GET.S"),
            (Call::DirectGetLast { stream, subject: filter }, "DIRECT.GET.S.a.*"),
            (Call::ConsumerCreate { stream, consumer, filter: None }, "CONSUMER.CREATE.S.c"),
            (Call::ConsumerCreate { stream, consumer, filter: Some(filter) }, "CONSUMER.CREATE.S.c.a.*"),
            (Call::ConsumerInfo { stream, consumer }, "CONSUMER.INFO.S.c"),
            (Call::ConsumerDelete { stream, consumer }, "CONSUMER.DELETE.S.c"),
            (Call::ConsumerNames { stream }, "CONSUMER.NAMES.S"),
            (Call::ConsumerList { stream }, "CONSUMER.LIST.S"),
            (Call::ConsumerPause { stream, consumer }, "CONSUMER.PAUSE.S.c"),
            (Call::ConsumerUnpin { stream, consumer }, "CONSUMER.UNPIN.S.c"),
            (Call::ConsumerReset { stream, consumer }, "CONSUMER.RESET.S.c"),
            (Call::ConsumerNext { stream, consumer }, "CONSUMER.MSG.NEXT.S.c"),
        ];
        for (call, subject) in cases {
            assert_eq!(Prefix::default().subject(call), format!("$JS.API.{subject}"));
            assert_eq!(Prefix::new("from.eu").unwrap().subject(call), format!("from.eu.{subject}"));
        }
    }

    #[test]
    fn a_prefix_is_a_subject_without_wildcards() {
        for (prefix, fault) in [
            ("", NameFault::Subject(SubjectFault::Empty)),
            ("a.", NameFault::Subject(SubjectFault::EdgeDot)),
            ("a b", NameFault::Subject(SubjectFault::Blank { at: 1 })),
            ("ab.*", NameFault::Forbidden { char: '*', at: 3 }),
            ("ab.>", NameFault::Forbidden { char: '>', at: 3 }),
        ] {
            let error = Prefix::new(prefix).unwrap_err();
            assert_eq!(error.fault(), fault, "{error}");
        }
        assert_eq!(Prefix::new("$JS.API").unwrap(), Prefix::default());
        let error = Prefix::of_domain("a.b").unwrap_err().to_string();
        assert_eq!(error, r#"invalid domain "a.b": '.' at byte 1 is not allowed"#);
    }
}
