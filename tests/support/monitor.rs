//! The data of a server's monitoring port.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// One connection, as the server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) cid: u64,
    /// The client's port.
    pub(crate) port: u64,
    pub(crate) name: String,
    pub(crate) in_messages: u64,
    pub(crate) out_messages: u64,
    pub(crate) subscriptions: Vec<Subscription>,
}

/// One subscription, as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) subject: String,
    pub(crate) queue: Option<String>,
    pub(crate) sid: String,
    /// How many messages the server will deliver in total; 0 means no limit.
    pub(crate) max: u64,
    pub(crate) delivered: u64,
}

/// Requests `path` and parses the answer; `None` while the server does not answer.
pub(crate) fn get(port: u16, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

/// The open client connections, in order of arrival.
pub(crate) fn connections(port: u16) -> Option<Vec<Connection>> {
    let answer = get(port, "/connz?subs=detail&limit=10000")?;
    let connections = answer["connections"].as_array()?.iter().map(|connection| Connection {
        cid: connection["cid"].as_u64().unwrap_or_default(),
        port: connection["port"].as_u64().unwrap_or_default(),
        name: text(&connection["name"]).unwrap_or_default(),
        in_messages: connection["in_msgs"].as_u64().unwrap_or_default(),
        out_messages: connection["out_msgs"].as_u64().unwrap_or_default(),
        subscriptions: connection["subscriptions_list_detail"]
            .as_array()
            .into_iter()
            .flatten()
            .map(subscription)
            .collect(),
    });
    Some(connections.collect())
}

fn subscription(value: &Value) -> Subscription {
    Subscription {
        subject: text(&value["subject"]).unwrap_or_default(),
        queue: text(&value["qgroup"]),
        sid: text(&value["sid"]).unwrap_or_default(),
        max: value["max"].as_u64().unwrap_or_default(),
        delivered: value["msgs"].as_u64().unwrap_or_default(),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
