//! TLS streams cut at many bytes, in both directions: the account of taken bytes is that of the records.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use nats_lifeline::{ConnectOptions, rustls};

use super::cutting::{self, PAYLOAD, both};
use crate::support::raw::RawClient;
use crate::support::{Authority, Cut, Direction, Proxy, SOON, Server, Timeline, eventually, soon, within};

/// A server that uses TLS with clients that want it, and plain text with the observer.
async fn server(authority: &Authority) -> Server {
    let tls = authority.server(&["localhost", "127.0.0.1"]).tls("");
    Server::builder().line(format!("allow_non_tls: true\n{tls}")).start().await
}

fn trusting(authority: &Authority) -> ConnectOptions {
    ConnectOptions::new().add_root_certificates(authority.certificate()).require_tls(true)
}

// I1, I3, I4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_to_the_server_cut_anywhere_is_not_a_message() {
    let authority = Authority::new();
    let server = &server(&authority).await;
    // A record: 5 bytes, in 1.2 8 more, "PUB up.TLSv1_3.Fin.10 18", 20 bytes of payload, in 1.3 its type, 16 bytes of
    // authentication tag; and another one with a PING.
    let cuts = [&rustls::version::TLS12, &rustls::version::TLS13].into_iter().flat_map(|version| {
        let options = ConnectOptions::new().tls_client_config(authority.config(&[version])).require_tls(true);
        both(0..112).map(move |cut| {
            let subject = format!("up.{:?}.{:?}.{}", version.version, cut.1, cut.0);
            cutting::to_server(server, options.clone(), subject, None, cut)
        })
    });
    cutting::all(cuts).await;
}

// I1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_to_the_client_cut_anywhere_is_not_delivered() {
    let authority = Authority::new();
    let server = server(&authority).await;
    let one = async |cut: (u64, Cut)| {
        let subject = format!("down.{:?}.{}", cut.1, cut.0);
        let publish = async |raw: &mut RawClient| raw.publish(&subject, PAYLOAD).await;
        let (got, _) = cutting::to_client(&server, trusting(&authority), &subject, publish, cut).await;
        assert!(got == ["the next"] || got == [PAYLOAD, "the next"], "{subject}: {got:?}");
    };
    cutting::all(both(0..90).map(one)).await;
}

// Scenario 32
/// The handshakes of TLS and of NATS cut at many bytes: the attempt fails, the next one succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_cut_anywhere_is_a_failed_attempt_and_no_more() {
    let authority = Authority::new();
    cutting::handshakes(&server(&authority).await, trusting(&authority), (0..1600).step_by(61)).await;
}

