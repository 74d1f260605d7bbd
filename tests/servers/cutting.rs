//! Connections that are cut at a given byte, with or without TLS.

use std::future::Future;

use futures_util::{StreamExt, stream};
use nats_lifeline::client::traits::Publisher;
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::{ConnectOptions, HeaderMap};

use crate::support::closing::settle;
use crate::support::raw::RawClient;
use crate::support::{Cut, Direction, Proxy, SOON, Server, Timeline, soon, within};

/// The payload of the message that is cut.
pub(super) const PAYLOAD: &str = "the payload\r\nof it";

/// This many cuts at a time. Each has its own client, proxy and subjects.
const AT_A_TIME: usize = 12;

/// Each offset, with both ways to cut.
pub(super) fn both(offsets: impl Iterator<Item = u64>) -> impl Iterator<Item = (u64, Cut)> {
    offsets.flat_map(|offset| [(offset, Cut::Fin), (offset, Cut::Rst)])
}

/// Makes all cuts.
pub(super) async fn all<F: Future<Output = ()>>(cuts: impl Iterator<Item = F>) {
    within("all cuts", SOON * 6, stream::iter(cuts).buffer_unordered(AT_A_TIME).collect::<()>()).await;
}

/// Publishes a message, cuts the connection after `offset` bytes to the server, and publishes another one afterwards.
pub(super) async fn to_server(
    server: &Server,
    options: ConnectOptions,
    subject: String,
    headers: Option<HeaderMap>,
    (offset, how): (u64, Cut),
) {
    let case = format!("{subject}, {how:?} after {offset} bytes");
    let proxy = Proxy::start(server.port()).await;
    let client = soon("a connection", options.connect(proxy.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut raw = server.raw().await;
    raw.subscribe(&subject, "1").await;
    soon("a flush", client.flush()).await.unwrap();
    proxy.cut_at(Direction::ToServer, proxy.passed(Direction::ToServer) + offset, how);
    let (subject, reply) = (subject.into(), None);
    let message = OutboundMessage { subject, reply, payload: PAYLOAD.into(), headers };
    client.publish_message(message.clone()).await.unwrap();
    // The kernel took the frame, so it is in doubt; if the task had not written it yet, it is sent again whole.
    let _ = soon("an answer", client.flush()).await;
    timeline.reconnected(0).await;
    client.publish(message.subject, "the next".into()).await.unwrap();
    let got = settle(&case, &client, &mut raw, 2).await;
    let got: Vec<String> = got.iter().map(|message| message.text()).collect();
    assert!(got == ["the next"] || got == [PAYLOAD, "the next"], "{case}: {got:?}");
}

/// Publishes a message to the client, cuts the connection after `offset` bytes to the client, and publishes another one
/// afterwards. Returns the payloads that the client received, and the subscription's id.
pub(super) async fn to_client(
    server: &Server,
    options: ConnectOptions,
    subject: &str,
    publish: impl AsyncFnOnce(&mut RawClient),
    (offset, how): (u64, Cut),
) -> (Vec<String>, u64) {
    let case = format!("{subject}, {how:?} after {offset} bytes");
    let proxy = Proxy::start(server.port()).await;
    let client = soon("a connection", options.connect(proxy.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe(subject.to_owned()).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    proxy.cut_at(Direction::ToClient, proxy.passed(Direction::ToClient) + offset, how);
    let mut raw = server.raw().await;
    publish(&mut raw).await;
    raw.sync().await;
    // If the cut is after the message, more bytes are needed to reach it.
    raw.publish(subject, "filler").await;
    raw.publish(subject, "filler").await;
    timeline.reconnected(0).await;
    soon("a flush", client.flush()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    raw.publish(subject, "the next").await;
    let mut got = Vec::new();
    while got.last().is_none_or(|last| last != "the next") {
        let message = soon("a message", own.next()).await.unwrap_or_else(|| panic!("{case}: ended"));
        got.push(String::from_utf8_lossy(&message.payload).into_owned());
    }
    got.retain(|text| text != "filler");
    (got, own.sid())
}

/// Cuts the handshake after each of these numbers of bytes, in each direction: the attempt fails, the next one succeeds.
pub(super) async fn handshakes(server: &Server, options: ConnectOptions, offsets: impl Iterator<Item = u64>) {
    let options = &options.retry_on_initial_connect();
    let one = async |direction, (offset, how)| {
        let proxy = Proxy::start(server.port()).await;
        proxy.cut_at(direction, offset, how);
        let client = soon("a handle", options.clone().connect(proxy.url())).await.unwrap();
        let mut own = client.subscribe(client.new_inbox()).await.unwrap();
        soon("a flush", client.flush()).await.unwrap_or_else(|error| panic!("{direction:?} {offset} {how:?}: {error}"));
        own.unsubscribe().await.unwrap();
    };
    let cuts =
        both(offsets).flat_map(|cut| [Direction::ToServer, Direction::ToClient].map(|direction| one(direction, cut)));
    all(cuts).await;
}
