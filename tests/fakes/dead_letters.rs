//! Dead letters that can't be sent, that come back, or whose message made its handler panic badly.

use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{DEAD_LETTER_REASON, RouterReport};
use nats_lifeline::protocol::SubjectFault;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, Message, SubscribeErrorKind, Subscriber};

const LONG: Duration = Duration::from_secs(30);

async fn client(broker: &Broker) -> Client {
    nats_lifeline::connect(broker.url()).await.unwrap()
}

async fn next(letters: &mut Subscriber) -> Message {
    tokio::time::timeout(LONG, letters.next()).await.expect("a letter comes").unwrap()
}

async fn failing(_: Message) -> Result<(), String> {
    Err("no".to_owned())
}

fn counts(report: RouterReport) -> (u64, u64, u64, u64) {
    (report.handled, report.failed, report.undelivered, report.unfinished)
}

// S70
#[tokio::test]
async fn a_router_does_not_start_with_dead_letters_that_nobody_gets_or_that_it_handles_itself() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let start = async |dead: &'static str, route: &'static str| {
        let started = client.router().dead_letters(dead).route("other", failing).route(route, failing).start().await;
        started.map(drop)
    };
    for (dead, route, text) in [
        ("", "work", r#"invalid subject: dead letters to "": it is empty"#),
        ("d..ead", "work", r#"invalid subject: dead letters to "d..ead": empty token at byte 2"#),
        (
            "d.*",
            "work",
            r#"invalid subject: dead letters to "d.*": it has a wildcard, and messages are published to one subject"#,
        ),
        (
            ">",
            "work",
            r#"invalid subject: dead letters to ">": it has a wildcard, and messages are published to one subject"#,
        ),
        ("work", "work", r#"invalid subject: dead letters to "work" would be handled again, by the route "work""#),
        ("a.b", "a.*", r#"invalid subject: dead letters to "a.b" would be handled again, by the route "a.*""#),
        ("dead", ">", r#"invalid subject: dead letters to "dead" would be handled again, by the route ">""#),
    ] {
        let error = start(dead, route).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (SubscribeErrorKind::InvalidSubject, text));
    }
    let error = start("", "work").await.unwrap_err();
    assert_eq!(error.source_as::<SubjectFault>(), Some(&SubjectFault::Empty));
    start("dead", "work").await.unwrap();
}

// S70
#[tokio::test]
async fn a_long_reason_is_cut_and_a_letter_that_is_not_accepted_is_counted() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut letters = client.subscribe("dead").await.unwrap();
    let router = client
        .router()
        .dead_letters("dead")
        .route("work", |_| async { Err::<(), _>("é".repeat(1_000_000)) })
        .start()
        .await
        .unwrap();
    client.publish("work", "small".into()).await.unwrap();
    let largest = vec![b'x'; client.server_info().max_payload];
    client.publish("work", largest.into()).await.unwrap();
    client.flush().await.unwrap();

    let letter = next(&mut letters).await;
    assert_eq!(letter.payload, "small");
    let headers = letter.headers.unwrap();
    let reason = headers.get(DEAD_LETTER_REASON).unwrap().as_str();
    assert_eq!(reason, format!("{}… (2000000 bytes)", "é".repeat(512)));
    assert_eq!(counts(router.drain(LONG).await), (0, 2, 1, 0));
    assert_eq!(letters.pending(), 0);
}

// S70: two routers that send each other their dead letters
#[tokio::test]
async fn a_dead_letter_that_fails_makes_no_other_dead_letter() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let work = client.router().dead_letters("dead").route("work", failing).start().await.unwrap();
    let dead = client.router().dead_letters("work").route("dead", failing).start().await.unwrap();
    client.publish("work", "".into()).await.unwrap();
    let failed = async {
        while dead.report().failed == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, failed).await.expect("the letter is handled");
    // What it published, if anything, has come back when the flush returns.
    client.flush().await.unwrap();
    assert_eq!(counts(work.drain(LONG).await), (0, 1, 0, 0));
    assert_eq!(counts(dead.drain(LONG).await), (0, 1, 1, 0));
}

/// Dropping it panics, as often as it says.
struct Bomb(u8);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Bomb(self.0 - 1));
        }
    }
}

fn explode() -> Result<(), String> {
    std::panic::panic_any(Bomb(2))
}

// S70
#[tokio::test]
async fn a_panic_whose_payload_panics_is_a_failure_like_any_other() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let mut letters = client.subscribe("dead").await.unwrap();
    let router = client
        .router()
        .dead_letters("dead")
        .route("called", |_| std::future::ready(explode()))
        .route("polled", |_| async {
            tokio::task::yield_now().await;
            explode()
        })
        .start()
        .await
        .unwrap();
    for subject in ["called", "polled", "called", "polled"] {
        client.publish(subject, "".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    assert_eq!(counts(router.drain(LONG).await), (0, 4, 0, 0));
    for _ in 0..4 {
        let headers = next(&mut letters).await.headers.unwrap();
        assert_eq!(headers.get(DEAD_LETTER_REASON).unwrap().as_str(), "the handler panicked");
    }
}
