//! The rules for subjects and queue names, and wildcard matching: functions on bytes.

/// The rule that a subject or queue name breaks, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectFault {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// A blank (SP or TAB) would end it on the wire.
    #[error("blank at byte {at}")]
    Blank {
        /// Where, counted in bytes from 0.
        at: usize,
    },
    /// A CR or LF would end the control line, and what follows would be read as an operation.
    #[error("line end at byte {at}")]
    LineEnd {
        /// Where, counted in bytes from 0.
        at: usize,
    },
    /// The first or the last byte is a dot.
    #[error("it begins or ends with a dot")]
    EdgeDot,
    /// Two dots in a row.
    #[error("empty token at byte {at}")]
    EmptyToken {
        /// Where the second dot stands, counted in bytes from 0.
        at: usize,
    },
    /// A token `>`, which matches the rest of a subject, has another token after it.
    #[error("`>` at byte {at} is not the last token")]
    RestInside {
        /// Where the `>` stands, counted in bytes from 0.
        at: usize,
    },
}

impl SubjectFault {
    /// A short name for logs and fixtures, the same in every version.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Blank { .. } => "blank",
            Self::LineEnd { .. } => "line_end",
            Self::EdgeDot => "edge_dot",
            Self::EmptyToken { .. } => "empty_token",
            Self::RestInside { .. } => "rest_inside",
        }
    }
}

/// Checks whether a message may be published to this subject, or name it as its reply subject.
///
/// Not empty, and none of SP, TAB, CR, LF. Tokens and wildcards are not checked, as in async-nats and nats.go: a server accepts
/// such subjects unless it was asked to be pedantic.
///
/// # Errors
///
/// The first rule that is broken.
///
/// ```
/// use nats_lifeline::protocol::{SubjectFault, check_publish_subject};
///
/// assert_eq!(check_publish_subject(b"orders.eu"), Ok(()));
/// assert_eq!(check_publish_subject(b"orders eu"), Err(SubjectFault::Blank { at: 6 }));
/// ```
#[inline]
pub const fn check_publish_subject(subject: &[u8]) -> Result<(), SubjectFault> {
    if subject.is_empty() {
        return Err(SubjectFault::Empty);
    }
    if has_low_byte(subject) { first_separator(subject) } else { Ok(()) }
}

/// Whether there is a byte up to 0x20: usually there is none, and then there is no separator either. Every publish comes
/// through here, so it checks eight bytes at a time.
#[inline(always)]
const fn has_low_byte(bytes: &[u8]) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) else {
        return has_low_byte_short(bytes);
    };
    let mut low = low_bytes(u64::from_le_bytes(*first)) | low_bytes(u64::from_le_bytes(*last));
    let mut rest = bytes;
    // The last eight bytes were checked, so a remainder needs no check.
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        low |= low_bytes(u64::from_le_bytes(*eight));
        rest = behind;
    }
    low != 0
}

/// The same for fewer than eight bytes.
#[inline(always)]
const fn has_low_byte_short(bytes: &[u8]) -> bool {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let both = (u32::from_le_bytes(*first) as u64) << 32 | u32::from_le_bytes(*last) as u64;
        return low_bytes(both) != 0;
    }
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] <= b' ' {
            return true;
        }
        at += 1;
    }
    false
}

/// Not zero if and only if one of the eight bytes is below 0x21: subtracting 0x21 borrows into its top bit, which was
/// not set.
#[inline(always)]
const fn low_bytes(eight: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    eight.wrapping_sub(ONES * 0x21) & !eight & TOPS
}

/// Checks whether this subject may be subscribed to.
///
/// The rules of [`check_publish_subject`], and no empty token: no dot at either end, no two dots in a row. A token `>` must be
/// the last one. These are the rules of nats-server, which refuses any other subject with `-ERR 'Invalid Subject'`; the tests
/// compare them with a real one.
///
/// # Errors
///
/// The first rule that is broken.
///
/// ```
/// use nats_lifeline::protocol::{SubjectFault, check_subscribe_subject};
///
/// assert_eq!(check_subscribe_subject(b"orders.*.>"), Ok(()));
/// assert_eq!(check_subscribe_subject(b"orders..new"), Err(SubjectFault::EmptyToken { at: 7 }));
/// assert_eq!(check_subscribe_subject(b"orders.>.new"), Err(SubjectFault::RestInside { at: 7 }));
/// ```
pub const fn check_subscribe_subject(subject: &[u8]) -> Result<(), SubjectFault> {
    if let Err(fault) = check_publish_subject(subject) {
        return Err(fault);
    }
    if subject[0] == b'.' || subject[subject.len() - 1] == b'.' {
        return Err(SubjectFault::EdgeDot);
    }
    let mut at = 1;
    while at < subject.len() {
        if subject[at] == b'.' {
            match subject[at - 1] {
                b'.' => return Err(SubjectFault::EmptyToken { at }),
                b'>' if at == 1 || subject[at - 2] == b'.' => return Err(SubjectFault::RestInside { at: at - 1 }),
                _ => {}
            }
        }
        at += 1;
    }
    Ok(())
}

