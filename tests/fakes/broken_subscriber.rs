//! The subscriber of the log and the spans is user code: its panic must not end a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nats_lifeline::ConnectOptions;
use nats_lifeline::connection::Status;
use nats_lifeline::testing::Broker;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Metadata, Subscriber};

const SOON: Duration = Duration::from_secs(30);

/// A subscriber with a bug: it panics in one of its hooks, once it is switched on.
struct Broken {
    hook: &'static str,
    on: Arc<AtomicBool>,
    panics: Arc<AtomicUsize>,
}

impl Broken {
    fn reach(&self, hook: &str) {
        if self.on.load(Ordering::SeqCst) && hook == self.hook {
            self.panics.fetch_add(1, Ordering::SeqCst);
            panic!("a bug in {hook}");
        }
    }
}

impl Subscriber for Broken {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("nats_lifeline")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.reach("new_span");
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.reach("record");
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.reach("event");
    }

    fn enter(&self, _: &Id) {
        self.reach("enter");
    }

    fn exit(&self, _: &Id) {
        self.reach("exit");
    }

    fn try_close(&self, _: Id) -> bool {
        self.reach("try_close");
        true
    }
}

// Fault J2: the subscriber is user code on the connection's task.
#[tokio::test]
async fn a_subscriber_that_panics_ends_no_connection() {
    // With a single dispatcher, `tracing` would cache the interest of whichever thread comes first.
    let _second = Dispatch::new(NoSubscriber::new());
    for hook in ["new_span", "record", "enter", "exit", "try_close", "event"] {
        let broker = Broker::start().await.unwrap();
        let (on, panics) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let broken = Broken { hook, on: Arc::clone(&on), panics: Arc::clone(&panics) };
        let _kept = tracing::subscriber::set_default(broken);
        let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
        let mut status = client.status_watch();
        on.store(true, Ordering::SeqCst);
        broker.kill();
        assert!(status.wait_for(Status::Reconnecting).await, "{hook}");
        for _ in 0..50 {
            client.publish("a", "buffered".into()).await.unwrap();
        }
        broker.restart().await.unwrap();
        tokio::time::timeout(SOON, client.flush()).await.expect(hook).expect(hook);
        assert!(panics.load(Ordering::SeqCst) > 0, "{hook} was not reached");
        on.store(false, Ordering::SeqCst);
        assert_eq!((client.status(), client.stats().confirmed), (Status::Connected, 50), "{hook}");
        client.close().await.unwrap();
    }
}
