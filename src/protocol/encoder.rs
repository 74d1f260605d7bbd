//! Operations → bytes, appended to a buffer. Free functions, both directions.
//!
//! Nothing is checked here: subjects, queue names and header blocks were checked when their types were made (see
//! `subject_rules` and `headers`), and lengths are known exactly in advance, so a caller compares them with its limits *before*
//! encoding.

use super::connect::ConnectInfo;

const CRLF: &[u8] = b"\r\n";

/// Length in bytes of the whole frame that [`publish`] writes for parts of these lengths.
///
/// `headers` is the length of the header block: `Some` makes it an `HPUB`.
#[must_use]
#[inline(always)]
pub fn publish_len(subject: usize, reply: Option<usize>, headers: Option<usize>, payload: usize) -> usize {
    let word = if headers.is_some() { 5 } else { 4 };
    let body = headers.unwrap_or(0) + payload;
    word + publish_args_len(subject, reply, headers, payload) + 2 + body + 2
}

/// Length in bytes of what counts towards the server's `max_control_line` in the frame that [`publish`] writes: the arguments
/// only, neither the word nor the line end (observed: 4,096 bytes of arguments pass, 4,097 close the connection).
#[must_use]
#[inline(always)]
pub fn publish_args_len(subject: usize, reply: Option<usize>, headers: Option<usize>, payload: usize) -> usize {
    let reply = reply.map_or(0, |reply| reply + 1);
    let sizes = match headers {
        None => digits(payload as u64),
        Some(headers) => digits(headers as u64) + 1 + digits((headers + payload) as u64),
    };
    subject + 1 + reply + sizes
}

/// Appends everything of a `PUB` or `HPUB` before the payload: the control line and the header block. The caller adds `payload`
/// bytes and CR LF.
#[inline(always)]
pub fn publish_head(out: &mut Vec<u8>, subject: &[u8], reply: Option<&[u8]>, headers: Option<&[u8]>, payload: usize) {
    out.extend_from_slice(if headers.is_some() { b"HPUB " } else { b"PUB " });
    out.extend_from_slice(subject);
    if let Some(reply) = reply {
        out.push(b' ');
        out.extend_from_slice(reply);
    }
    match headers {
        None => size_and_line_end(out, payload),
        Some(headers) => {
            out.push(b' ');
            sizes_and_block(out, Some(headers), payload);
        }
    }
}

/// Appends a blank, `size` and CR LF. Every publish comes through here, so the common sizes are arrays of known length, which
/// need no call to a copying routine.
#[inline(always)]
fn size_and_line_end(out: &mut Vec<u8>, size: usize) {
    let digit = |unit: usize| b'0' + (size / unit % 10) as u8;
    match size {
        0..=9 => out.extend_from_slice(&[b' ', digit(1), b'\r', b'\n']),
        10..=99 => out.extend_from_slice(&[b' ', digit(10), digit(1), b'\r', b'\n']),
        100..=999 => out.extend_from_slice(&[b' ', digit(100), digit(10), digit(1), b'\r', b'\n']),
        1000..=9999 => {
            out.extend_from_slice(&[b' ', digit(1000), digit(100), digit(10), digit(1), b'\r', b'\n']);
        }
        _ => {
            out.push(b' ');
            long_number(out, size as u64);
            out.extend_from_slice(CRLF);
        }
    }
}

/// Appends a whole `PUB` frame, or `HPUB` if there is a header block (also an empty one).
///
/// ```
/// use nats_lifeline::protocol::{publish, publish_len};
///
/// let mut out = Vec::new();
/// publish(&mut out, b"foo", Some(b"r.1"), None, b"hi");
/// assert_eq!(out, b"PUB foo r.1 2\r\nhi\r\n");
/// assert_eq!(out.len(), publish_len(3, Some(3), None, 2));
/// ```
#[inline(always)]
pub fn publish(out: &mut Vec<u8>, subject: &[u8], reply: Option<&[u8]>, headers: Option<&[u8]>, payload: &[u8]) {
    publish_head(out, subject, reply, headers, payload.len());
    out.extend_from_slice(payload);
    out.extend_from_slice(CRLF);
}

/// Appends `SUB subject [queue] sid`.
pub fn subscribe(out: &mut Vec<u8>, subject: &[u8], queue: Option<&[u8]>, sid: u64) {
    out.extend_from_slice(b"SUB ");
    out.extend_from_slice(subject);
    if let Some(queue) = queue {
        out.push(b' ');
        out.extend_from_slice(queue);
    }
    last_number(out, sid);
}

/// Appends `UNSUB sid [max]`: without `max` the subscription ends now, with it after this many
/// messages in all on this connection.
pub fn unsubscribe(out: &mut Vec<u8>, sid: u64, max: Option<u64>) {
    out.extend_from_slice(b"UNSUB ");
    number(out, sid);
    if let Some(max) = max {
        out.push(b' ');
        number(out, max);
    }
    out.extend_from_slice(CRLF);
}

/// Appends `PING`.
pub fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PING\r\n");
}

