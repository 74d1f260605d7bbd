//! The arguments of each operation: how many there are, in which order, and which are numbers.

use super::Body;
use crate::protocol::error::ProtocolError;
use crate::protocol::limits::Limits;
use crate::protocol::op::ClientOp;
use crate::protocol::scan::Args;
use core::ops::Range;

/// The position of `token` in `buf`, of which it is a part: the distance between the two addresses.
fn place(buf: &[u8], token: &[u8]) -> Range<usize> {
    let start = (token.as_ptr() as usize).wrapping_sub(buf.as_ptr() as usize);
    start..start.wrapping_add(token.len())
}

/// `MSG subject sid [reply] size`.
pub(super) fn msg(buf: &[u8], line: &[u8], start: usize, limits: &Limits) -> Result<Body, ProtocolError> {
    let args = Args::split("MSG", line)?;
    let (subject, sid, reply, size) = match *args.as_slice() {
        [subject, sid, size] => (subject, sid, None, size),
        [subject, sid, reply, size] => (subject, sid, Some(reply), size),
        _ => return Err(args.wrong_count()),
    };
    Ok(Body {
        subject: place(buf, subject),
        reply: reply.map(|reply| place(buf, reply)),
        sid: args.number(sid)?,
        headers: None,
        total: args.size(size, limits.total)?,
        start,
    })
}

/// `HMSG subject sid [reply] header-size total-size`.
pub(super) fn hmsg(buf: &[u8], line: &[u8], start: usize, limits: &Limits) -> Result<Body, ProtocolError> {
    let args = Args::split("HMSG", line)?;
    let (subject, sid, reply, headers, total) = match *args.as_slice() {
        [subject, sid, headers, total] => (subject, sid, None, headers, total),
        [subject, sid, reply, headers, total] => (subject, sid, Some(reply), headers, total),
        _ => return Err(args.wrong_count()),
    };
    let sid = args.number(sid)?;
    let (headers, total) = sizes(&args, headers, total, limits)?;
    Ok(Body {
        subject: place(buf, subject),
        reply: reply.map(|reply| place(buf, reply)),
        sid,
        headers: Some(headers),
        total,
        start,
    })
}

/// `PUB subject [reply] size`.
pub(super) fn pub_(buf: &[u8], line: &[u8], start: usize, limits: &Limits) -> Result<Body, ProtocolError> {
    let args = Args::split("PUB", line)?;
    let (subject, reply, size) = match *args.as_slice() {
        [subject, size] => (subject, None, size),
        [subject, reply, size] => (subject, Some(reply), size),
        _ => return Err(args.wrong_count()),
    };
    Ok(Body {
        subject: place(buf, subject),
        reply: reply.map(|reply| place(buf, reply)),
        sid: 0,
        headers: None,
        total: args.size(size, limits.total)?,
        start,
    })
}

/// `HPUB subject [reply] header-size total-size`.
pub(super) fn hpub(buf: &[u8], line: &[u8], start: usize, limits: &Limits) -> Result<Body, ProtocolError> {
    let args = Args::split("HPUB", line)?;
    let (subject, reply, headers, total) = match *args.as_slice() {
        [subject, headers, total] => (subject, None, headers, total),
        [subject, reply, headers, total] => (subject, Some(reply), headers, total),
        _ => return Err(args.wrong_count()),
    };
    let (headers, total) = sizes(&args, headers, total, limits)?;
    Ok(Body {
        subject: place(buf, subject),
        reply: reply.map(|reply| place(buf, reply)),
        sid: 0,
        headers: Some(headers),
        total,
        start,
    })
}

/// The two sizes of HMSG and HPUB: `headers <= total`, both within the limits.
fn sizes(args: &Args<'_>, headers: &[u8], total: &[u8], limits: &Limits) -> Result<(usize, usize), ProtocolError> {
    let headers = args.size(headers, limits.headers)?;
    let total = args.size(total, limits.total)?;
    if headers > total {
        return Err(ProtocolError::HeadersTooLong { headers, total });
    }
    Ok((headers, total))
}

/// `SUB subject [queue] sid`.
pub(super) fn sub(line: &[u8]) -> Result<ClientOp<'_>, ProtocolError> {
    let args = Args::split("SUB", line)?;
    let (subject, queue, sid) = match *args.as_slice() {
        [subject, sid] => (subject, None, sid),
        [subject, queue, sid] => (subject, Some(queue), sid),
        _ => return Err(args.wrong_count()),
    };
    Ok(ClientOp::Sub { subject, queue, sid: args.number(sid)? })
}

/// `UNSUB sid [max]`.
pub(super) fn unsub(line: &[u8]) -> Result<ClientOp<'_>, ProtocolError> {
    let args = Args::split("UNSUB", line)?;
    let (sid, max) = match *args.as_slice() {
        [sid] => (sid, None),
        [sid, max] => (sid, args.number(max).ok()),
        _ => return Err(args.wrong_count()),
    };
    Ok(ClientOp::Unsub { sid: args.number(sid)?, max })
}
