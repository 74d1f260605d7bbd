//! Text from peers: how much of it is kept, and how it is shown to people.
//!
//! What a program compares is kept unchanged. Where people read it (in `Display` of errors and events, in logs, in health), it
//! goes through [`shown`], so that a peer can't draw on a terminal, forge a log line or reverse text.

use core::fmt::{self, Write as _};
use std::borrow::Cow;

/// How many bytes of a foreign text are kept, such as an error of a server. Arbitrary: far more than any server sends.
pub const FOREIGN: usize = 1024;

/// The text, cut to [`FOREIGN`] bytes; a cut text ends with `…` and its original length.
#[must_use]
pub fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= FOREIGN {
        return Cow::Borrowed(text);
    }
    let at = (0..=FOREIGN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(format!("{}… ({} bytes)", text.get(..at).unwrap_or_default(), text.len()))
}

/// The same for an owned text.
#[must_use]
pub fn kept(text: String) -> String {
    if text.len() <= FOREIGN { text } else { cut(&text).into_owned() }
}

/// The text with every character escaped that is invisible or that affects its neighbours: control characters, line and
/// paragraph separators, bidirectional marks, and characters without a width. Applying it twice changes nothing more.
///
/// ```
/// use nats_lifeline::protocol::shown;
///
/// assert_eq!(shown("caf\u{e9} \u{1b}[2J\r\n").to_string(), "caf\u{e9} \\u{1b}[2J\\r\\n");
/// ```
#[must_use]
pub fn shown(text: &str) -> Shown<'_> {
    Shown(text)
}

/// See [`shown`].
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, char)| is_hidden(*char)) {
            f.write_str(rest.get(..at).unwrap_or_default())?;
            hidden.escape_default().try_for_each(|char| f.write_char(char))?;
            rest = rest.get(at + hidden.len_utf8()..).unwrap_or_default();
        }
        f.write_str(rest)
    }
}

fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text in double quotes, with quotes, backslashes and [hidden characters](shown) escaped.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            if is_hidden(char) || matches!(char, '"' | '\\') {
                char.escape_default().try_for_each(|char| f.write_char(char))?;
            } else {
                f.write_char(char)?;
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_at_a_character_and_says_so() {
        assert_eq!(cut("short"), "short");
        let fits = "x".repeat(FOREIGN);
        assert_eq!(cut(&fits), fits);
        let long = "é".repeat(FOREIGN);
        let short = kept(long.clone());
        assert!(short.starts_with(&"é".repeat(FOREIGN / 2)) && short.ends_with("é… (2048 bytes)"), "{short}");
        let odd = kept(format!("x{long}"));
        assert!(odd.ends_with("é… (2049 bytes)") && odd.len() < FOREIGN + 32);
    }

    #[test]
    fn nothing_that_is_hidden_gets_through() {
        for code in 0..=0x10_ffff_u32 {
            let Some(char) = char::from_u32(code) else { continue };
            let text = shown(&format!("a{char}b")).to_string();
            let hidden = text.chars().any(|char| char.is_control() || matches!(char, '\u{2028}'..='\u{202e}'));
            assert!(!hidden, "{char:?} gives {text:?}");
            assert_eq!(shown(&text).to_string(), text, "twice is once");
        }
        assert_eq!(shown("日本 ä 🙂 \"\\").to_string(), "日本 ä 🙂 \"\\");
        let quoted = Quoted("a\u{1b}\u{202e}\"\\").to_string();
        assert_eq!(quoted, "\"a\\u{1b}\\u{202e}\\\"\\\\\"");
    }
}