/// Appends `PONG`.
pub fn pong(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PONG\r\n");
}

/// Appends `CONNECT {json}`. The JSON counts towards the server's `max_control_line`, so fields without a value are left out.
pub fn connect(out: &mut Vec<u8>, connect: &ConnectInfo) {
    out.extend_from_slice(b"CONNECT ");
    let start = out.len();
    if serde_json::to_writer(&mut *out, connect).is_err() {
        // Strings, booleans and a number in memory: serde_json has no error for them. If that ever changes, an empty document
        // is one that a server refuses cleanly.
        out.truncate(start);
        out.extend_from_slice(b"{}");
    }
    out.extend_from_slice(CRLF);
}

/// Appends `INFO {json}`, with the blank before the line end that servers write.
pub fn info(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(b"INFO ");
    out.extend_from_slice(json);
    out.extend_from_slice(b" \r\n");
}

/// Appends a whole `MSG` frame, or `HMSG` if there is a header block (also an empty one).
pub fn message(
    out: &mut Vec<u8>,
    subject: &[u8],
    sid: u64,
    reply: Option<&[u8]>,
    headers: Option<&[u8]>,
    payload: &[u8],
) {
    out.extend_from_slice(if headers.is_some() { b"HMSG " } else { b"MSG " });
    out.extend_from_slice(subject);
    out.push(b' ');
    number(out, sid);
    out.push(b' ');
    if let Some(reply) = reply {
        out.extend_from_slice(reply);
        out.push(b' ');
    }
    sizes_and_block(out, headers, payload.len());
    out.extend_from_slice(payload);
    out.extend_from_slice(CRLF);
}

/// Appends `+OK`.
pub fn ok(out: &mut Vec<u8>) {
    out.extend_from_slice(b"+OK\r\n");
}

/// Appends `-ERR 'text'`. The text must not contain a line end; quotes in it are written as they are, as servers do.
pub fn err(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"-ERR '");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"'\r\n");
}

/// `size CRLF`, or `header-size total-size CRLF block`.
#[inline]
fn sizes_and_block(out: &mut Vec<u8>, headers: Option<&[u8]>, payload: usize) {
    if let Some(block) = headers {
        number(out, block.len() as u64);
        out.push(b' ');
        number(out, (block.len() + payload) as u64);
        out.extend_from_slice(CRLF);
        out.extend_from_slice(block);
    } else {
        number(out, payload as u64);
        out.extend_from_slice(CRLF);
    }
}

/// How many decimal digits `value` has.
#[inline(always)]
fn digits(value: u64) -> usize {
    match value {
        0..=9 => 1,
        10..=99 => 2,
        100..=999 => 3,
        1000..=9999 => 4,
        _ => value.checked_ilog10().map_or(1, |log| log as usize + 1),
    }
}

/// Appends `value` in decimal digits, without allocating more than the buffer needs.
#[inline]
fn number(out: &mut Vec<u8>, value: u64) {
    if value < 10 {
        out.push(b'0' + value as u8);
    } else if value < 100 {
        out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
    } else {
        long_number(out, value);
    }
}

/// Appends a blank, `value` in decimal digits and the line end: one step, because a replay has 100,000 of these.
#[inline]
fn last_number(out: &mut Vec<u8>, value: u64) {
    // Room for the 20 digits of u64::MAX.
    let mut text = *b"                     \r\n";
    let used = 1 + digits_backwards(text.iter_mut().rev().skip(CRLF.len()), value) + CRLF.len();
    out.extend_from_slice(text.get(text.len() - used..).unwrap_or(&[]));
}

fn long_number(out: &mut Vec<u8>, value: u64) {
    // u64::MAX has 20 digits.
    let mut text = [b'0'; 20];
    let used = digits_backwards(text.iter_mut().rev(), value);
    out.extend_from_slice(text.get(text.len() - used..).unwrap_or(&[]));
}

/// Writes `value` in decimal digits into `places`, the last digit first. Returns how many it has.
#[inline(always)]
fn digits_backwards<'a>(places: impl Iterator<Item = &'a mut u8>, mut value: u64) -> usize {
    let mut used = 0;
    for place in places {
        *place = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_is_the_same_for_subjects_of_every_length() {
        let text: Vec<u8> = (0..50).map(|n| b'a' + n % 26).collect();
        let sids = (0..20).map(|power| 10_u64.pow(power)).flat_map(|sid| [sid - 1, sid, sid + 1]).chain([u64::MAX]);
        for (len, sid) in sids.flat_map(|sid| (1..50).map(move |len| (len, sid))) {
            let subject = std::str::from_utf8(&text[..len]).unwrap();
            for queue in [None, Some("group")] {
                let mut out = b"before".to_vec();
                subscribe(&mut out, subject.as_bytes(), queue.map(str::as_bytes), sid);
                let group = queue.map_or(String::new(), |queue| format!("{queue} "));
                assert_eq!(String::from_utf8(out).unwrap(), format!("beforeSUB {subject} {group}{sid}\r\n"));
            }
        }
    }
}
