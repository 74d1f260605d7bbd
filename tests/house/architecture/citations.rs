//! Citations: where a text names a rule of `docs/`, and which one. `docs/README.md` has the convention.

use std::fmt;

/// The name of a row in `docs/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// `D15`, `S40`, `P7`, `N16`, `I2`, `J1`.
    Rule(char, u32),
    /// `scenario 56`.
    Scenario(u32),
    /// `promise 3`.
    Promise(u32),
    /// `fault A1`.
    Fault(char, u32),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Rule(letter, number) => write!(f, "{letter}{number}"),
            Name::Scenario(number) => write!(f, "scenario {number}"),
            Name::Promise(number) => write!(f, "promise {number}"),
            Name::Fault(letter, number) => write!(f, "fault {letter}{number}"),
        }
    }
}

/// Letters of rules that are cited by their name alone.
pub(crate) const RULES: &str = "DIJNPS";

/// Letters of faults. `D`, `I` and `J` are letters of both, so a fault is cited with its kind.
pub(crate) const FAULTS: &str = "ABCDEFGHIJ";

/// The citations in a text.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Cited {
    /// Line, counted from 1, and name.
    pub(crate) names: Vec<(usize, Name)>,
    /// Line and word: text that looks like a fault's name but is not marked as one.
    pub(crate) bare: Vec<(usize, String)>,
}

/// All citations in `text`. A citation does not continue on the next line: `scenarios 10,` and `// 57` do not belong
/// together.
pub(crate) fn cited(text: &str) -> Cited {
    let mut found = Cited::default();
    for (line, text) in (1..).zip(text.lines()) {
        cited_in_line(line, text, &mut found);
    }
    found
}

/// The kind of the names in a list.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Rule,
    Scenario,
    Promise,
    Fault,
}

fn cited_in_line(line: usize, text: &str, found: &mut Cited) {
    let mut kind = Kind::Rule;
    for (gap, word) in words(text) {
        // A kind applies to its list: `faults B2, B3 and C1`. Anything else between two words ends the list.
        if kind != Kind::Rule && !matches!(gap.trim(), "" | "," | "-" | "–") {
            kind = Kind::Rule;
        }
        match word.to_lowercase().as_str() {
            "scenario" | "scenarios" => kind = Kind::Scenario,
            "promise" | "promises" => kind = Kind::Promise,
            "fault" | "faults" => kind = Kind::Fault,
            "and" | "to" if kind != Kind::Rule => {}
            _ => match (kind, lettered(word), number(word)) {
                (Kind::Scenario, _, Some(number)) => found.names.push((line, Name::Scenario(number))),
                (Kind::Promise, _, Some(number)) => found.names.push((line, Name::Promise(number))),
                (Kind::Fault, Some((letter, number)), _) if FAULTS.contains(letter) => {
                    found.names.push((line, Name::Fault(letter, number)));
                }
                (_, name, _) => {
                    kind = Kind::Rule;
                    match name {
                        Some((letter, number)) if RULES.contains(letter) => {
                            found.names.push((line, Name::Rule(letter, number)));
                        }
                        Some((letter, _)) if FAULTS.contains(letter) => found.bare.push((line, word.to_owned())),
                        _ => {}
                    }
                }
            },
        }
    }
}

/// The words of a line, each with the text before it. `%C3` and `x_S1` are words, but not names.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '%';
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(part)?;
        let length = rest[start..].find(|c| !part(c)).unwrap_or(rest.len() - start);
        let (gap, word) = (&rest[..start], &rest[start..start + length]);
        rest = &rest[start + length..];
        Some((gap, word))
    })
}

/// `D15`, `A1`: a capital letter and a number without leading zeros.
pub(crate) fn lettered(word: &str) -> Option<(char, u32)> {
    let letter = word.chars().next().filter(char::is_ascii_uppercase)?;
    Some((letter, number(&word[1..])?))
}

fn number(word: &str) -> Option<u32> {
    let digits = (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| digits && !word.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn names(text: &str, expected: &[&str]) {
        let found: Vec<String> = cited(text).names.iter().map(|(_, name)| name.to_string()).collect();
        assert_eq!(found, expected, "in {text:?}");
    }

    #[test]
    fn rules_are_cited_by_their_name_and_other_rows_with_their_kind() {
        names("/// One loop (D3, D28). I1-I5", &["D3", "D28", "I1", "I5"]);
        names("// Scenarios 10, 57, D14", &["scenario 10", "scenario 57", "D14"]);
        names("// Scenario 5, S25: 3 times", &["scenario 5", "S25"]);
        names("// Promise 3, fault D1; D2", &["promise 3", "fault D1", "D2"]);
        names("// Faults B2, B3 and C1: D9", &["fault B2", "fault B3", "fault C1", "D9"]);
        names("\"I3: message {number}\" `S40`", &["I3", "S40"]);
    }

    #[test]
    fn other_text_is_not_taken_for_a_name() {
        names("D D155 D05 xD1 D1x D_1 %D1 d1 S1_1 scenario of 3 a fault in 2 promises", &[]);
        assert_eq!(cited("// A1\n// %C3 C1x Z1 fault C1").bare, [(1, "A1".to_owned())]);
    }

    #[test]
    fn lines_are_counted() {
        assert_eq!(cited("\n// D1\n").names, [(2, Name::Rule('D', 1))]);
    }
}
