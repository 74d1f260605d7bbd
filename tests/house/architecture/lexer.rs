//! Rust source → tokens: just enough to look at code without its comments, strings and documentation.

/// One token and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword, or the digits of a number; of `r#type` it is `type`.
    Word(String),
    /// `'a`, `'static`.
    Lifetime,
    /// A string, character or byte literal. What is in it is no code.
    Literal,
    /// `::`, `&&`, `=>`, `->`, or any other single character.
    Mark(&'static str),
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Word(word) => word == text,
            Kind::Mark(mark) => *mark == text,
            Kind::Lifetime | Kind::Literal => false,
        }
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The tokens of `source`; comments, documentation included, and blanks are gone.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1, tokens: Vec::new() };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        let first = rest.chars().next().unwrap();
        if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else if rest.starts_with("//") {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.skip(block_comment(rest));
        } else if let Some(length) = raw_string(rest) {
            self.push(length, Kind::Literal);
        } else if let Some(length) = quoted(rest) {
            self.push(length, Kind::Literal);
        } else if first == '\'' {
            let length = 1 + word_length(&rest[1..]);
            self.push(length, Kind::Lifetime);
        } else if let Some(name) = rest.strip_prefix("r#").filter(|name| word_length(name) > 0) {
            let length = word_length(name);
            self.push(2 + length, Kind::Word(name[..length].to_owned()));
        } else if word_length(rest) > 0 {
            let length = word_length(rest);
            self.push(length, Kind::Word(rest[..length].to_owned()));
        } else {
            let mark = ["::", "&&", "=>", "->"].into_iter().find(|mark| rest.starts_with(mark));
            let mark = mark.unwrap_or_else(|| single(first));
            self.push(if mark.len() == 2 { 2 } else { first.len_utf8() }, Kind::Mark(mark));
        }
    }

    fn push(&mut self, length: usize, kind: Kind) {
        self.tokens.push(Token { line: self.line, kind });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

fn single(mark: char) -> &'static str {
    const MARKS: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    MARKS.find(mark).map_or("?", |at| &MARKS[at..=at])
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The length of the comment that `text` begins with. They nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(mark) = text[at..].find(['/', '*']) {
        at += mark;
        match text.as_bytes().get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the raw string that `text` begins with, as `r#"…"#`, `br"…"` or `cr"…"`.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| text.strip_prefix(prefix).is_some_and(|after| after.trim_start_matches('#').starts_with('"')))?;
    let hashes = text[prefix.len()..].find('"')?;
    let begin = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

/// The length of the string or character literal that `text` begins with, with its prefix. A `'` that begins a
/// lifetime is none.
fn quoted(text: &str) -> Option<usize> {
    let prefix = if text.starts_with(['b', 'c']) { 1 } else { 0 };
    let mut chars = text[prefix..].char_indices();
    let (_, quote) = chars.next()?;
    match quote {
        '"' => {}
        // `'a'` and `'\n'` are characters, `'a` is a lifetime.
        '\'' => {
            let mut ahead = text[prefix + 1..].chars();
            let first = ahead.next()?;
            if first != '\\' && ahead.next() != Some('\'') {
                return None;
            }
        }
        _ => return None,
    }
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(prefix + at + 1);
        }
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        let shown = tokens(source).into_iter().map(|token| match token.kind {
            Kind::Word(word) => word,
            Kind::Lifetime => "'_".to_owned(),
            Kind::Literal => "\"\"".to_owned(),
            Kind::Mark(mark) => mark.to_owned(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_documentation_are_not_code() {
        assert_eq!(shown("a // tokio\n/// tokio\n//! tokio\nb"), "a b");
        assert_eq!(shown("a /* tokio /* nested */ still */ b /** doc */ c"), "a b c");
        assert_eq!(shown("a /* never closed tokio"), "a");
    }

    #[test]
    fn literals_are_not_code() {
        assert_eq!(shown(r#"f("tokio \" // no comment", 'x', '\'', b'"', b"\"")"#), r#"f ( "" , "" , "" , "" , "" )"#);
        assert_eq!(shown(r###"r"tokio\" r#"a "quoted" b"# br##"x"# y"## z"###), r#""" "" "" z"#);
        assert_eq!(shown("'\"' tokio '\"'"), "\"\" tokio \"\"", "a quote as a character opens no string");
        assert_eq!(shown("'é' '字'"), "\"\" \"\"");
    }

    #[test]
    fn lifetimes_are_not_characters() {
        assert_eq!(shown("fn f<'a>(x: &'a str, c: char) { 'x' }"), "fn f < '_ > ( x : & '_ str , c : char ) { \"\" }");
        assert_eq!(shown("&'static str"), "& '_ str");
    }

    #[test]
    fn paths_and_raw_names() {
        assert_eq!(shown("use ::std::net;"), "use :: std :: net ;");
        assert_eq!(shown("r#type r#tokio::x a&&b"), "type tokio :: x a && b");
        assert_eq!(shown("0..=255u8 1.5e3"), "0 . . = 255u8 1 . 5e3");
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let lines = |source| tokens(source).into_iter().map(|token| token.line).collect::<Vec<_>>();
        assert_eq!(lines("a\n/* \n */ b\n\"x\ny\" c\r\nd"), [1, 3, 4, 5, 6]);
    }
}
