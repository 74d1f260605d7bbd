//! Handlers by subject.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{DEAD_LETTER_REASON, DEAD_LETTER_SUBJECT};
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, HeaderMap, Message, Request, RequestErrorKind, SubscribeErrorKind};
use tokio::sync::{Semaphore, mpsc};

const LONG: Duration = Duration::from_secs(30);

async fn client(broker: &Broker) -> Client {
    nats_lifeline::connect(broker.url()).await.unwrap()
}

fn number(message: &Message) -> usize {
    std::str::from_utf8(&message.payload).unwrap().parse().unwrap()
}

// S69, S70
#[tokio::test]
async fn a_message_that_fails_goes_to_the_dead_letters_and_the_next_is_handled() {
    let broker = Broker::start().await.unwrap();
    let (client, publisher) = (client(&broker).await, client(&broker).await);
    let mut letters = publisher.subscribe("dead").await.unwrap();
    publisher.flush().await.unwrap();
    let router = client
        .router()
        .dead_letters("dead")
        .route("work.*", |message: Message| async move {
            match &message.payload[..] {
                b"error" => Err("not\r\nnow"),
                b"panic" => panic!("never"),
                _ => Ok(()),
            }
        })
        .start()
        .await
        .unwrap();
    client.flush().await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("Trace", "7");
    publisher.publish_with_headers("work.a", headers, "error".into()).await.unwrap();
    publisher.publish("work.b", "panic".into()).await.unwrap();
    publisher.publish("work.c", "fine".into()).await.unwrap();
    publisher.flush().await.unwrap();

    let first = letters.next().await.unwrap();
    assert_eq!(first.payload, "error");
    let headers = first.headers.unwrap();
    let header = |name: &str| headers.get(name).unwrap().as_str().to_owned();
    assert_eq!(header(DEAD_LETTER_REASON), "not  now");
    assert_eq!(header(DEAD_LETTER_SUBJECT), "work.a");
    assert_eq!(header("Trace"), "7", "its own headers stay");
    let second = letters.next().await.unwrap().headers.unwrap();
    assert_eq!(second.get(DEAD_LETTER_REASON).unwrap().as_str(), "the handler panicked: never");

    let report = router.drain(LONG).await;
    assert_eq!((report.handled, report.failed, report.unfinished), (1, 2, 0));
}

// S69
#[tokio::test]
async fn handlers_run_in_order_or_as_many_at_a_time_as_allowed() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let (order, mut seen) = mpsc::unbounded_channel();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let (now, peak, entry) = (running.clone(), most.clone(), gate.clone());
    let router = client
        .router()
        .route("one", move |message: Message| {
            let order = order.clone();
            async move {
                tokio::task::yield_now().await;
                order.send(number(&message)).map_err(|error| error.to_string())
            }
        })
        .route_with("many", 4, move |_| {
            let (now, peak, entry) = (now.clone(), peak.clone(), entry.clone());
            async move {
                peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                entry.acquire().await.unwrap().forget();
                now.fetch_sub(1, Ordering::SeqCst);
                Ok::<(), String>(())
            }
        })
        .start()
        .await
        .unwrap();
    for i in 0..20 {
        client.publish("many", i.to_string().into()).await.unwrap();
        client.publish("one", i.to_string().into()).await.unwrap();
    }
    client.flush().await.unwrap();
    for expected in 0..20 {
        assert_eq!(seen.recv().await, Some(expected), "beside handlers that hang");
    }
    while running.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(20);
    let report = router.drain(LONG).await;
    assert_eq!((report.handled, report.unfinished), (40, 0));
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

