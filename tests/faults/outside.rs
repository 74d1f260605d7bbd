//! What an outsider found who attacked the finished library: calls from other runtimes and executors, ends that nobody reported,
//! and errors that named the wrong thing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{NotConnected, NotDriven, PayloadTooLarge, PublishOutcome, RepliesEnd, SendFault};
use nats_lifeline::connection::{ConnectionEvent, EndReason, Status};
use nats_lifeline::options::RepliesOptions;
use nats_lifeline::protocol::ErrKind;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, Request, RequestErrorKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::support::{SOON, Server, soon};

/// A broker on a runtime of its own.
fn broker() -> (Runtime, Broker) {
    let beside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = beside.block_on(Broker::start()).unwrap();
    (beside, broker)
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Times of calls that are short.
fn hasty() -> ConnectOptions {
    let short = Duration::from_millis(200);
    ConnectOptions::new().flush_timeout(short).request_timeout(Some(short))
}

/// Runs `call` on a thread of its own, where it may hang.
#[track_caller]
fn answers<T: Send + 'static>(what: &str, call: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || done.send(call()));
    outcome.recv_timeout(SOON).unwrap_or_else(|_| panic!("{what} does not answer"))
}

/// Calls of all sorts, and that each of them says what is the matter.
async fn calls(make: impl Fn() -> Client) {
    let ends = futures_util::future::join3(drain(make()), drain_and_close(make()), close(make()));
    futures_util::future::join(ask(make()), ends).await;
}

async fn ask(client: Client) {
    client.publish("a", "taken".into()).await.unwrap();
    let error = client.flush().await.unwrap_err();
    assert_eq!(error.to_string(), "flush failed: no PONG within 200ms");
    assert!(client.rtt().await.is_err());
    assert_eq!(client.request("a", "".into()).await.unwrap_err().kind(), RequestErrorKind::TimedOut);
    let mut replies = client.request_stream("a", "".into(), RepliesOptions::new()).await.unwrap();
    assert!(replies.next().await.is_none());
    assert_eq!(replies.end(), Some(RepliesEnd::Timeout));
    let outcome = client.publish_confirmed("a", "".into()).await;
    assert!(matches!(outcome, PublishOutcome::InDoubt | PublishOutcome::NotSent { .. }), "{outcome:?}");
    let mut subscriber = client.subscribe("b").await.unwrap();
    subscriber.unsubscribe().await.unwrap();
    assert!(client.subscribe_confirmed("b").await.is_err());
    let error = client.server_pool().await.unwrap_err();
    assert!(error.source_as::<NotDriven>().is_some(), "{error:?}");
    assert!(!client.health_within(Duration::from_millis(200)).await.healthy);
    client.force_reconnect().await.unwrap();
    client.set_server_pool("localhost:1").await.unwrap();
}

async fn drain(client: Client) {
    let error = client.drain().await.unwrap_err();
    assert!(error.to_string().contains("has not run"), "{error}");
}

async fn drain_and_close(client: Client) {
    let report = client.drain_and_close(Duration::from_millis(200)).await.unwrap();
    assert!(!report.ended && !report.completed, "{report:?}");
}

async fn close(client: Client) {
    let error = client.close().await.unwrap_err();
    assert!(!error.report().ended && error.to_string().starts_with("not closed"), "{error}");
}

/// Clients of a runtime that nobody drives from then on.
fn abandoned(broker: &Broker) -> (Runtime, impl Fn() -> Client + Send + use<>) {
    let runtime = one_thread();
    let connect = || runtime.block_on(hasty().connect(broker.url())).unwrap();
    let clients: Vec<Client> = (0..4).map(|_| connect()).collect();
    let next = std::sync::Mutex::new(clients);
    (runtime, move || next.lock().unwrap().pop().unwrap())
}

// Fault I1. Every test made its calls on the runtime of the connection, so a timer of that runtime was always driven.
#[test]
fn all_calls_answer_though_nobody_runs_the_runtime_of_the_connection() {
    let (_beside, broker) = broker();
    let with_timers = || one_thread();
    let without_timers = || Builder::new_current_thread().build().unwrap();
    for runtime in [with_timers as fn() -> Runtime, without_timers] {
        let (_abandoned, make) = abandoned(&broker);
        answers("one of the calls", move || runtime().block_on(calls(make)));
    }
}

// Fault I1, its sibling: an executor that is not tokio's.
#[test]
fn all_calls_answer_on_another_executor_though_nobody_runs_the_runtime_of_the_connection() {
    let (_beside, broker) = broker();
    let (_abandoned, make) = abandoned(&broker);
    answers("one of the calls", move || poll_on_this_thread(calls(make)));
}

