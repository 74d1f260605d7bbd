//! Errors: one generic type, a kind for each call, and typed sources.

mod attempts;
mod ending;
mod invalid_name;
mod kinds;
mod refusal;
#[cfg(test)]
mod tests;

use std::error;
use std::fmt::{self, Debug, Display};

pub use attempts::NotConnected;
pub use ending::{CloseError, DrainError, DrainReport, NotDriven, ReconnectError, UnsubscribeError};
pub(crate) use invalid_name::InvalidName;
pub use kinds::{
    ConnectError, ConnectErrorKind, FlushError, FlushErrorKind, PublishError, PublishErrorKind, RequestError,
    RequestErrorKind, ServerPoolError, ServerPoolErrorKind, SetServerPoolError, SetServerPoolErrorKind, SubscribeError,
    SubscribeErrorKind,
};
pub use refusal::{ConnectionLost, NotConfirmed, PayloadTooLarge, SendFault, TryPublishError, TryPublishErrorKind};
pub(crate) use refusal::{PossiblyServed, Unsent};

use crate::protocol::shown;

/// The error of one call: a `kind` to match on, and the source where there is one.
///
/// Each call has its own kind and its own alias, such as [`PublishError`] for `publish`. A kind is a small `Copy`
/// enum. The [`source`](std::error::Error::source) is the reason with its data, such as [`SendFault`] or
/// [`InvalidOption`](crate::options::InvalidOption), and can be downcast.
///
/// ```
/// use nats_lifeline::error::Error;
/// use nats_lifeline::{PublishError, PublishErrorKind};
///
/// let bare = PublishError::new(PublishErrorKind::InvalidSubject);
/// assert_eq!(bare.kind(), PublishErrorKind::InvalidSubject);
/// assert_eq!(bare.to_string(), "invalid subject");
///
/// let with_reason = Error::with_source(PublishErrorKind::Send, "the dog ate it");
/// assert_eq!(with_reason.to_string(), "failed to send message: the dog ate it");
/// ```
#[derive(Debug)]
pub struct Error<Kind>
where
    Kind: Clone + Debug + Display + PartialEq,
{
    kind: Kind,
    source: Option<crate::Error>,
}

impl<Kind> Error<Kind>
where
    Kind: Clone + Debug + Display + PartialEq,
{
    /// An error without a source.
    pub fn new(kind: Kind) -> Self {
        Error { kind, source: None }
    }

    /// An error with a source: another error, or text.
    pub fn with_source<S>(kind: Kind, source: S) -> Self
    where
        S: Into<crate::Error>,
    {
        Error { kind, source: Some(source.into()) }
    }

    /// What went wrong, to match on.
    pub fn kind(&self) -> Kind {
        self.kind.clone()
    }

    /// The source of type `E`, if there is one in the chain of [`source`](std::error::Error::source)s.
    ///
    /// ```
    /// use nats_lifeline::client::SendFault;
    /// use nats_lifeline::{PublishError, PublishErrorKind};
    ///
    /// let error = PublishError::with_source(PublishErrorKind::Send, SendFault::Closed);
    /// assert_eq!(error.source_as::<SendFault>(), Some(&SendFault::Closed));
    /// ```
    pub fn source_as<E: error::Error + 'static>(&self) -> Option<&E> {
        let mut next: Option<&(dyn error::Error + 'static)> = self.source.as_deref().map(|source| source as _);
        while let Some(reason) = next {
            if let Some(found) = reason.downcast_ref() {
                return Some(found);
            }
            next = reason.source();
        }
        None
    }
}

impl<Kind> Error<Kind>
where
    Kind: Clone + Debug + Display + PartialEq,
{
    /// The error of another call for the same reason.
    pub(crate) fn of_kind<Other>(self, kind: Other) -> Error<Other>
    where
        Other: Clone + Debug + Display + PartialEq,
    {
        Error { kind, source: self.source }
    }

    pub(crate) fn into_source(self) -> Option<crate::Error> {
        self.source
    }
}

impl<Kind> Display for Error<Kind>
where
    Kind: Clone + Debug + Display + PartialEq,
{
    /// The kind and the source, whose hidden characters are escaped: it may contain text of a server, a file or a caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {}", self.kind, shown(&source.to_string())),
            None => write!(f, "{}", self.kind),
        }
    }
}

impl<Kind> error::Error for Error<Kind>
where
    Kind: Clone + Debug + Display + PartialEq,
{
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        // The cast drops the two auto traits, which the trait object of `source` does not have.
        self.source.as_deref().map(|source| source as &(dyn error::Error + 'static))
    }
}

impl<Kind> From<Kind> for Error<Kind>
where
    Kind: Clone + Debug + Display + PartialEq,
{
    fn from(kind: Kind) -> Self {
        Error::new(kind)
    }
}
