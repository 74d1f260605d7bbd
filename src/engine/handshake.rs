//! The handshake between INFO and CONNECT: securing the connection, asking for credentials, introducing the client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::Identity;
use super::connection::Stage;
use super::effect::{CloseHow, Effect};
use super::engine::Engine;
use super::error::Cause;
use super::intent::Intent;
use super::lines::Which;
use super::time::after;
use crate::protocol::{self, ConnectInfo, Info, Protocol, Secret, ServerAddr};

/// Credentials are renewed when a tenth of their lifetime is left, but no later than this before they expire, so that a
/// handshake and some retries fit in. Arbitrary.
const RENEW_AHEAD: Duration = Duration::from_secs(2);

/// And no earlier than this before they expire: a tenth of a year is long. Arbitrary.
const RENEW_AHEAD_MOST: Duration = Duration::from_secs(60);

/// Holds a CONNECT with the usual JWT: 4 KiB is the `max_control_line` of servers by default.
const CONNECT_ROOM: usize = 4096;

/// What a callback, key or file returned for one attempt: the answer to [`Effect::Authenticate`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user's JWT.
    pub jwt: Option<Secret>,
    /// The user's public NKey.
    pub nkey: Option<String>,
    /// The signature of the nonce, base64 for URLs without padding.
    pub signature: Option<Secret>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Token.
    pub token: Option<Secret>,
    /// The credentials expire after this, and new ones can be obtained: the connection is replaced before.
    pub expires_in: Option<Duration>,
    /// Whether these replace all others: neither those of the configuration nor those of the address are sent.
    pub alone: bool,
}

impl<H> Engine<H> {
    /// The connection of `epoch` is secured; nothing that was read in plaintext is left.
    pub fn handle_upgraded(&mut self, epoch: u64, now: Instant) {
        let Some((which, connection)) = self.lines.live_mut(epoch) else { return };
        let Stage::Securing(info) = &mut connection.stage else { return };
        let info = info.take();
        connection.secured = true;
        self.history.secured = true;
        match info {
            Some(info) => self.authenticate(which, info, now),
            None => (connection.stage, connection.progress) = (Stage::AwaitInfo, now),
        }
    }

    /// The connection of `epoch` could not be secured.
    pub fn handle_upgrade_failed(&mut self, epoch: u64, cause: Cause, now: Instant) {
        if let Some((which, _)) = self.lines.live_mut(epoch).filter(|(_, connection)| connection.is_securing()) {
            self.lose(which, cause, CloseHow::Drop, now);
        }
    }

    /// The user's credentials for the attempt of `epoch`, or why there are none.
    pub fn handle_credentials(&mut self, epoch: u64, answer: Result<Credentials, Cause>, now: Instant) {
        let Some((which, connection)) = self.lines.live_mut(epoch) else { return };
        let Stage::Authenticating(info) = &connection.stage else { return };
        let info = info.clone();
        match answer {
            Ok(credentials) => {
                self.plan_renewal(which, credentials.expires_in, now);
                self.introduce(which, &info, Some(credentials), now);
            }
            Err(cause) => self.lose(which, cause, CloseHow::Drop, now),
        }
    }

    /// Plans a new connection before the credentials expire, unless they are no newer than the last ones: another connection
    /// would get the same ones again.
    fn plan_renewal(&mut self, which: Which, expires_in: Option<Duration>, now: Instant) {
        let expiry = expires_in.map(|left| after(now, left));
        let newer = match (expiry, self.history.credentials_until) {
            (Some(expiry), Some(last)) => expiry > after(last, RENEW_AHEAD / 2),
            _ => true,
        };
        self.history.credentials_until = expiry;
        if let Some(connection) = self.lines.connection_mut(which) {
            connection.renew_at = expires_in
                .filter(|left| newer && *left >= 2 * RENEW_AHEAD)
                .map(|left| after(now, left.saturating_sub((left / 10).clamp(RENEW_AHEAD, RENEW_AHEAD_MOST))));
        }
    }

    /// The credentials expire soon: another connection gets new ones, and nothing is lost on the way.
    pub(super) fn renew(&mut self, now: Instant) {
        if matches!(self.intent, Intent::Run) {
            self.pool.forgive();
            self.pool.hurry();
            self.force_move(Cause::Renewal, now);
        }
    }

    /// The byte stream exists. With TLS first, nothing is read from the server before the TLS handshake.
    pub(super) fn begin_handshake(&mut self, which: Which, now: Instant) {
        if self.config.tls_first {
            if self.config.tls_possible {
                self.secure(which, None, now);
            } else {
                self.lose(which, no_tls("tls_first asks for TLS"), CloseHow::Drop, now);
            }
        }
    }

    /// The first INFO has come.
    pub(super) fn greet(&mut self, which: Which, info: Arc<Info>, now: Instant) {
        let Some(connection) = self.lines.connection(which) else { return };
        if connection.secured {
            return self.authenticate(which, info, now);
        }
        let wanted = self.wants_tls(&connection.attempt.addr);
        if let Some(cause) = self.transport_fault(wanted, &info) {
            return self.lose(which, cause, CloseHow::Drop, now);
        }
        if wanted.is_some() || info.tls_required {
            self.secure(which, Some(info), now);
        } else {
            self.authenticate(which, info, now);
        }
    }

