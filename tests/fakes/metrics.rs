//! Reports to the facade `metrics`, with the broker of the feature `testing` and our own recorder.

mod published;
mod recorder;

use std::time::{Duration, Instant};

use metrics::Unit;
use nats_lifeline::client::metrics::MOST_SUBJECTS;
use nats_lifeline::connection::{ConnectionEvent, Events};
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::options::OverflowPolicy;
use nats_lifeline::protocol::ErrKind;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, ToServerAddrs};
use recorder::seen;
use tokio::task::JoinHandle;

/// Far more than needed, for a loaded machine.
const SOON: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
#[track_caller]
fn eventually(what: &str, holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let (caller, began) = (std::panic::Location::caller(), Instant::now());
    async move {
        while !holds() {
            assert!(began.elapsed() < SOON, "{caller}: not within {SOON:?}: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Waits until a gauge or counter has this value.
macro_rules! becomes {
    ($kind:ident, $value:expr, $($series:tt)*) => {{
        let (series, value) = (format!($($series)*), $value);
        eventually(&format!("{series} is {value}"), || seen().$kind(&series) == Some(value)).await
    }};
}

/// A client of `broker` that reports its metrics as `service`.
async fn reported(service: &str, servers: impl ToServerAddrs, options: ConnectOptions) -> (Client, JoinHandle<()>) {
    // Installs the recorder before anything is reported.
    seen();
    let client = options.reconnect_delay_callback(|_| Duration::from_millis(100)).connect(servers).await.unwrap();
    let reporting = tokio::spawn(client.report_metrics(service).every(Duration::ZERO).run());
    (client, reporting)
}

async fn ended(reporting: JoinHandle<()>) {
    tokio::time::timeout(SOON, reporting).await.expect("the reporter ends with the client").unwrap();
}

async fn next<T>(events: &mut Events, wanted: impl Fn(ConnectionEvent) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted(events.recv().await.expect("an event")) {
                return found;
            }
        }
    };
    tokio::time::timeout(SOON, found).await.expect("the event in time")
}

// S36, S40, S53, S54, S55, S56, S57, S60
#[tokio::test]
async fn an_outage_with_overflow_shows_in_every_metric() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().overflow_policy(OverflowPolicy::DropNewest).reconnect_buffer_messages(Some(5));
    let (client, reporting) = reported("outage", broker.url(), options).await;
    let mut events = client.events();
    let server = format!("127.0.0.1:{}", broker.port());
    becomes!(gauge, 1.0, "nats_connection_state{{server={server},service=outage}}");
    assert_eq!(seen().gauge("nats_connection_state{server=disconnected,service=outage}"), None, "it never was");
    assert_eq!(seen().counter("nats_reconnections_total{service=outage}"), Some(0), "a rate begins at zero");
    assert_eq!(seen().counter("nats.messages_lost{service=outage,subject={other}}"), Some(0));
    assert!(seen().is_registered("nats_disconnection_duration_seconds{service=outage}"));
    assert!(!seen().is_registered("nats_publish_latency_seconds{service=outage}"), "it is not measured");
    for _ in 0..3 {
        client.publish("orders.17.new", "x".into()).await.unwrap();
    }
    client.flush().await.unwrap();
    becomes!(counter, 3, "nats_messages_published_total{{service=outage}}");
    assert_eq!(seen().gauge("nats.overflow_queue_size{service=outage}"), Some(0.0));

    broker.kill();
    becomes!(gauge, 0.0, "nats_connection_state{{server=disconnected,service=outage}}");
    assert_eq!(seen().gauge(&format!("nats_connection_state{{server={server},service=outage}}")), Some(0.0));
    // Five are buffered. Of the other three, two have the same subject when numbers are replaced.
    let subjects = ["a", "a", "a", "a", "a", "orders.17.new", "orders.18.new", "orders.new"];
    for subject in subjects {
        client.publish(subject, "x".into()).await.unwrap();
    }
    becomes!(gauge, 5.0, "nats.overflow_queue_size{{service=outage}}");
    becomes!(gauge, 8.0 * 1024.0 * 1024.0, "nats_buffer_limit_bytes{{service=outage}}");
    becomes!(gauge, 5.0 * "PUB a 1\r\nx\r\n".len() as f64, "nats_buffer_size_bytes{{service=outage}}");
    becomes!(counter, 2, "nats.messages_lost{{service=outage,subject=orders.{{id}}.new}}");
    becomes!(counter, 1, "nats.messages_lost{{service=outage,subject=orders.new}}");
    becomes!(counter, 11, "nats_messages_published_total{{service=outage}}");
    assert_eq!(seen().counters("nats.messages_lost{service=outage").values().sum::<u64>(), 3);
    assert!(seen().samples("nats_disconnection_duration_seconds{service=outage}").is_empty(), "the outage is not over");

    broker.restart().await.unwrap();
    let took = next(&mut events, |event| match event {
        ConnectionEvent::Reconnected { downtime, folded: 0, .. } => Some(downtime),
        _ => None,
    });
    let took = took.await.as_secs_f64();
    becomes!(gauge, 1.0, "nats_connection_state{{server={server},service=outage}}");
    becomes!(counter, 1, "nats_reconnections_total{{service=outage}}");
    eventually("the outage has a duration", || {
        seen().samples("nats_disconnection_duration_seconds{service=outage}") == [took]
    })
    .await;
    client.flush().await.unwrap();
    becomes!(gauge, 0.0, "nats.overflow_queue_size{{service=outage}}");
    becomes!(gauge, 0.0, "nats_buffer_size_bytes{{service=outage}}");

    client.publish("last", "x".into()).await.unwrap();
    client.close().await.unwrap();
    ended(reporting).await;
    // After the last sample: everything was reported before the reporter ended.
    assert_eq!(seen().gauge(&format!("nats_connection_state{{server={server},service=outage}}")), Some(0.0));
    assert_eq!(seen().gauge("nats_connection_state{server=disconnected,service=outage}"), Some(0.0));
    assert_eq!(seen().counter("nats_messages_published_total{service=outage}"), Some(12));
}

// S36: messages that are buffered when the client gives up are lost, and the gauges show it
#[tokio::test]
async fn messages_lost_at_the_end_are_reported_before_the_reporter_ends() {
    let broker = Broker::start().await.unwrap();
    let (client, reporting) = reported("end", broker.url(), ConnectOptions::new()).await;
    broker.kill();
    becomes!(gauge, 0.0, "nats_connection_state{{server=disconnected,service=end}}");
    for _ in 0..4 {
        client.publish("buffered", "x".into()).await.unwrap();
    }
    becomes!(gauge, 4.0, "nats.overflow_queue_size{{service=end}}");
    client.close().await.unwrap_err();
    ended(reporting).await;
    assert_eq!(seen().counter("nats.messages_lost{service=end,subject=buffered}"), Some(4));
    assert_eq!(seen().gauge("nats.overflow_queue_size{service=end}"), Some(0.0));
    assert_eq!(seen().gauge("nats_buffer_size_bytes{service=end}"), Some(0.0));
}

// S40, S56: for a server that reads nothing, bytes are pending, but nothing has overflowed
#[tokio::test]
async fn messages_for_a_slow_server_count_only_as_buffer_size() {
    let broker = Broker::start().await.unwrap();
    let (client, reporting) = reported("slow", broker.url(), ConnectOptions::new()).await;
    broker.stall_reads(true);
    // Until the kernel's buffers and ours are full, and stay full.
    let mut refused_in_a_row = 0;
    while refused_in_a_row < 20 {
        match client.try_publish("a", vec![b'x'; 64 * 1024].into()) {
            Ok(()) => refused_in_a_row = 0,
            Err(_) => refused_in_a_row += 1,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let series = "nats_buffer_size_bytes{service=slow}";
    eventually("bytes wait", || seen().gauge(series).is_some_and(|bytes| bytes > 0.0)).await;
    assert!(client.stats().waiting > 0 && client.connected_server().is_some(), "{:?}", client.stats());
    assert_eq!(seen().gauge("nats.overflow_queue_size{service=slow}"), Some(0.0));
    broker.stall_reads(false);
    client.flush().await.unwrap();
    becomes!(gauge, 0.0, "nats_buffer_size_bytes{{service=slow}}");
    client.close().await.unwrap();
    ended(reporting).await;
}

// S53: exactly one series is 1, whatever the server
#[tokio::test]
async fn after_a_move_the_old_servers_series_is_zero() {
    let cluster = Broker::cluster(2).await.unwrap();
    let urls = vec![cluster[0].url(), cluster[1].url()];
    let (client, reporting) = reported("move", urls, ConnectOptions::new()).await;
    let state = |server: &str| seen().gauge(&format!("nats_connection_state{{server={server},service=move}}"));
    let first = client.connected_server().unwrap();
    eventually("the first", || state(&first) == Some(1.0)).await;
    client.force_reconnect().await.unwrap();
    eventually("another", || client.connected_server().is_some_and(|server| server != first)).await;
    let second = client.connected_server().unwrap();
    eventually("the second", || state(&second) == Some(1.0)).await;
    assert_eq!(state(&first), Some(0.0));
    client.close().await.unwrap();
    ended(reporting).await;
    assert!(seen().counters("nats_errors_total{service=move").is_empty(), "a planned move is not an error");
    assert_eq!(seen().samples("nats_disconnection_duration_seconds{service=move}").len(), 1);
}

// S59
#[tokio::test]
async fn errors_have_types_and_each_counts_once() {
    let broker = Broker::start().await.unwrap();
    let (client, reporting) = reported("errors", broker.url(), ConnectOptions::new()).await;
    broker.say_err("the moon is full");
    broker.say_err(r#"Permissions Violation for Publish to "secret""#);
    becomes!(counter, 1, "nats_errors_total{{service=errors,type=unknown}}");
    becomes!(counter, 1, "nats_errors_total{{service=errors,type=permissions_violation}}");
    // A refused message is not an error of the connection.
    client.publish("not a subject", "x".into()).await.unwrap_err();
    client.request("not a subject", "x".into()).await.unwrap_err();
    assert!(!client.publish_confirmed("not a subject", "x".into()).await.is_confirmed());
    client.try_publish("a", vec![0; 2 * 1024 * 1024].into()).unwrap_err();
    becomes!(counter, 4, "nats_errors_total{{service=errors,type=publish_failed}}");
    assert_eq!(seen().counters("nats_errors_total{service=errors").len(), 3);

    // Each refusal is an -ERR, and so is the failed attempt that follows from it.
    let mut events = client.events();
    broker.reject_logins(true);
    broker.disconnect_all();
    let mut refused = 0;
    while next(&mut events, |event| match event {
        ConnectionEvent::ServerError { error: ErrKind::AuthorizationViolation, .. } => Some(true),
        ConnectionEvent::Reconnected { .. } => Some(false),
        _ => None,
    })
    .await
    {
        refused += 1;
        broker.reject_logins(refused < 3);
    }
    assert!(refused >= 3);
    becomes!(counter, refused, "nats_errors_total{{service=errors,type=authorization_violation}}");
    let message = || OutboundMessage { subject: "a".into(), reply: None, payload: "x".into(), headers: None };
    broker.kill();
    next(&mut events, |event| matches!(event, ConnectionEvent::Disconnected { .. }).then_some(())).await;
    client.try_publish_critical(message()).unwrap_err();
    becomes!(counter, 5, "nats_errors_total{{service=errors,type=publish_failed}}");
    assert_eq!(client.stats().refused, 5);
    let _ = client.close().await;
    ended(reporting).await;
    let known =
        ["unknown", "permissions_violation", "publish_failed", "authorization_violation", "io", "closed_by_server"];
    for (series, _) in seen().counters("nats_errors_total{service=errors") {
        let kind = series.split("type=").nth(1).unwrap().trim_end_matches('}');
        assert!(known.contains(&kind), "{series}");
    }
}

// S60: whatever the subjects, there are few series, and their sum is exact
#[tokio::test]
async fn lost_messages_of_many_subjects_are_counted_under_a_bounded_number_of_labels() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().overflow_policy(OverflowPolicy::DropNewest).reconnect_buffer_messages(Some(1));
    let (client, reporting) = reported("many", broker.url(), options).await;
    broker.kill();
    becomes!(gauge, 0.0, "nats_connection_state{{server=disconnected,service=many}}");
    client.publish("buffered", "x".into()).await.unwrap();
    let lost = MOST_SUBJECTS + 50;
    for n in 0..lost {
        client.publish(format!("names.n{n}"), "x".into()).await.unwrap();
    }
    let sum = || seen().counters("nats.messages_lost{service=many").values().sum::<u64>();
    eventually("all", || sum() == lost as u64).await;
    assert_eq!(seen().counter("nats.messages_lost{service=many,subject={other}}"), Some(50));
    assert_eq!(seen().counters("nats.messages_lost{service=many").len(), MOST_SUBJECTS + 1);
    // A known subject keeps its label.
    client.publish("names.n0", "x".into()).await.unwrap();
    becomes!(counter, 2, "nats.messages_lost{{service=many,subject=names.n0}}");
    client.close().await.unwrap_err();
    ended(reporting).await;
}

// S40: messages that are too large to be returned are counted all the same
#[tokio::test]
async fn lost_messages_that_are_not_returned_are_counted_without_their_subject() {
    let broker = Broker::start().await.unwrap();
    let (client, reporting) = reported("large", broker.url(), ConnectOptions::new()).await;
    broker.kill();
    becomes!(gauge, 0.0, "nats_connection_state{{server=disconnected,service=large}}");
    for _ in 0..20 {
        client.publish("large", vec![b'x'; 100_000].into()).await.unwrap();
    }
    client.close().await.unwrap_err();
    ended(reporting).await;
    let lost = seen().counters("nats.messages_lost{service=large");
    let named = lost["nats.messages_lost{service=large,subject=large}"];
    assert_eq!(lost.values().sum::<u64>(), 20);
    // At most 1 MiB is returned.
    assert!((1..=10).contains(&named), "{lost:?}");
    assert_eq!(lost["nats.messages_lost{service=large,subject={other}}"], 20 - named);
}

// A request that is cancelled before it was sent is withdrawn: it stays counted, and hides none that comes later
#[tokio::test]
async fn withdrawn_requests_do_not_upset_the_counter() {
    let broker = Broker::start().await.unwrap();
    let (client, reporting) = reported("withdrawn", broker.url(), ConnectOptions::new().request_timeout(None)).await;
    broker.kill();
    becomes!(gauge, 0.0, "nats_connection_state{{server=disconnected,service=withdrawn}}");
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.request("a", "x".into()).await }
    });
    becomes!(counter, 1, "nats_messages_published_total{{service=withdrawn}}");
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(client.stats().accepted, 0);
    becomes!(gauge, 0.0, "nats.overflow_queue_size{{service=withdrawn}}");
    for _ in 0..3 {
        client.publish("a", "x".into()).await.unwrap();
    }
    becomes!(counter, 4, "nats_messages_published_total{{service=withdrawn}}");
    client.close().await.unwrap_err();
    ended(reporting).await;
}

