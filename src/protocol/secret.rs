//! Secrets: texts that are not shown and are overwritten when dropped.

use core::fmt;
use core::ops::Deref;

use zeroize::Zeroizing;

/// A password, a token, a signature, or a file with a key: `Debug` shows only that it is set, and its bytes are overwritten
/// when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"***\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_used_as_text_and_not_shown() {
        let secret = Secret::from("s3cr3t");
        assert_eq!((&*secret, secret.len()), ("s3cr3t", 6));
        assert_eq!(format!("{:?}", Some(secret)), "Some(\"***\")");
    }
}
