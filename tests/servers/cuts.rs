//! Connections cut at every byte, in both directions: partial frames are never delivered, and the next connection
//! works.

use nats_lifeline::{ConnectOptions, HeaderMap};

use super::cutting::{self, PAYLOAD, both};
use crate::support::raw::RawClient;
use crate::support::{Cut, Server};

/// Cuts the connection after `offset` bytes of a message to the client.
async fn cut_to_client(server: &Server, (offset, how): (u64, Cut)) {
    let subject = format!("down.{how:?}.{offset}");
    let publish = async |raw: &mut RawClient| {
        raw.publish_with_headers(&subject, "NATS/1.0\r\nK: v\r\n\r\n", PAYLOAD).await;
    };
    let (got, sid) = cutting::to_client(server, ConnectOptions::new(), &subject, publish, (offset, how)).await;
    let frame = format!("HMSG {subject} {sid} 18 36\r\n").len() + 36 + 2;
    match how {
        Cut::Fin if offset as usize >= frame => assert_eq!(got, [PAYLOAD, "the next"], "{subject}"),
        // A reset may discard bytes that were delivered to the kernel.
        Cut::Rst if offset as usize >= frame => assert_eq!(got.last().unwrap(), "the next", "{subject}"),
        _ => assert_eq!(got, ["the next"], "{subject}: half a message was delivered"),
    }
}

// I1, I4, N5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_to_the_server_cut_anywhere_is_never_a_partial_message() {
    let server = &Server::start().await;
    let headers: HeaderMap =
        [("K", "v")].into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    // "HPUB up.Fin.10 18 36\r\n" and the 38 bytes after it.
    let cut = |cut: (u64, Cut)| {
        let subject = format!("up.{:?}.{}", cut.1, cut.0);
        cutting::to_server(server, ConnectOptions::new(), subject, Some(headers.clone()), cut)
    };
    cutting::all(both(0..62).map(cut)).await;
}

// Scenarios 60, 69, I1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_the_client_cut_anywhere_is_not_delivered() {
    let server = &Server::start().await;
    cutting::all(both(0..66).map(|cut| cut_to_client(server, cut))).await;
}

/// The handshake itself, cut at many bytes: the attempt fails, the next one succeeds.
// Scenarios 12, 13, 60
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_cut_anywhere_is_a_failed_attempt_and_no_more() {
    let offsets = [0, 1, 3, 4, 5, 6, 7, 20, 50, 90, 130, 170, 210, 260, 300, 320, 340, 360, 380, 400, 420, 440];
    cutting::handshakes(&Server::start().await, ConnectOptions::new(), offsets.into_iter()).await;
}
