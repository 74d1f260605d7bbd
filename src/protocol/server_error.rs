//! The texts of `-ERR` as a closed type: what happened, and whether the server closes the connection.

use super::foreign::{FOREIGN, Quoted, cut, kept, shown};
use super::go_quote::unquote;
use super::subject::Subject;
use bytes::Bytes;
use core::fmt;

#[cfg(test)]
mod tests;

/// The content of a server's `-ERR`.
///
/// Texts are those of nats-server 2.15, compared by prefix and ignoring case. An unknown text is [`ErrKind::Other`]: new
/// servers add some, and whether it was serious shows in whether the connection closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrKind {
    /// The server couldn't parse what we sent.
    UnknownProtocolOperation,
    /// The arguments of an operation were longer than `max_control_line`.
    MaxControlLineExceeded,
    /// A body was larger than `max_payload`.
    MaxPayloadViolation,
    /// Wrong or missing credentials.
    AuthorizationViolation,
    /// No credentials were sent in time.
    AuthenticationTimeout,
    /// The user's JWT has expired.
    UserAuthenticationExpired,
    /// The account's JWT has expired.
    AccountAuthenticationExpired,
    /// The user was revoked.
    UserAuthenticationRevoked,
    /// We didn't answer the server's PINGs.
    StaleConnection,
    /// The server has reached its limit of connections.
    MaxConnectionsExceeded,
    /// The account has reached its limit of connections.
    MaxAccountConnectionsExceeded,
    /// Too many connections in a short time.
    ConnectionThrottling,
    /// The server requires TLS.
    TlsRequired,
    /// CONNECT had an unknown protocol version.
    InvalidClientProtocol,
    /// CONNECT asked for "no responders" without headers.
    NoRespondersRequiresHeaders,
    /// The port is for routes.
    RoutePort,
    /// The port is for leaf nodes.
    LeafNodePort,
    /// The port is for gateways.
    GatewayPort,
    /// The account could not be set up.
    FailedAccountRegistration,
    /// The limit of subscriptions is reached: the last SUB was refused.
    MaxSubscriptionsExceeded,
    /// A permission is missing.
    PermissionsViolation(Violation),
    /// A SUB had an invalid subject.
    InvalidSubject,
    /// A PUB had an invalid subject; sent only to pedantic clients.
    InvalidPublishSubject,
    /// Another text, unchanged (lossy if it was not UTF-8).
    Other(String),
}

/// What was not permitted, in [`ErrKind::PermissionsViolation`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// To publish to this subject.
    Publish {
        /// The subject.
        subject: Subject,
    },
    /// To publish with this reply subject.
    PublishReply {
        /// The reply subject.
        reply: Subject,
    },
    /// To subscribe. The subscription was refused or ended.
    Subscription {
        /// The subject.
        subject: Subject,
        /// The queue group.
        queue: Option<String>,
        /// The sid, sent only when a reload of the configuration ended the subscription.
        sid: Option<u64>,
    },
}

/// The texts without variable parts. The first that is a prefix wins, so a longer text comes before its prefixes.
const TEXTS: &[(&str, ErrKind)] = &[
    ("Unknown Protocol Operation", ErrKind::UnknownProtocolOperation),
    ("maximum control line exceeded", ErrKind::MaxControlLineExceeded),
    ("Maximum Payload Violation", ErrKind::MaxPayloadViolation),
    ("Authorization Violation", ErrKind::AuthorizationViolation),
    ("Authentication Timeout", ErrKind::AuthenticationTimeout),
    ("User Authentication Expired", ErrKind::UserAuthenticationExpired),
    ("Account Authentication Expired", ErrKind::AccountAuthenticationExpired),
    ("User Authentication Revoked", ErrKind::UserAuthenticationRevoked),
    ("Stale Connection", ErrKind::StaleConnection),
    ("maximum connections exceeded", ErrKind::MaxConnectionsExceeded),
    ("maximum account active connections exceeded", ErrKind::MaxAccountConnectionsExceeded),
    ("Connection throttling is active", ErrKind::ConnectionThrottling),
    ("Secure Connection - TLS Required", ErrKind::TlsRequired),
    ("invalid client protocol", ErrKind::InvalidClientProtocol),
    ("no responders requires headers support", ErrKind::NoRespondersRequiresHeaders),
    ("attempted to connect to route port", ErrKind::RoutePort),
    ("attempted to connect to leaf node port", ErrKind::LeafNodePort),
    ("attempted to connect to gateway port", ErrKind::GatewayPort),
    ("Failed Account Registration", ErrKind::FailedAccountRegistration),
    ("maximum subscriptions exceeded", ErrKind::MaxSubscriptionsExceeded),
    ("Invalid Subject", ErrKind::InvalidSubject),
    ("Invalid Publish Subject", ErrKind::InvalidPublishSubject),
];

