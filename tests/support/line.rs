//! A client, its real server, the proxy between them, and an observer on the server itself.

use nats_lifeline::{Client, ConnectOptions, connection::ConnectionEvent};

use super::{Cut, Proxy, RawClient, SOON, Server, Timeline, within};

/// See [`line`].
pub(crate) struct Line {
    // Kept alive.
    _server: Server,
    pub(crate) proxy: Proxy,
    pub(crate) client: Client,
    pub(crate) timeline: Timeline,
    pub(crate) raw: RawClient,
}

/// A client behind a proxy, and an observer of everything on the server itself.
pub(crate) async fn line(options: ConnectOptions) -> Line {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let client = options.name("lifeline").connect(proxy.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut raw = server.raw().await;
    raw.subscribe(">", "1").await;
    Line { _server: server, proxy, client, timeline, raw }
}

impl Line {
    /// The connection is cut, and no other is accepted.
    pub(crate) async fn outage(&self, number: usize) -> ConnectionEvent {
        self.proxy.refuse().await;
        self.proxy.cut(Cut::Rst);
        self.timeline.disconnected(number).await
    }

    /// Connections are accepted again.
    pub(crate) async fn recovery(&self, number: usize) -> ConnectionEvent {
        self.proxy.admit().await;
        self.timeline.reconnected(number).await
    }

    /// The payloads that the server has, after a round trip of the client.
    pub(crate) async fn arrived(&mut self) -> Vec<String> {
        within("a flush", SOON * 2, self.client.flush()).await.unwrap();
        self.raw.received().await.iter().map(|message| message.text()).collect()
    }
}
