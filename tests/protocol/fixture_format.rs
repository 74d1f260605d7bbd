//! Reads the files of `protocol-fixtures/`; their README defines the format.

use crate::wire::{Body, Op, Side};
use nats_lifeline::protocol::Limits;
use std::path::{Path, PathBuf};

/// One case of a file.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) side: Side,
    pub(crate) limits: Limits,
    pub(crate) input: Vec<u8>,
    pub(crate) chunks: Vec<Vec<usize>>,
    pub(crate) ops: Vec<Expected>,
    /// `clean`, `need_more` or the name of an error.
    pub(crate) end: String,
    pub(crate) both: bool,
    /// A check of a program's input, and its outcome.
    pub(crate) check: Option<(Check, String)>,
}

/// An operation, and the meaning of its header block. The block's bytes come from the input.
pub(crate) struct Expected {
    pub(crate) op: Op,
    pub(crate) block_len: Option<usize>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) status: Option<u16>,
    pub(crate) description: Option<Vec<u8>>,
    pub(crate) malformed: Option<String>,
}

/// One line of `client/refused.txt`.
pub(crate) enum Check {
    PublishSubject(Vec<u8>),
    SubscribeSubject(Vec<u8>),
    Queue(Vec<u8>),
    HeaderName(Vec<u8>),
    HeaderValue(Vec<u8>),
    ControlLine { subject: usize, headers: Option<usize>, payload: usize },
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-fixtures")
}

fn names_in(folder: &Path, of_folders: bool) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<_> = entries
        .filter(|entry| entry.path().is_dir() == of_folders)
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The folders of this format. JetStream's has another one, and tests of its own.
pub(crate) fn folders() -> Vec<String> {
    let all = names_in(&root(), true).into_iter();
    all.filter(|folder| folder != "jetstream").collect()
}

/// The files of one folder.
pub(crate) fn files_of(folder: &str) -> Vec<String> {
    names_in(&root().join(folder), false)
}

/// All cases of one folder, by file.
pub(crate) fn read_folder(folder: &str, side: Side) -> Vec<Case> {
    files_of(folder).into_iter().flat_map(|file| read_file(&format!("{folder}/{file}"), side)).collect()
}

/// The cases of one file, `folder/name.txt`.
pub(crate) fn read_file(file: &str, side: Side) -> Vec<Case> {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let stem = Path::new(file).file_stem().unwrap().to_string_lossy();
    let mut cases = Vec::new();
    for (number, line) in text.lines().enumerate() {
        read_line(&mut cases, side, &stem, line).unwrap_or_else(|| panic!("{file} line {}: {line}", number + 1));
    }
    cases
}

fn read_line(cases: &mut Vec<Case>, side: Side, stem: &str, line: &str) -> Option<()> {
    if line.is_empty() || line.starts_with('#') {
        return Some(());
    }
    let (word, rest) = line.trim_start().split_once(' ').unwrap_or((line, ""));
    if word == "case" {
        cases.push(Case {
            name: format!("{stem}/{rest}"),
            side,
            limits: Limits::default(),
            input: Vec::new(),
            chunks: Vec::new(),
            ops: Vec::new(),
            end: String::new(),
            both: false,
            check: None,
        });
        return Some(());
    }
    let case = cases.last_mut()?;
    if line.starts_with("  ") {
        return block_line(case.ops.last_mut()?, word, rest);
    }
    match word {
        "note" | "policy" | "server" | "<" => {}
        "limits" => case.limits.line = rest.strip_prefix("line=")?.parse().ok()?,
        ">" => case.input.extend(Cursor(rest).text()?),
        "chunks" => case.chunks.push(rest.split(' ').map(|n| n.parse().ok()).collect::<Option<_>>()?),
        "=" => case.ops.push(operation(rest)?),
        "end" => case.end = rest.strip_prefix("error ").unwrap_or(rest).to_owned(),
        "both" => case.both = true,
        "accepted" => case.check.as_mut()?.1 = "accepted".to_owned(),
        "refused" => case.check.as_mut()?.1 = rest.to_owned(),
        _ => case.check = Some((check(word, rest)?, String::new())),
    }
    Some(())
}

