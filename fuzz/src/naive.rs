//! A slow parser, written from the rules alone: it reads one byte at a time, copies everything, and is
//! as simple as possible. It shares only the names of errors with the decoder.

use nats_lifeline::protocol::Limits;

use super::owned::Owned;

/// The state of the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    NotYet,
    Op(Owned),
    Bad(&'static str),
}

/// How the bytes after the word are parsed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A server's PING, PONG and +OK: blanks, and the end of the line.
    Bare,
    /// Arguments or text; a blank or the end of the line must follow the word.
    Apart,
    /// The same, but anything may follow the word.
    Glued,
}

const SERVER: [(&str, Form); 7] = [
    ("INFO", Form::Apart),
    ("MSG", Form::Apart),
    ("HMSG", Form::Apart),
    ("PING", Form::Bare),
    ("PONG", Form::Bare),
    ("+OK", Form::Bare),
    ("-ERR", Form::Apart),
];

const CLIENT: [(&str, Form); 7] = [
    ("CONNECT", Form::Glued),
    ("PUB", Form::Apart),
    ("HPUB", Form::Apart),
    ("SUB", Form::Apart),
    ("UNSUB", Form::Apart),
    ("PING", Form::Glued),
    ("PONG", Form::Glued),
];

enum State {
    /// Collecting the word.
    Word,
    /// Collecting the rest of the line.
    Line(&'static str, Form),
    /// This many bytes of the body are missing.
    Body(Owned, usize),
    /// The body must be followed by CR, and then by LF.
    Cr(Owned),
    Lf(Owned),
}

pub(super) struct NaiveParser {
    words: [(&'static str, Form); 7],
    limits: Limits,
    state: State,
    /// The bytes of the line, its word included.
    line: Vec<u8>,
    /// The length of the body's header block.
    block: usize,
}

impl NaiveParser {
    pub(super) fn server(limits: Limits) -> Self {
        Self { words: SERVER, limits, state: State::Word, line: Vec::new(), block: 0 }
    }

    pub(super) fn client(limits: Limits) -> Self {
        Self { words: CLIENT, ..Self::server(limits) }
    }

    /// Takes the next byte.
    pub(super) fn push(&mut self, byte: u8) -> Verdict {
        match std::mem::replace(&mut self.state, State::Word) {
            State::Word => self.push_word(byte),
            State::Line(word, form) => self.push_line(word, form, byte),
            State::Body(mut op, missing) => {
                op.payload.push(byte);
                self.state = if missing == 1 { State::Cr(op) } else { State::Body(op, missing - 1) };
                Verdict::NotYet
            }
            State::Cr(op) if byte == b'\r' => {
                self.state = State::Lf(op);
                Verdict::NotYet
            }
            State::Lf(mut op) if byte == b'\n' => {
                if let Some(headers) = &mut op.headers {
                    let payload = op.payload.split_off(self.block);
                    *headers = std::mem::replace(&mut op.payload, payload);
                }
                Verdict::Op(op)
            }
            State::Cr(_) | State::Lf(_) => Verdict::Bad("bad_payload_end"),
        }
    }

    fn push_word(&mut self, byte: u8) -> Verdict {
        // Outside of a word, words end at a separator, which belongs to the line.
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            let known = self.words.into_iter().find(|(name, _)| name.as_bytes() == self.line.to_ascii_uppercase());
            return match known {
                Some((word, form)) => self.push_line(word, form, byte),
                None => Verdict::Bad("unknown_op"),
            };
        }
        self.line.push(byte);
        let upper = self.line.to_ascii_uppercase();
        let mut may_become = false;
        for (name, form) in self.words {
            if name.as_bytes() == upper && form != Form::Apart {
                self.state = State::Line(name, form);
                return self.too_long();
            }
            may_become |= name.as_bytes().starts_with(&upper);
        }
        if may_become { Verdict::NotYet } else { Verdict::Bad("unknown_op") }
    }

    /// The limit applies to the line without its LF.
    fn too_long(&self) -> Verdict {
        if self.line.len() > self.limits.line { Verdict::Bad("line_too_long") } else { Verdict::NotYet }
    }

    fn push_line(&mut self, word: &'static str, form: Form, byte: u8) -> Verdict {
        if byte != b'\n' {
            let after_cr = self.line.last() == Some(&b'\r');
            self.line.push(byte);
            if form == Form::Bare && after_cr {
                return Verdict::Bad("trailing_junk");
            }
            let verdict = self.too_long();
            if verdict == Verdict::NotYet && form == Form::Bare && !matches!(byte, b' ' | b'\t' | b'\r') {
                return Verdict::Bad("trailing_junk");
            }
            self.state = State::Line(word, form);
            return verdict;
        }
        if self.too_long() != Verdict::NotYet {
            return self.too_long();
        }
        let mut line = std::mem::take(&mut self.line).split_off(word.len());
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        match self.end_of_line(word, &line) {
            Err(error) => Verdict::Bad(error),
            Ok(None) => Verdict::NotYet,
            Ok(Some(op)) => Verdict::Op(op),
        }
    }

    /// `None`: a body follows.
    fn end_of_line(&mut self, word: &'static str, line: &[u8]) -> Result<Option<Owned>, &'static str> {
        let mut op = Owned::new(word, b"");
        match word {
            "PING" | "PONG" | "+OK" => return Ok(Some(op)),
            "INFO" | "CONNECT" => {
                op.text = trimmed(line);
                return if op.text.is_empty() { Err("bad_args") } else { Ok(Some(op)) };
            }
            "-ERR" => {
                op.text = trimmed(line);
                if op.text.len() > 1 && op.text.starts_with(b"'") && op.text.ends_with(b"'") {
                    op.text = op.text[1..op.text.len() - 1].to_vec();
                }
                return Ok(Some(op));
            }
            _ => {}
        }
        let mut args: Vec<&[u8]> = Vec::new();
        for token in line.split(|byte| matches!(byte, b' ' | b'\t')) {
            if !token.is_empty() {
                args.push(token);
            }
        }
        if line.contains(&b'\r') {
            return Err("bad_args");
        }
        let shape: &[&str] = match (word, args.len()) {
            ("MSG", 3) => &["subject", "sid", "total"],
            ("MSG", 4) => &["subject", "sid", "second", "total"],
            ("HMSG", 4) => &["subject", "sid", "headers", "total"],
            ("HMSG", 5) => &["subject", "sid", "second", "headers", "total"],
            ("PUB", 2) => &["subject", "total"],
            ("PUB", 3) => &["subject", "second", "total"],
            ("HPUB", 3) => &["subject", "headers", "total"],
            ("HPUB", 4) => &["subject", "second", "headers", "total"],
            ("SUB", 2) => &["subject", "sid"],
            ("SUB", 3) => &["subject", "second", "sid"],
            ("UNSUB", 1) => &["sid"],
            ("UNSUB", 2) => &["sid", "max"],
            _ => return Err("bad_args"),
        };
        let (mut headers, mut total) = (None, None);
        for (what, arg) in shape.iter().zip(args) {
            match *what {
                "subject" => op.text = arg.to_vec(),
                "second" => op.second = Some(arg.to_vec()),
                "sid" => op.sid = number(arg)?,
                "max" => op.max = number(arg).ok(),
                "headers" => headers = Some(size(arg, self.limits.headers)?),
                _ => total = Some(size(arg, self.limits.total)?),
            }
        }
        let Some(total) = total else { return Ok(Some(op)) };
        if headers.is_some_and(|headers| headers > total) {
            return Err("headers_too_long");
        }
        self.block = headers.unwrap_or(0);
        op.headers = headers.map(|_| Vec::new());
        self.state = if total == 0 { State::Cr(op) } else { State::Body(op, total) };
        Ok(None)
    }
}

fn trimmed(line: &[u8]) -> Vec<u8> {
    let mut line = line.to_vec();
    while matches!(line.last(), Some(b' ' | b'\t')) {
        line.pop();
    }
    while matches!(line.first(), Some(b' ' | b'\t')) {
        line.remove(0);
    }
    line
}

fn number(digits: &[u8]) -> Result<u64, &'static str> {
    let text = core::str::from_utf8(digits).map_err(|_| "bad_number")?;
    if text.is_empty() || text.chars().any(|digit| !digit.is_ascii_digit()) {
        return Err("bad_number");
    }
    let significant = text.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    significant.parse().map_err(|_| "number_overflow")
}

fn size(digits: &[u8], limit: usize) -> Result<usize, &'static str> {
    let size = number(digits)?;
    if size > limit as u64 { Err("too_large") } else { Ok(size as usize) }
}
