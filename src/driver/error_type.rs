//! The types of errors in metrics and spans: one word for each kind, whatever text comes with it.

use crate::engine::Cause;
#[cfg(feature = "metrics")]
use crate::engine::{ConnectionEvent, Fault};
use crate::protocol::ErrKind;

/// The type of an event's error, if it is one. A server's error is an event of its own, and so is the failed attempt or
/// the loss that follows from it: it counts once, by the server's error.
#[cfg(feature = "metrics")]
pub(crate) fn of(event: &ConnectionEvent) -> Option<&'static str> {
    match event.projection().fault? {
        Fault::Line { cause: Cause::Server(_), .. } => None,
        Fault::Line { cause, .. } if cause.is_wanted() => None,
        Fault::Line { cause, .. } => Some(of_cause(cause)),
        Fault::Server(error) => Some(of_server(error)),
        Fault::SlowConsumer => Some("slow_consumer"),
        Fault::MessageTooLarge => Some("message_too_large"),
    }
}

/// The type of a cause. Requested and planned ones have names too, although they are not errors.
pub(super) fn of_cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::Server(error) => of_server(error),
        Cause::ByUser => "by_user",
        Cause::Forced => "forced",
        Cause::Renewal => "renewal",
        Cause::LameDuck => "lame_duck",
        Cause::Failback => "failback",
        Cause::ClosedByServer => "closed_by_server",
        Cause::Io(_) => "io",
        Cause::Dns(_) => "dns",
        Cause::TimedOut { .. } => "timed_out",
        Cause::Stale { .. } | Cause::Unanswered { .. } => "stale",
        Cause::WriteStalled { .. } => "write_stalled",
        Cause::Protocol(_) => "protocol",
        Cause::BadInfo(_) => "bad_info",
        Cause::OutOfTurn { .. } => "out_of_turn",
        Cause::Tls(_) => "tls",
        Cause::Credentials(_) => "credentials",
        Cause::Unsupported(_) => "unsupported",
        Cause::RuntimeGone => "runtime_gone",
        Cause::NoServers => "no_servers",
    }
}

fn of_server(kind: &ErrKind) -> &'static str {
    match kind {
        ErrKind::UnknownProtocolOperation => "unknown_protocol_operation",
        ErrKind::MaxControlLineExceeded => "max_control_line_exceeded",
        ErrKind::MaxPayloadViolation => "max_payload_violation",
        ErrKind::AuthorizationViolation => "authorization_violation",
        ErrKind::AuthenticationTimeout => "authentication_timeout",
        ErrKind::UserAuthenticationExpired => "user_authentication_expired",
        ErrKind::AccountAuthenticationExpired => "account_authentication_expired",
        ErrKind::UserAuthenticationRevoked => "user_authentication_revoked",
        ErrKind::StaleConnection => "stale_connection",
        ErrKind::MaxConnectionsExceeded => "max_connections_exceeded",
        ErrKind::MaxAccountConnectionsExceeded => "max_account_connections_exceeded",
        ErrKind::ConnectionThrottling => "connection_throttling",
        ErrKind::TlsRequired => "tls_required",
        ErrKind::InvalidClientProtocol => "invalid_client_protocol",
        ErrKind::NoRespondersRequiresHeaders => "no_responders_requires_headers",
        ErrKind::RoutePort => "route_port",
        ErrKind::LeafNodePort => "leaf_node_port",
        ErrKind::GatewayPort => "gateway_port",
        ErrKind::FailedAccountRegistration => "failed_account_registration",
        ErrKind::MaxSubscriptionsExceeded => "max_subscriptions_exceeded",
        ErrKind::PermissionsViolation(_) => "permissions_violation",
        ErrKind::InvalidSubject => "invalid_subject",
        ErrKind::InvalidPublishSubject => "invalid_publish_subject",
        ErrKind::Other(_) => "unknown",
    }
}
