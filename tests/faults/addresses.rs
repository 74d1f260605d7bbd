//! Rows D: which address of a name, and which server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nats_lifeline::connection::{Cause, ConnectionEvent};
use nats_lifeline::testing::Broker;
use nats_lifeline::{ConnectErrorKind, ConnectOptions};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

#[cfg(target_os = "linux")]
use crate::support::black_hole::BlackHole;
use crate::support::fake::{Conversation, Fake, INFO};
use crate::support::ports::Ports;
use crate::support::{SOON, Timeline, eventually, soon};

/// A peer that is not a NATS server: `act` handles each connection.
async fn stranger<F, Fut>(act: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(act(stream));
        }
    });
    addr
}

async fn silence(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

async fn web(mut stream: TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
}

async fn closing(stream: TcpStream) {
    drop(stream);
}

fn at(found: Vec<SocketAddr>) -> ConnectOptions {
    ConnectOptions::new().resolver(move |_, _| {
        let found = found.clone();
        async move { Ok(found) }
    })
}

// Fault D1: in our tests, all bad addresses of names were dead or silent; none accepted connections without being a
// server.
#[tokio::test]
async fn an_address_that_accepts_but_is_not_a_server_leads_to_the_next() {
    let broker = Broker::start().await.unwrap();
    let (closes, is_silent, speaks) = (stranger(closing).await, stranger(silence).await, stranger(web).await);
    for others in [vec![closes], vec![is_silent], vec![speaks], vec![closes, is_silent, speaks]] {
        // They are tried in random order: often enough that each comes first.
        for _ in 0..8 {
            let found: Vec<SocketAddr> = others.iter().copied().chain([broker.addr()]).collect();
            let client = soon("a connection", at(found).connect("several.example")).await.unwrap();
            soon("a flush", client.flush()).await.unwrap();
        }
    }
}

// Fault D1: if none of them is a server, the attempt ends in time, and the error says what was found.
#[tokio::test]
async fn a_name_without_a_server_fails_within_the_deadline() {
    let (closes, is_silent) = (stranger(closing).await, stranger(silence).await);
    let options = at(vec![closes, closes, is_silent]).connection_timeout(Duration::from_secs(1));
    let error = soon("a refusal", options.connect("several.example")).await.unwrap_err();
    assert!(matches!(error.kind(), ConnectErrorKind::TimedOut | ConnectErrorKind::Io), "{error}");
}

// Fault D1, TLS: one address has a certificate for another name, and another one is a web server.
#[cfg(feature = "ring")]
#[tokio::test]
async fn an_address_with_the_wrong_certificate_leads_to_the_next_one() {
    use crate::support::{Authority, Server};
    let (authority, other) = (Authority::new(), Authority::new());
    let right = Server::builder().line(authority.server(&["several.example"]).tls("")).start().await;
    let wrong = Server::builder().line(other.server(&["several.example"]).tls("")).start().await;
    let local = |port| SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    for _ in 0..6 {
        let options = at(vec![local(wrong.port()), local(right.port())]);
        let options = options.add_root_certificates(authority.certificate());
        let client = soon("a connection", options.connect("tls://several.example")).await.unwrap();
        soon("a flush", client.flush()).await.unwrap();
    }
}

// Fault D3
#[tokio::test]
async fn a_text_with_several_servers_is_a_list_wherever_addresses_are_accepted() {
    let (one, two) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let list = format!("{}, nats://u:p@{}", one.url(), two.addr());
    let client = soon("a connection", ConnectOptions::new().connect(&list)).await.unwrap();
    assert_eq!(soon("the pool", client.server_pool()).await.unwrap().len(), 2);
    soon("a pool", client.set_server_pool(format!("{list},nats://third.example"))).await.unwrap();
    assert_eq!(soon("the pool", client.server_pool()).await.unwrap().len(), 3);
    let options = ConnectOptions::new().preferred_servers(list.as_str()).unwrap();
    let client = soon("a connection", options.connect(vec![list.clone(), "nats://third.example".to_owned()])).await;
    assert_eq!(soon("the pool", client.unwrap().server_pool()).await.unwrap().len(), 3);
    let error = soon("a refusal", ConnectOptions::new().connect("nats://a:4222,,nats://b:4222")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::ServerParse);
    assert!(error.to_string().contains("part 2 of the list: it is empty"), "{error}");
}

// Fault D5: our test ports were outside of the system's range of ephemeral ports, and a dial that connected to itself
// looked like a server that sends no INFO. No test checked who had the port.
#[tokio::test]
async fn a_dial_that_connects_to_itself_is_refused_and_frees_the_port() {
    let ports = Ports::reserve();
    let addr = SocketAddr::from(([127, 0, 0, 1], ports.client()));
    let dials = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dials);
    let options = ConnectOptions::new().local_address(addr).resolver(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        async move { Ok(vec![addr]) }
    });
    let error = soon("a refusal", options.connect("itself.example")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Io, "{error}");
    assert!(error.to_string().contains("connected to itself"), "{error}");
    assert_eq!(dials.load(Ordering::Relaxed), 1);
    // A server can bind it.
    TcpListener::bind(addr).await.unwrap();
}

