//! TLS against real servers: each option, with valid and invalid settings. If TLS was asked for, nothing is sent
//! unencrypted.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::{Cause, ConnectionEvent};
use nats_lifeline::{ConnectErrorKind, ConnectOptions, ToServerAddrs, rustls};

use crate::support::fake::{Fake, INFO};
use crate::support::pki::Identity;
use crate::support::{Authority, Cluster, Proxy, SOON, Server, Timeline, eventually, soon};

const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

fn trusting(authority: &Authority) -> ConnectOptions {
    ConnectOptions::new().add_root_certificates(authority.certificate())
}

#[track_caller]
fn works(options: ConnectOptions, addrs: impl ToServerAddrs) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let client = soon("a connection", options.connect(addrs)).await.unwrap_or_else(|e| panic!("{caller}: {e}"));
        let mut own = client.subscribe("a").await.unwrap();
        client.publish("a", "x".into()).await.unwrap();
        assert_eq!(soon("a message", own.next()).await.unwrap().payload, "x");
        drop(own);
        soon("an end", client.drain_and_close(Duration::from_secs(10))).await.unwrap();
    }
}

/// Connecting fails with a TLS error that contains all `words`.
#[track_caller]
fn refused(options: ConnectOptions, addrs: impl ToServerAddrs, words: &[&str]) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let error = soon("a refusal", options.connect(addrs)).await.expect_err("connecting fails");
        let text = error.to_string();
        assert_eq!(error.kind(), ConnectErrorKind::Tls, "{caller}: {text}");
        assert!(text.starts_with("TLS error: ") && text.contains(": no secure connection: "), "{caller}: {text}");
        for word in words {
            assert!(text.contains(word), "{caller}: {text:?} does not say {word:?}");
        }
    }
}

// P8, S44
#[tokio::test]
async fn a_server_that_requires_tls_gets_it_whatever_the_address_says() {
    let authority = Authority::new();
    let server = Server::builder().line(authority.server(&HERE).tls("")).start().await;
    let port = server.port();
    works(trusting(&authority), format!("tls://localhost:{port}")).await;
    works(trusting(&authority), format!("tls://127.0.0.1:{port}")).await;
    works(trusting(&authority).require_tls(true), format!("nats://localhost:{port}")).await;
    works(trusting(&authority), format!("localhost:{port}")).await;
}

// P8: unknown authority, wrong name, expired
#[tokio::test]
async fn an_invalid_certificate_is_refused_with_the_reason() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::builder().line(authority.server(&["elsewhere.example"]).tls("")).start().await;
    let url = format!("tls://localhost:{}", server.port());
    refused(trusting(&other), url.clone(), &["authority", "add_root_certificates"]).await;
    refused(ConnectOptions::new(), url.clone(), &["authority"]).await;
    refused(trusting(&authority), url.clone(), &["localhost", "elsewhere.example"]).await;
    works(trusting(&authority).tls_server_name("elsewhere.example"), url.clone()).await;
    refused(trusting(&authority).tls_server_name("a b"), url, &["\"a b\""]).await;

    let expired = Server::builder().line(authority.expired(&HERE).tls("")).start().await;
    refused(trusting(&authority), format!("tls://localhost:{}", expired.port()), &["expired"]).await;
}

// P8: never unencrypted
#[tokio::test]
async fn a_plain_server_gets_no_bytes_if_tls_was_asked_for() {
    let authority = Authority::new();
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let secret = || trusting(&authority).user_and_password("u".into(), "hunter2".into());
    refused(secret(), format!("tls://localhost:{}", proxy.port()), &["the address asks for TLS", "not offer"]).await;
    refused(secret().require_tls(true), proxy.url(), &["the options ask for TLS"]).await;
    // One address asks for TLS with the whole pool.
    let both = vec!["tls://localhost:1".to_owned(), proxy.url()];
    refused(secret().retain_servers_order(), both, &["another address of the pool"]).await;
    assert!(proxy.accepted() >= 3);
    for passage in proxy.passages() {
        assert_eq!(String::from_utf8_lossy(&passage.sent), "", "in clear");
    }
    // With TLS first, the client sends a TLS handshake, and nothing else.
    refused(secret().tls_first(), proxy.url(), &["in plain text"]).await;
    let all = || proxy.passages().last().unwrap().sent.clone();
    eventually("the greeting has passed", SOON, async || !all().is_empty()).await;
    let sent = all();
    assert_eq!(sent.first(), Some(&22), "a TLS handshake record");
    assert!(!String::from_utf8_lossy(&sent).contains("hunter2"));
}

