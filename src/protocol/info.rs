//! INFO: what a server says about itself. Parsed leniently, field by field.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::foreign::{kept, shown};

/// The default of `max_payload`, for servers that don't send it.
const DEFAULT_MAX_PAYLOAD: usize = 1024 * 1024;

/// The document of `INFO`, with every field that nats-server 2.15 knows (`server.go`, `Info`).
///
/// Servers leave out empty fields, so every field may be absent: an absent field, a `null` and a value of an unexpected type
/// all become the empty value, and unknown fields are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Info {
    /// The server's public key, new at every start.
    pub server_id: String,
    /// The configured name, or the id.
    pub server_name: String,
    /// The server's version, such as `2.15.1`.
    pub version: String,
    /// The protocol version: 1 if INFO may come again; 3 on a route port.
    pub proto: i64,
    /// The commit that the server was built from.
    pub git_commit: Option<String>,
    /// The version of Go that it was built with.
    pub go: String,
    /// The host that it listens on, or advertises (`client_advertise`).
    pub host: String,
    /// The port that it listens on, or advertises.
    pub port: u16,
    /// Whether it supports headers.
    pub headers: bool,
    /// Whether a client must authenticate.
    pub auth_required: bool,
    /// Whether the connection must be TLS.
    pub tls_required: bool,
    /// Whether it asks for a client certificate.
    pub tls_verify: bool,
    /// Whether the connection may be TLS.
    pub tls_available: bool,
    /// The largest body that it accepts, including headers, in bytes, as sent; see [`Info::max_payload`].
    pub max_payload: Option<u64>,
    /// Whether JetStream is enabled.
    pub jetstream: bool,
    /// The address of a route, leaf or gateway.
    pub ip: Option<String>,
    /// The server's number for this connection.
    pub client_id: Option<u64>,
    /// The client's address as the server sees it.
    pub client_ip: Option<String>,
    /// The nonce to sign; present only if NKeys or JWTs are in use.
    pub nonce: Option<String>,
    /// The name of the cluster.
    pub cluster: Option<String>,
    /// Whether the cluster's name was generated.
    pub cluster_dynamic: bool,
    /// The JetStream domain.
    pub domain: Option<String>,
    /// The servers of the cluster, `host:port` each, the complete list. Empty means "no change".
    pub connect_urls: Vec<String>,
    /// The same for websockets.
    pub ws_connect_urls: Vec<String>,
    /// Whether the server is in lame duck mode.
    pub lame_duck_mode: bool,
    /// The compression of a route or leaf.
    pub compression: Option<String>,
    /// Whether this is the INFO that follows the first PONG, with what the server knows about this client.
    pub connect_info: bool,
    /// The account of this client.
    pub remote_account: Option<String>,
    /// Whether that is the system account.
    pub acc_is_sys: bool,
    /// The level of the JetStream API.
    pub api_lvl: Option<u64>,
    /// The server's public curve key, for auth callout.
    pub xkey: Option<String>,
}

/// The text of an INFO is not a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("INFO is not a JSON object: {}", shown(reason))]
pub struct InfoError {
    reason: String,
}