fn block_line(expected: &mut Expected, word: &str, rest: &str) -> Option<()> {
    let mut cursor = Cursor(rest);
    match word {
        "header" => expected.headers.push((cursor.text()?, cursor.text()?)),
        "status" => expected.status = Some(rest.parse().ok()?),
        "description" => expected.description = Some(cursor.text()?),
        "malformed" => expected.malformed = Some(rest.to_owned()),
        _ => return None,
    }
    Some(())
}

fn check(word: &str, rest: &str) -> Option<Check> {
    if word == "control_line" {
        let mut cursor = Cursor(rest);
        return Some(Check::ControlLine {
            subject: cursor.number("subject")?,
            headers: cursor.number("headers"),
            payload: cursor.number("payload")?,
        });
    }
    let text = Cursor(rest).text()?;
    Some(match word {
        "publish_subject" => Check::PublishSubject(text),
        "subscribe_subject" => Check::SubscribeSubject(text),
        "queue" => Check::Queue(text),
        "header_name" => Check::HeaderName(text),
        "header_value" => Check::HeaderValue(text),
        _ => return None,
    })
}

fn operation(line: &str) -> Option<Expected> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut cursor = Cursor(rest);
    let mut block_len = None;
    let op = match word {
        "PING" => Op::Ping,
        "PONG" => Op::Pong,
        "+OK" => Op::Ok,
        "-ERR" => Op::Err(cursor.field("text")?),
        "INFO" => Op::Info(cursor.field("json")?),
        "CONNECT" => Op::Connect(cursor.field("json")?),
        "SUB" => Op::Sub(cursor.field("subject")?, cursor.field("queue"), cursor.number("sid")?),
        "UNSUB" => Op::Unsub(cursor.number("sid")?, cursor.number("max")),
        "MSG" | "HMSG" | "PUB" | "HPUB" => {
            let subject = cursor.field("subject")?;
            let sid = if word.ends_with("MSG") { Some(cursor.number("sid")?) } else { None };
            let reply = cursor.field("reply");
            if word.starts_with('H') {
                block_len = Some(cursor.number("headers")?);
            }
            let body = Body { subject, reply, headers: None, payload: cursor.field("payload")? };
            match sid {
                Some(sid) => Op::Msg(sid, body),
                None => Op::Pub(body),
            }
        }
        _ => return None,
    };
    let expected = Expected { op, block_len, headers: Vec::new(), status: None, description: None, malformed: None };
    cursor.0.trim().is_empty().then_some(expected)
}

/// Reads values from the front of a line.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// `name="…"`, if it is next.
    fn field(&mut self, name: &str) -> Option<Vec<u8>> {
        self.0 = self.name(name)?;
        self.text()
    }

    /// `name=N`, if it is next.
    fn number<T: std::str::FromStr>(&mut self, name: &str) -> Option<T> {
        let rest = self.name(name)?;
        let end = rest.find(' ').unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        self.0 = rest;
        number.parse().ok()
    }

    fn name(&self, name: &str) -> Option<&'a str> {
        self.0.trim_start().strip_prefix(name)?.strip_prefix('=')
    }

    /// `"…"`, possibly `* N`.
    fn text(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut rest = self.0.trim_start().strip_prefix('"')?.chars();
        loop {
            match rest.next()? {
                '"' => break,
                '\\' => bytes.push(match rest.next()? {
                    'r' => b'\r',
                    'n' => b'\n',
                    't' => b'\t',
                    'x' => {
                        let hex: String = rest.by_ref().take(2).collect();
                        u8::from_str_radix(&hex, 16).ok()?
                    }
                    same @ ('"' | '\\') => same as u8,
                    _ => return None,
                }),
                plain => bytes.push(u8::try_from(plain).ok().filter(u8::is_ascii)?),
            }
        }
        let rest = rest.as_str();
        match rest.trim_start().strip_prefix('*') {
            None => self.0 = rest,
            Some(count) => {
                let count = count.trim_start();
                let end = count.find(' ').unwrap_or(count.len());
                let times: usize = count[..end].parse().ok()?;
                bytes = bytes.repeat(times);
                self.0 = &count[end..];
            }
        }
        Some(bytes)
    }
}
