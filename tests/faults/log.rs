//! Fault G6: the log after an outage.

use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::ConnectOptions;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::support::{Cut, Proxy, SOON, Server, Timeline, eventually, soon};

/// Keeps every line of this crate.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

impl Lines {
    /// Keeps the lines logged on this thread, which must be the only one of the test's runtime.
    pub(crate) fn keep(&self) -> DefaultGuard {
        // With one dispatcher in the process, `tracing` caches the interest of the thread that first reaches a log
        // statement. Another test's thread has no subscriber, so nothing would be logged there for any thread. With two
        // it asks each.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Lines::default()));
        LazyLock::force(&SECOND);
        tracing::subscriber::set_default(self.clone())
    }

    /// The lines at `level` and above.
    pub(crate) fn at(&self, level: Level) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.0 <= level)
            .map(|line| format!("{} {}", line.0, line.1))
            .collect()
    }
}

struct Text(String);

impl Visit for Text {
    /// As a subscriber may write it that escapes nothing.
    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, "{}={value} ", field.name());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("nats_lifeline")
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[track_caller]
fn says(lines: &[String], words: &[&str]) {
    let found = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no line contains all of {words:?}:\n{}", lines.join("\n"));
}

// Fault G6: no test checked the log.
#[tokio::test]
async fn an_outage_is_ten_lines_in_the_log() {
    let lines = Lines::default();
    let _guard = lines.keep();
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let options = ConnectOptions::new().user_and_password("somebody".into(), "hunter2".into());
    let client = soon("a connection", options.connect(proxy.url())).await.unwrap();
    let address = proxy.url().replace("nats://", "");
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe_confirmed("a").await.unwrap();
    says(&lines.at(Level::INFO), &["INFO", "connected", &address]);

    // Nothing is logged per message.
    let before = lines.at(Level::TRACE).len();
    for _ in 0..1000 {
        client.publish("a", "payload".into()).await.unwrap();
        soon("a message", own.next()).await.unwrap();
    }
    assert_eq!(lines.at(Level::TRACE).len(), before, "{:?}", lines.at(Level::TRACE));

    proxy.refuse().await;
    proxy.cut(Cut::Rst);
    timeline.disconnected(0).await;
    for _ in 0..10 {
        client.publish("a", "buffered".into()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.admit().await;
    timeline.reconnected(0).await;
    for _ in 0..10 {
        soon("a message", own.next()).await.unwrap();
    }
    let story = lines.at(Level::INFO);
    assert!((3..=12).contains(&story.len()), "{}", story.join("\n"));
    says(&story, &["WARN", "disconnected", &address, "cause=", "in_doubt="]);
    says(&story, &["INFO", "attempt failed", &address, "refused", "attempt=1"]);
    says(&story, &["INFO", "reconnected", &address, "downtime=", "attempts=", "subscriptions=1", "in_doubt="]);

    soon("the end", client.close()).await.unwrap();
    eventually("the end is reported", SOON, async || lines.at(Level::INFO).iter().any(|line| line.contains("closed")))
        .await;
    let all = lines.at(Level::TRACE);
    for line in &all {
        assert!(line.len() < 400 && !line.contains(" {") && !line.contains("hunter2"), "{line}");
    }
    says(&all, &["DEBUG", "received server info", "version="]);
}

// Fault G6
#[tokio::test]
async fn refused_credentials_and_slow_consumers_are_warnings_at_a_limited_rate() {
    let lines = Lines::default();
    let _guard = lines.keep();
    let server = Server::builder().user_and_password("somebody", "right").start().await;
    let wrong = ConnectOptions::new().user_and_password("somebody".into(), "hunter2".into());
    soon("a refusal", wrong.connect(server.url())).await.unwrap_err();
    says(&lines.at(Level::WARN), &["WARN", "the server refused the credentials", &server.address(), "Authorization"]);

    let right = ConnectOptions::new().user_and_password("somebody".into(), "right".into());
    let options = right.subscription_capacity(10).slow_consumer_grace(Duration::from_millis(1));
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let unread = client.subscribe_confirmed("a").await.unwrap();
    for _ in 0..1000 {
        client.publish("a", "payload".into()).await.unwrap();
        client.flush().await.unwrap();
    }
    assert!(unread.dropped() > 0);
    let warnings: Vec<_> = lines.at(Level::WARN).into_iter().filter(|line| line.contains("too slow")).collect();
    says(&warnings, &["sid=", "dropped="]);
    assert!(warnings.len() < 100, "{}", warnings.len());
    assert!(lines.at(Level::TRACE).iter().all(|line| !line.contains("hunter2")));
}