impl Info {
    /// Roughly how many bytes of text it contains.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts = [&self.server_id, &self.server_name, &self.version, &self.go, &self.host];
        let some = [
            &self.git_commit,
            &self.ip,
            &self.client_ip,
            &self.nonce,
            &self.cluster,
            &self.domain,
            &self.compression,
            &self.remote_account,
            &self.xkey,
        ];
        let lists = self.connect_urls.iter().chain(&self.ws_connect_urls);
        texts.into_iter().chain(some.into_iter().flatten()).map(String::len).sum::<usize>()
            + lists.map(|url| url.len() + size_of::<String>()).sum::<usize>()
    }

    /// Parses the JSON of an INFO.
    ///
    /// # Errors
    ///
    /// If it is not a JSON object. A field of an unexpected type is treated as absent.
    ///
    /// ```
    /// use nats_lifeline::protocol::Info;
    ///
    /// let info = Info::parse(br#"{"server_id":"N","port":"4222?","ldm":true,"new":null}"#)?;
    /// assert_eq!((info.server_id.as_str(), info.port, info.lame_duck_mode), ("N", 0, true));
    /// assert_eq!(info.max_payload(), 1024 * 1024);
    /// # Ok::<(), nats_lifeline::protocol::InfoError>(())
    /// ```
    pub fn parse(json: &[u8]) -> Result<Self, InfoError> {
        let fields: Map<String, Value> =
            serde_json::from_slice(json).map_err(|error| InfoError { reason: kept(error.to_string()) })?;
        let mut fields = Fields(fields);
        Ok(Self {
            server_id: fields.text("server_id"),
            server_name: fields.text("server_name"),
            version: fields.text("version"),
            proto: fields.integer("proto"),
            git_commit: fields.some_text("git_commit"),
            go: fields.text("go"),
            host: fields.text("host"),
            port: fields.port("port"),
            headers: fields.flag("headers"),
            auth_required: fields.flag("auth_required"),
            tls_required: fields.flag("tls_required"),
            tls_verify: fields.flag("tls_verify"),
            tls_available: fields.flag("tls_available"),
            max_payload: fields.number("max_payload"),
            jetstream: fields.flag("jetstream"),
            ip: fields.some_text("ip"),
            client_id: fields.number("client_id"),
            client_ip: fields.some_text("client_ip"),
            nonce: fields.whole_text("nonce"),
            cluster: fields.some_text("cluster"),
            cluster_dynamic: fields.flag("cluster_dynamic"),
            domain: fields.some_text("domain"),
            connect_urls: fields.texts("connect_urls"),
            ws_connect_urls: fields.texts("ws_connect_urls"),
            lame_duck_mode: fields.flag("ldm"),
            compression: fields.some_text("compression"),
            connect_info: fields.flag("connect_info"),
            remote_account: fields.some_text("remote_account"),
            acc_is_sys: fields.flag("acc_is_sys"),
            api_lvl: fields.number("api_lvl"),
            xkey: fields.some_text("xkey"),
        })
    }

    /// The largest body, including headers, that may be sent to this server, in bytes.
    ///
    /// 1 MiB if the server sends none, or 0: the field is left out when empty, and a server that accepted nothing would be
    /// useless.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        match self.max_payload {
            None | Some(0) => DEFAULT_MAX_PAYLOAD,
            Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }
}

/// The fields of a JSON object, each taken out as the requested type, or as its empty value.
struct Fields(Map<String, Value>);

impl Fields {
    /// A text, cut to the length that is kept of foreign text.
    fn some_text(&mut self, name: &str) -> Option<String> {
        self.whole_text(name).map(kept)
    }

