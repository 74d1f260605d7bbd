//! Tests of the harness: servers die on command, restart in the same place, and leave nothing behind.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Cluster, Cut, Direction, Proxy, RawClient, SOON, Server, eventually, soon};

#[tokio::test]
async fn a_killed_server_returns_on_its_port() {
    let mut server = Server::start().await;
    let port = server.port();
    server.raw().await.sync().await;
    server.kill();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    server.restart().await;
    assert_eq!(server.port(), port);
    server.raw().await.sync().await;
}

#[tokio::test]
async fn a_stopped_server_is_silent_and_goes_on_later() {
    let mut server = Server::start().await;
    let mut raw = server.raw().await;
    server.stop();
    raw.send(b"PING\r\n").await;
    assert!(tokio::time::timeout(Duration::from_millis(200), raw.sync()).await.is_err());
    server.cont();
    raw.sync().await;
    server.stop();
    // Dropped while stopped: it must die all the same, or this test leaves a process behind.
}

#[tokio::test]
async fn a_terminated_server_sends_the_reason() {
    let mut server = Server::start().await;
    server.terminate().await;
    assert!(server.log().contains("Server Exiting"), "{}", server.log());
}

#[tokio::test]
async fn observers_see_what_others_publish() {
    let server = Server::builder().user_and_password("u", "p").start().await;
    let (mut one, mut two) = (server.raw().await, server.raw().await);
    one.subscribe("a.*", "s1").await;
    two.publish_with_reply("a.b", "r", "hello").await;
    two.publish_with_headers("a.c", "NATS/1.0\r\nK: v\r\n\r\n", "x").await;
    let (first, second) = (one.next().await, one.next().await);
    assert_eq!((first.subject.as_str(), first.reply.as_deref(), first.text().as_str()), ("a.b", Some("r"), "hello"));
    assert_eq!((second.headers.as_slice(), second.sid.as_str()), (&b"NATS/1.0\r\nK: v\r\n\r\n"[..], "s1"));
    assert_eq!(one.received().await, []);
    let subscriptions = server.subscriptions();
    assert_eq!((subscriptions.len(), subscriptions[0].delivered), (1, 2));
}

#[tokio::test]
async fn a_cluster_gossips_and_carries_messages_between_its_nodes() {
    let mut cluster = Cluster::start(3).await;
    let mut one = cluster.servers[0].raw().await;
    let mut two = cluster.servers[2].raw().await;
    one.subscribe("a", "1").await;
    // It takes some time until the servers know each other's subscriptions.
    eventually("a message crosses the cluster", SOON, async || {
        two.publish("a", "x").await;
        !one.received().await.is_empty()
    })
    .await;
    cluster.servers[1].kill();
    cluster.complete(2).await;
}

#[tokio::test]
async fn the_proxy_cuts_at_the_given_byte() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    for (direction, how) in [(Direction::ToClient, Cut::Fin), (Direction::ToClient, Cut::Rst)] {
        proxy.cut_at(direction, 17, how);
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        let mut got = Vec::new();
        let end = soon("the cut", stream.read_to_end(&mut got)).await;
        assert_eq!((got.len(), end.is_ok()), (17, how == Cut::Fin));
        assert_eq!(proxy.passed(Direction::ToClient), 17);
    }
    proxy.cut_at(Direction::ToServer, 3, Cut::Fin);
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    stream.write_all(b"CONNECT {}\r\n").await.unwrap();
    let mut got = Vec::new();
    let _ = soon("the cut", stream.read_to_end(&mut got)).await;
    assert_eq!(proxy.passages()[2].sent, b"CON");
    assert_eq!(proxy.accepted(), 3);
}

#[tokio::test]
async fn the_proxy_freezes_refuses_and_keeps_silent() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut raw = RawClient::connect(proxy.port()).await;
    proxy.one_byte_writes(Direction::ToClient, true);
    raw.sync().await;
    proxy.freeze(Direction::ToClient);
    assert!(tokio::time::timeout(Duration::from_millis(200), raw.sync()).await.is_err());
    proxy.unfreeze(Direction::ToClient);
    raw.sync().await;
    proxy.refuse().await;
    assert!(TcpStream::connect(("127.0.0.1", proxy.port())).await.is_err());
    raw.sync().await;
    proxy.silence();
    proxy.cut(Cut::Rst);
    eventually("the old connection is gone", SOON, async || proxy.open() == 0).await;
    eventually("the proxy listens again", SOON, async || TcpStream::connect(("127.0.0.1", proxy.port())).await.is_ok())
        .await;
    proxy.admit().await;
    RawClient::connect(proxy.port()).await.sync().await;
}

/// Runs in a child process of the test below, which kills it.
#[tokio::test]
#[ignore = "only for the test that kills it"]
async fn holds_a_server_until_killed() {
    let server = Server::start().await;
    println!("port {}", server.port());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_test_process_leaves_no_server_behind() {
    let forking = crate::support::process::no_fork();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "harness::holds_a_server_until_killed"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(forking);
    let mut out = String::new();
    let mut stdout = child.stdout.take().unwrap();
    let port: u16 = soon("the child says its port", async {
        loop {
            let mut chunk = [0; 256];
            let read = stdout.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the child ended: {out}");
            out.push_str(&String::from_utf8_lossy(&chunk[..read]));
            let said = out.split_once("port ").and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((port, _)) = said {
                return port.trim().parse().unwrap();
            }
        }
    })
    .await;
    RawClient::connect(port).await.sync().await;
    let folder = format!("server-{}-", child.id().unwrap());
    child.kill().await.unwrap();
    eventually("the server is gone", SOON, async || TcpStream::connect(("127.0.0.1", port)).await.is_err()).await;
    eventually("its folder is gone", SOON, async || {
        let entries = std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten();
        !entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&folder))
    })
    .await;
}
