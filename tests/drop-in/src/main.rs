//! A program written for async-nats: it publishes, subscribes and sends requests, and checks the results.
//!
//! It uses only features of async-nats 0.51, so that it builds with either crate. Run it with the address of a
//! server, or set `NATS_URL`; by default it uses a server on this machine.

use std::time::Duration;

use async_nats::client::traits::{Publisher, Requester, TimeoutProvider};
use async_nats::connection::State;
use async_nats::message::OutboundMessage;
use async_nats::{
    Client, ConnectOptions, Error, Event, HeaderMap, HeaderName, HeaderValue, Message, PublishErrorKind, Request,
    RequestErrorKind, StatusCode, Subject, SubscribeErrorKind, Subscriber,
};
use bytes::Bytes;
use futures_util::StreamExt;

const ORDERS: Subject = Subject::from_static("drop-in.orders");
const TRACE: HeaderName = HeaderName::from_static("Trace");

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::args().nth(1).or_else(|| std::env::var("NATS_URL").ok());
    let url = url.unwrap_or_else(|| "nats://localhost:4222".to_owned());

    let client = ConnectOptions::new()
        .name("drop-in")
        .connection_timeout(Duration::from_secs(5))
        .request_timeout(Some(Duration::from_secs(5)))
        .ping_interval(Duration::from_secs(10))
        .subscription_capacity(1024)
        .max_reconnects(10)
        .custom_inbox_prefix("_INBOX_dropin")
        .retain_servers_order()
        .event_callback(|event| async move {
            match event {
                Event::Disconnected => println!("disconnected"),
                Event::Connected => println!("reconnected"),
                Event::ClientError(err) => println!("client error occurred: {err}"),
                other => println!("other event happened: {other}"),
            }
        })
        .connect(&url)
        .await?;
    assert_eq!(client.connection_state(), State::Connected);
    assert_eq!(TimeoutProvider::timeout(&client), Some(Duration::from_secs(5)));
    assert!(!client.server_info().version.is_empty());
    assert!(client.max_payload() > 0);
    assert!(client.new_inbox().starts_with("_INBOX_dropin."));

    publish_and_subscribe(&client).await?;
    counted(&client).await?;
    ask(&client).await?;
    refusals(&client).await?;
    client.flush().await?;
    client.drain().await?;
    println!("all of it works");
    Ok(())
}

async fn publish_and_subscribe(client: &Client) -> Result<(), Error> {
    let mut orders: Subscriber = client.subscribe(ORDERS).await?;
    let mut shared = client.queue_subscribe("drop-in.*", "workers".to_string()).await?;

    client.publish(ORDERS, "one".into()).await?;
    client.publish_with_reply("drop-in.orders", "drop-in.answers", Bytes::from_static(b"two")).await?;
    let mut headers = HeaderMap::new();
    headers.insert(TRACE, "17");
    headers.append("Trace", HeaderValue::from(18));
    client.publish_with_headers(String::from("drop-in.orders"), headers.clone(), "three".into()).await?;
    client.publish_with_reply_and_headers(ORDERS, "r", headers.clone(), "four".into()).await?;
    by_trait(client, headers).await?;
    client.flush().await?;

    let mut seen = Vec::new();
    while seen.len() < 5 {
        let message = next(&mut orders).await?;
        assert_eq!(message.subject, ORDERS);
        seen.push(message);
    }
    let payloads: Vec<&[u8]> = seen.iter().map(|message| &message.payload[..]).collect();
    assert_eq!(payloads, [&b"one"[..], b"two", b"three", b"four", b"five"]);
    assert_eq!(seen[1].reply.as_deref(), Some("drop-in.answers"));
    let traces = seen[2].headers.as_ref().map(|headers| headers.get_all("Trace").map(HeaderValue::as_str).collect());
    assert_eq!(traces, Some(vec!["17", "18"]));
    assert_eq!(seen[0].length, "drop-in.orders".len() + 3);
    for _ in 0..5 {
        next(&mut shared).await?;
    }

    orders.unsubscribe().await?;
    assert!(orders.next().await.is_none());
    shared.drain().await?;
    assert!(shared.next().await.is_none());
    Ok(())
}

async fn by_trait<P: Publisher>(publisher: &P, headers: HeaderMap) -> Result<(), Error> {
    let message =
        OutboundMessage { subject: ORDERS, reply: None, payload: Bytes::from("five"), headers: Some(headers) };
    publisher.publish_message(message).await?;
    Ok(())
}

/// The next message, within some seconds.
async fn next(subscriber: &mut Subscriber) -> Result<Message, Error> {
    let message = tokio::time::timeout(Duration::from_secs(5), subscriber.next()).await?;
    message.ok_or_else(|| "the stream has ended".into())
}

async fn counted(client: &Client) -> Result<(), Error> {
    let mut numbers = client.subscribe("drop-in.numbers").await?;
    numbers.unsubscribe_after(3).await?;
    for number in 0..10 {
        client.publish("drop-in.numbers", number.to_string().into()).await?;
    }
    client.flush().await?;
    let three: Vec<Message> = numbers.by_ref().collect().await;
    assert_eq!(three.len(), 3);
    Ok(())
}

async fn ask(client: &Client) -> Result<(), Error> {
    let mut questions = client.subscribe("drop-in.questions").await?;
    let answering = tokio::spawn({
        let client = client.clone();
        async move {
            while let Some(question) = questions.next().await {
                if let Some(reply) = question.reply {
                    client.publish(reply, question.payload).await?;
                }
            }
            Ok::<(), Error>(())
        }
    });

    let answer = client.request("drop-in.questions", "echo".into()).await?;
    assert_eq!(answer.payload, "echo");
    let answer = client.request_with_headers("drop-in.questions", HeaderMap::new(), "echo".into()).await?;
    assert_eq!(&answer.payload[..], b"echo");
    let request =
        Request::new().payload("own inbox".into()).inbox(client.new_inbox()).timeout(Some(Duration::from_secs(3)));
    let answer = Requester::send_request(client, "drop-in.questions", request).await?;
    assert_eq!(answer.status.unwrap_or_default(), StatusCode::OK);

    let error = client.request("drop-in.nobody", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    answering.abort();
    Ok(())
}

async fn refusals(client: &Client) -> Result<(), Error> {
    let error = client.publish("two words", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::InvalidSubject);
    let too_much = Bytes::from(vec![0; client.max_payload() + 1]);
    let error = client.publish("drop-in.large", too_much).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::MaxPayloadExceeded);
    let error = client.subscribe("drop-in..gap").await.unwrap_err();
    assert_eq!(error.kind(), SubscribeErrorKind::InvalidSubject);
    let error = client.queue_subscribe("drop-in.x", "two words".to_owned()).await.unwrap_err();
    assert_eq!(error.kind(), SubscribeErrorKind::InvalidQueueName);
    Ok(())
}
