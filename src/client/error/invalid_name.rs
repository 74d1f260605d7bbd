//! A subject or a queue group that was refused, with the rule that it breaks.

use crate::protocol::cut;

/// The source of errors for invalid names. Its own source is the rule.
#[derive(Debug, thiserror::Error)]
#[error("{name:?}: {rule}")]
pub(crate) struct InvalidName {
    name: String,
    #[source]
    rule: crate::Error,
}

impl InvalidName {
    /// The error about `name`, of which the beginning is kept.
    #[cold]
    pub(crate) fn new(name: &[u8], rule: impl Into<crate::Error>) -> InvalidName {
        InvalidName { name: cut(&String::from_utf8_lossy(name)).into_owned(), rule: rule.into() }
    }
}