#[tokio::test]
async fn a_reporter_does_not_keep_the_client_alive() {
    let broker = Broker::start().await.unwrap();
    let (client, reporting) = reported("dropped", broker.url(), ConnectOptions::new()).await;
    let server = client.connected_server().unwrap();
    becomes!(gauge, 1.0, "nats_connection_state{{server={server},service=dropped}}");
    let idle = client.report_metrics("dropped idle");
    drop(client);
    broker.wait_for_connections(0).await.unwrap();
    ended(reporting).await;
    assert_eq!(seen().gauge(&format!("nats_connection_state{{server={server},service=dropped}}")), Some(0.0));
    // A reporter that runs only now reports the end, and ends.
    ended(tokio::spawn(idle.run())).await;
    assert_eq!(seen().gauge("nats_connection_state{server=disconnected,service=dropped idle}"), Some(0.0));
}

// Two reporters one after the other: the second one does not count again what the first has counted
#[tokio::test]
async fn a_reporter_counts_from_when_it_was_made() {
    let broker = Broker::start().await.unwrap();
    let (client, reporting) = reported("twice", broker.url(), ConnectOptions::new()).await;
    client.publish("a", "x".into()).await.unwrap();
    client.publish("not a subject", "x".into()).await.unwrap_err();
    becomes!(counter, 1, "nats_messages_published_total{{service=twice}}");
    becomes!(counter, 1, "nats_errors_total{{service=twice,type=publish_failed}}");
    reporting.abort();
    assert!(reporting.await.unwrap_err().is_cancelled());
    let again = tokio::spawn(client.report_metrics("twice").run());
    client.publish("a", "x".into()).await.unwrap();
    client.close().await.unwrap();
    ended(again).await;
    assert_eq!(seen().counter("nats_messages_published_total{service=twice}"), Some(2));
    assert_eq!(seen().counter("nats_errors_total{service=twice,type=publish_failed}"), Some(1));
}

