//! The fast path: a complete MSG or HMSG in the form that servers write, read in one pass.

use crate::protocol::limits::Limits;
use crate::protocol::op::MsgOp;
use crate::protocol::scan::end_of_token;

/// Reads a MSG or HMSG that is complete and in the form that servers write: one blank between arguments, upper case, CR LF, no
/// more digits than a size needs. `None` for anything else, including errors, which the general path handles.
///
/// One pass over the bytes of the line, without searching for its end first.
#[inline(always)]
pub(super) fn plain_msg<'a>(buf: &'a [u8], limits: &Limits) -> Option<(MsgOp<'a>, usize)> {
    let (rest, has_headers) = match buf {
        [b'M', b'S', b'G', b' ', rest @ ..] => (rest, false),
        [b'H', b'M', b'S', b'G', b' ', rest @ ..] => (rest, true),
        _ => return None,
    };
    let (subject, rest) = token(rest)?;
    let (sid, rest) = digits(rest)?;
    let rest = rest.strip_prefix(b" ")?;
    let (reply, (headers, total, body)) = match plain_sizes(rest, has_headers) {
        Some(sizes) => (None, sizes),
        None => {
            let (reply, rest) = token(rest)?;
            (Some(reply), plain_sizes(rest, has_headers)?)
        }
    };
    let headers = usize::try_from(headers).ok()?;
    if headers > limits.headers {
        return None;
    }
    let (body, len) = self::body(buf, body, total, limits)?;
    let (block, payload) = body.split_at_checked(headers)?;
    let message = MsgOp { subject, sid, reply, headers: has_headers.then_some(block), payload };
    Some((message, len))
}

/// The `total` bytes after the control line of `buf`, and the length of the whole operation. `rest` follows the line.
#[inline(always)]
pub(super) fn body<'a>(buf: &[u8], rest: &'a [u8], total: u64, limits: &Limits) -> Option<(&'a [u8], usize)> {
    // The line with its LF; the limit is on the line without it.
    let head = buf.len() - rest.len();
    let total = usize::try_from(total).ok()?;
    if head > limits.line.saturating_add(1) || total > limits.total {
        return None;
    }
    let (body, behind) = rest.split_at_checked(total)?;
    behind.starts_with(b"\r\n").then_some((body, head + total + 2))
}

/// `total CRLF`, or `headers SP total CRLF`, and what follows it.
#[inline(always)]
fn plain_sizes(bytes: &[u8], has_headers: bool) -> Option<(u64, u64, &[u8])> {
    let (first, rest) = digits(bytes)?;
    let (headers, total, rest) = if has_headers {
        let (total, rest) = digits(rest.strip_prefix(b" ")?)?;
        (first, total, rest)
    } else {
        (0, first, rest)
    };
    Some((headers, total, rest.strip_prefix(b"\r\n")?))
}

/// Bytes up to one blank, and what follows the blank.
#[inline(always)]
fn token(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (token, rest) = bytes.split_at_checked(end_of_token(bytes)?)?;
    let rest = rest.strip_prefix(b" ")?;
    (!token.is_empty()).then_some((token, rest))
}

/// 1 to 19 digits, which can't overflow, and what follows them.
#[inline(always)]
pub(super) fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(20) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let rest = bytes.get(at..)?;
            return (at > 0).then_some((value, rest));
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    None
}
