//! What an outsider found who attacked the finished library: calls from other runtimes and executors, ends that nobody reported,
//! and errors that named the wrong thing.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::client::{NotDriven, PublishOutcome, RepliesEnd, RepliesOptions};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, RequestErrorKind};
use tokio::runtime::{Builder, Runtime};

use crate::support::SOON;

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
    let client = make();
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

    let error = make().drain().await.unwrap_err();
    assert!(error.to_string().contains("has not run"), "{error}");
    let report = make().drain_and_close(Duration::from_millis(200)).await.unwrap();
    assert!(!report.ended && !report.completed, "{report:?}");
    let error = make().close().await.unwrap_err();
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

// Outside 1. Every test made its calls on the runtime of the connection, so a timer of that runtime was always driven.
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

// Outside 1, its sibling: an executor that is not tokio's.
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
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Thread(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

// Outside 1. A busy runtime was tested by its own calls only, which are late because their runtime is.
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
