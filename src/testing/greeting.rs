//! INFO, which a broker sends first, and again when something has changed.

use super::connection::Connection;
use super::node::{Fabric, Node};
use crate::protocol::info;
use serde_json::json;
use std::sync::atomic::Ordering;

/// The version in INFO: the one that the broker was compared with.
const VERSION: &str = "2.15.1";

/// Appends the INFO for one client. `connect_info`: the one after the first PONG.
pub(super) fn say_info(out: &mut Vec<u8>, node: &Node, connection: &Connection, connect_info: bool) {
    let settings = &node.shared.settings;
    let mut fields = json!({
        "server_id": node.server_id(),
        "server_name": settings.server_name(node.addr.port()),
        "version": VERSION,
        "proto": 1,
        "go": "go1.25.0",
        "host": node.addr.ip().to_string(),
        "port": node.addr.port(),
        "headers": settings.session.headers,
        "max_payload": node.shared.max_payload.load(Ordering::Acquire),
        "client_id": connection.id,
        "client_ip": connection.peer.ip().to_string(),
    });
    let lame_duck = node.is_lame_duck();
    let urls = node.fabric.connect_urls(node, lame_duck);
    // Servers omit empty fields.
    let mut add = |name: &str, value: serde_json::Value| {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    if !settings.session.credentials.is_empty() {
        add("auth_required", true.into());
    }
    if !connect_info && !connection.nonce.is_empty() {
        add("nonce", connection.nonce.as_str().into());
    }
    if let Some(cluster) = &node.fabric.name {
        add("cluster", cluster.as_str().into());
    }
    if !urls.is_empty() {
        add("connect_urls", urls.into());
    }
    if settings.jetstream {
        add("jetstream", true.into());
        add("api_lvl", 5.into());
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

/// Sends the present INFO to the clients that accept one.
pub(super) fn push_info(node: &Node) {
    for connection in node.connections.list() {
        if connection.takes_info.load(Ordering::Acquire) {
            connection.say(|out| say_info(out, node, &connection, false));
        }
    }
}

/// Sends it to the clients of all brokers of a cluster.
pub(super) fn announce(fabric: &Fabric) {
    for node in fabric.members() {
        push_info(&node);
    }
}
