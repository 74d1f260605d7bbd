//! Credentials files: a user's JWT and the seed of its key, each between lines of dashes.

use std::io;

use super::nkey::{NKeyError, UserKey};
use crate::protocol::Secret;

/// The content of a credentials file.
#[derive(Debug)]
pub(super) struct Creds {
    pub(super) jwt: Secret,
    pub(super) key: UserKey,
}

/// Why a credentials file cannot be used. The error never shows the file's content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredsError {
    /// There is no JWT between lines of dashes.
    #[error("the credentials contain no user JWT between lines of dashes")]
    NoJwt,
    /// There is no second section between lines of dashes.
    #[error("the credentials contain no NKey seed between lines of dashes after the JWT")]
    NoSeed,
    /// The second section is not a user's seed.
    #[error("the credentials contain an invalid seed: {0}")]
    Seed(#[from] NKeyError),
}

impl From<CredsError> for io::Error {
    /// An error of kind `InvalidData`.
    fn from(error: CredsError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Parses the text of a credentials file: the first section between lines of dashes is the JWT, the second is the seed.
pub(super) fn parse(text: &str) -> Result<Creds, CredsError> {
    let mut sections = sections(text);
    let jwt = sections.next().filter(|jwt| looks_like_jwt(jwt)).ok_or(CredsError::NoJwt)?;
    let seed = sections.next().ok_or(CredsError::NoSeed)?;
    Ok(Creds { jwt: Secret::from(jwt), key: UserKey::from_seed(seed)? })
}

/// Sections between two lines of dashes, as in nats.go's `userConfigRE`.
fn sections(text: &str) -> impl Iterator<Item = &str> {
    // Editors on Windows begin a text with a byte order mark, which stays in the middle when texts are concatenated.
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let mut lines = text.lines().map(move |line| line.trim_matches(blank)).filter(|line| !line.is_empty());
    let is_rule = |line: &str| line.starts_with("---") && line.ends_with("---");
    std::iter::from_fn(move || {
        loop {
            let opening = lines.next()?;
            if !is_rule(opening) {
                continue;
            }
            let inside = lines.next()?;
            if is_rule(inside) {
                continue;
            }
            return lines.next().filter(|closing| is_rule(closing)).map(|_| inside);
        }
    })
}

fn looks_like_jwt(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.split('.').count() == 3 && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

    fn file(jwt: &str, seed: &str) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             NKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n\n\
             *************************************************************\n"
        )
    }

    #[test]
    fn credentials_files_parse_with_either_line_end() {
        let plain = file("a.b.c", SEED);
        // Fault B4: the last two are what editors on Windows write.
        let marked = format!("\u{feff}{plain}");
        for text in [plain.replace('\n', "\r\n"), marked.replace('\n', "\r\n"), plain, marked] {
            let creds = parse(&text).unwrap();
            assert_eq!((&*creds.jwt, &creds.key.public()[..4]), ("a.b.c", "UDXU"));
        }
    }

    #[test]
    fn an_error_names_the_missing_part_and_shows_no_content() {
        let cut = file("a.b.c", SEED);
        let (cut, _) = cut.split_once("-----BEGIN USER").unwrap();
        for (text, fault) in [
            ("", CredsError::NoJwt),
            ("-----BEGIN-----\n-----END-----\n", CredsError::NoJwt),
            (&file("not a jwt", SEED), CredsError::NoJwt),
            (cut, CredsError::NoSeed),
            (&file("a.b.c", "SUABC"), CredsError::Seed(NKeyError::NotASeed)),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, fault, "{text:?}");
            assert!(!format!("{error} {error:?}").contains("SUABC"));
        }
    }
}
