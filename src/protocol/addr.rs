//! Server addresses: our own URL parser, and the conversions into addresses.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;
use std::io;

use zeroize::Zeroize;

use super::secret::Secret;

#[cfg(feature = "url")]
mod as_url;
#[cfg(test)]
mod tests;
mod traits;

/// The port of nats-server.
const NATS_PORT: u16 = 4222;

/// The address of one server: `[scheme://][user[:password]@]host[:port]`.
///
/// Schemes are `nats` (the default), `tls`, `ws` and `wss`; the port defaults to 4222, and to 80 and 443 for the last two. An
/// IPv6 address is written in brackets. User and password are percent-decoded: `%40` is `@`. A user without a password is a
/// token.
///
/// Credentials are never shown: `Debug` and `Display` print `***` instead.
///
/// ```
/// use nats_lifeline::protocol::ServerAddr;
///
/// let addr: ServerAddr = "tls://ada:p%40ss@demo.nats.io".parse()?;
/// assert_eq!((addr.scheme(), addr.host(), addr.port()), ("tls", "demo.nats.io", 4222));
/// assert_eq!((addr.username(), addr.password()), (Some("ada"), Some("p@ss")));
/// assert_eq!(addr.to_string(), "tls://***@demo.nats.io");
///
/// let addr: ServerAddr = "nats://s3cret@[::1]:4223".parse()?;
/// assert_eq!((addr.host(), addr.token()), ("::1", Some("s3cret")));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct ServerAddr {
    /// As typed, with the scheme in front; includes the credentials.
    url: Secret,
    scheme: Scheme,
    /// A token, if there is no password.
    user: Option<Secret>,
    password: Option<Secret>,
    /// Without brackets.
    host: String,
    port: u16,
    /// The name in the certificate, if it is not the host.
    tls_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scheme {
    Nats,
    Tls,
    Ws,
    Wss,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Nats, Self::Tls, Self::Ws, Self::Wss];

    const fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Nats | Self::Tls => NATS_PORT,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl FromStr for ServerAddr {
    type Err = io::Error;

    /// # Errors
    ///
    /// Of kind `InvalidInput`, naming the value (without credentials) and the rule.
    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let trimmed = input.trim();
        parse(trimmed).map_err(|rule| invalid(trimmed, rule))
    }
}

fn invalid(value: &str, rule: &str) -> io::Error {
    let value = hide_credentials(value);
    io::Error::new(io::ErrorKind::InvalidInput, format!("invalid server address {value:?}: {rule}"))
}

/// `a://b@c` → `a://***@c`. The text may not be an address: everything up to the last `@` is removed, so that no part of a
/// password with a stray `/` or `@` remains.
fn hide_credentials(url: &str) -> String {
    let Some((before, host)) = url.rsplit_once('@') else {
        return url.to_owned();
    };
    match before.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            format!("{scheme}://***@{host}")
        }
        _ => format!("***@{host}"),
    }
}

fn parse(input: &str) -> Result<ServerAddr, &'static str> {
    let (scheme, rest) = match input.split_once("://") {
        None => (Scheme::Nats, input),
        Some((name, rest)) => {
            let known = Scheme::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(name));
            (known.ok_or("the scheme must be nats or tls")?, rest)
        }
    };
    let (authority, behind) = match rest.find(['/', '?', '#']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    if !matches!(behind, "" | "/") {
        return Err("nothing may follow host and port (in credentials, write '/' as %2F, '?' as \
                    %3F, '#' as %23)");
    }
    let (user_info, place) = match authority.rsplit_once('@') {
        Some((user_info, place)) => (Some(user_info), place),
        None => (None, authority),
    };
    let (user, password) = match user_info.map(|info| info.split_once(':').ok_or(info)) {
        None => (None, None),
        Some(Err(user)) => (decode(user)?, None),
        Some(Ok((user, password))) => (decode(user)?, Some(decode(password)?.unwrap_or_default())),
    };
    let (host, port) = host_and_port(place, scheme.default_port())?;
    let url = joined(&[if input.contains("://") { "" } else { "nats://" }, input]);
    Ok(ServerAddr { url, scheme, user, password, host: host.to_owned(), port, tls_name: None })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(place: &str, default_port: u16) -> Result<(&str, u16), &'static str> {
    if place.contains(',') {
        return Err("one address, not a list");
    }
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or("the bracket is not closed")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err("what is in brackets must be an IPv6 address");
        }
        match behind.strip_prefix(':') {
            None if behind.is_empty() => (host, None),
            None => return Err("only a port may follow the bracket"),
            port => (host, port),
        }
    } else {
        let (host, port) = match place.split_once(':') {
            None => (place, None),
            Some((host, port)) => (host, Some(port)),
        };
        if port.is_some_and(|port| port.contains(':')) {
            return Err("an IPv6 address must be in brackets");
        }
        (host_name(host)?, port)
    };
    match port {
        None => Ok((host, default_port)),
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            match digits.parse::<u16>() {
                Ok(port) if port > 0 => Ok((host, port)),
                _ => Err("the port must be within 1 and 65535"),
            }
        }
        Some(_) => Err("the port must be a number"),
    }
}