// S69: the end handles what was received, and a handler that hangs does not hold it up
#[tokio::test]
async fn a_drain_handles_what_was_received_within_its_time() {
    let broker = Broker::start().await.unwrap();
    let (client, publisher) = (client(&broker).await, client(&broker).await);
    let mut answers = publisher.subscribe("answers").await.unwrap();
    let answering = client.clone();
    let router = client
        .router()
        .queue_group("workers")
        .route("work", move |message: Message| {
            let answering = answering.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                answering.publish("answers", message.payload).await
            }
        })
        .route("hang", |_| std::future::pending::<Result<(), String>>())
        .start()
        .await
        .unwrap();
    client.flush().await.unwrap();
    for i in 0..100 {
        publisher.publish("work", i.to_string().into()).await.unwrap();
    }
    publisher.flush().await.unwrap();
    client.flush().await.unwrap();
    let report = router.drain(LONG).await;
    assert_eq!((report.handled, report.failed, report.unfinished), (100, 0, 0));
    for expected in 0..100 {
        assert_eq!(number(&answers.next().await.unwrap()), expected, "flushed before the drain ended");
    }

    let router = client.router().route("hang", |_| std::future::pending::<Result<(), String>>()).start().await.unwrap();
    client.flush().await.unwrap();
    publisher.publish("hang", "1".into()).await.unwrap();
    while router.report().unfinished == 0 {
        tokio::task::yield_now().await;
    }
    let report = router.drain(Duration::from_millis(50)).await;
    assert_eq!(report.unfinished, 1);
}

// S69, promise 1
#[tokio::test]
async fn handlers_outlive_outages_and_end_with_the_client() {
    let broker = Broker::start().await.unwrap();
    let (client, publisher) = (client(&broker).await, client(&broker).await);
    let mut router = client.router().route("work", |_| async { Ok::<(), String>(()) }).start().await.unwrap();
    let mut events = client.events();
    broker.kill();
    broker.restart().await.unwrap();
    while !matches!(events.recv().await.unwrap(), ConnectionEvent::Reconnected { .. }) {}
    publisher.flush().await.ok();
    publisher.publish("work", "1".into()).await.unwrap();
    while router.report().handled == 0 {
        tokio::task::yield_now().await;
    }
    client.close().await.unwrap();
    tokio::time::timeout(LONG, router.ended()).await.expect("its subscriptions have ended");

    let error = client.router().route("a b", |_| async { Ok::<(), String>(()) }).start().await.unwrap_err();
    assert_eq!(error.to_string(), "invalid subject: \"a b\": blank at byte 1");
}

// S69: the other members of a queue group get what is published from then on
#[tokio::test]
async fn a_drain_unsubscribes_while_all_handlers_are_busy() {
    let broker = Broker::start().await.unwrap();
    let (client, publisher) = (client(&broker).await, client(&broker).await);
    let gate = Arc::new(Semaphore::new(0));
    let entry = gate.clone();
    let router = client
        .router()
        .queue_group("workers")
        .route("work", move |_| {
            let entry = entry.clone();
            async move { entry.acquire().await.map(|permit| permit.forget()) }
        })
        .start()
        .await
        .unwrap();
    client.flush().await.unwrap();
    publisher.publish("work", "".into()).await.unwrap();
    while router.report().unfinished == 0 {
        tokio::task::yield_now().await;
    }
    let drain = tokio::spawn(router.drain(2 * LONG));
    let mut sent = 1;
    let unsubscribed = async {
        loop {
            let request = Request::new().timeout(Some(Duration::from_millis(20)));
            match publisher.send_request("work", request).await.unwrap_err().kind() {
                RequestErrorKind::NoResponders => break,
                _ => sent += 1,
            }
        }
    };
    tokio::time::timeout(LONG, unsubscribed).await.expect("the server has no subscription");
    gate.add_permits(sent);
    let report = drain.await.unwrap();
    assert!((1..=sent as u64).contains(&report.handled), "what it was sent before: {report:?}");
    assert_eq!((report.failed, report.unfinished, report.unread), (0, 0, 0));
}

