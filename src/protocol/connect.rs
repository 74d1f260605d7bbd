//! CONNECT: what a client says about itself.

use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

/// The protocol version in CONNECT, a number in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Protocol {
    /// 0: INFO is sent once.
    Original = 0,
    /// 1: INFO may be sent again at any time, for example with new servers or in lame duck mode.
    Dynamic = 1,
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::Original),
            1 => Ok(Self::Dynamic),
            other => Err(serde::de::Error::custom(format_args!("invalid client protocol {other}, expected 0 or 1"))),
        }
    }
}

/// The document of `CONNECT`.
///
/// Fields that are `None` are left out of the JSON, which counts towards the server's `max_control_line`. All credentials that
/// are set are sent. `Debug` hides them.
#[derive(Clone, Serialize)]
pub struct ConnectInfo {
    /// Ask for `+OK` after every operation.
    pub verbose: bool,
    /// Ask for strict checks of subjects.
    pub pedantic: bool,
    /// The user's JWT.
    #[serde(rename = "jwt", skip_serializing_if = "Option::is_none")]
    pub user_jwt: Option<String>,
    /// The user's public NKey.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey: Option<String>,
    /// The signature of INFO's nonce, base64 for URLs without padding.
    #[serde(rename = "sig", skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// A name for this client, shown by the server's monitoring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Send back to this client what it publishes itself, if it has subscribed to it.
    pub echo: bool,
    /// The language of the client.
    pub lang: String,
    /// The version of the client.
    pub version: String,
    /// The protocol version that the client speaks.
    pub protocol: Protocol,
    /// Whether the client requires TLS.
    pub tls_required: bool,
    /// The user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass: Option<String>,
    /// The token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<String>,
    /// Whether the client supports headers.
    pub headers: bool,
    /// Ask for a status 503 when nobody is subscribed to a request's subject. Needs `headers`.
    pub no_responders: bool,
}

impl ConnectInfo {
    /// Overwrites the secrets after sending.
    pub(crate) fn wipe(&mut self) {
        let ConnectInfo { user_jwt, signature, pass, auth_token, .. } = self;
        for secret in [user_jwt, signature, pass, auth_token] {
            secret.zeroize();
        }
    }
}

impl Default for ConnectInfo {
    /// This crate without credentials, for a server without headers: quiet, with echo, protocol 1.
    ///
    /// Every flag is sent, because a server's own defaults are verbose and pedantic.
    fn default() -> Self {
        Self {
            verbose: false,
            pedantic: false,
            user_jwt: None,
            nkey: None,
            signature: None,
            name: None,
            echo: true,
            lang: "rust".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: Protocol::Dynamic,
            tls_required: false,
            user: None,
            pass: None,
            auth_token: None,
            headers: false,
            no_responders: false,
        }
    }
}

impl fmt::Debug for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Destructured, so that a new field can't be forgotten, or shown without a decision.
        let Self {
            verbose,
            pedantic,
            user_jwt,
            nkey,
            signature,
            name,
            echo,
            lang,
            version,
            protocol,
            tls_required,
            user,
            pass,
            auth_token,
            headers,
            no_responders,
        } = self;
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "XXXXXXXX");
        f.debug_struct("ConnectInfo")
            .field("verbose", verbose)
            .field("pedantic", pedantic)
            .field("user_jwt", &hidden(user_jwt))
            .field("nkey", nkey)
            .field("signature", &hidden(signature))
            .field("name", name)
            .field("echo", echo)
            .field("lang", lang)
            .field("version", version)
            .field("protocol", protocol)
            .field("tls_required", tls_required)
            .field("user", user)
            .field("pass", &hidden(pass))
            .field("auth_token", &hidden(auth_token))
            .field("headers", headers)
            .field("no_responders", no_responders)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_not_sent() {
        let json = serde_json::to_string(&ConnectInfo::default()).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "{{\"verbose\":false,\"pedantic\":false,\"echo\":true,\"lang\":\"rust\",\
             \"version\":\"{version}\",\"protocol\":1,\"tls_required\":false,\
             \"headers\":false,\"no_responders\":false}}"
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = || Some("s3cret".to_owned());
        let connect = ConnectInfo {
            user_jwt: secret(),
            signature: secret(),
            user: Some("ada".to_owned()),
            pass: secret(),
            auth_token: secret(),
            ..ConnectInfo::default()
        };
        let shown = format!("{connect:?} {connect:#?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("ada") && shown.contains("XXXXXXXX"));
        let json = serde_json::to_string(&connect).unwrap();
        for field in ["jwt", "sig", "pass", "auth_token"] {
            assert!(json.contains(&format!("\"{field}\":\"s3cret\"")), "{json}");
        }
    }

    #[test]
    fn the_protocol_is_a_number_and_2_is_refused() {
        assert_eq!(serde_json::to_string(&Protocol::Dynamic).unwrap(), "1");
        assert_eq!(serde_json::from_str::<Protocol>("0").unwrap(), Protocol::Original);
        assert!(serde_json::from_str::<Protocol>("2").is_err());
    }
}