/// A name or an IPv4 address.
fn host_name(host: &str) -> Result<&str, &'static str> {
    if host.is_empty() {
        return Err("the host is missing");
    }
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') || (!c.is_ascii() && c.is_alphanumeric());
    if !host.chars().all(fits) {
        return Err("the host has a character that no host name has");
    }
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("the host looks like an IPv4 address and is none");
    }
    Ok(host)
}

fn is_ip(host: &str) -> bool {
    host.parse::<core::net::IpAddr>().is_ok()
}

/// Joins the parts in a text of exactly their length: one that grows would leave copies of secrets behind.
fn joined(parts: &[&str]) -> Secret {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| text.push_str(part));
    Secret::from(text)
}

/// `%40` → `@`. A `%` without two hexadecimal digits after it is kept, because passwords contain such. `None` if the text is
/// empty.
fn decode(text: &str) -> Result<Option<Secret>, &'static str> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let code = match (byte, behind) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                rest = behind.get(2..).unwrap_or(&[]);
            }
            None => decoded.push(*byte),
        }
    }
    match String::from_utf8(decoded) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(Secret::from(text))),
        Err(error) => {
            error.into_bytes().zeroize();
            Err("user and password must be UTF-8 when decoded")
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl ServerAddr {
    /// Parses the address, or returns the rule that the text breaks.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "" => Err("it is empty"),
            trimmed => parse(trimmed),
        }
    }

    /// The error for a list of addresses whose part number `part` breaks `rule`.
    pub(super) fn refuse_list(list: &str, part: usize, rule: &str) -> io::Error {
        invalid(list.trim(), &format!("part {part} of the list: {rule}"))
    }

    /// An address that a server announced: `host:port`, with the scheme and the credentials of the server that the user named.
    ///
    /// A scheme in front of it is ignored: an entry must not turn TLS off and need not turn it on. If it is an IP address and
    /// the seed has a name, the certificate must be valid for that name: see [`tls_host`](Self::tls_host).
    ///
    /// # Errors
    ///
    /// Of kind `InvalidInput`, naming the value and the rule. One bad entry is no reason to drop the others.
    pub fn from_gossip(entry: &str, seed: &Self) -> io::Result<Self> {
        let trimmed = entry.trim();
        let place = trimmed.split_once("://").map_or(trimmed, |(_, place)| place);
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains('@') {
            return Err(invalid(trimmed, "a server's entry must have no credentials"));
        }
        let (host, port) = host_and_port(place, seed.scheme.default_port()).map_err(|rule| invalid(trimmed, rule))?;
        let scheme = seed.scheme.name();
        let (user, at) = seed.user_info().map_or(("", ""), |info| (info, "@"));
        let bare = is_ip(host) && !is_ip(seed.tls_host());
        let tls_name = bare.then(|| seed.tls_host().to_owned());
        let url = joined(&[scheme, "://", user, at, place]);
        Ok(Self { url, host: host.to_owned(), port, tls_name, ..seed.clone() })
    }

    /// Whether both name the same host and port. The case of the host, the scheme and the credentials don't matter.
    #[must_use]
    pub fn same_endpoint(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// The user part of an address without a password: a token.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match self.password {
            None => self.user.as_deref(),
            Some(_) => None,
        }
    }

    /// Whether the scheme is `tls`.
    #[must_use]
    pub fn tls_required(&self) -> bool {
        self.scheme == Scheme::Tls
    }

    /// Whether the address has a user part.
    #[must_use]
    pub fn has_user_pass(&self) -> bool {
        self.user.is_some()
    }

    /// `nats`, `tls`, `ws` or `wss`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.scheme.name()
    }

    /// The host: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name that a server's certificate must match: the host, or for an IP address from gossip the name of the server that
    /// the user named.
    #[must_use]
    pub fn tls_host(&self) -> &str {
        self.tls_name.as_deref().unwrap_or(&self.host)
    }

    /// Whether it is for a websocket, `ws` or `wss`.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        matches!(self.scheme, Scheme::Ws | Scheme::Wss)
    }

    /// The error about this address, of kind `InvalidInput`: it shows the address without credentials, and the rule.
    pub(crate) fn refused(&self, rule: &str) -> io::Error {
        invalid(&self.url, rule)
    }

    /// The port, possibly the scheme's default.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address as typed, **credentials included**, with the scheme in front.
    #[must_use]
    pub fn as_url_str(&self) -> &str {
        &self.url
    }

    /// The user part, decoded. Without a password it is a token, [`Self::token`].
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password, decoded.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// User and password as typed.
    fn user_info(&self) -> Option<&str> {
        let (_, rest) = self.url.split_once("://")?;
        Some(rest.rsplit_once('@')?.0)
    }
}