// P8
#[tokio::test]
async fn optional_tls_is_used_only_if_asked_for() {
    let authority = Authority::new();
    let tls = authority.server(&HERE).tls("");
    let server = Server::builder().line(format!("allow_non_tls: true\n{tls}")).start().await;
    let proxy = Proxy::start(server.port()).await;
    works(trusting(&authority), format!("tls://localhost:{}", proxy.port())).await;
    assert_eq!(proxy.passages().last().unwrap().sent.first(), Some(&22));
    works(ConnectOptions::new(), proxy.url()).await;
    assert!(proxy.passages().last().unwrap().sent.starts_with(b"CONNECT"));
}

// Scenario 31: P8, handshake_first in its three modes
#[tokio::test]
async fn tls_first_works_with_handshake_first_servers_and_fails_with_others() {
    let authority = Authority::new();
    let identity = authority.server(&HERE);
    let first = Server::builder().line(identity.tls("handshake_first: true")).start().await;
    works(trusting(&authority).tls_first(), first.url()).await;
    // A client that waits for INFO gets nothing until one side gives up.
    let patient = trusting(&authority).connection_timeout(Duration::from_millis(500));
    let error = soon("an answer", patient.connect(first.url())).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains("tls_first"), "a hint: {error}");

    // Both work, if the client's first byte arrives in time: here it has more than 50 ms, for a loaded machine.
    let patient = Server::builder().line(identity.tls("handshake_first: \"2s\"")).start().await;
    works(trusting(&authority).tls_first(), patient.url()).await;
    let auto = Server::builder().line(identity.tls("handshake_first: auto")).start().await;
    works(trusting(&authority), auto.url()).await;

    let normal = Server::builder().line(identity.tls("")).start().await;
    refused(trusting(&authority).tls_first(), normal.url(), &["in plain text"]).await;
}

// P8, S44: client certificates
#[tokio::test]
async fn a_server_that_verifies_clients_gets_a_certificate_or_refuses() {
    let (authority, other) = (Authority::new(), Authority::new());
    let more = format!("ca_file: \"{}\", verify: true", authority.certificate().display());
    let server = Server::builder().line(authority.server(&HERE).tls(&more)).start().await;
    let url = format!("tls://localhost:{}", server.port());
    let with = |identity: &Identity| {
        trusting(&authority).add_client_certificate(identity.certificate.clone(), identity.key.clone())
    };
    works(with(&authority.client("derek")), url.clone()).await;
    refused(trusting(&authority), url.clone(), &["client certificate"]).await;
    // In TLS 1.3 the client has finished before the server checks the certificate; in 1.2 it has not.
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let bare = ConnectOptions::new().tls_client_config(authority.config(&[version]));
        refused(bare, url.clone(), &["server"]).await;
    }
    refused(with(&other.client("erik")), url.clone(), &["alert"]).await;

    // The key of another certificate; files that are missing, or something else.
    let (one, two) = (authority.client("one"), authority.client("two"));
    let mixed = Identity { key: two.key.clone(), ..one.clone() };
    refused(with(&mixed), url.clone(), &[one.certificate.to_str().unwrap(), two.key.to_str().unwrap()]).await;
    let gone = Identity { key: authority.place("gone.pem"), ..one.clone() };
    refused(with(&gone), url.clone(), &["gone.pem", "No such file"]).await;
    let swapped = Identity { key: one.certificate.clone(), ..one };
    refused(with(&swapped), url.clone(), &["contains no private key"]).await;
    let broken = authority.place("broken.pem");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nno base64 at all: s3cr3t\n-----END CERTIFICATE-----\n").unwrap();
    refused(ConnectOptions::new().add_root_certificates(broken), url, &["broken.pem"]).await;
}

// Scenario 33: P8
#[tokio::test]
async fn certificates_are_read_again_for_each_connection() {
    let (old, new) = (Authority::new(), Authority::new());
    let place: PathBuf = old.place("trusted.pem");
    fs::copy(old.certificate(), &place).unwrap();
    let mut server = Server::builder().line(old.server(&HERE).tls("")).start().await;
    let url = format!("tls://localhost:{}", server.port());
    let options = ConnectOptions::new().add_root_certificates(place.clone());
    let client = soon("a connection", options.connect(url)).await.unwrap();
    let timeline = Timeline::of(&client);
    server.kill();
    server.restart_as(Server::builder().line(new.server(&HERE).tls(""))).await;
    let failed = |event: &ConnectionEvent| matches!(event, ConnectionEvent::AttemptFailed { cause: Cause::Tls(text), .. } if text.contains("authority"));
    timeline.nth("the new certificate is refused", 0, failed).await;
    fs::copy(new.certificate(), &place).unwrap();
    timeline.reconnected(0).await;
    soon("a flush", client.flush()).await.unwrap();
}