impl ErrKind {
    /// Reads the text of a `-ERR`, without the quotes around it.
    ///
    /// ```
    /// use nats_lifeline::protocol::{ErrKind, Violation};
    ///
    /// assert_eq!(ErrKind::parse(b"stale connection"), ErrKind::StaleConnection);
    ///
    /// let text = br#"Permissions Violation for Subscription to "a.>" using queue "q""#;
    /// let ErrKind::PermissionsViolation(Violation::Subscription { subject, queue, sid }) =
    ///     ErrKind::parse(text)
    /// else {
    ///     panic!("a violation")
    /// };
    /// assert_eq!((subject.as_str(), queue.as_deref(), sid), ("a.>", Some("q"), None));
    /// ```
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        if let Some(violation) = violation(text) {
            return Self::PermissionsViolation(violation);
        }
        TEXTS
            .iter()
            .find(|(known, _)| strip(text, known).is_some())
            .map_or_else(|| Self::Other(String::from_utf8_lossy(text).into_owned()), |(_, kind)| kind.clone())
    }

    /// The text as the server sent it, for programs; [`Display`](fmt::Display) escapes hidden characters.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Other(text) => text.clone(),
            known => known.to_string(),
        }
    }

    /// Roughly how many bytes of the server's text it contains.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Other(text) => text.len(),
            Self::PermissionsViolation(violation) => match violation {
                Violation::Publish { subject } => subject.as_bytes().len(),
                Violation::PublishReply { reply } => reply.as_bytes().len(),
                Violation::Subscription { subject, queue, .. } => {
                    subject.as_bytes().len() + queue.as_ref().map_or(0, String::len)
                }
            },
            _ => 0,
        }
    }

    /// The same with texts and names cut to [`FOREIGN`] bytes: a server may send a lot.
    #[must_use]
    pub fn shortened(self) -> Self {
        let short = |subject: Subject| {
            if subject.as_bytes().len() <= FOREIGN { subject } else { Subject::from(cut(&subject).into_owned()) }
        };
        match self {
            Self::Other(text) => Self::Other(kept(text)),
            Self::PermissionsViolation(violation) => Self::PermissionsViolation(match violation {
                Violation::Publish { subject } => Violation::Publish { subject: short(subject) },
                Violation::PublishReply { reply } => Violation::PublishReply { reply: short(reply) },
                Violation::Subscription { subject, queue, sid } => {
                    Violation::Subscription { subject: short(subject), queue: queue.map(kept), sid }
                }
            }),
            known => known,
        }
    }

    /// Whether the server closes the connection after sending this.
    ///
    /// `Failed Account Registration` counts as yes, because such a connection is useless. For an unknown text the answer is no:
    /// if the server closes, the socket will show it.
    #[must_use]
    pub fn closes(&self) -> bool {
        !matches!(
            self,
            Self::MaxSubscriptionsExceeded
                | Self::PermissionsViolation(_)
                | Self::InvalidSubject
                | Self::InvalidPublishSubject
                | Self::Other(_)
        )
    }

    /// Whether the identity of the client was refused, so that other credentials or another server may help.
    ///
    /// Not for `Authentication Timeout`: our CONNECT did not arrive in time, on a slow line or at a busy server.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(
            self,
            Self::AuthorizationViolation
                | Self::UserAuthenticationExpired
                | Self::AccountAuthenticationExpired
                | Self::UserAuthenticationRevoked
        )
    }
}

impl fmt::Display for ErrKind {
    /// The text as the server sent it, with [hidden characters escaped](super::shown).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PermissionsViolation(violation) => fmt::Display::fmt(violation, f),
            Self::Other(text) => shown(text).fmt(f),
            known => match TEXTS.iter().find(|(_, kind)| kind == known) {
                Some((text, _)) => f.write_str(text),
                None => fmt::Debug::fmt(known, f),
            },
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permissions Violation for ")?;
        match self {
            Self::Publish { subject } => write!(f, "Publish to {}", Quoted(subject)),
            Self::PublishReply { reply } => {
                write!(f, "Publish with Reply of {}", Quoted(reply))
            }
            Self::Subscription { subject, queue, sid } => {
                write!(f, "Subscription to {}", Quoted(subject))?;
                if let Some(queue) = queue {
                    write!(f, " using queue {}", Quoted(queue))?;
                }
                if let Some(sid) = sid {
                    write!(f, " (sid \"{sid}\")")?;
                }
                Ok(())
            }
        }
    }
}

/// Parses `Permissions Violation for …`; `None` if it is something else or has an unknown form.
fn violation(text: &[u8]) -> Option<Violation> {
    let what = strip(text, "Permissions Violation for ")?;
    if let Some(rest) = strip(what, "Publish to ") {
        let (subject, _) = unquote(rest)?;
        let subject = Subject::from_wire(subject.into());
        return Some(Violation::Publish { subject });
    }
    if let Some(rest) = strip(what, "Publish with Reply of ") {
        let (reply, _) = unquote(rest)?;
        let reply = Subject::from_wire(reply.into());
        return Some(Violation::PublishReply { reply });
    }
    let (subject, mut rest) = unquote(strip(what, "Subscription to ")?)?;
    let mut queue = None;
    if let Some((name, behind)) = strip(rest, " using queue ").and_then(unquote) {
        queue = Some(String::from_utf8_lossy(&name).into_owned());
        rest = behind;
    }
    let sid =
        strip(rest, " (sid ").and_then(unquote).and_then(|(sid, _)| core::str::from_utf8(&sid).ok()?.parse().ok());
    Some(Violation::Subscription { subject: Subject::from_wire(Bytes::from(subject)), queue, sid })
}

/// What follows a prefix that is compared ignoring case.
fn strip<'a>(text: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}