/// Checks the name of a queue group: not empty, and none of SP, TAB, CR, LF.
///
/// # Errors
///
/// The first rule that is broken.
pub const fn check_queue_name(name: &[u8]) -> Result<(), SubjectFault> {
    check_publish_subject(name)
}

/// The first separator, if there is one; other control characters are allowed.
#[cold]
const fn first_separator(subject: &[u8]) -> Result<(), SubjectFault> {
    let mut at = 0;
    while at < subject.len() {
        match subject[at] {
            b' ' | b'\t' => return Err(SubjectFault::Blank { at }),
            b'\r' | b'\n' => return Err(SubjectFault::LineEnd { at }),
            _ => at += 1,
        }
    }
    Ok(())
}

/// Whether a subject matches a pattern with wildcards.
///
/// Tokens are separated by dots. `*` as a whole token matches any one token, `>` as the last token matches one or more;
/// anywhere else both are ordinary characters.
///
/// ```
/// use nats_lifeline::protocol::matches;
///
/// assert!(matches(b"orders.*.new", b"orders.eu.new"));
/// assert!(matches(b"orders.>", b"orders.eu.new"));
/// assert!(!matches(b"orders.>", b"orders"));
/// assert!(!matches(b"orders.*", b"orders.eu.new"));
/// assert!(!matches(b"ord*", b"orders"));
/// ```
#[must_use]
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let mut tokens = subject.split(|byte| *byte == b'.');
    let mut wanted = pattern.split(|byte| *byte == b'.').peekable();
    while let Some(want) = wanted.next() {
        let Some(token) = tokens.next() else {
            return false;
        };
        match want {
            b">" if wanted.peek().is_none() => return true,
            b"*" => {}
            literal if literal == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_separator_is_found_where_it_stands() {
        assert_eq!(check_publish_subject(b""), Err(SubjectFault::Empty));
        for (len, at) in (1..40).flat_map(|len| (0..len).map(move |at| (len, at))) {
            let mut subject = vec![b's'; len];
            for low in (0..=b' ').filter(|low| !b" \t\r\n".contains(low)).chain([0x7f, 0x80, 0xa0, 0xff, b'!']) {
                subject[at] = low;
                assert_eq!(check_publish_subject(&subject), Ok(()), "{low:#x} at {at} of {len}");
            }
            for (byte, fault) in [
                (b' ', SubjectFault::Blank { at }),
                (b'\t', SubjectFault::Blank { at }),
                (b'\r', SubjectFault::LineEnd { at }),
                (b'\n', SubjectFault::LineEnd { at }),
            ] {
                subject[at] = byte;
                assert_eq!(check_publish_subject(&subject), Err(fault));
                assert_eq!(check_subscribe_subject(&subject), Err(fault));
                assert_eq!(check_queue_name(&subject), Err(fault));
            }
        }
    }

    #[test]
    fn publish_does_not_look_at_tokens_and_subscribe_does() {
        for subject in [".", ".a", "a.", "a..b"] {
            assert_eq!(check_publish_subject(subject.as_bytes()), Ok(()));
            assert!(check_subscribe_subject(subject.as_bytes()).is_err());
        }
        let fault = SubjectFault::EmptyToken { at: 2 };
        assert_eq!(check_subscribe_subject(b"a..b"), Err(fault));
        for (subject, at) in [(">.a", 0), ("a.>.b", 2), ("a.>.>", 2), ("a.>.b.>", 2), (">.>.a", 0)] {
            assert_eq!(check_publish_subject(subject.as_bytes()), Ok(()));
            assert_eq!(check_subscribe_subject(subject.as_bytes()), Err(SubjectFault::RestInside { at }));
        }
        for subject in ["a", "a.b", "*", ">", "a.>", "é.x", "a.\0", "a>.b", ">>.a", "a.>b.c", "*.>"] {
            assert_eq!(check_subscribe_subject(subject.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn wildcards_stand_for_whole_tokens() {
        for (pattern, subject, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a", "a.b", false),
            ("a.b", "a", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("*.*", "a.b", true),
            (">", "a", true),
            (">", "a.b.c", true),
            ("a.>", "a", false),
            ("a.>", "a.b", true),
            ("a.>", "b.a", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a.b.d", false),
            ("a.>.c", "a.b.c", false),
            ("a.>.c", "a.>.c", true),
            ("a*", "ab", false),
            ("a*", "a*", true),
            ("a.>x", "a.b", false),
        ] {
            let found = matches(pattern.as_bytes(), subject.as_bytes());
            assert_eq!(found, expected, "{pattern} {subject}");
        }
    }
}