#[tokio::test]
async fn every_metric_is_described_with_its_unit() {
    let broker = Broker::start().await.unwrap();
    let (client, reporting) = reported("described", broker.url(), ConnectOptions::new()).await;
    client.close().await.unwrap();
    ended(reporting).await;
    for (name, kind, unit) in [
        ("nats_connection_state", "gauge", Unit::Count),
        ("nats_reconnections_total", "counter", Unit::Count),
        ("nats_disconnection_duration_seconds", "histogram", Unit::Seconds),
        ("nats_buffer_size_bytes", "gauge", Unit::Bytes),
        ("nats_buffer_limit_bytes", "gauge", Unit::Bytes),
        ("nats.overflow_queue_size", "gauge", Unit::Count),
        ("nats.messages_lost", "counter", Unit::Count),
        ("nats_messages_in_doubt_total", "counter", Unit::Count),
        ("nats_messages_published_total", "counter", Unit::Count),
        ("nats_publish_latency_seconds", "histogram", Unit::Seconds),
        ("nats_errors_total", "counter", Unit::Count),
    ] {
        let (found, its, text) = seen().description(name).unwrap_or_else(|| panic!("{name} is not described"));
        assert_eq!((found, its), (kind, Some(unit)), "{name}");
        assert!(!text.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_interval_has_bounds() {
    let broker = Broker::start().await.unwrap();
    let client = nats_lifeline::connect(broker.url()).await.unwrap();
    let reporter = || client.report_metrics("bounds");
    let shown = |reporter| format!("{reporter:?}");
    assert!(shown(reporter()).contains("interval: 1s"), "{:?}", reporter());
    assert!(shown(reporter().every(Duration::ZERO)).contains("interval: 100ms"));
    assert!(shown(reporter().every(Duration::from_secs(5))).contains("interval: 5s"));
    assert!(shown(reporter().every(Duration::MAX)).contains("interval: 60s"));
}
