//! INFO, which a broker says first, and CONNECT, which a client answers.

use super::connection::Connection;
use super::node::Node;
use crate::protocol::info;
use serde::Deserialize;
use serde_json::json;
use std::sync::atomic::Ordering;

/// The version that the broker claims to be: the one that it was compared with.
const VERSION: &str = "2.15.1";

/// What the broker reads of a CONNECT.
///
/// The defaults are those of nats-server (`client.go`, `defaultOpts`): what isn't said is verbose
/// and pedantic.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct Login {
    pub(super) verbose: bool,
    pub(super) echo: bool,
    pub(super) headers: bool,
    pub(super) no_responders: bool,
    pub(super) protocol: i64,
    pub(super) user: Option<String>,
    pub(super) pass: Option<String>,
    pub(super) auth_token: Option<String>,
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
        }
    }
}

impl Login {
    /// `None` if it is not the JSON of a CONNECT.
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

/// Appends the INFO for one client. `connect_info`: the one behind the first PONG.
pub(super) fn say_info(out: &mut Vec<u8>, node: &Node, connection: &Connection, connect_info: bool) {
    let settings = &node.settings;
    let mut fields = json!({
        "server_id": node.server_id(),
        "server_name": settings.server_name(node.addr.port()),
        "version": VERSION,
        "proto": 1,
        "go": "go1.25.0",
        "host": node.addr.ip().to_string(),
        "port": node.addr.port(),
        "headers": settings.headers,
        "max_payload": node.max_payload.load(Ordering::Acquire),
        "client_id": connection.id,
        "client_ip": connection.peer.ip().to_string(),
    });
    let lame_duck = node.is_lame_duck();
    let urls = node.fabric.connect_urls(node, lame_duck);
    // Servers leave out what is empty.
    let mut add = |name: &str, value: serde_json::Value| {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    if settings.auth_required() {
        add("auth_required", true.into());
    }
    if let Some(cluster) = &node.fabric.name {
        add("cluster", cluster.as_str().into());
    }
    if !urls.is_empty() {
        add("connect_urls", urls.into());
    }
    if lame_duck {
        add("ldm", true.into());
    }
    if connect_info {
        add("connect_info", true.into());
        add("remote_account", "$G".into());
    }
    info(out, fields.to_string().as_bytes());
}
