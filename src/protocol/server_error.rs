//! The texts of `-ERR`, as a closed type: what happened, and does the server close?

use super::foreign::{FOREIGN, Quoted, cut, kept, shown};
use super::go_quote::unquote;
use super::subject::Subject;
use bytes::Bytes;
use core::fmt;

#[cfg(test)]
mod tests;

/// What a `-ERR` of a server says.
///
/// Texts are those of nats-server 2.15, compared by prefix and without regard to case. A text that
/// is not known is [`ErrKind::Other`]: new servers bring new ones, and whether it was serious is
/// for the socket to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrKind {
    /// The server couldn't read us.
    UnknownProtocolOperation,
    /// The arguments of an operation were longer than `max_control_line`.
    MaxControlLineExceeded,
    /// A body was larger than `max_payload`.
    MaxPayloadViolation,
    /// Wrong or missing credentials.
    AuthorizationViolation,
    /// No credentials in time.
    AuthenticationTimeout,
    /// The user's JWT has expired.
    UserAuthenticationExpired,
    /// The account's JWT has expired.
    AccountAuthenticationExpired,
    /// The user was revoked.
    UserAuthenticationRevoked,
    /// We didn't answer the server's PINGs.
    StaleConnection,
    /// The server is full.
    MaxConnectionsExceeded,
    /// The account has as many connections as it may.
    MaxAccountConnectionsExceeded,
    /// Too many connections in a short time.
    ConnectionThrottling,
    /// The server wants TLS.
    TlsRequired,
    /// CONNECT had a protocol version that doesn't exist.
    InvalidClientProtocol,
    /// CONNECT asked for no responders without headers.
    NoRespondersRequiresHeaders,
    /// The port is for routes.
    RoutePort,
    /// The port is for leaf nodes.
    LeafNodePort,
    /// The port is for gateways.
    GatewayPort,
    /// The account could not be set up.
    FailedAccountRegistration,
    /// As many subscriptions as allowed: the last SUB is dead.
    MaxSubscriptionsExceeded,
    /// Not allowed.
    PermissionsViolation(Violation),
    /// A SUB had a subject that is none.
    InvalidSubject,
    /// A PUB had a subject that is none; said only to pedantic clients.
    InvalidPublishSubject,
    /// Another text, as it came (lossy where it was not UTF-8).
    Other(String),
}

/// What was not allowed, in [`ErrKind::PermissionsViolation`].
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
    /// To subscribe. The subscription is dead.
    Subscription {
        /// The subject.
        subject: Subject,
        /// The queue group.
        queue: Option<String>,
        /// The subscription, said only when a reload of the configuration ended it.
        sid: Option<u64>,
    },
}

/// The texts without variable parts. The first that is a prefix wins, so a text stands before
/// those that it begins with.
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

    /// The text as a server says it, for programs; [`Display`](fmt::Display) escapes what is hidden in it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Other(text) => text.clone(),
            known => known.to_string(),
        }
    }

    /// About how many bytes of the server's text it holds.
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

    /// The same with texts and names of no more than [`FOREIGN`] bytes: a server may say a lot.
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

    /// Does the server close the connection after saying so?
    ///
    /// `Failed Account Registration` counts as yes, since such a connection is of no use. For an
    /// unknown text the answer is no: if the server closes, the socket will tell.
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

    /// Is it about who we are? Then other credentials, or another server, may help.
    ///
    /// `Authentication Timeout` is not: our CONNECT did not come in time, on a slow line or to a busy server.
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
    /// The text as a server says it, with what is hidden in it [escaped](super::shown).
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

/// `Permissions Violation for …`; `None` if it is not that, or not in a form that we know.
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

/// What follows a prefix that is compared without regard to case.
fn strip<'a>(text: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(rest)
}
