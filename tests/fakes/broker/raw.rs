//! A client that says what it is told to and shows what comes back.

use nats_lifeline::testing::Broker;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection of which the first INFO was read.
pub(crate) struct Raw {
    pub(crate) info: String,
    socket: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(broker: &Broker) -> io::Result<Self> {
        Self::connect_to(broker.addr()).await
    }

    pub(crate) async fn connect_to(addr: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(addr).await?;
        socket.set_nodelay(true)?;
        let mut raw = Self { info: String::new(), socket, received: Vec::new() };
        raw.info = raw.until("\r\n").await?;
        assert!(raw.info.starts_with("INFO {") && raw.info.ends_with("} \r\n"));
        Ok(raw)
    }

    /// Through the handshake and the second INFO; with headers and no responders.
    pub(crate) async fn connected(broker: &Broker) -> io::Result<Self> {
        let mut raw = Self::connect(broker).await?;
        raw.send(
            "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,\
             \"no_responders\":true}\r\nPING\r\n",
        )
        .await?;
        raw.expect("PONG\r\n").await?;
        let info = raw.until("\r\n").await?;
        assert!(info.contains("\"connect_info\":true"), "{info}");
        Ok(raw)
    }

    pub(crate) async fn send(&mut self, text: &str) -> io::Result<()> {
        self.send_bytes(text.as_bytes()).await
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.socket.write_all(bytes)).await?
    }

    async fn more(&mut self) -> io::Result<()> {
        match timeout(PATIENCE, self.socket.read_buf(&mut self.received)).await?? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Everything up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> io::Result<String> {
        let mut from = 0;
        loop {
            let seen = &self.received[from..];
            let found = seen.windows(end.len()).position(|bytes| bytes == end.as_bytes());
            if let Some(at) = found {
                let rest = self.received.split_off(from + at + end.len());
                let text = std::mem::replace(&mut self.received, rest);
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            from = self.received.len().saturating_sub(end.len());
            self.more().await?;
        }
    }

    /// Exactly this must come next.
    pub(crate) async fn expect(&mut self, text: &str) -> io::Result<()> {
        while self.received.len() < text.len() {
            if let Err(error) = self.more().await {
                let got = String::from_utf8_lossy(&self.received);
                panic!("{error} with {got:?} instead of {text:?}");
            }
        }
        let rest = self.received.split_off(text.len());
        let got = std::mem::replace(&mut self.received, rest);
        assert_eq!(String::from_utf8_lossy(&got), text);
        Ok(())
    }

    /// So many MSGs with payloads of one line, each as one line.
    pub(crate) async fn frames(&mut self, count: usize) -> io::Result<Vec<String>> {
        let mut frames = Vec::new();
        for _ in 0..count {
            let head = self.until("\r\n").await?;
            let body = self.until("\r\n").await?;
            frames.push(format!("{} {}", head.trim_end(), body.trim_end()));
        }
        Ok(frames)
    }

    pub(crate) async fn is_silent(&mut self, time: Duration) -> io::Result<bool> {
        assert!(self.received.is_empty());
        match timeout(time, self.socket.read_buf(&mut self.received)).await {
            Err(_) => Ok(true),
            Ok(got) => got.map(|_| false),
        }
    }
}

/// What comes before the end of the stream, be it FIN or RST.
pub(crate) async fn read_until_closed(raw: &mut Raw) -> io::Result<String> {
    loop {
        match raw.more().await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Err(_) => return Ok(String::from_utf8_lossy(&std::mem::take(&mut raw.received)).into()),
        }
    }
}
