//! Options whose effect only a server, or the line to it, can show.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::protocol::ErrKind;
use nats_lifeline::{Client, ConnectOptions};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::support::{Proxy, SOON, Server, Timeline, eventually, monitor, soon};

/// A connection that records what the server sends.
struct Recorder {
    stream: TcpStream,
    received: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Recorder {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.received.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The number of lines `line` from the server.
fn lines_from_server(received: &Mutex<Vec<u8>>, line: &str) -> usize {
    let text = String::from_utf8_lossy(&received.lock().unwrap()).into_owned();
    text.split("\r\n").filter(|received| *received == line).count()
}

/// Publishes ten messages to itself, and asks itself once.
async fn works(client: &Client) {
    let mut own = client.subscribe("a").await.unwrap();
    for number in 0..10 {
        client.publish("a", number.to_string().into()).await.unwrap();
    }
    for number in 0..10 {
        assert_eq!(soon("a message", own.next()).await.unwrap().payload, number.to_string());
    }
    let mut questions = client.subscribe("q").await.unwrap();
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.request("q", "?".into()).await }
    });
    let question = soon("a question", questions.next()).await.unwrap();
    client.publish(question.reply.unwrap(), "!".into()).await.unwrap();
    assert_eq!(soon("an answer", asking).await.unwrap().unwrap().payload, "!");
    soon("a flush", client.flush()).await.unwrap();
    assert!(client.stats().balances());
}

// S50
#[tokio::test]
async fn with_verbose_the_server_acknowledges_everything_and_nothing_else_changes() {
    let server = Server::start().await;
    let url = server.url();
    for verbose in [false, true] {
        let received = Arc::new(Mutex::new(Vec::new()));
        let options = ConnectOptions::new().dialer({
            let received = Arc::clone(&received);
            move |addr| {
                let received = Arc::clone(&received);
                async move { Ok(Recorder { stream: TcpStream::connect((addr.host(), addr.port())).await?, received }) }
            }
        });
        let options = if verbose { options.verbose() } else { options };
        let client = soon("a connection", options.connect(&url)).await.unwrap();
        works(&client).await;
        // CONNECT, two subscriptions and the inbox's, ten messages, question and answer.
        let acknowledged = lines_from_server(&received, "+OK");
        assert!(if verbose { acknowledged >= 16 } else { acknowledged == 0 }, "verbose {verbose}: {acknowledged}");
        soon("the end", client.close()).await.unwrap();
    }
}

// S50
#[tokio::test]
async fn with_pedantic_the_server_reports_a_subject_that_it_accepts_otherwise() {
    let server = Server::start().await;
    for pedantic in [false, true] {
        let options = if pedantic { ConnectOptions::new().pedantic() } else { ConnectOptions::new() };
        let client = soon("a connection", options.connect(server.url())).await.unwrap();
        let timeline = Timeline::of(&client);
        client.publish("a.*", "x".into()).await.unwrap();
        soon("a round trip", client.flush()).await.unwrap();
        let reported = |event: &ConnectionEvent| matches!(event, ConnectionEvent::ServerError { error, .. } if *error == ErrKind::InvalidPublishSubject);
        if pedantic {
            timeline.nth("ServerError", 0, reported).await;
        }
        // The connection goes on.
        works(&client).await;
        assert_eq!(timeline.count(reported), usize::from(pedantic));
        assert_eq!(timeline.count(|event| matches!(event, ConnectionEvent::Disconnected { .. })), 0);
    }
}

/// The addresses of the server's clients.
fn addresses(server: &Server) -> Vec<String> {
    let answer = monitor::get(server.monitor_port(), "/connz").expect("the monitoring port answers");
    let clients = answer["connections"].as_array().unwrap().clone();
    clients.iter().map(|client| client["ip"].as_str().unwrap().to_owned()).collect()
}

// P5. Other systems have no second loopback address.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_connection_comes_from_the_local_address() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let here = "127.0.0.2:0".parse().unwrap();
    let client = soon("a connection", ConnectOptions::new().local_address(here).connect(server.url())).await.unwrap();
    assert_eq!(addresses(&server), ["127.0.0.2"]);
    let timeline = Timeline::of(&client);
    soon("a move", client.force_reconnect()).await.unwrap();
    timeline.reconnected(0).await;
    eventually("one connection is left, from there", SOON, async || addresses(&server) == ["127.0.0.2"]).await;
    works(&client).await;
    soon("the end", client.close()).await.unwrap();
    // An address of no machine fails each attempt, and no other one is used instead.
    let nowhere = "192.0.2.1:0".parse().unwrap();
    let error = soon("an error", ConnectOptions::new().local_address(nowhere).connect(proxy.url())).await.unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{}", proxy.port())), "{error}");
    assert_eq!(proxy.accepted(), 0);
}