// S69
#[tokio::test]
async fn a_drain_reports_what_was_received_and_not_begun() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let router = client
        .router()
        .route("fine", |_| async { Ok::<(), String>(()) })
        .route_with("hang", 2, |_| std::future::pending::<Result<(), String>>())
        .start()
        .await
        .unwrap();
    for _ in 0..100 {
        client.publish("hang", "".into()).await.unwrap();
    }
    client.publish("fine", "".into()).await.unwrap();
    client.flush().await.unwrap();
    while router.report().handled == 0 || router.report().unfinished < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(router.report().unread, 0);
    let report = router.drain(Duration::ZERO).await;
    assert_eq!((report.handled, report.failed, report.unfinished, report.unread), (1, 0, 2, 98));

    // The client's end does not hide them.
    let router = client.router().route("hang", |_| std::future::pending::<Result<(), String>>()).start().await.unwrap();
    for _ in 0..10 {
        client.publish("hang", "".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    while router.report().unfinished == 0 {
        tokio::task::yield_now().await;
    }
    client.close().await.unwrap();
    let report = router.drain(Duration::ZERO).await;
    assert_eq!((report.unfinished, report.unread), (1, 9));
}

// S69
#[tokio::test]
async fn handlers_have_the_time_of_a_drain_even_if_the_client_is_closed() {
    let broker = Broker::start().await.unwrap();
    let client = client(&broker).await;
    let gate = Arc::new(Semaphore::new(0));
    let entry = gate.clone();
    let handler = move |_| {
        let entry = entry.clone();
        async move { entry.acquire().await.map(|permit| permit.forget()) }
    };
    let router = client.router().route("work", handler.clone()).start().await.unwrap();
    client.publish("work", "".into()).await.unwrap();
    client.flush().await.unwrap();
    while router.report().unfinished == 0 {
        tokio::task::yield_now().await;
    }
    client.close().await.unwrap();
    let drain = tokio::spawn(router.drain(LONG));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!drain.is_finished(), "the handler has 30 s");
    gate.add_permits(1);
    let report = drain.await.unwrap();
    assert_eq!((report.handled, report.unfinished), (1, 0));
}

// Fault J4, S69: messages that no handler has seen are in the report
#[tokio::test]
async fn messages_that_slow_handlers_made_the_client_drop_are_reported() {
    const ALL: u64 = 500;
    let broker = Broker::start().await.unwrap();
    let client = ConnectOptions::new().subscription_capacity(10).connect(broker.url()).await.unwrap();
    let router = client
        .router()
        .route("hang", |_| std::future::pending::<Result<(), String>>())
        .route("fine", |_| async { Ok::<(), String>(()) })
        .start()
        .await
        .unwrap();
    for _ in 0..ALL {
        client.publish("hang", "".into()).await.unwrap();
    }
    // One is handled, up to ten are taken to be handled next, and the queue has ten.
    while router.report().dropped < ALL - 21 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let running = router.report();
    client.publish("fine", "".into()).await.unwrap();
    client.flush().await.unwrap();
    while router.report().handled == 0 {
        tokio::task::yield_now().await;
    }
    let report = router.drain(Duration::ZERO).await;
    assert!(report.dropped >= running.dropped, "counted although the subscription is gone: {report:?}");
    assert_eq!((report.handled, report.failed, report.unfinished), (1, 0, 1));
    assert_eq!(report.unfinished + report.unread + report.dropped, ALL, "{report:?}");
    assert_eq!(report.undelivered, 0);
}

// Fault J3, S69: a subscription that is made and dropped again would take messages of the queue group with it
#[tokio::test]
async fn a_router_that_does_not_start_has_subscribed_to_nothing() {
    let broker = Broker::start().await.unwrap();
    let (client, publisher) = (client(&broker).await, client(&broker).await);
    let mut member = publisher.queue_subscribe("work", "workers".to_owned()).await.unwrap();
    publisher.flush().await.unwrap();
    let fine = |_: Message| async { Ok::<(), String>(()) };
    let starting = || client.router().route("work", fine);
    let long = "x".repeat(70_000);
    for (router, kind) in [
        (starting().queue_group("workers").route("bad subject", fine), SubscribeErrorKind::InvalidSubject),
        (starting().queue_group("workers").route(long, fine), SubscribeErrorKind::InvalidSubject),
        (starting().queue_group("two words").route("other", fine), SubscribeErrorKind::InvalidQueueName),
    ] {
        assert_eq!(router.start().await.unwrap_err().kind(), kind);
    }
    for i in 0..50 {
        client.publish("work", i.to_string().into()).await.unwrap();
    }
    for expected in 0..50 {
        assert_eq!(number(&member.next().await.unwrap()), expected);
    }
    let next = client.subscribe("work").await.unwrap().sid();
    assert_eq!(next, 1, "a failed start has used no sid");
}