/// An executor that knows nothing.
fn poll_on_this_thread<T>(future: impl Future<Output = T>) -> T {
    struct Thread(std::thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Thread(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

// Fault I1. A busy runtime was tested by its own calls only, which are late because their runtime is.
#[test]
fn a_call_from_a_healthy_runtime_answers_while_a_task_blocks_the_connections() {
    let (_beside, broker) = broker();
    let blocked = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = blocked.block_on(hasty().connect(broker.url())).unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let blocking = blocked.spawn(async move {
        begun.send(()).unwrap();
        let _ = released.recv();
    });
    begins.recv().unwrap();
    let flushing = client.clone();
    let error = answers("flush", move || one_thread().block_on(flushing.flush())).unwrap_err();
    assert_eq!(error.to_string(), "flush failed: no PONG within 200ms");
    // When the runtime runs again, so does the client.
    release.send(()).unwrap();
    blocked.block_on(blocking).unwrap();
    answers("flush", move || one_thread().block_on(client.flush_timeout(SOON))).unwrap();
}

fn full() -> EndReason {
    EndReason::Refused(ErrKind::MaxSubscriptionsExceeded)
}

// Fault I2. No server of the tests had a limit of subscriptions.
#[tokio::test]
async fn a_request_to_a_full_server_fails_immediately_and_the_next_works_when_there_is_room() {
    let server = Server::builder().line("max_subscriptions: 3").start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut subscribers = Vec::new();
    for subject in ["a", "b", "c"] {
        subscribers.push(client.subscribe_confirmed(subject).await.unwrap());
    }
    for _ in 0..3 {
        let asked = std::time::Instant::now();
        let error = client.request("nobody", "".into()).await.unwrap_err();
        assert_eq!(error.source_as::<EndReason>(), Some(&full()), "{error:?}");
        assert!(asked.elapsed() < Duration::from_secs(5), "that was no answer, but its request's timeout");
    }
    let error = client.request_stream("nobody", "".into(), RepliesOptions::new()).await;
    let failed = match error {
        Ok(mut replies) => replies.next().await.unwrap().unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(failed.source_as::<EndReason>(), Some(&full()));
    subscribers.pop();
    client.flush().await.unwrap();
    let error = client.request("nobody", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    // The others were never touched.
    client.publish("a", "".into()).await.unwrap();
    assert!(soon("the message", subscribers[0].next()).await.is_some());
}

// Fault I2
#[tokio::test]
async fn a_subscription_for_which_a_server_has_no_room_ends_and_can_be_made_when_there_is() {
    let server = Server::builder().line("max_subscriptions: 2").start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut first = client.subscribe("a").await.unwrap();
    let mut second = client.subscribe("b").await.unwrap();
    let mut third = client.subscribe("c").await.unwrap();
    assert!(soon("its end", third.next()).await.is_none());
    assert_eq!(third.end_reason(), Some(full()));
    let error = client.subscribe_confirmed("d").await.unwrap_err();
    assert_eq!(error.source_as::<EndReason>(), Some(&full()), "{error:?}");

    // One leaves and two come, before the server has said a word.
    second.unsubscribe().await.unwrap();
    let mut fourth = client.subscribe("e").await.unwrap();
    let mut fifth = client.subscribe("f").await.unwrap();
    assert!(soon("its end", fifth.next()).await.is_none());
    assert_eq!(fifth.end_reason(), Some(full()));
    client.publish("e", "".into()).await.unwrap();
    client.publish("a", "".into()).await.unwrap();
    assert!(soon("a message", fourth.next()).await.is_some());
    assert!(soon("a message", first.next()).await.is_some());

    // The next connection is asked for what lives.
    client.force_reconnect().await.unwrap();
    client.flush().await.unwrap();
    client.publish("e", "".into()).await.unwrap();
    assert!(soon("a message", fourth.next()).await.is_some());
    client.publish("a", "".into()).await.unwrap();
    assert!(soon("a message", first.next()).await.is_some());
}

// Fault I2, its sibling: a confirmed subscription beside others that leave.
#[tokio::test]
async fn a_confirmed_subscription_is_at_the_server_though_it_refuses_others() {
    let server = Server::builder().line("max_subscriptions: 4").start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    for _ in 0..20 {
        let mut gone = client.subscribe("gone").await.unwrap();
        let wanted = (0..6).map(|_| client.subscribe_confirmed("wanted"));
        let leaving = async { gone.unsubscribe().await.unwrap() };
        let (outcomes, ()) = futures_util::future::join(futures_util::future::join_all(wanted), leaving).await;
        let mut made: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
        assert!((3..=4).contains(&made.len()), "as many as the server had room for, and not {}", made.len());
        client.publish("wanted", "".into()).await.unwrap();
        for subscriber in &mut made {
            assert!(soon("a message", subscriber.next()).await.is_some());
        }
        drop(made);
        client.flush().await.unwrap();
    }
}

// Fault I3. The tests read this error on runtimes with one thread, where the last attempt's event is always out before the state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_connect_names_every_server_each_time() {
    let dead = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
    for _ in 0..300 {
        let error = nats_lifeline::connect(dead.as_slice()).await.unwrap_err();
        let attempts = error.source_as::<NotConnected>().unwrap().attempts().count();
        assert_eq!(attempts, dead.len(), "{error}");
    }
}

/// Runtimes of both kinds, on which a client may be left.
fn runtimes() -> [Runtime; 2] {
    [one_thread(), Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()]
}

// Fault I5. That calls answer behind the end of their runtime was tested, and never what they say of accepted messages.
#[test]
fn messages_that_the_end_of_the_runtime_leaves_unsent_are_lost_and_reported() {
    for runtime in runtimes() {
        let (_beside, broker) = broker();
        let client = runtime.block_on(nats_lifeline::connect(broker.url())).unwrap();
        broker.kill();
        runtime.block_on(async {
            client.status_watch().wait_for(Status::Reconnecting).await;
            for _ in 0..3 {
                client.publish("a", "held".into()).await.unwrap();
            }
        });
        let mut events = client.events();
        drop(runtime);
        let stats = client.stats();
        assert_eq!((stats.waiting, stats.lost.closed, stats.in_doubt), (0, 3, 0), "{stats:?}");
        let lost: u64 = std::iter::from_fn(|| events.try_recv())
            .map(|event| if let ConnectionEvent::Lost { messages, .. } = event { messages.len() } else { 0 })
            .sum();
        assert_eq!(lost, 3, "they are returned");
        one_thread().block_on(async {
            let error = client.close().await.unwrap_err();
            assert_eq!(error.to_string(), "closed with 3 messages never sent, 0 in doubt and 0 unread");
            let gone = EndReason::DriverGone.to_string();
            assert!(client.drain().await.unwrap_err().to_string().ends_with(&gone));
            assert!(client.flush().await.unwrap_err().to_string().ends_with(&gone));
            assert!(client.server_pool().await.unwrap_err().to_string().ends_with(&gone));
            assert!(client.subscribe("a").await.unwrap_err().to_string().ends_with(&gone));
            assert!(client.request("a", "".into()).await.unwrap_err().to_string().ends_with(&gone));
        });
    }
}

// Fault I5, its sibling: messages that the transport takes at that moment, or had taken.
#[test]
fn messages_that_no_pong_has_confirmed_are_in_doubt_behind_the_end_of_the_runtime() {
    for runtime in runtimes() {
        let (_beside, broker) = broker();
        let client = runtime.block_on(nats_lifeline::connect(broker.url())).unwrap();
        broker.drop_pongs(true);
        runtime.block_on(client.publish("a", "taken".into())).unwrap();
        runtime.block_on(async {
            while client.stats().unconfirmed == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        // Without a turn for the task in between, where there is one thread.
        one_thread().block_on(client.publish("a", "given".into())).unwrap();
        drop(runtime);
        let stats = client.stats();
        assert!(stats.balances() && stats.in_doubt == 2 && stats.waiting + stats.unconfirmed == 0, "{stats:?}");
        let error = one_thread().block_on(client.close()).unwrap_err();
        assert_eq!(error.report().in_doubt, 2, "{error}");
    }
}

// Fault I5: where nothing is lost, nothing is said.
#[test]
fn closing_behind_the_end_of_the_runtime_is_ok_where_nothing_was_lost() {
    for runtime in runtimes() {
        let (_beside, broker) = broker();
        let client = runtime.block_on(nats_lifeline::connect(broker.url())).unwrap();
        runtime.block_on(async {
            client.publish("a", "confirmed".into()).await.unwrap();
            client.flush().await.unwrap();
        });
        drop(runtime);
        one_thread().block_on(client.close()).unwrap();
    }
}

/// A stream that now and then says it has taken more than it was given.
struct Boaster {
    inner: TcpStream,
    boasts: Arc<AtomicBool>,
}

impl AsyncRead for Boaster {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Boaster {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let boasts = self.boasts.load(Ordering::Relaxed);
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        written.map_ok(|n| if boasts { n + 7 } else { n })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

// Fault I8. Streams of a user's failed, stalled and panicked in tests, and their counts were always right.
#[tokio::test]
async fn a_stream_that_claims_more_than_it_was_given_costs_its_connection_and_is_named() {
    let server = Server::start().await;
    let address = server.address();
    let boasts = Arc::new(AtomicBool::new(false));
    let for_dialer = Arc::clone(&boasts);
    let options = ConnectOptions::new().dialer(move |_| {
        let (address, boasts) = (address.clone(), Arc::clone(&for_dialer));
        async move { Ok::<_, io::Error>(Boaster { inner: TcpStream::connect(address).await?, boasts }) }
    });
    let client = options.connect(server.url()).await.unwrap();
    let mut events = client.events();
    boasts.store(true, Ordering::Relaxed);
    client.publish("a", "1".into()).await.unwrap();
    let cause = soon("the loss", async {
        loop {
            if let Some(ConnectionEvent::Disconnected { cause, in_doubt, .. }) = events.recv().await {
                assert_eq!(in_doubt, 1, "it may have been sent");
                break cause.to_string();
            }
        }
    });
    let cause = cause.await;
    assert!(cause.contains("the dialer's stream"), "{cause}");
    boasts.store(false, Ordering::Relaxed);
    // The first one tells of what is in doubt.
    let _ = soon("a flush", client.flush()).await;
    soon("a flush", client.flush()).await.unwrap();
    assert!(client.stats().balances());
    client.close().await.unwrap();
}

// Fault I7. The reason was tested of `publish_confirmed` alone.
#[tokio::test]
async fn a_request_that_the_next_server_can_not_take_says_why() {
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    broker.kill();
    client.status_watch().wait_for(Status::Reconnecting).await;
    broker.set_max_payload(100);
    let payload = bytes::Bytes::from(vec![b'x'; 150]);
    let asking = tokio::spawn({
        let (client, payload) = (client.clone(), payload.clone());
        async move { client.request("a", payload).await.unwrap_err() }
    });
    let mut replies = client.request_stream("a", payload, RepliesOptions::new()).await.unwrap();
    while client.stats().waiting < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    broker.restart().await.unwrap();
    let of_request = soon("the request", asking).await.unwrap();
    let of_stream = soon("the stream", replies.next()).await.unwrap().unwrap_err();
    for error in [of_request, of_stream] {
        assert_eq!(error.kind(), RequestErrorKind::MaxPayloadExceeded, "{error:?}");
        assert_eq!(error.source_as::<PayloadTooLarge>(), Some(&PayloadTooLarge { max: 100, size: 150 }));
    }
}

// Fault I7, its sibling: a request that has become too old.
#[tokio::test]
async fn a_request_that_has_become_too_old_says_so() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().max_message_age(Some(Duration::from_millis(1)));
    let client = options.connect(broker.url()).await.unwrap();
    broker.kill();
    client.status_watch().wait_for(Status::Reconnecting).await;
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.request("a", "old".into()).await.unwrap_err() }
    });
    while client.stats().accepted == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    broker.restart().await.unwrap();
    let error = soon("the request", asking).await.unwrap();
    assert_eq!(error.source_as::<SendFault>(), Some(&SendFault::Expired), "{error:?}");
}

// Fault I4. The number was tested of messages that nobody read, and never of those that were read late.
#[tokio::test]
async fn messages_that_were_read_behind_the_end_of_their_subscription_are_not_undelivered() {
    let broker = Broker::start().await.unwrap();
    for how in ["limit", "drain", "unsubscribe", "dropped", "unread"] {
        let client = nats_lifeline::connect(broker.url()).await.unwrap();
        let mut subscriber = client.subscribe("a").await.unwrap();
        if how == "limit" {
            subscriber.unsubscribe_after(5).await.unwrap();
        }
        for _ in 0..5 {
            client.publish("a", "".into()).await.unwrap();
        }
        client.flush().await.unwrap();
        match how {
            "drain" => subscriber.drain().await.unwrap(),
            "unsubscribe" | "unread" => subscriber.unsubscribe().await.unwrap(),
            _ => {}
        }
        client.flush().await.unwrap();
        let mut left = Some(subscriber);
        if how == "dropped" {
            left = None;
        }
        if let Some(subscriber) = left.as_mut().filter(|_| how != "unread") {
            for _ in 0..5 {
                assert!(soon("a message", subscriber.next()).await.is_some(), "{how}");
            }
        }
        let report = client.drain_and_close(SOON).await.unwrap();
        let expected = if how == "unread" { 5 } else { 0 };
        assert_eq!((report.undelivered, report.completed), (expected, true), "{how}: {report:?}");
        // They were true words: what is undelivered can still be read.
        if let Some(subscriber) = &mut left {
            assert_eq!(subscriber.collect::<Vec<_>>().await.len() as u64, expected, "{how}");
        }
    }
}

// Fault I6. No test read these texts.
#[tokio::test]
async fn errors_of_requests_name_the_inbox_and_repeat_nothing() {
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    let error = client.send_request("a", Request::new().inbox(String::new())).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::InvalidSubject);
    assert_eq!(error.to_string(), "invalid subject: the inbox \"\": it is empty");
    let error = client.request("", "".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid subject: it is empty");
}