// S25
#[tokio::test]
async fn without_an_interval_an_idle_client_sends_no_ping() {
    let server = Server::start().await;
    let (with, without) = (Proxy::start(server.port()).await, Proxy::start(server.port()).await);
    let pings = |proxy: &Proxy| {
        let passages = proxy.passages();
        assert_eq!(passages.len(), 1);
        passages[0].lines().iter().filter(|line| *line == "PING").count()
    };
    let quiet = soon("a connection", ConnectOptions::new().ping_interval(None).connect(without.url())).await.unwrap();
    let options = ConnectOptions::new().ping_interval(Duration::from_millis(20)).max_pings_out(1000);
    let pinging = soon("a connection", options.connect(with.url())).await.unwrap();
    eventually("the other one has sent twenty", SOON, async || pings(&with) > 20).await;
    assert_eq!(pings(&without), 1, "only that of the handshake");
    // A call that needs a PING still sends one.
    soon("a round trip", quiet.flush()).await.unwrap();
    assert_eq!(pings(&without), 2);
    drop(pinging);
}

// S42: of 24 clients, each server gets some first, and with the option none but the first one does.
#[tokio::test]
async fn clients_with_the_same_list_spread_over_the_servers_unless_its_order_is_retained() {
    let servers = [Server::start().await, Server::start().await, Server::start().await];
    let urls: Vec<_> = servers.iter().map(Server::url).collect();
    let connected = || servers.each_ref().map(|server| server.connections().len());
    let mut clients = Vec::new();
    for seed in 0..24 {
        let options = ConnectOptions::new().random_seed(seed);
        clients.push(soon("a connection", options.connect(&urls[..])).await.unwrap());
    }
    let spread = connected();
    assert!(spread.iter().sum::<usize>() == 24 && spread.iter().all(|count| *count > 0), "{spread:?}");
    clients.clear();
    eventually("they are gone", SOON, async || connected() == [0; 3]).await;
    for seed in 0..24 {
        let options = ConnectOptions::new().random_seed(seed).retain_servers_order();
        clients.push(soon("a connection", options.connect(&urls[..])).await.unwrap());
    }
    assert_eq!(connected(), [24, 0, 0]);
}

// S45
#[tokio::test]
async fn the_server_knows_the_connections_name_also_after_a_reconnect() {
    let mut server = Server::start().await;
    let options = ConnectOptions::new().name("billing \"1\"");
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    let names = |server: &Server| server.connections().into_iter().map(|client| client.name).collect::<Vec<_>>();
    assert_eq!(names(&server), ["billing \"1\""]);
    server.kill();
    server.restart().await;
    timeline.reconnected(0).await;
    assert_eq!(names(&server), ["billing \"1\""]);
}

// S19: each delay after a failed attempt, of a TLS server and of another one that is gone.
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#[tokio::test]
async fn the_delays_of_a_tls_server_have_their_jitter_and_others_do_not() {
    use crate::support::Authority;
    use nats_lifeline::options::{Backoff, Jitter};

    let authority = Authority::new();
    let mut secure = Server::builder().line(authority.server(&["localhost", "127.0.0.1"]).tls("")).start().await;
    let mut plain = Server::start().await;
    let jitter = Duration::from_millis(600);
    for (server, scheme) in [(&mut secure, "tls"), (&mut plain, "nats")] {
        let options = ConnectOptions::new()
            .add_root_certificates(authority.certificate())
            .backoff(Backoff { jitter: Jitter::None, ..Backoff::fixed(Duration::from_millis(1)) })
            .tls_reconnect_jitter(jitter)
            .random_seed(7);
        let url = format!("{scheme}://127.0.0.1:{}", server.port());
        let client = soon("a connection", options.connect(url)).await.unwrap();
        let timeline = Timeline::of(&client);
        server.kill();
        let failed = |event: &ConnectionEvent| matches!(event, ConnectionEvent::AttemptFailed { .. });
        timeline.nth("the tenth failed attempt", 9, failed).await;
        server.restart().await;
        timeline.reconnected(0).await;
        let delays: Vec<Duration> = timeline
            .all()
            .into_iter()
            .filter_map(|event| match event {
                ConnectionEvent::AttemptFailed { retry_in, .. } => Some(retry_in),
                _ => None,
            })
            .collect();
        // No server is dialled more often than every 100 ms.
        let shortest = Duration::from_millis(100);
        if scheme == "tls" {
            assert!(delays.iter().all(|delay| *delay <= jitter + Duration::from_millis(1)), "{delays:?}");
            assert!(delays.iter().filter(|delay| **delay > shortest).count() >= 3, "{delays:?}");
        } else {
            assert!(delays.iter().all(|delay| *delay <= shortest), "{delays:?}");
        }
        works(&client).await;
    }
}
