//! Names that become part of a subject: parsed once, so that what builds subjects needs no check.

use core::fmt;

use crate::protocol::{SubjectFault, check_subscribe_subject, cut};

/// What a name names; the rules depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A stream: at most 255 bytes without what would change a subject or a path (ADR-6; nats-server's `JSMaxNameLen`).
    Stream,
    /// A consumer, with the same rule.
    Consumer,
    /// A priority group: 1 to 16 of `A-Z a-z 0-9 _ / = -` (ADR-42).
    PriorityGroup,
    /// A domain, which is a token of the API prefix: the rule of a stream.
    Domain,
}

impl NameKind {
    /// How many bytes a name may have.
    #[must_use]
    pub const fn longest(self) -> usize {
        match self {
            NameKind::Stream | NameKind::Consumer | NameKind::Domain => 255,
            NameKind::PriorityGroup => 16,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            NameKind::Stream => "stream name",
            NameKind::Consumer => "consumer name",
            NameKind::PriorityGroup => "priority group",
            NameKind::Domain => "domain",
        }
    }

    fn allows(self, char: char) -> bool {
        match self {
            NameKind::Stream | NameKind::Consumer | NameKind::Domain => {
                !matches!(char, '.' | '*' | '>' | '/' | '\\') && !char.is_whitespace() && !char.is_control()
            }
            NameKind::PriorityGroup => char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '/' | '='),
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

/// The rule that a name breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is longer than a server accepts.
    #[error("it has {len} bytes, at most {longest} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The greatest allowed length.
        longest: usize,
    },
    /// A character that would change the subject, or that servers refuse.
    #[error("{char:?} at byte {at} is not allowed")]
    Forbidden {
        /// The first such character.
        char: char,
        /// Where, counted in bytes from 0.
        at: usize,
    },
    /// It is not a subject.
    #[error("{0}")]
    Subject(#[from] SubjectFault),
}

/// A name that was refused before it reached the wire, with the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {value:?}: {fault}")]
pub struct InvalidName {
    what: &'static str,
    value: String,
    fault: NameFault,
}

impl InvalidName {
    #[cold]
    pub(super) fn new(what: &'static str, value: &str, fault: NameFault) -> Self {
        Self { what, value: cut(value).into_owned(), fault }
    }

    /// The name, of which the beginning is kept.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The rule that it breaks.
    #[must_use]
    pub fn fault(&self) -> NameFault {
        self.fault
    }
}

/// A name that follows the rules of its kind.
///
/// ```
/// # #[cfg(feature = "internals")] {
/// use nats_lifeline::jetstream::wire::{Name, NameKind};
///
/// assert!(Name::new(NameKind::Stream, "ORDERS").is_ok());
/// let refused = Name::new(NameKind::Stream, "orders.eu").unwrap_err();
/// assert_eq!(refused.to_string(), r#"invalid stream name "orders.eu": '.' at byte 6 is not allowed"#);
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// With the value and the first rule that it breaks.
    pub fn new(kind: NameKind, text: &'a str) -> Result<Self, InvalidName> {
        let fault = if text.is_empty() {
            NameFault::Empty
        } else if text.len() > kind.longest() {
            NameFault::TooLong { len: text.len(), longest: kind.longest() }
        } else {
            match text.char_indices().find(|(_, char)| !kind.allows(*char)) {
                None => return Ok(Self(text)),
                Some((at, char)) => NameFault::Forbidden { char, at },
            }
        };
        Err(InvalidName::new(kind.what(), text, fault))
    }

    /// The name of a stream.
    ///
    /// # Errors
    ///
    /// As [`Name::new`].
    pub fn stream(text: &'a str) -> Result<Self, InvalidName> {
        Self::new(NameKind::Stream, text)
    }

    /// The name of a consumer.
    ///
    /// # Errors
    ///
    /// As [`Name::new`].
    pub fn consumer(text: &'a str) -> Result<Self, InvalidName> {
        Self::new(NameKind::Consumer, text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// A subject that becomes the end of a longer one, such as a consumer's filter: wildcards are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter<'a>(&'a str);

impl<'a> Filter<'a> {
    /// Checks a subject.
    ///
    /// # Errors
    ///
    /// With the value and the first rule of [`check_subscribe_subject`] that it breaks.
    pub fn new(subject: &'a str) -> Result<Self, InvalidName> {
        match check_subscribe_subject(subject.as_bytes()) {
            Ok(()) => Ok(Self(subject)),
            Err(fault) => Err(InvalidName::new("filter subject", subject, fault.into())),
        }
    }

    /// The subject.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fault(kind: NameKind, text: &str) -> NameFault {
        Name::new(kind, text).unwrap_err().fault()
    }

    #[test]
    fn what_would_change_a_subject_or_a_path_is_refused_where_it_stands() {
        for (char, kind) in "./\\*> \t\r\n\0\u{7f}\u{a0}\u{2028}"
            .chars()
            .flat_map(|char| [NameKind::Stream, NameKind::Consumer, NameKind::Domain].map(|kind| (char, kind)))
        {
            let name = format!("na{char}me");
            assert_eq!(fault(kind, &name), NameFault::Forbidden { char, at: 2 }, "{name:?}");
        }
        for kind in [NameKind::Stream, NameKind::Consumer, NameKind::PriorityGroup, NameKind::Domain] {
            assert_eq!(fault(kind, ""), NameFault::Empty);
            let longest = "n".repeat(kind.longest());
            assert_eq!(Name::new(kind, &longest).map(Name::as_str), Ok(longest.as_str()));
            let (len, longest) = (longest.len() + 1, longest.len());
            assert_eq!(fault(kind, &"n".repeat(len)), NameFault::TooLong { len, longest });
        }
        assert!(Name::stream("Größe_1-$").is_ok(), "other letters are allowed");
    }

    #[test]
    fn groups_have_few_characters() {
        assert!(Name::new(NameKind::PriorityGroup, "jobs/a=1_-").is_ok());
        assert_eq!(fault(NameKind::PriorityGroup, "jobs.a"), NameFault::Forbidden { char: '.', at: 4 });
    }

    #[test]
    fn an_error_names_the_value_and_the_rule_and_stays_short() {
        let error = Name::consumer("a b").unwrap_err();
        assert_eq!(error.to_string(), r#"invalid consumer name "a b": ' ' at byte 1 is not allowed"#);
        assert_eq!(error.value(), "a b");
        let long = Name::stream(&"x".repeat(1_000_000)).unwrap_err().to_string();
        assert!(long.len() < 1_300 && long.contains("1000000 bytes"), "{long}");
        let filter = Filter::new("orders..eu").unwrap_err();
        assert_eq!(filter.to_string(), r#"invalid filter subject "orders..eu": empty token at byte 7"#);
        assert!(Filter::new("orders.*.>").is_ok());
    }
}
