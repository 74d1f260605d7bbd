//! Inherent methods of async-nats's types that this crate adds.
//!
//! An inherent method takes precedence over a trait's, so each name that we add hides that name in the extension traits
//! of programs that were written for async-nats.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::{Token, tokens};

/// Names by type.
pub(crate) type Names = BTreeMap<String, BTreeSet<String>>;

/// The public inherent functions in `source`, by the type that has them.
pub(crate) fn inherent(source: &str, names: &mut Names) {
    let tokens = tokens(source);
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].is("impl") {
            at = one_block(&tokens, at + 1, names);
        } else {
            at += 1;
        }
    }
}

/// Reads the block whose header begins at `start`; returns where to continue.
fn one_block(tokens: &[Token], start: usize, names: &mut Names) -> usize {
    let Some(length) = tokens[start..].iter().position(|token| token.is("{") || token.is(";")) else {
        return tokens.len();
    };
    let body = start + length;
    let Some(owner) = owner(&tokens[start..body]) else { return body };
    let (mut depth, mut at) = (0, body);
    while at < tokens.len() {
        depth += i32::from(tokens[at].is("{")) - i32::from(tokens[at].is("}"));
        if depth == 0 {
            break;
        }
        if depth == 1 && tokens[at].is("pub") {
            if let Some(name) = public_function(&tokens[at + 1..]) {
                names.entry(owner.to_owned()).or_default().insert(name.to_owned());
            }
        }
        at += 1;
    }
    at
}

/// The type of an `impl` without a trait.
fn owner(header: &[Token]) -> Option<&str> {
    let (mut depth, mut owner) = (0, None);
    for token in header {
        if token.is("<") {
            depth += 1;
        } else if token.is(">") {
            depth -= 1;
        } else if depth == 0 {
            match token.word() {
                Some("for") => return None,
                Some("where") => break,
                Some(word) => owner = Some(word),
                None => {}
            }
        }
    }
    owner
}

/// The name of the function that is declared after `pub`.
fn public_function(tokens: &[Token]) -> Option<&str> {
    let modifiers = tokens.iter().take_while(|token| ["const", "async", "unsafe"].iter().any(|word| token.is(word)));
    let [word, name, ..] = &tokens[modifiers.count()..] else { return None };
    if word.is("fn") { name.word() } else { None }
}

/// The lines `Type key: name name …` of a list beside this file; `#` begins a comment.
pub(crate) fn listed(list: &str) -> impl Iterator<Item = (&str, &str, BTreeSet<&str>)> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (head, names) = line.rsplit_once(':').unwrap_or_else(|| panic!("no colon in {line:?}"));
        let (owner, key) = head.split_once(' ').unwrap_or_else(|| panic!("no key in {line:?}"));
        (owner, key, names.split_whitespace().collect())
    })
}
