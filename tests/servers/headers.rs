//! Message headers, as the server and a raw observer see them.

use futures_util::StreamExt;
use nats_lifeline::{Client, HeaderMap, Message, Subscriber};

use crate::support::{SOON, Server, eventually, soon};

async fn client_of(server: &Server) -> Client {
    nats_lifeline::connect(server.url()).await.expect("a fresh server takes clients")
}

async fn next(subscriber: &mut Subscriber) -> Message {
    soon("a message", subscriber.next()).await.expect("the subscription goes on")
}

// P12
#[tokio::test]
async fn headers_keep_repeated_empty_and_unicode_values_in_order() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut raw = server.raw().await;
    raw.subscribe("h", "1").await;
    let mut own = client.subscribe("h").await.unwrap();
    let mut headers = HeaderMap::new();
    headers.append("Color", "red");
    headers.append("Color", "blau");
    headers.insert("Empty", "");
    headers.insert("Grüße".replace('ü', "u").replace('ß', "ss").as_str(), "Grüße, 世界: ✓");
    client.publish_with_headers("h", headers.clone(), "body".into()).await.unwrap();

    let seen = raw.next().await;
    assert_eq!(seen.text(), "body");
    let block = String::from_utf8(seen.headers).unwrap();
    assert!(block.starts_with("NATS/1.0\r\n") && block.ends_with("\r\n\r\n"), "{block:?}");
    let lines: Vec<&str> = block.trim_end().lines().skip(1).collect();
    assert_eq!(lines.len(), 4, "{block:?}");
    let of_color: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("Color:")).map(str::trim).collect();
    assert_eq!(of_color, ["red", "blau"]);
    assert!(lines.iter().any(|line| line.trim_end() == "Empty:"), "{block:?}");

    let message = next(&mut own).await;
    let got = message.headers.expect("headers");
    assert_eq!(got, headers);
    let colors: Vec<&str> = got.get_all("Color").map(|value| value.as_str()).collect();
    assert_eq!(colors, ["red", "blau"]);
    assert_eq!(got.get("Empty").map(|value| value.as_str()), Some(""));
    assert_eq!(got.get("Grusse").map(|value| value.as_str()), Some("Grüße, 世界: ✓"));
    assert!(got.get("color").is_none(), "names are case-sensitive");
}

// P12
#[tokio::test]
async fn headers_of_other_clients_are_parsed() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut own = client.subscribe("h").await.unwrap();
    client.flush().await.unwrap();
    eventually("the server has it", SOON, async || server.subscriptions().len() == 1).await;
    let mut raw = server.raw().await;
    raw.publish_with_headers("h", "NATS/1.0\r\nA:1\r\nB:   spaced: out  \r\nA: 2\r\n\r\n", "x").await;
    raw.publish_with_headers("h", "NATS/1.0 503 No Responders\r\n\r\n", "").await;
    // The server never parses a block, so any bytes can arrive.
    raw.publish_with_headers("h", "rubbish", "y").await;
    raw.publish("h", "z").await;
    let message = next(&mut own).await;
    let headers = message.headers.unwrap();
    assert_eq!(headers.get_all("A").map(|value| value.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(headers.get("B").unwrap().as_str(), "spaced: out");
    let message = next(&mut own).await;
    assert_eq!(message.status.unwrap().as_u16(), 503);
    assert_eq!(message.description.as_deref(), Some("No Responders"));
    assert_eq!(next(&mut own).await.payload, "y", "an invalid block does not affect its message");
    assert_eq!(next(&mut own).await.payload, "z", "nor the connection");
}

// P12
#[tokio::test]
async fn an_empty_header_map_is_sent_as_a_plain_message() {
    let server = Server::start().await;
    let client = client_of(&server).await;
    let mut raw = server.raw().await;
    raw.subscribe("h", "1").await;
    client.publish_with_headers("h", HeaderMap::new(), "x".into()).await.unwrap();
    let seen = raw.next().await;
    assert_eq!((seen.headers.as_slice(), seen.text().as_str()), (&b""[..], "x"));
}
