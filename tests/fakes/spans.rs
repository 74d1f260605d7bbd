//! Spans: of connecting, of outages and of requests, with OpenTelemetry's names; and none where nobody listens.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::{ConnectionEvent, Status};
use nats_lifeline::options::{RepliesOptions, RequestOptions};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectErrorKind, ConnectOptions, Request, RequestErrorKind};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Instrument, Level, Metadata, Subscriber};

const SOON: Duration = Duration::from_secs(30);

/// One span, as it was reported.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: String,
    target: String,
    parent: Option<u64>,
    fields: BTreeMap<String, String>,
    /// Log lines inside it.
    lines: Vec<String>,
    handles: usize,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn is_open(&self) -> bool {
        self.handles > 0
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().to_owned(), value.to_owned());
    }

    // OpenTelemetry's layer writes unsigned numbers as text.
    fn record_u64(&mut self, field: &Field, value: u64) {
        panic!("{} = {value} is unsigned", field.name());
    }
}

/// The text of a log line.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// Keeps all spans of this thread, down to a level. The number of a span is its place plus 1.
#[derive(Clone)]
struct Spans {
    level: Level,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    spans: Vec<Seen>,
    entered: Vec<u64>,
}

impl Spans {
    fn down_to(level: Level) -> Spans {
        Spans { level, state: Arc::default() }
    }

    /// Keeps what happens on this thread, which must be the only one of the test's runtime.
    fn keep(&self) -> DefaultGuard {
        // With a single dispatcher, `tracing` would cache the interest of whichever thread comes first.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Spans::down_to(Level::ERROR)));
        LazyLock::force(&SECOND);
        tracing::subscriber::set_default(self.clone())
    }

