//! The small parts of reading a control line: operation words, tokens, checked numbers.

use super::error::{ProtocolError, Snippet};

/// No operation has more than 5 arguments (HMSG); one more is enough to see that there are too many.
pub(super) const MAX_ARGS: usize = 6;

/// The arguments of one control line, and how many there were.
#[derive(Debug)]
pub(super) struct Args<'a> {
    tokens: [&'a [u8]; MAX_ARGS],
    found: usize,
    op: &'static str,
}

impl<'a> Args<'a> {
    /// Splits `line` (without its line end) at blanks.
    ///
    /// Servers treat any number of SP and TAB as one separator (nats-server `parser.go`, `splitArg`), and so does this client.
    /// A CR that is not part of the line end is refused: one server would split there and another would not, and such
    /// disagreements about where a token ends are how protocols are smuggled.
    pub(super) fn split(op: &'static str, line: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut tokens: [&[u8]; MAX_ARGS] = [&[]; MAX_ARGS];
        let mut found = 0;
        for token in line.split(|byte| is_blank(*byte)).filter(|t| !t.is_empty()) {
            if let Some(place) = tokens.get_mut(found) {
                *place = token;
            }
            found += 1;
        }
        if line.contains(&b'\r') {
            return Err(ProtocolError::BadArgs { op, found });
        }
        Ok(Self { tokens, found, op })
    }

    /// The arguments, at most [`MAX_ARGS`] of them.
    pub(super) fn as_slice(&self) -> &[&'a [u8]] {
        self.tokens.get(..self.found).unwrap_or(&self.tokens)
    }

    /// The error for a wrong number of arguments.
    pub(super) fn wrong_count(&self) -> ProtocolError {
        ProtocolError::BadArgs { op: self.op, found: self.found }
    }

    /// Parses a number: ASCII digits only, no sign, leading zeros allowed (a server passes those of a publisher on to the
    /// subscribers: `PUB foo 0002` arrives as `MSG foo 1 0002`).
    pub(super) fn number(&self, token: &[u8]) -> Result<u64, ProtocolError> {
        number(self.op, token)
    }

    /// Parses a size and checks it against `limit`, so that it fits `usize` from here on.
    pub(super) fn size(&self, token: &[u8], limit: usize) -> Result<usize, ProtocolError> {
        let size = self.number(token)?;
        match usize::try_from(size) {
            Ok(fits) if fits <= limit => Ok(fits),
            _ => Err(ProtocolError::TooLarge { size, limit }),
        }
    }
}

fn number(op: &'static str, token: &[u8]) -> Result<u64, ProtocolError> {
    if token.is_empty() || !token.iter().all(u8::is_ascii_digit) {
        return Err(ProtocolError::BadNumber { op, token: Snippet::new(token) });
    }
    token
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or(ProtocolError::NumberOverflow)
}

/// SP or TAB.
pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `bytes` without the blanks at both ends.
pub(super) fn trim_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|byte| is_blank(**byte)).count();
    let bytes = bytes.get(blanks..).unwrap_or(&[]);
    let blanks = bytes.iter().rev().take_while(|b| is_blank(**b)).count();
    bytes.get(..bytes.len() - blanks).unwrap_or(&[])
}

/// The position of the first blank or control character.
///
/// Eight bytes at a time: `(x - 0x21…) & !x` has the top bit of a byte set where it is below 0x21. A borrow can set it wrongly,
/// but only above a byte that is a hit itself, and only the lowest hit counts. Tokens are too short for a call to a search
/// routine to pay off.
#[inline]
pub(super) fn end_of_token(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().ok()?);
        let hits = word.wrapping_sub(0x21 * ONES) & !word & (0x80 * ONES);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = words.remainder().iter().position(|byte| *byte <= b' ')?;
    Some(at + rest)
}

/// What the first bytes of a buffer can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word<T> {
    /// An operation, and the length of its word.
    Known(T, usize),
    /// The beginning of at least one operation.
    Partial,
    /// No operation at all.
    Unknown,
}

/// How the word of an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// A blank or the line end must follow: `MSGfoo` is no operation.
    AtBlank,
    /// Anything may follow; the parser of the line decides.
    Anywhere,
}

/// Recognises an operation by its first bytes, without regard to case (as servers do).
pub(super) fn word<T: Copy>(table: &[(&[u8], Ends, T)], buf: &[u8]) -> Word<T> {
    let mut partial = buf.is_empty();
    for (name, ends, op) in table {
        let seen = name.len().min(buf.len());
        let (Some(expected), Some(got)) = (name.get(..seen), buf.get(..seen)) else {
            continue;
        };
        if !expected.eq_ignore_ascii_case(got) {
            continue;
        }
        if seen < name.len() {
            partial = true;
            continue;
        }
        match (ends, buf.get(seen)) {
            (Ends::Anywhere, _) | (Ends::AtBlank, Some(b' ' | b'\t' | b'\r' | b'\n')) => {
                return Word::Known(*op, seen);
            }
            (Ends::AtBlank, None) => partial = true,
            (Ends::AtBlank, Some(_)) => {}
        }
    }
    if partial { Word::Partial } else { Word::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_is_the_first_byte_below_0x21() {
        for len in 0..40 {
            for byte in 0..=u8::MAX {
                for at in 0..len {
                    let mut bytes = vec![0xa1; len];
                    bytes[at] = byte;
                    let expected = bytes.iter().position(|b| *b <= b' ');
                    assert_eq!(end_of_token(&bytes), expected, "{bytes:?}");
                    bytes[len - 1] = b' ';
                    let expected = bytes.iter().position(|b| *b <= b' ');
                    assert_eq!(end_of_token(&bytes), expected, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_digits_within_64_bits() {
        assert_eq!(number("MSG", b"0"), Ok(0));
        assert_eq!(number("MSG", b"000000000000000000000000000007"), Ok(7));
        assert_eq!(number("MSG", b"18446744073709551615"), Ok(u64::MAX));
        let overflow = Err(ProtocolError::NumberOverflow);
        assert_eq!(number("MSG", b"18446744073709551616"), overflow);
        for bad in [&b""[..], b"-1", b"+1", b"1.0", b"1e3", b"0x1", b" 1", b"\xb2"] {
            let fault = number("MSG", bad).map_err(|error| error.name());
            assert_eq!(fault, Err("bad_number"), "{bad:?}");
        }
    }
}
