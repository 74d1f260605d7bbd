//! JSON payloads.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use nats_lifeline::client::JsonError;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, PublishErrorKind, RequestErrorKind};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    name: String,
    wheels: u32,
}

async fn client(broker: &Broker) -> Client {
    nats_lifeline::connect(broker.url()).await.unwrap()
}

// S51
#[tokio::test]
async fn values_are_sent_and_read_back() {
    let broker = Broker::start().await.unwrap();
    let (client, other) = (client(&broker).await, client(&broker).await);
    let mut orders = other.subscribe("orders").await.unwrap();
    other.flush().await.unwrap();
    let order = Order { name: "cart".to_owned(), wheels: 4 };
    client.publish_json("orders", &order).await.unwrap();
    let message = orders.next().await.unwrap();
    assert_eq!(message.payload, r#"{"name":"cart","wheels":4}"#);
    assert_eq!(message.json::<Order>().unwrap(), order);
    // Borrowed from the message.
    let fields: BTreeMap<&str, serde_json::Value> = message.json().unwrap();
    assert_eq!(fields["name"], "cart");

    tokio::spawn(async move {
        let request = orders.next().await.unwrap();
        let order: Order = request.json().unwrap();
        other.publish_json(request.reply.unwrap(), &(order.wheels * 2)).await.unwrap();
    });
    let doubled: u32 = client.request_json("orders", &order).await.unwrap();
    assert_eq!(doubled, 8);
}

// S51
#[tokio::test]
async fn invalid_json_is_reported_with_subject_type_and_place() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut orders = client.subscribe("orders").await.unwrap();
    client.publish("orders", "{\"wheels\": 4,".into()).await.unwrap();
    let message = orders.next().await.unwrap();
    let error = message.json::<Order>().unwrap_err();
    assert!(matches!(&error, JsonError::Read { subject, .. } if subject.as_str() == "orders"));
    let text = error.to_string();
    assert!(text.starts_with("the payload of orders can't be read as "), "{text}");
    assert!(text.contains("Order") && text.contains("line 1 column 13"), "{text}");

    // A map whose keys are no strings has no JSON form.
    let nonsense = BTreeMap::from([(Some((1, 2)), "a")]);
    let error = client.publish_json("orders", &nonsense).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Send);
    assert!(
        error.to_string().contains("the value for orders can't be written as JSON: key must be a string"),
        "{error}"
    );
    let error = client.request_json::<_, _, u32>("orders", &nonsense).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::Other);
    assert!(error.is_safe_to_repeat(), "nothing was sent");

    let answering = client.clone();
    tokio::spawn(async move {
        let request = orders.next().await.unwrap();
        answering.publish(request.reply.unwrap(), "no number".into()).await.unwrap();
    });
    let error = client.request_json::<_, _, u32>("orders", &1).await.unwrap_err();
    assert!(matches!(error.source_as(), Some(JsonError::Read { .. })), "{error}");
    assert!(error.to_string().contains("the payload of orders can't be read as u32"), "{error}");
    assert!(!error.is_safe_to_repeat(), "it was served");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[allow(dead_code, reason = "it is only parsed")]
    wheels: u32,
}

// S51
#[tokio::test]
async fn the_text_of_an_error_is_short_and_forges_no_log_line() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut orders = client.subscribe("orders.*").await.unwrap();
    let long = serde_json::to_vec(&"x".repeat(900_000)).unwrap();
    client.publish("orders.new", long.into()).await.unwrap();
    let message = orders.next().await.unwrap();
    let error = message.json::<u32>().unwrap_err();
    let text = error.to_string();
    assert!(text.len() < 2_000, "{} bytes", text.len());
    assert!(text.contains("invalid type: string \"xxx") && text.ends_with(" at line 1 column 900002"), "{text}");
    let JsonError::Read { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().len() > 900_000, "the source is unchanged");

    // As a key of the payload, and in the subject.
    let payload = r#"{"wheels": 4, "a\u001b[2J\nERROR forged": 1}"#;
    client.publish("orders.\u{1b}[2J", payload.into()).await.unwrap();
    let text = orders.next().await.unwrap().json::<Strict>().unwrap_err().to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.starts_with(r"the payload of orders.\u{1b}[2J can't be read as "), "{text}");
    assert!(text.contains(r"unknown field `a\u{1b}[2J\nERROR forged`, expected `wheels` at line 1 column "), "{text}");
}
