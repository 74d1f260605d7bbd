//! The arguments and results of an authentication callback.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::encoding::{base64_url, from_base64_url};
use crate::engine::{Cause, Credentials};
use crate::protocol::{Secret, shown};

/// Credentials from a callback, for one attempt: see
/// [`ConnectOptions::with_auth_callback`](crate::ConnectOptions::with_auth_callback).
///
/// All fields that are set go to the server, which uses the ones that it knows. `Debug` hides them.
///
/// ```
/// use nats_lifeline::Auth;
///
/// let mut auth = Auth::new();
/// auth.username = Some("derek".to_owned());
/// auth.password = Some("s3cr3t".to_owned());
/// assert!(!format!("{auth:?}").contains("s3cr3t"));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Auth {
    /// The user's JWT.
    pub jwt: Option<String>,
    /// The user's public NKey, `U…`.
    pub nkey: Option<String>,
    /// The signature of the nonce, as raw bytes; it is encoded for the server.
    pub signature: Option<Vec<u8>>,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Token.
    pub token: Option<String>,
}

impl Auth {
    /// Empty credentials.
    pub fn new() -> Auth {
        Auth::default()
    }

    pub(super) fn into_credentials(self) -> Credentials {
        let Auth { jwt, nkey, signature, username, password, token } = self;
        let expires_in = jwt.as_deref().and_then(expires_in);
        let signature = signature.map(|signature| Secret::from(base64_url(&signature)));
        let [jwt, password, token] = [jwt, password, token].map(|secret| secret.map(Secret::from));
        Credentials { jwt, nkey, signature, user: username, password, token, expires_in, alone: true }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Auth { jwt, nkey, signature, username, password, token } = self;
        let hidden = |set: bool| set.then_some("***");
        f.debug_struct("Auth")
            .field("jwt", &hidden(jwt.is_some()))
            .field("nkey", nkey)
            .field("signature", &hidden(signature.is_some()))
            .field("username", username)
            .field("password", &hidden(password.is_some()))
            .field("token", &hidden(token.is_some()))
            .finish()
    }
}

/// Why a callback could not provide credentials or a signature. The text is shown in errors and events, so it should
/// not contain a secret.
#[derive(Clone, PartialEq)]
pub struct AuthError(String);

impl AuthError {
    /// An error with this text.
    pub fn new(s: impl ToString) -> Self {
        AuthError(s.to_string())
    }
}

impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthError({})", shown(&self.0))
    }
}

impl std::error::Error for AuthError {}

/// The attempt that needs credentials: see
/// [`ConnectOptions::authenticate_with`](crate::ConnectOptions::authenticate_with).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthRequest {
    /// The nonce to sign; empty if the server does not want a signature.
    pub nonce: Vec<u8>,
    /// `host:port` of the server.
    pub server: String,
    /// Number of the attempt since the last connection, from 1.
    pub attempt: u64,
    /// Why the last attempt failed, or why the last connection was lost; `None` at first.
    pub last_error: Option<Cause>,
}

/// How long a JWT remains valid, by this machine's clock; `None` if it does not expire or has expired.
pub(super) fn expires_in(jwt: &str) -> Option<Duration> {
    expiry(jwt)?.duration_since(SystemTime::now()).ok()
}

/// When a JWT expires, if it does. The JWT is not verified: that is the server's job.
fn expiry(jwt: &str) -> Option<SystemTime> {
    let claims: serde_json::Value = serde_json::from_slice(&from_base64_url(jwt.split('.').nth(1)?)?).ok()?;
    let seconds = claims.get("exp")?.as_u64().filter(|seconds| *seconds > 0)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expiry_is_read_from_the_claims() {
        let jwt = |claims: &str| format!("e30.{}.sig", base64_url(claims.as_bytes()));
        assert_eq!(expiry(&jwt(r#"{"exp":1700000000}"#)), Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        for none in [r#"{"exp":0}"#, r#"{"exp":"soon"}"#, "{}", "[", r#"{"exp":-1}"#] {
            assert_eq!(expiry(&jwt(none)), None, "{none}");
        }
        assert_eq!(expiry("nothing"), None);
    }
}