/// Publishes far more than the kernel takes while nothing gets through, then cuts the stream at some byte of it.
// I2, I3, I4
async fn cut_in_a_flood(authority: &Authority, server: &Server, offset: u64, how: Cut, size: usize) {
    let case = format!("{how:?} after {offset} bytes, messages of {size}");
    let proxy = Proxy::start(server.port()).await;
    let options = trusting(authority).reconnect_buffer_size(64 << 20);
    let client = soon("a connection", options.connect(proxy.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    let subject = format!("flood.{how:?}.{offset}.{size}");
    let mut raw = server.raw().await;
    raw.subscribe(&subject, "1").await;
    soon("a flush", client.flush()).await.unwrap();
    let passed = proxy.passed(Direction::ToServer);
    proxy.cut_at(Direction::ToServer, passed + offset, how);
    let count = 12_000_000 / size;
    let publish = async {
        for number in 0..count {
            let mut payload = format!("{number} ").into_bytes();
            payload.resize(size, b'.');
            client.publish(subject.clone(), payload.into()).await.unwrap();
        }
    };
    within("all are admitted", SOON * 2, publish).await;
    timeline.reconnected(0).await;
    let doubts = match soon("an answer", client.flush()).await {
        Ok(()) => 0,
        Err(_) => client.stats().in_doubt,
    };
    soon("a flush", client.flush()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let got: Vec<usize> = raw
        .received()
        .await
        .iter()
        .map(|message| {
            assert_eq!(message.payload.len(), size, "{case}: half a message");
            message.text().split(' ').next().unwrap().parse().unwrap()
        })
        .collect();
    let distinct: BTreeSet<usize> = got.iter().copied().collect();
    assert_eq!(distinct.len(), got.len(), "{case}: duplicates");
    assert!(got.is_sorted(), "{case}: out of order");
    let stats = client.stats();
    assert!(stats.balances() && stats.lost.total() == 0, "{case}: {stats:?}");
    assert_eq!((stats.accepted, stats.in_doubt), (count as u64, doubts), "{case}: {stats:?}");
    assert_eq!(stats.confirmed + stats.in_doubt, stats.accepted, "{case}: {stats:?}");
    let missing = (count - got.len()) as u64;
    assert!(missing <= stats.in_doubt, "{case}: {missing} are missing, {} in doubt", stats.in_doubt);
    assert!(got.len() as u64 >= stats.confirmed, "{case}: {stats:?}");
}

// I1-I4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_is_cut_loses_only_messages_in_doubt_and_repeats_nothing() {
    let authority = Authority::new();
    let server = server(&authority).await;
    let (authority, server) = (&authority, &server);
    let cases = [0, 1, 5, 21, 100, 16_000, 16_406, 16_407, 65_628, 100_003, 700_001, 3_000_017].into_iter();
    let cases =
        cases.flat_map(|offset| [(offset, Cut::Fin, 1000), (offset, Cut::Rst, 1000), (offset, Cut::Rst, 40_000)]);
    let all = stream::iter(cases).map(|(offset, how, size)| cut_in_a_flood(authority, server, offset, how, size));
    within("all cuts", SOON * 12, all.buffer_unordered(2).collect::<()>()).await;
}

/// The kernel's buffers are full, so a record is cut on our side and not in the network.
// I3, I4
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_records_that_the_kernel_never_took_are_sent_again() {
    let authority = Authority::new();
    let server = server(&authority).await;
    for round in 0..6 {
        let proxy = Proxy::start(server.port()).await;
        let client = soon("a connection", trusting(&authority).connect(proxy.url())).await.unwrap();
        let timeline = Timeline::of(&client);
        let subject = format!("stuck.{round}");
        let mut raw = server.raw().await;
        raw.subscribe(&subject, "1").await;
        soon("a flush", client.flush()).await.unwrap();
        proxy.freeze(Direction::ToServer);
        let (mut admitted, mut quiet) = (0, 0);
        let size = 700 + 331 * round;
        loop {
            let mut payload = format!("{admitted} ").into_bytes();
            payload.resize(size, b'.');
            match client.try_publish(subject.clone(), payload.into()) {
                Ok(()) => admitted += 1,
                Err(_) => {
                    let before = client.stats();
                    tokio::time::sleep(Duration::from_millis(60)).await;
                    // On a busy machine a moment without progress means little.
                    quiet = if client.stats() == before && before.waiting > 0 { quiet + 1 } else { 0 };
                    if quiet == 4 {
                        break;
                    }
                }
            }
        }
        proxy.cut(Cut::Rst);
        proxy.unfreeze(Direction::ToServer);
        timeline.reconnected(0).await;
        let _ = soon("an answer", client.flush()).await;
        soon("a flush", client.flush()).await.unwrap();
        let stats = client.stats();
        assert!(stats.balances(), "{stats:?}");
        eventually("the account is settled", SOON, async || client.stats().unconfirmed == 0).await;
        let got: Vec<u64> = raw
            .received()
            .await
            .iter()
            .map(|message| message.text().split(' ').next().unwrap().parse().unwrap())
            .collect();
        let stats = client.stats();
        assert!(got.windows(2).all(|pair| pair[0] < pair[1]), "no duplicate, nothing out of order");
        assert_eq!(stats.confirmed + stats.in_doubt, admitted, "{stats:?}");
        // Nothing had passed the frozen proxy, so exactly the messages that are not in doubt arrived.
        assert_eq!(got.len() as u64, stats.confirmed, "round {round}: {stats:?}");
        assert_eq!(got.last(), Some(&(admitted - 1)));
    }
}
