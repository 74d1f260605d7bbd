//! Connections cut at every byte, in both directions: partial frames are never delivered, and the next connection
//! works.

use futures_util::{StreamExt, stream};
use nats_lifeline::{ConnectOptions, HeaderMap};

use crate::support::closing::settle;
use crate::support::{Cut, Direction, Proxy, SOON, Server, Timeline, soon, within};

/// This many cuts at a time. Each has its own client, proxy and subjects.
const AT_A_TIME: usize = 12;

/// Publishes a message whose frame is cut after `offset` bytes, and another one afterwards.
async fn cut_on_the_way_up(server: &Server, offset: u64, how: Cut) {
    let case = format!("{how:?} after {offset} bytes");
    let proxy = Proxy::start(server.port()).await;
    let client = soon("a connection", ConnectOptions::new().connect(proxy.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    let subject = format!("up.{how:?}.{offset}");
    let mut raw = server.raw().await;
    raw.subscribe(&subject, "1").await;
    soon("a flush", client.flush()).await.unwrap();
    proxy.cut_at(Direction::ToServer, proxy.passed(Direction::ToServer) + offset, how);
    let mut headers = HeaderMap::new();
    headers.insert("K", "v");
    client.publish_with_headers(subject.clone(), headers, "the payload\r\nof it".into()).await.unwrap();
    // The kernel took the frame, so it is in doubt; if the task had not written it yet, it is sent again whole.
    let _ = soon("an answer", client.flush()).await;
    timeline.reconnected(0).await;
    client.publish(subject, "the next".into()).await.unwrap();
    let got = settle(&case, &client, &mut raw, 2).await;
    let got: Vec<String> = got.iter().map(|message| message.text()).collect();
    assert!(got == ["the next"] || got == ["the payload\r\nof it", "the next"], "{case}: {got:?}");
}

/// Cuts the connection after `offset` bytes of a message to the client, and sends another one afterwards.
async fn cut_on_the_way_down(server: &Server, offset: u64, how: Cut) {
    let case = format!("{how:?} after {offset} bytes");
    let proxy = Proxy::start(server.port()).await;
    let client = soon("a connection", ConnectOptions::new().connect(proxy.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    let subject = format!("down.{how:?}.{offset}");
    let mut own = client.subscribe(subject.clone()).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    let frame = format!("HMSG {subject} {} 18 36\r\n", own.sid()).len() + 36 + 2;
    proxy.cut_at(Direction::ToClient, proxy.passed(Direction::ToClient) + offset, how);
    let mut raw = server.raw().await;
    raw.publish_with_headers(&subject, "NATS/1.0\r\nK: v\r\n\r\n", "the payload\r\nof it").await;
    raw.sync().await;
    if offset as usize > frame {
        // The cut is after the message: more bytes are needed to reach it.
        raw.publish(&subject, "filler").await;
        raw.publish(&subject, "filler").await;
    }
    timeline.reconnected(0).await;
    soon("a flush", client.flush()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    raw.publish(&subject, "the next").await;
    let mut got = Vec::new();
    while got.last().is_none_or(|last| last != "the next") {
        let message = soon("a message", own.next()).await.unwrap_or_else(|| panic!("{case}: ended"));
        got.push(String::from_utf8_lossy(&message.payload).into_owned());
    }
    got.retain(|text| text != "filler");
    match how {
        Cut::Fin if offset as usize >= frame => assert_eq!(got, ["the payload\r\nof it", "the next"], "{case}"),
        // A reset may discard bytes that were delivered to the kernel.
        Cut::Rst if offset as usize >= frame => assert_eq!(got.last().unwrap(), "the next", "{case}"),
        _ => assert_eq!(got, ["the next"], "{case}: half a message was delivered"),
    }
}

// I1, I4, N5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_to_the_server_cut_anywhere_is_never_a_partial_message() {
    let server = Server::start().await;
    let server = &server;
    // "HPUB up.Fin.10 18 36\r\n" and the 38 bytes after it.
    let cases = (0..62).flat_map(|offset| [(offset, Cut::Fin), (offset, Cut::Rst)]);
    let all = stream::iter(cases).map(|(offset, how)| cut_on_the_way_up(server, offset, how));
    within("all cuts", SOON * 6, all.buffer_unordered(AT_A_TIME).collect::<()>()).await;
}

// Scenarios 60, 69, I1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_the_client_cut_anywhere_is_not_delivered() {
    let server = Server::start().await;
    let server = &server;
    let cases = (0..66).flat_map(|offset| [(offset, Cut::Fin), (offset, Cut::Rst)]);
    let all = stream::iter(cases).map(|(offset, how)| cut_on_the_way_down(server, offset, how));
    within("all cuts", SOON * 6, all.buffer_unordered(AT_A_TIME).collect::<()>()).await;
}

/// The handshake itself, cut at every byte: the attempt fails, the next one succeeds.
// Scenarios 12, 13, 60
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_cut_anywhere_is_a_failed_attempt_and_no_more() {
    let server = Server::start().await;
    let port = server.port();
    let one = move |direction, offset, how| async move {
        let proxy = Proxy::start(port).await;
        proxy.cut_at(direction, offset, how);
        let options = ConnectOptions::new().retry_on_initial_connect();
        let client = soon("a handle", options.connect(proxy.url())).await.unwrap();
        let mut own = client.subscribe(client.new_inbox()).await.unwrap();
        soon("a flush", client.flush()).await.unwrap_or_else(|error| panic!("{direction:?} {offset} {how:?}: {error}"));
        own.unsubscribe().await.unwrap();
    };
    let offsets = [0, 1, 3, 4, 5, 6, 7, 20, 50, 90, 130, 170, 210, 260, 300, 320, 340, 360, 380, 400, 420, 440];
    let cases = offsets.into_iter().flat_map(|offset| {
        [Direction::ToServer, Direction::ToClient]
            .into_iter()
            .flat_map(move |direction| [(direction, offset, Cut::Fin), (direction, offset, Cut::Rst)])
    });
    let all = stream::iter(cases).map(|(direction, offset, how)| one(direction, offset, how));
    within("all cuts", SOON * 6, all.buffer_unordered(AT_A_TIME).collect::<()>()).await;
}