    /// Why the connection to this server must be secured, as far as the client decides. What was requested once is never given
    /// up silently; what only servers requested applies while there are credentials to protect.
    fn wants_tls(&self, addr: &ServerAddr) -> Option<&'static str> {
        if self.config.require_tls {
            Some("the options ask for TLS")
        } else if addr.tls_required() {
            Some("the address asks for TLS")
        } else if self.pool.asks_for_tls() {
            Some("another address of the pool asks for TLS")
        } else if self.history.secured && self.has_credentials(addr) {
            Some("an earlier server had TLS, and there are credentials to protect")
        } else {
            None
        }
    }

    fn has_credentials(&self, addr: &ServerAddr) -> bool {
        let identity = &self.config.identity;
        let own = identity.user.is_some() || identity.password.is_some() || identity.token.is_some();
        own || self.config.ask_credentials || addr.has_user_pass()
    }

    /// Why this server can't be used, if so.
    fn transport_fault(&self, wanted: Option<&'static str>, info: &Info) -> Option<Cause> {
        match wanted {
            _ if info.tls_required && !self.config.tls_possible => Some(no_tls("the server requires TLS")),
            Some(why) if !self.config.tls_possible => Some(no_tls(why)),
            Some(why) if !(info.tls_required || info.tls_available) => {
                Some(Cause::Tls(format!("{why}, and the server does not offer it").into()))
            }
            _ => None,
        }
    }

    /// Has the driver upgrade the byte stream to TLS.
    fn secure(&mut self, which: Which, info: Option<Arc<Info>>, now: Instant) {
        let Some(connection) = self.lines.connection_mut(which) else { return };
        // This drops the PONG to a PING that came before INFO: nothing more is sent in plaintext.
        self.out.discard(&mut connection.flight);
        connection.progress = now;
        connection.stage = Stage::Securing(info);
        let (epoch, addr) = (connection.attempt.epoch, connection.attempt.addr.clone());
        self.out.push(Effect::Upgrade { epoch, addr });
    }

    fn authenticate(&mut self, which: Which, info: Arc<Info>, now: Instant) {
        if !self.config.ask_credentials {
            return self.introduce(which, &info, None, now);
        }
        let Some(connection) = self.lines.connection_mut(which) else { return };
        let attempt = &connection.attempt;
        self.out.push(Effect::Authenticate {
            epoch: attempt.epoch,
            nonce: info.nonce.clone(),
            server: attempt.endpoint.clone(),
            attempt: attempt.number,
            last_error: self.history.last_error.clone(),
        });
        connection.stage = Stage::Authenticating(info);
    }

    fn introduce(&mut self, which: Which, info: &Info, credentials: Option<Credentials>, now: Instant) {
        let Some(connection) = self.lines.connection_mut(which) else { return };
        connection.stage = Stage::AwaitPong;
        connection.progress = now;
        let mut introduction =
            introduction(&self.config.identity, &connection.attempt.addr, info, credentials, connection.secured);
        // A buffer that grew would leave copies of the secrets in it.
        let mut out = Vec::with_capacity(CONNECT_ROOM);
        protocol::connect(&mut out, &introduction);
        introduction.wipe();
        protocol::ping(&mut out);
        connection.flight.push_handshake(out);
    }
}

/// What CONNECT says to this server.
fn introduction(
    identity: &Identity,
    addr: &ServerAddr,
    info: &Info,
    credentials: Option<Credentials>,
    secured: bool,
) -> ConnectInfo {
    let given = credentials.unwrap_or_default();
    // Credentials in a server's own address are meant for that server.
    let (user, pass, token) = match (addr.username(), addr.password(), addr.token()) {
        _ if given.alone => (None, None, None),
        (_, _, Some(token)) => (None, None, Some(Secret::from(token))),
        (Some(user), pass, None) => (Some(user.to_owned()), pass.map(Secret::from), None),
        _ => (identity.user.clone(), identity.password.clone(), identity.token.clone()),
    };
    ConnectInfo {
        verbose: identity.verbose,
        pedantic: identity.pedantic,
        user_jwt: reveal(given.jwt),
        nkey: given.nkey,
        signature: reveal(given.signature),
        name: identity.name.clone(),
        echo: identity.echo,
        lang: "rust".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: Protocol::Dynamic,
        tls_required: secured,
        user: given.user.or(user),
        pass: reveal(given.password.or(pass)),
        auth_token: reveal(given.token.or(token)),
        headers: info.headers,
        no_responders: info.headers,
    }
}

/// A copy for the document, which is wiped after writing.
fn reveal(secret: Option<Secret>) -> Option<String> {
    secret.as_deref().map(str::to_owned)
}

fn no_tls(why: &str) -> Cause {
    Cause::Tls(format!("{why}, which this build can't do without the feature `tls`").into())
}
