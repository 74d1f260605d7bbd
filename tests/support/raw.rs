//! An observer on a plain socket: it sends and receives exactly what the test says, and recovers from nothing.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{SOON, within};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawMessage {
    pub(crate) subject: String,
    pub(crate) sid: String,
    pub(crate) reply: Option<String>,
    /// The header block as received, empty for a plain MSG.
    pub(crate) headers: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl RawMessage {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }
}

pub(crate) struct RawClient {
    stream: TcpStream,
    buffer: Vec<u8>,
    info: Value,
    messages: VecDeque<RawMessage>,
    errors: Vec<String>,
    pongs: usize,
    /// PINGs from the server that were not answered yet.
    pings: usize,
}

impl RawClient {
    pub(crate) async fn connect(port: u16) -> RawClient {
        RawClient::connect_with(port, "").await
    }

    /// Connects with more fields in CONNECT, such as `"user":"u","pass":"p"`.
    pub(crate) async fn connect_with(port: u16, fields: &str) -> RawClient {
        let mut client = RawClient::open(port).await;
        let comma = if fields.is_empty() { "" } else { "," };
        let headers = client.info["headers"].as_bool().unwrap_or(false);
        let connect = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"lang\":\"raw\",\"version\":\"0\",\"name\":\"raw\",\"protocol\":0,\
             \"echo\":true,\"headers\":{headers},\"no_responders\":{headers}{comma}{fields}}}\r\n"
        );
        client.send(connect.as_bytes()).await;
        client.sync().await;
        client
    }

    /// The INFO of the server on that port.
    pub(crate) async fn greeting(port: u16) -> Value {
        RawClient::open(port).await.info
    }

    async fn open(port: u16) -> RawClient {
        let stream = within("a raw connection", SOON, TcpStream::connect(("127.0.0.1", port)))
            .await
            .expect("the server listens");
        stream.set_nodelay(true).expect("a live socket");
        let mut client = RawClient {
            stream,
            buffer: Vec::new(),
            info: Value::Null,
            messages: VecDeque::new(),
            errors: Vec::new(),
            pongs: 0,
            pings: 0,
        };
        within("the greeting", SOON, async {
            while client.info.is_null() {
                assert!(client.read_more().await, "the server closed before its INFO");
            }
        })
        .await;
        client
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within("the server takes raw bytes", SOON, self.stream.write_all(bytes)).await.expect("a live socket");
    }

    pub(crate) async fn subscribe(&mut self, subject: &str, sid: &str) {
        self.send(format!("SUB {subject} {sid}\r\n").as_bytes()).await;
        self.sync().await;
    }

    pub(crate) async fn queue_subscribe(&mut self, subject: &str, queue: &str, sid: &str) {
        self.send(format!("SUB {subject} {queue} {sid}\r\n").as_bytes()).await;
        self.sync().await;
    }

    pub(crate) async fn publish(&mut self, subject: &str, payload: impl AsRef<[u8]>) {
        let frame = frame(&format!("PUB {subject}"), payload.as_ref());
        self.send(&frame).await;
    }

    pub(crate) async fn publish_with_reply(&mut self, subject: &str, reply: &str, payload: impl AsRef<[u8]>) {
        let frame = frame(&format!("PUB {subject} {reply}"), payload.as_ref());
        self.send(&frame).await;
    }

    /// `headers` is the whole block, from `NATS/1.0` to the empty line.
    pub(crate) async fn publish_with_headers(&mut self, subject: &str, headers: &str, payload: impl AsRef<[u8]>) {
        let mut body = headers.as_bytes().to_vec();
        body.extend_from_slice(payload.as_ref());
        let frame = frame(&format!("HPUB {subject} {}", headers.len()), &body);
        self.send(&frame).await;
    }

    /// Sends a PING and reads up to its PONG: then earlier operations are processed, and earlier messages have arrived.
    pub(crate) async fn sync(&mut self) {
        let wanted = self.pongs + 1;
        self.send(b"PING\r\n").await;
        within("a PONG", SOON, async {
            while self.pongs < wanted {
                assert!(self.read_more().await, "the server closed: {:?}", self.errors);
            }
        })
        .await;
    }

    /// Waits for the next message.
    pub(crate) async fn next(&mut self) -> RawMessage {
        within("a message at the observer", SOON, async {
            loop {
                if let Some(message) = self.messages.pop_front() {
                    return message;
                }
                assert!(self.read_more().await, "the server closed: {:?}", self.errors);
            }
        })
        .await
    }

    /// Waits for the next `count` messages.
    pub(crate) async fn next_n(&mut self, count: usize) -> Vec<RawMessage> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            messages.push(self.next().await);
        }
        messages
    }

    /// The messages that were delivered and not taken, after a round trip.
    pub(crate) async fn received(&mut self) -> Vec<RawMessage> {
        self.sync().await;
        self.messages.drain(..).collect()
    }

    /// The number of messages that were delivered and not taken, after a round trip.
    pub(crate) async fn waiting(&mut self) -> usize {
        self.sync().await;
        self.messages.len()
    }

    /// The texts of all `-ERR`s so far.
    pub(crate) fn errors(&self) -> &[String] {
        &self.errors
    }

    /// Reads and parses what has arrived. False at the end of the stream.
    async fn read_more(&mut self) -> bool {
        let mut chunk = vec![0; 256 * 1024];
        let read = match self.stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return false,
            Ok(read) => read,
        };
        self.buffer.extend_from_slice(&chunk[..read]);
        let mut at = 0;
        while let Some(used) = self.take_op(at) {
            at += used;
        }
        self.buffer.drain(..at);
        for _ in 0..std::mem::take(&mut self.pings) {
            let _ = self.stream.write_all(b"PONG\r\n").await;
        }
        true
    }

    /// Parses one whole operation from `buffer[at..]`, and returns its length.
    fn take_op(&mut self, at: usize) -> Option<usize> {
        let rest = &self.buffer[at..];
        let line_len = rest.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let line = String::from_utf8_lossy(&rest[..line_len - 2]).into_owned();
        let (op, args) = line.split_once(' ').unwrap_or((&line, ""));
        match op {
            "INFO" => self.info = serde_json::from_str(args).expect("INFO is JSON"),
            "PING" => self.pings += 1,
            "PONG" => self.pongs += 1,
            "+OK" => {}
            "-ERR" => self.errors.push(args.trim().trim_matches('\'').to_owned()),
            "MSG" | "HMSG" => {
                let mut args: Vec<&str> = args.split(' ').collect();
                let total: usize = args.pop()?.parse().expect("a size");
                let header_len: usize = if op == "HMSG" { args.pop()?.parse().expect("a size") } else { 0 };
                let body = rest.get(line_len..line_len + total + 2)?;
                let message = RawMessage {
                    subject: args[0].to_owned(),
                    sid: args[1].to_owned(),
                    reply: args.get(2).map(|reply| (*reply).to_owned()),
                    headers: body[..header_len].to_vec(),
                    payload: body[header_len..total].to_vec(),
                };
                self.messages.push_back(message);
                return Some(line_len + total + 2);
            }
            _ => panic!("the server said {line:?}"),
        }
        Some(line_len)
    }
}

fn frame(start: &str, body: &[u8]) -> Vec<u8> {
    let mut frame = format!("{start} {}\r\n", body.len()).into_bytes();
    frame.extend_from_slice(body);
    frame.extend_from_slice(b"\r\n");
    frame
}
