//! A short session through a network that cuts it at one byte, for every byte of it, in both directions.

use futures_util::{StreamExt, stream};
use nats_lifeline::{Client, ConnectOptions, HeaderMap, Subscriber};

use crate::support::closing::settle;
use crate::support::{Cut, Direction, Proxy, RawClient, SOON, Server, soon, within};

/// So many sessions at a time.
const AT_A_TIME: usize = 16;

/// A session that was cut, or not, and the bytes that its first connection carried.
struct Session {
    to_server: u64,
    to_client: u64,
    cut: bool,
}

fn headers(number: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Number", number.to_string());
    headers
}

/// Publishes the numbers of `range`, with a header block each, and asks for a PONG behind them.
async fn publish(client: &Client, subject: &str, range: std::ops::Range<usize>) -> Result<(), String> {
    for number in range {
        let payload = format!("out {number}\r\n").into();
        client.publish_with_headers(subject.to_owned(), headers(number), payload).await.unwrap();
    }
    soon("an answer", client.flush()).await.map_err(|error| error.to_string())
}

/// What has come to a subscription: whole, in order, nothing twice.
async fn check_incoming(case: &str, own: &mut Subscriber) {
    own.unsubscribe().await.unwrap();
    let mut last = None;
    while let Some(message) = soon("a message, or the end", own.next()).await {
        let text = String::from_utf8(message.payload.to_vec()).unwrap();
        let number: usize = text.strip_prefix("in ").unwrap_or_else(|| panic!("{case}: {text:?}")).parse().unwrap();
        assert_eq!(message.headers.unwrap().get("Number").unwrap().as_str(), number.to_string(), "{case}");
        assert!(last < Some(number), "{case}: {number} behind {last:?}");
        last = Some(number);
    }
}

async fn session(server: &Server, cut: Option<(Direction, u64, Cut)>) -> Session {
    let case = format!("{cut:?}");
    let name = cut.map_or("whole".to_owned(), |(direction, offset, how)| format!("{direction:?}.{offset}.{how:?}"));
    let (out, inward, ask) = (format!("out.{name}"), format!("in.{name}"), format!("ask.{name}"));
    let proxy = Proxy::start(server.port()).await;
    proxy.one_at_a_time();
    let mut raw = server.raw().await;
    raw.subscribe(&out, "1").await;
    raw.subscribe(&ask, "2").await;
    if let Some((direction, offset, how)) = cut {
        proxy.cut_at(direction, offset, how);
    }
    let options = ConnectOptions::new().retry_on_initial_connect();
    let client = soon("a handle", options.connect(proxy.url())).await.unwrap();
    let mut own = client.subscribe(inward.clone()).await.unwrap();

    let first = publish(&client, &out, 0..3).await;
    check_flush(&case, &first, &mut raw, 3).await;
    for number in 0..3 {
        let headers = format!("NATS/1.0\r\nNumber: {number}\r\n\r\n");
        raw.publish_with_headers(&inward, &headers, format!("in {number}")).await;
    }
    raw.sync().await;
    match soon("an answer", client.request(ask, "how are you?".into())).await {
        Ok(answer) => assert_eq!(answer.payload, "how are you?", "{case}"),
        // It may have been handed over when the connection was lost. Whatever else is wrong comes out below.
        Err(error) => assert!(cut.is_some(), "{error}"),
    }
    let _ = publish(&client, &out, 3..6).await;

    let got = settle(&case, &client, &mut raw, 7).await;
    let asked = got.iter().filter(|message| message.sid == "2").count();
    assert!(asked <= 1, "{case}: the request came {asked} times");
    let numbers = got.iter().filter(|message| message.sid == "1").map(|message| {
        let text = message.text();
        let number: usize =
            text.strip_prefix("out ").and_then(|text| text.strip_suffix("\r\n")).unwrap().parse().unwrap();
        let headers = format!("NATS/1.0\r\nNumber: {number}\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&message.headers), headers, "{case}");
        number
    });
    let numbers: Vec<usize> = numbers.collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{case}: {numbers:?}");
    let in_doubt = client.stats().in_doubt;
    assert!(7 - got.len() as u64 <= in_doubt, "{case}: {numbers:?}, asked {asked}, {in_doubt} in doubt");
    check_incoming(&case, &mut own).await;
    let passages = proxy.passages();
    Session { to_server: passages[0].to_server, to_client: passages[0].to_client, cut: passages.len() > 1 }
}

/// Ok: the server has passed on all `published` of them by now.
async fn check_flush(case: &str, flushed: &Result<(), String>, raw: &mut RawClient, published: usize) {
    if flushed.is_ok() {
        // What comes later may be more than these, so they are looked at without being taken.
        let there = raw.waiting().await;
        assert_eq!(there, published, "{case}: the flush is Ok");
    }
}

// I1-I5, N5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_cut_at_any_byte_loses_only_messages_in_doubt_and_repeats_nothing() {
    let server = Server::start().await;
    let answering = soon("a connection", nats_lifeline::connect(server.url())).await.unwrap();
    let mut questions = answering.subscribe("ask.>").await.unwrap();
    soon("a flush", answering.flush()).await.unwrap();
    let responder = answering.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let _ = responder.publish(question.reply.unwrap(), question.payload).await;
        }
    });
    let server = &server;
    let whole = session(server, None).await;
    assert!(!whole.cut);
    // One more than there are: nothing is cut then. Every second one is cut by a reset.
    let cases = [(Direction::ToServer, whole.to_server), (Direction::ToClient, whole.to_client)];
    let cases = cases.into_iter().flat_map(|(direction, bytes)| {
        (0..bytes).map(move |offset| (direction, offset, if offset % 2 == 0 { Cut::Fin } else { Cut::Rst }))
    });
    let all = stream::iter(cases).map(|cut| async move {
        // Names of other lengths, PINGs and a second INFO: a session is never quite as long as another.
        session(server, Some(cut)).await.cut
    });
    let cut = within("all cuts", SOON * 30, all.buffer_unordered(AT_A_TIME).collect::<Vec<bool>>()).await;
    let really = cut.iter().filter(|cut| **cut).count();
    println!("{} sessions, {really} of them cut", cut.len());
    assert!(really * 10 > cut.len() * 9, "{really} of {} were cut", cut.len());
}
