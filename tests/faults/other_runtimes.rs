//! Rows I: calls from other runtimes and executors, and after the end of the connection's runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use nats_lifeline::client::{NotDriven, PublishOutcome, RepliesEnd};
use nats_lifeline::connection::{ConnectionEvent, EndReason, Status};
use nats_lifeline::options::RepliesOptions;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, Request, RequestErrorKind};
use tokio::runtime::{Builder, Runtime};

use crate::support::SOON;

/// A broker on its own runtime.
fn broker() -> (Runtime, Broker) {
    let beside = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = beside.block_on(Broker::start()).unwrap();
    (beside, broker)
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Short timeouts for calls.
fn hasty() -> ConnectOptions {
    let short = Duration::from_millis(200);
    ConnectOptions::new().flush_timeout(short).request_timeout(Some(short))
}

/// Runs `call` on its own thread, where it may hang.
#[track_caller]
fn answers<T: Send + 'static>(what: &str, call: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || done.send(call()));
    outcome.recv_timeout(SOON).unwrap_or_else(|_| panic!("{what} does not return"))
}

/// Calls of all kinds; each must return the right error.
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

/// Clients of a runtime that is not driven afterwards.
fn abandoned(broker: &Broker) -> (Runtime, impl Fn() -> Client + Send + use<>) {
    let runtime = one_thread();
    let connect = || runtime.block_on(hasty().connect(broker.url())).unwrap();
    let clients: Vec<Client> = (0..4).map(|_| connect()).collect();
    let next = std::sync::Mutex::new(clients);
    (runtime, move || next.lock().unwrap().pop().unwrap())
}

// Fault I1. Every test made its calls on the runtime of the connection, so the timers of that runtime were always
// driven.
#[test]
fn all_calls_return_even_if_the_connections_runtime_is_not_running() {
    let (_beside, broker) = broker();
    let with_timers = || one_thread();
    let without_timers = || Builder::new_current_thread().build().unwrap();
    for runtime in [with_timers as fn() -> Runtime, without_timers] {
        let (_abandoned, make) = abandoned(&broker);
        answers("one of the calls", move || runtime().block_on(calls(make)));
    }
}

// Fault I1, its sibling: an executor other than tokio's.
#[test]
fn all_calls_return_on_another_executor_even_if_the_connections_runtime_is_not_running() {
    let (_beside, broker) = broker();
    let (_abandoned, make) = abandoned(&broker);
    answers("one of the calls", move || poll_on_this_thread(calls(make)));
}

/// A minimal executor.
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
fn a_call_from_another_runtime_returns_while_a_task_blocks_the_connections_runtime() {
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

/// Runtimes of both kinds.
fn runtimes() -> [Runtime; 2] {
    [one_thread(), Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()]
}

// Fault I5. Tests checked that calls return after the end of their runtime, but not what they report about accepted
// messages.
#[test]
fn messages_that_the_end_of_the_runtime_leaves_unsent_are_lost_and_reported() {
    for runtime in runtimes() {
        let (_beside, broker) = broker();
        let client = runtime.block_on(nats_lifeline::connect(broker.url())).unwrap();
        broker.kill();
        runtime.block_on(async {
            client.status_watch().wait_for(Status::Reconnecting).await;
            for _ in 0..3 {
                client.publish("a", "buffered".into()).await.unwrap();
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

// Fault I5, its sibling: messages that the transport takes at that moment, or had taken before.
#[test]
fn unconfirmed_messages_are_in_doubt_after_the_end_of_the_runtime() {
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
        // On a single thread the task does not run in between.
        one_thread().block_on(client.publish("a", "given".into())).unwrap();
        drop(runtime);
        let stats = client.stats();
        assert!(stats.balances() && stats.in_doubt == 2 && stats.waiting + stats.unconfirmed == 0, "{stats:?}");
        let error = one_thread().block_on(client.close()).unwrap_err();
        assert_eq!(error.report().in_doubt, 2, "{error}");
    }
}

// Fault I5: if nothing is lost, there is no error.
#[test]
fn closing_after_the_end_of_the_runtime_is_ok_if_nothing_was_lost() {
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

/// A call that returns whether it has failed.
type Call<'a> = Pin<Box<dyn Future<Output = bool> + 'a>>;

// Fault J9. Calls that outlive their runtime were awaited on another one, and not with its `Handle::block_on`.
#[test]
fn calls_that_are_awaited_on_their_own_runtime_fail_when_it_ends() {
    for runtime in runtimes() {
        let (_beside, broker) = broker();
        let client = runtime.block_on(nats_lifeline::connect(broker.url())).unwrap();
        let mut unread = runtime.block_on(client.subscribe("silent")).unwrap();
        runtime.block_on(client.flush()).unwrap();
        broker.drop_pongs(true);
        let own = Request::new().inbox("own".to_owned());
        let calls: [(&str, Call<'_>); 6] = [
            ("request", Box::pin(async { client.request("silent", "".into()).await.is_err() })),
            ("request with an inbox", Box::pin(async { client.send_request("silent", own).await.is_err() })),
            (
                "request with many replies",
                Box::pin(async {
                    let mut replies = client.request_stream("silent", "".into(), RepliesOptions::new()).await.unwrap();
                    replies.next().await.is_none_or(|reply| reply.is_err())
                }),
            ),
            ("flush", Box::pin(async { client.flush().await.is_err() })),
            (
                "confirmed publish",
                Box::pin(async {
                    let outcome = client.publish_confirmed("a", "".into()).await;
                    !matches!(outcome, PublishOutcome::Confirmed)
                }),
            ),
            ("subscriber", Box::pin(async { client.subscribe("b").await.unwrap().next_batch(10).await.is_none() })),
        ];
        let handle = runtime.handle().clone();
        let _here = handle.enter();
        let cx = &mut Context::from_waker(Waker::noop());
        let mut calls = calls.map(|(what, mut call)| {
            assert!(call.as_mut().poll(cx).is_pending(), "{what}");
            (what, call)
        });
        drop(runtime);
        for (what, call) in &mut calls {
            assert_eq!(call.as_mut().poll(cx), Poll::Ready(true), "{what}");
        }
        assert!(unread.next().now_or_never().is_some());
    }
}