// Fault D6: an address that leads to different servers, like that of a load balancer.
#[tokio::test]
async fn a_lame_duck_behind_a_load_balancer_is_left_in_time() {
    let (one, two) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let addrs = [one.addr(), two.addr()];
    let (turn, lame) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let draining = Arc::clone(&lame);
    let options = ConnectOptions::new().resolver(move |_, _| {
        // It leads to the lame duck once more at first.
        let turn = if draining.load(Ordering::Relaxed) { turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let found = addrs[turn.min(1)];
        async move { Ok(vec![found]) }
    });
    let client = soon("a connection", options.connect("balanced.example")).await.unwrap();
    let timeline = Timeline::of(&client);
    assert_eq!((one.connections(), two.connections()), (1, 0));
    lame.store(true, Ordering::Relaxed);
    one.lame_duck();
    let lost = timeline.disconnected(0).await;
    assert!(matches!(&lost, ConnectionEvent::Disconnected { cause: Cause::LameDuck, in_doubt: 0, .. }), "{lost:?}");
    timeline.reconnected(0).await;
    assert_eq!(client.server_info().port, two.port());
    soon("a flush", client.flush()).await.unwrap();
}

// Fault D8
#[tokio::test]
async fn the_client_does_not_move_between_two_lame_ducks() {
    let (one, two) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let client = soon("a connection", ConnectOptions::new().connect(vec![one.url(), two.url()])).await.unwrap();
    one.lame_duck();
    two.lame_duck();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let accepted = one.accepted() + two.accepted();
    assert!(accepted <= 8, "{accepted} connections in four seconds");
    soon("a flush", client.flush()).await.unwrap();
    eventually("it stays with one", SOON, async || one.connections() + two.connections() == 1).await;
}

// Fault D2: the only server is back immediately, but the five others that it announced never answer. They cost 25 s.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn silent_servers_do_not_delay_the_reconnect_to_one_that_is_back() {
    let holes: Vec<_> = (0..5).map(|_| BlackHole::new()).collect();
    let announced: Vec<String> = holes.iter().map(|hole| format!("\"{}\"", hole.addr)).collect();
    let info = INFO.replace("\"proto\":1", &format!("\"proto\":1,\"connect_urls\":[{}]", announced.join(",")));
    let fake = Fake::start(move |mut conversation: Conversation, number| {
        let info = info.clone();
        async move {
            conversation.say(&info).await;
            while conversation.hear().await.is_some_and(|line| line != "PING") {}
            conversation.say("PONG\r\n").await;
            if number == 0 {
                tokio::time::sleep(Duration::from_millis(1200)).await;
            } else {
                conversation.serve().await;
            }
        }
    })
    .await;
    let client = soon("a connection", ConnectOptions::new().connect(fake.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    timeline.disconnected(0).await;
    assert_eq!(soon("the pool", client.server_pool()).await.unwrap().len(), 6);
    let back = timeline.reconnected(0).await;
    let ConnectionEvent::Reconnected { downtime, .. } = back else { unreachable!() };
    assert!(downtime < Duration::from_secs(10), "{downtime:?}");
}