// Scenario 28: P8, never unencrypted
#[tokio::test]
async fn a_plain_server_in_place_of_a_tls_server_is_not_used() {
    let authority = Authority::new();
    let setup = Server::builder().line(authority.server(&HERE).tls(""));
    let mut server = setup.clone().start().await;
    let proxy = Proxy::start(server.port()).await;
    let url = format!("tls://u:hunter2@localhost:{}", proxy.port());
    let client = soon("a connection", trusting(&authority).connect(url)).await.unwrap();
    let timeline = Timeline::of(&client);
    server.kill();
    server.restart_as(Server::builder()).await;
    let refused = |event: &ConnectionEvent| matches!(event, ConnectionEvent::AttemptFailed { cause: Cause::Tls(text), .. } if text.contains("not offer"));
    timeline.nth("the plain server is refused", 0, refused).await;
    let after = proxy.accepted();
    server.kill();
    server.restart_as(setup).await;
    timeline.reconnected(0).await;
    assert!(proxy.passages()[1..after].iter().all(|passage| passage.sent.is_empty()), "in clear");
}

// Scenario 30: P8
#[tokio::test]
async fn a_server_that_comes_back_with_tls_gets_it_from_a_plain_address() {
    let authority = Authority::new();
    let mut server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let client = soon("a connection", trusting(&authority).connect(proxy.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    server.kill();
    server.restart_as(Server::builder().line(authority.server(&HERE).tls(""))).await;
    timeline.reconnected(0).await;
    soon("a flush", client.flush()).await.unwrap();
    assert_eq!(proxy.passages().last().unwrap().sent.first(), Some(&22), "a TLS handshake record");
}

// P8: a custom configuration
#[tokio::test]
async fn a_custom_configuration_is_used() {
    let authority = Authority::new();
    let server = Server::builder().line(authority.server(&HERE).tls("")).start().await;
    let url = format!("tls://localhost:{}", server.port());
    works(ConnectOptions::new().tls_client_config(authority.config(rustls::ALL_VERSIONS)), url.clone()).await;
    // It is used alone: files are ignored.
    let other = Authority::new().config(rustls::ALL_VERSIONS);
    refused(trusting(&authority).tls_client_config(other), url, &["authority"]).await;
}

// P8: the name is kept for gossiped addresses
#[tokio::test]
async fn servers_known_by_ip_address_only_are_expected_to_have_the_users_name() {
    let authority = Authority::new();
    let setup = Server::builder().line(authority.server(&["localhost"]).tls(""));
    let mut cluster = Cluster::start_as(2, setup).await;
    let seed = cluster.servers[0].port();
    refused(trusting(&authority), format!("tls://127.0.0.1:{seed}"), &["127.0.0.1"]).await;
    let client = soon("a connection", trusting(&authority).connect(format!("tls://localhost:{seed}"))).await.unwrap();
    let timeline = Timeline::of(&client);
    eventually("gossip has come", SOON, async || client.server_pool().await.unwrap().len() >= 2).await;
    cluster.servers[0].kill();
    timeline.reconnected(0).await;
    assert_eq!(client.server_info().port, cluster.servers[1].port());
}

// P8: a plain server gossiped by a TLS one
#[tokio::test]
async fn a_plain_server_announced_by_a_tls_server_is_not_used() {
    let authority = Authority::new();
    let tls = authority.server(&HERE).tls("");
    for url in ["tls://localhost", "nats://u:pw@localhost"] {
        let plain = Server::start().await;
        let proxy = Proxy::start(plain.port()).await;
        let mut secure = Server::builder().line(tls.clone()).start().await;
        let client = soon("a connection", trusting(&authority).connect(format!("{url}:{}", secure.port()))).await;
        let client = client.unwrap();
        let timeline = Timeline::of(&client);
        // Like gossip: an address without a scheme, beside the connected one.
        let (scheme, host) = url.split_once("://").unwrap();
        let reported = format!("{scheme}://{}:{}", host.replace("localhost", "127.0.0.1"), proxy.port());
        let seed = format!("{url}:{}", secure.port());
        client.set_server_pool(vec![reported, seed]).await.unwrap();
        secure.kill();
        let refused = |event: &ConnectionEvent| matches!(event, ConnectionEvent::AttemptFailed { cause: Cause::Tls(text), .. } if text.contains("not offer"));
        timeline.nth("the plain server is refused", 0, refused).await;
        secure.restart().await;
        timeline.reconnected(0).await;
        assert_eq!(client.server_info().port, secure.port());
        assert!(proxy.accepted() > 0 && proxy.passages().iter().all(|passage| passage.sent.is_empty()), "in clear");
    }
}

// P8: bytes that were buffered before the upgrade are never parsed
#[tokio::test]
async fn unencrypted_bytes_after_info_are_refused_unread() {
    let info = INFO.replace("\"headers\"", "\"tls_required\":true,\"headers\"");
    let behind = "-ERR 'Authorization Violation'\r\nPONG\r\n";
    let fake = Fake::start(move |mut conversation, _| {
        let text = format!("{info}{behind}");
        async move {
            conversation.say(text).await;
            conversation.ignore().await;
        }
    })
    .await;
    refused(ConnectOptions::new(), fake.url(), &["38 unencrypted bytes"]).await;
}

// Scenario 32: P8
#[tokio::test]
async fn a_server_that_leaves_or_hangs_in_the_handshake_fails_the_attempt() {
    let info = INFO.replace("\"headers\"", "\"tls_required\":true,\"headers\"");
    for hangs in [false, true] {
        let info = info.clone();
        let fake = Fake::start(move |mut conversation, _| {
            let info = info.clone();
            async move {
                conversation.say(info).await;
                if hangs {
                    conversation.ignore().await;
                }
            }
        })
        .await;
        let options = ConnectOptions::new().connection_timeout(Duration::from_millis(800));
        let error = soon("a refusal", options.connect(fake.url())).await.unwrap_err();
        if hangs {
            assert_eq!(error.kind(), ConnectErrorKind::TimedOut, "{error}");
            assert!(error.to_string().contains("TLS handshake"), "{error}");
        } else {
            assert!(matches!(error.kind(), ConnectErrorKind::Tls | ConnectErrorKind::Io), "{error}");
        }
    }
}

// P8, I1: every size, in both directions
#[tokio::test]
async fn payloads_of_all_sizes_come_through_unchanged() {
    let authority = Authority::new();
    let server = Server::builder().line(authority.server(&HERE).tls("")).start().await;
    let url = format!("tls://localhost:{}", server.port());
    let client = soon("a connection", trusting(&authority).connect(url)).await.unwrap();
    let mut own = client.subscribe("sizes").await.unwrap();
    let sizes = [0, 1, 100, 4095, 4096, 16_383, 16_384, 16_385, 40_000, 65_536, 200_000, 1_048_576];
    let payload = |size: usize| (0..size).map(|at| (at * 7 + at / 251) as u8).collect::<Vec<u8>>();
    for _ in 0..3 {
        for size in sizes {
            client.publish("sizes", payload(size).into()).await.unwrap();
        }
        for size in sizes {
            let message = soon("a message", own.next()).await.unwrap();
            assert!(message.payload == payload(size), "{size} bytes were changed");
        }
    }
    soon("a flush", client.flush()).await.unwrap();
    let stats = client.stats();
    assert!(stats.balances() && stats.confirmed == 36, "{stats:?}");
}

// P8 over a user's own stream
#[tokio::test]
async fn a_dialers_stream_is_encrypted_too() {
    let authority = Authority::new();
    let server = Server::builder().line(authority.server(&HERE).tls("")).start().await;
    let port = server.port();
    let options = trusting(&authority).dialer(move |_| tokio::net::TcpStream::connect(("127.0.0.1", port)));
    works(options, "tls://localhost:1").await;
    let options = ConnectOptions::new().dialer(move |_| tokio::net::TcpStream::connect(("127.0.0.1", port)));
    refused(options, "tls://localhost:1", &["authority"]).await;
}

// D19 over TLS: what can be written without waiting is written
#[test]
fn a_runtime_that_ends_first_loses_no_message_that_the_kernel_would_have_taken() {
    let authority = Authority::new();
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let tls = authority.server(&HERE).tls("");
    let server = outside.block_on(Server::builder().line(format!("allow_non_tls: true\n{tls}")).start());
    let mut raw = outside.block_on(async {
        let mut raw = server.raw().await;
        raw.subscribe("last", "1").await;
        raw.sync().await;
        raw
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let url = format!("tls://localhost:{}", server.port());
        let client = soon("a connection", trusting(&authority).connect(url)).await.unwrap();
        soon("a flush", client.flush()).await.unwrap();
        for number in 0..100 {
            // The task has no chance to write in between.
            client.try_publish("last", number.to_string().into()).unwrap();
        }
        client
    });
    drop(runtime);
    drop(client);
    let got = outside.block_on(async {
        eventually("the connection is gone", SOON, async || {
            server.connections().iter().all(|connection| connection.name == "raw")
        })
        .await;
        raw.received().await
    });
    let got: Vec<String> = got.iter().map(|message| message.text()).collect();
    assert_eq!(got, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
}