    fn with<R>(&self, read: impl FnOnce(&mut State) -> R) -> R {
        read(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The spans with this name, in order.
    fn named(&self, name: &str) -> Vec<Seen> {
        self.with(|state| state.spans.iter().filter(|span| span.name == name).cloned().collect())
    }

    /// The only span with this name.
    #[track_caller]
    fn only(&self, name: &str) -> Seen {
        let found = self.named(name);
        assert_eq!(found.len(), 1, "{name}: {found:#?}");
        found.into_iter().next().unwrap()
    }

    /// Waits until all spans with this name have ended, which may be a moment after the state has changed.
    async fn ended(&self, name: &str) {
        let ended = async {
            while self.named(name).iter().any(Seen::is_open) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, ended).await.unwrap_or_else(|_| panic!("open: {:#?}", self.named(name)));
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.with(|state| state.spans.iter().position(|span| span.name == name)).map(|at| at as u64 + 1)
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let metadata = attributes.metadata();
        let mut seen =
            Seen { name: metadata.name().into(), target: metadata.target().into(), handles: 1, ..Seen::default() };
        attributes.record(&mut seen);
        self.with(|state| {
            seen.parent = match attributes.is_contextual() {
                true => state.entered.last().copied(),
                false => attributes.parent().map(Id::into_u64),
            };
            state.spans.push(seen);
            Id::from_u64(state.spans.len() as u64)
        })
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.with(|state| values.record(&mut state.spans[span.into_u64() as usize - 1]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.with(|state| {
            if let Some(at) = state.entered.last() {
                state.spans[*at as usize - 1].lines.push(line.0);
            }
        });
    }

    fn enter(&self, span: &Id) {
        self.with(|state| state.entered.push(span.into_u64()));
    }

    fn exit(&self, _: &Id) {
        self.with(|state| state.entered.pop());
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.with(|state| state.spans[id.into_u64() as usize - 1].handles += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        self.with(|state| {
            let span = &mut state.spans[id.into_u64() as usize - 1];
            span.handles -= 1;
            span.handles == 0
        })
    }
}

/// What every span of this crate has in common.
#[track_caller]
fn conventional(span: &Seen) {
    assert_eq!(span.target, "nats_lifeline::spans");
    assert_eq!(span.field("otel.kind"), Some("client"), "{span:#?}");
    assert_eq!(span.field("messaging.system"), Some("nats"), "{span:#?}");
    assert_eq!(span.field("messaging.operation.name"), Some(span.name.as_str()), "{span:#?}");
}

async fn status(client: &Client, status: Status) {
    let mut watch = client.status_watch();
    assert!(tokio::time::timeout(SOON, watch.wait_for(status)).await.expect("the state in time"));
}

#[tokio::test]
async fn a_connection_is_a_span_in_the_callers_one_and_an_outage_is_one_of_its_own() {
    let spans = Spans::down_to(Level::DEBUG);
    let _guard = spans.keep();
    let broker = Broker::start().await.unwrap();
    let (address, port) = ("127.0.0.1", broker.port().to_string());
    let startup = tracing::info_span!("startup");
    let client = nats_lifeline::connect(broker.url()).instrument(startup).await.unwrap();
    let mut events = client.events();
    // The event follows the state.
    spans.ended("connect").await;
    let connect = spans.only("connect");
    conventional(&connect);
    assert_eq!(connect.parent, spans.number("startup"));
    assert_eq!((connect.field("server.address"), connect.field("server.port")), (Some(address), Some(port.as_str())));
    assert_eq!((connect.field("nats.attempts"), connect.field("error.type")), (Some("1"), None));
    assert!(connect.lines.iter().any(|line| line == "connected"), "{connect:#?}");

    // Messages have no spans.
    let mut own = client.subscribe_confirmed("a").await.unwrap();
    for _ in 0..100 {
        client.publish("a", "x".into()).await.unwrap();
        own.next().await.unwrap();
    }
    assert_eq!(spans.with(|state| state.spans.len()), 2);

    let idle = tracing::info_span!("the task that publishes");
    broker.kill();
    status(&client, Status::Reconnecting).instrument(idle).await;
    broker.restart().await.unwrap();
    while !matches!(events.recv().await.unwrap(), ConnectionEvent::Reconnected { .. }) {}
    let outage = spans.only("reconnect");
    conventional(&outage);
    assert!(!outage.is_open(), "{outage:#?}");
    assert_eq!(outage.parent, None, "an outage has no cause in the program");
    assert_eq!(outage.field("nats.previous_server"), Some(format!("{address}:{port}").as_str()));
    assert!(matches!(outage.field("nats.cause"), Some("io" | "closed_by_server")), "{outage:#?}");
    assert_eq!((outage.field("server.address"), outage.field("server.port")), (Some(address), Some(port.as_str())));
    assert!(outage.field("nats.attempts").is_some_and(|attempts| attempts.parse::<u64>().unwrap() >= 1));
    assert_eq!((outage.field("nats.subscriptions"), outage.field("error.type")), (Some("1"), None));
    for line in ["disconnected", "connecting", "reconnected"] {
        assert!(outage.lines.iter().any(|found| found == line), "no {line} in {outage:#?}");
    }
    client.close().await.unwrap();
    assert_eq!(spans.named("reconnect").len(), 1, "the end is no outage");
}

#[tokio::test]
async fn spans_of_connections_that_fail_or_are_given_up_have_an_error() {
    let spans = Spans::down_to(Level::DEBUG);
    let _guard = spans.keep();
    let broker = Broker::start().await.unwrap();
    broker.refuse(true);
    let error = ConnectOptions::new().connect_attempts(2).connect(broker.url()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::MaxReconnects);
    let failed = spans.only("connect");
    assert!(!failed.is_open());
    assert_eq!((failed.field("error.type"), failed.field("otel.status_code")), (Some("io"), Some("ERROR")));
    assert_eq!((failed.field("nats.attempts"), failed.field("server.address")), (Some("2"), None));

    broker.refuse(false);
    let options = ConnectOptions::new().max_reconnects(1).reconnect_delay_callback(|_| Duration::from_millis(10));
    let client = options.connect(broker.url()).await.unwrap();
    broker.kill();
    status(&client, Status::Disconnected).await;
    spans.ended("reconnect").await;
    assert_eq!(spans.only("reconnect").field("error.type"), Some("io"));
    // Revived by the user, it is an outage again.
    broker.restart().await.unwrap();
    client.force_reconnect().await.unwrap();
    status(&client, Status::Connected).await;
    spans.ended("reconnect").await;
    let outages = spans.named("reconnect");
    assert_eq!(outages.len(), 2, "{outages:#?}");
    assert_eq!((outages[1].field("nats.cause"), outages[1].field("error.type")), (Some("gave_up"), None));

    client.close().await.unwrap();

    // Closed while reconnecting.
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    broker.kill();
    status(&client, Status::Reconnecting).await;
    let _ = client.close().await;
    spans.ended("reconnect").await;
    assert_eq!(spans.named("reconnect")[2].field("error.type"), Some("closed"));
}

#[tokio::test]
async fn a_request_is_a_span_in_the_callers_one_and_ends_with_its_reply() {
    let spans = Spans::down_to(Level::DEBUG);
    let _guard = spans.keep();
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    let mut questions = client.subscribe_confirmed("echo").await.unwrap();
    let answering = client.clone();
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            if let Some(reply) = question.reply {
                let _ = answering.publish(reply, question.payload).await;
            }
        }
    });
    let handler = tracing::info_span!("handler");
    client.request("echo", "four".into()).instrument(handler).await.unwrap();
    let request = spans.only("request");
    conventional(&request);
    assert!(!request.is_open());
    assert_eq!(request.parent, spans.number("handler"));
    assert_eq!(request.field("messaging.operation.type"), Some("send"));
    assert_eq!(request.field("messaging.destination.name"), Some("echo"));
    assert_eq!(request.field("messaging.message.body.size"), Some("4"));
    assert_eq!(request.field("server.address"), Some("127.0.0.1"));
    assert_eq!((request.field("nats.tries"), request.field("error.type")), (Some("1"), None));

    // In two steps: it ends with the reply, not with the first half.
    let reply = client.start_request("echo", Request::new()).await.unwrap();
    assert!(spans.named("request")[1].is_open());
    reply.await.unwrap();
    assert!(!spans.named("request")[1].is_open());
    // A reply that is not awaited ends it too.
    drop(client.start_request("echo", Request::new()).await.unwrap());
    assert!(!spans.named("request")[2].is_open());

    let error = client.request_with("nobody", Request::new(), RequestOptions::new().retries(1)).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    let failed = &spans.named("request")[3];
    assert_eq!((failed.field("error.type"), failed.field("otel.status_code")), (Some("no_responders"), Some("ERROR")));
    assert_eq!((failed.field("nats.tries"), failed.is_open()), (Some("2"), false));
    client.start_request("not a subject", Request::new()).await.unwrap_err();
    assert_eq!(spans.named("request")[4].field("error.type"), Some("invalid_subject"));
    assert!(!spans.named("request")[4].is_open());

    // With many replies: it ends with the stream.
    let one = RepliesOptions::new().max_replies(1);
    let mut replies = client.request_stream("echo", "x".into(), one).await.unwrap();
    assert!(spans.named("request")[5].is_open());
    replies.next().await.unwrap().unwrap();
    let many = &spans.named("request")[5];
    assert_eq!((many.field("nats.replies"), many.field("error.type"), many.is_open()), (Some("1"), None, false));
    let mut replies = client.request_stream("nobody", "x".into(), RepliesOptions::new()).await.unwrap();
    replies.next().await.unwrap().unwrap_err();
    let none = &spans.named("request")[6];
    assert_eq!((none.field("nats.replies"), none.field("error.type")), (Some("0"), Some("no_responders")));
    assert!(!none.is_open());
}

#[tokio::test]
async fn at_the_level_of_the_log_there_are_no_spans() {
    let spans = Spans::down_to(Level::INFO);
    let _guard = spans.keep();
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    client.request("nobody", "x".into()).await.unwrap_err();
    client.force_reconnect().await.unwrap();
    client.flush().await.unwrap();
    client.close().await.unwrap();
    assert_eq!(spans.with(|state| state.spans.len()), 0);
}