    fn whole_text(&mut self, name: &str) -> Option<String> {
        match self.0.get_mut(name)?.take() {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn text(&mut self, name: &str) -> String {
        self.some_text(name).unwrap_or_default()
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        let Some(Value::Array(values)) = self.0.get_mut(name).map(Value::take) else {
            return Vec::new();
        };
        let text = |value| match value {
            Value::String(text) => Some(kept(text)),
            _ => None,
        };
        values.into_iter().filter_map(text).collect()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    fn integer(&self, name: &str) -> i64 {
        self.0.get(name).and_then(Value::as_i64).unwrap_or(0)
    }

    fn port(&self, name: &str) -> u16 {
        let port = self.number(name).and_then(|port| u16::try_from(port).ok());
        port.unwrap_or(0)
    }
}

/// What a server says about itself, in the form that programs written for async-nats expect.
///
/// [`Info`] has more.
#[derive(Debug, Deserialize, Default, Clone, Eq, PartialEq)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)]
pub struct ServerInfo {
    /// The server's public key, new at every start.
    pub server_id: String,
    /// The configured name, or the id.
    pub server_name: String,
    /// The host that it listens on, or advertises.
    pub host: String,
    /// The port that it listens on, or advertises.
    pub port: u16,
    /// The server's version, such as `2.15.1`.
    pub version: String,
    /// Whether a client must authenticate.
    pub auth_required: bool,
    /// Whether the connection must be TLS.
    pub tls_required: bool,
    /// The largest body that it accepts, including headers, in bytes.
    pub max_payload: usize,
    /// The protocol version.
    pub proto: i8,
    /// The server's number for this connection.
    pub client_id: u64,
    /// The version of Go that it was built with.
    pub go: String,
    /// The nonce to sign, if NKeys or JWTs are in use.
    pub nonce: String,
    /// The servers of the cluster, `host:port` each.
    pub connect_urls: Vec<String>,
    /// The client's address as the server sees it.
    pub client_ip: String,
    /// Whether it supports headers.
    pub headers: bool,
    /// Whether the server is in lame duck mode.
    #[serde(rename = "ldm")]
    pub lame_duck_mode: bool,
    /// The name of the cluster.
    pub cluster: Option<String>,
    /// The JetStream domain.
    pub domain: Option<String>,
    /// Whether JetStream is enabled.
    pub jetstream: bool,
}

impl From<&Info> for ServerInfo {
    /// `max_payload` is the effective one, [`Info::max_payload`].
    fn from(info: &Info) -> Self {
        Self {
            server_id: info.server_id.clone(),
            server_name: info.server_name.clone(),
            host: info.host.clone(),
            port: info.port,
            version: info.version.clone(),
            auth_required: info.auth_required,
            tls_required: info.tls_required,
            max_payload: info.max_payload(),
            proto: i8::try_from(info.proto).unwrap_or(0),
            client_id: info.client_id.unwrap_or(0),
            go: info.go.clone(),
            nonce: info.nonce.clone().unwrap_or_default(),
            connect_urls: info.connect_urls.clone(),
            client_ip: info.client_ip.clone().unwrap_or_default(),
            headers: info.headers,
            lame_duck_mode: info.lame_duck_mode,
            cluster: info.cluster.clone(),
            domain: info.domain.clone(),
            jetstream: info.jetstream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_of_2_15_is_read_whole() {
        let json = br#"{"server_id":"N","server_name":"n","version":"2.15.1","proto":1,
            "git_commit":"b2fd3ef","go":"go1.27.2","host":"::1","port":4222,"headers":true,
            "auth_required":true,"tls_required":true,"tls_verify":true,"tls_available":true,
            "max_payload":100,"jetstream":true,"ip":"i","client_id":6,"client_ip":"127.0.0.1",
            "nonce":"x","cluster":"c","cluster_dynamic":true,"domain":"d",
            "connect_urls":["a:1","b:2"],"ws_connect_urls":["w:3"],"ldm":true,
            "compression":"off","connect_info":true,"remote_account":"A","acc_is_sys":true,
            "api_lvl":5,"xkey":"X","import":{},"gateway_urls":[1]}"#;
        let some = |text: &str| Some(text.to_owned());
        let info = Info::parse(json).unwrap();
        let expected = Info {
            server_id: "N".to_owned(),
            server_name: "n".to_owned(),
            version: "2.15.1".to_owned(),
            proto: 1,
            git_commit: some("b2fd3ef"),
            go: "go1.27.2".to_owned(),
            host: "::1".to_owned(),
            port: 4222,
            headers: true,
            auth_required: true,
            tls_required: true,
            tls_verify: true,
            tls_available: true,
            max_payload: Some(100),
            jetstream: true,
            ip: some("i"),
            client_id: Some(6),
            client_ip: some("127.0.0.1"),
            nonce: some("x"),
            cluster: some("c"),
            cluster_dynamic: true,
            domain: some("d"),
            connect_urls: vec!["a:1".to_owned(), "b:2".to_owned()],
            ws_connect_urls: vec!["w:3".to_owned()],
            lame_duck_mode: true,
            compression: some("off"),
            connect_info: true,
            remote_account: some("A"),
            acc_is_sys: true,
            api_lvl: Some(5),
            xkey: some("X"),
        };
        assert_eq!(info, expected);
        assert_eq!(info.max_payload(), 100);
        let server = ServerInfo::from(&info);
        assert_eq!((server.client_id, server.proto, server.max_payload), (6, 1, 100));
        assert!(server.lame_duck_mode && server.headers && server.jetstream);
    }

    #[test]
    fn absent_null_and_wrong_fields_are_empty_and_cost_no_other() {
        assert_eq!(Info::parse(b"{}"), Ok(Info::default()));
        let json = br#"{"server_id":null,"version":7,"port":-1,"headers":"yes","client_id":1.5,
            "connect_urls":["a:1",null,3],"max_payload":-1,"proto":"1","nonce":[],"host":"h"}"#;
        let info = Info::parse(json).unwrap();
        let expected = Info { host: "h".to_owned(), connect_urls: vec!["a:1".to_owned()], ..Info::default() };
        assert_eq!(info, expected);
    }

    #[test]
    fn max_payload_is_never_0() {
        let of = |json: &str| Info::parse(json.as_bytes()).unwrap().max_payload();
        assert_eq!(of("{}"), 1_048_576);
        assert_eq!(of(r#"{"max_payload":0}"#), 1_048_576);
        assert_eq!(of(r#"{"max_payload":2147483647}"#), 2_147_483_647);
        assert_eq!(ServerInfo::from(&Info::default()).max_payload, 1_048_576);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for bad in [&b""[..], b"{", b"[]", b"null", b"\"x\"", b"{}x", b"\xff{}", b"{\"a\":}"] {
            assert!(Info::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert!(Info::parse(&deep).is_err());
    }

    #[test]
    fn the_older_type_reads_json_too() {
        let info: ServerInfo = serde_json::from_str(r#"{"ldm":true,"port":4222,"x":1}"#).unwrap();
        assert!(info.lame_duck_mode && info.port == 4222);
    }
}
