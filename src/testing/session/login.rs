//! CONNECT: what a client asks for, and whether it may come in.

use super::Settings;
use super::judgement::Ending;
#[cfg(feature = "nkeys")]
use super::keys;
use serde::Deserialize;
use std::fmt;

/// Who may log in. Without any, everybody may.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Names and passwords.
    pub users: Vec<(String, String)>,
    /// Tokens.
    pub tokens: Vec<String>,
    /// Public keys of users, `U…`, who sign the nonce.
    pub nkeys: Vec<String>,
    /// Public keys of accounts, `A…`, whose users have a JWT and sign the nonce.
    pub accounts: Vec<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, tokens, nkeys, accounts } = self;
        f.debug_struct("Credentials")
            .field("users", &users.len())
            .field("tokens", &tokens.len())
            .field("nkeys", nkeys)
            .field("accounts", accounts)
            .finish()
    }
}

impl Credentials {
    /// Whether everybody may log in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty() && !self.want_signature()
    }

    /// Whether INFO needs a nonce.
    #[must_use]
    pub fn want_signature(&self) -> bool {
        !self.nkeys.is_empty() || !self.accounts.is_empty()
    }

    fn accept(&self, login: &Login, nonce: &str) -> bool {
        let is_user =
            |(user, pass): &(String, String)| login.user.as_ref() == Some(user) && login.pass.as_ref() == Some(pass);
        self.is_empty()
            || self.users.iter().any(is_user)
            || self.tokens.iter().any(|token| login.auth_token.as_ref() == Some(token))
            || self.accept_signature(login, nonce)
    }

    #[cfg(feature = "nkeys")]
    fn accept_signature(&self, login: &Login, nonce: &str) -> bool {
        let user = match (&login.jwt, &login.nkey) {
            (Some(jwt), _) => keys::user_of(jwt, &self.accounts),
            (None, nkey) => nkey.clone().filter(|key| self.nkeys.contains(key)),
        };
        user.zip(login.sig.as_deref()).is_some_and(|(user, signature)| keys::has_signed(&user, nonce, signature))
    }

    #[cfg(not(feature = "nkeys"))]
    #[allow(clippy::unused_self, reason = "a build without crypto accepts no signature")]
    fn accept_signature(&self, _login: &Login, _nonce: &str) -> bool {
        false
    }
}

/// What a server reads of a CONNECT.
///
/// The defaults are those of nats-server (`client.go`, `defaultOpts`): a client that does not say otherwise is verbose.
#[derive(Clone, Deserialize)]
#[serde(default)]
pub struct Login {
    /// Each operation is answered with `+OK`.
    pub verbose: bool,
    /// The client gets what it publishes itself.
    pub echo: bool,
    /// The client takes and sends headers.
    pub headers: bool,
    /// The client wants status 503 for requests without a listener.
    pub no_responders: bool,
    /// 1: the client takes an INFO at any time.
    pub protocol: i64,
    user: Option<String>,
    pass: Option<String>,
    auth_token: Option<String>,
    #[cfg(feature = "nkeys")]
    nkey: Option<String>,
    #[cfg(feature = "nkeys")]
    jwt: Option<String>,
    #[cfg(feature = "nkeys")]
    sig: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The others are secrets.
        let Self { verbose, echo, headers, no_responders, protocol, .. } = self;
        f.debug_struct("Login")
            .field("verbose", verbose)
            .field("echo", echo)
            .field("headers", headers)
            .field("no_responders", no_responders)
            .field("protocol", protocol)
            .finish_non_exhaustive()
    }
}

impl Default for Login {
    fn default() -> Self {
        Self {
            verbose: true,
            echo: true,
            headers: false,
            no_responders: false,
            protocol: 0,
            user: None,
            pass: None,
            auth_token: None,
            #[cfg(feature = "nkeys")]
            nkey: None,
            #[cfg(feature = "nkeys")]
            jwt: None,
            #[cfg(feature = "nkeys")]
            sig: None,
        }
    }
}

impl Login {
    /// What the client gets of what it asks for.
    pub(super) fn accept(json: &[u8], settings: &Settings) -> Result<Self, Ending> {
        // Serde reads a list, too; a server reads nothing but an object.
        let object = json.starts_with(b"{").then(|| serde_json::from_slice(json));
        let mut login: Self = object.and_then(Result::ok).ok_or(Ending::Silent)?;
        if !settings.credentials.accept(&login, &settings.nonce) {
            return Err(Ending::UNAUTHORIZED);
        }
        if !(0..=1).contains(&login.protocol) {
            return Err(Ending::Says("invalid client protocol"));
        }
        login.headers &= settings.headers;
        if login.no_responders && !login.headers {
            return Err(Ending::Says("no responders requires headers support"));
        }
        login.no_responders &= settings.no_responders;
        Ok(login)
    }
}
