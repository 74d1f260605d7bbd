//! Health and the recovery log, as needed for probes and support tickets.

use std::time::{Duration, Instant, SystemTime};

use nats_lifeline::connection::{ConnectionEvent, Status};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions};

async fn until(client: &Client, status: Status) {
    let mut watch = client.status_watch();
    assert!(tokio::time::timeout(Duration::from_secs(20), watch.wait_for(status)).await.unwrap(), "{status}");
}

// S14, S15, S17, S52
#[tokio::test]
async fn health_follows_the_connection() {
    let broker = Broker::start().await.unwrap();
    let began = SystemTime::now();
    let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
    let health = client.health().await;
    assert!(health.healthy && health.error.is_none() && health.round_trip.is_some(), "{health:?}");
    let snapshot = client.health_snapshot();
    assert_eq!((snapshot.connected, snapshot.status), (true, Status::Connected));
    assert_eq!((snapshot.reconnect_attempts, snapshot.last_disconnected_at), (0, None));
    assert!(snapshot.last_connected_at.is_some_and(|at| at >= began), "{snapshot:?}");
    assert_eq!(snapshot.server, client.connected_server());

    client.publish("a", "in doubt or confirmed".into()).await.unwrap();
    broker.kill();
    until(&client, Status::Reconnecting).await;
    let asked = Instant::now();
    let health = client.health().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "without a server the check must not wait");
    assert!(!health.healthy && health.round_trip.is_none());
    assert!(health.error.as_ref().is_some_and(|error| error.starts_with("not connected to NATS: ")), "{health:?}");
    assert_eq!(health.snapshot.last_error, health.error, "remembered");
    // A second check neither makes the text longer nor forgets the cause.
    let again = client.health().await.error.unwrap();
    assert!(again.starts_with("not connected to NATS: ") && again.matches("not connected").count() == 1, "{again}");
    let snapshot = client.health_snapshot();
    assert_eq!((snapshot.connected, snapshot.server), (false, None));
    assert!(snapshot.last_disconnected_at >= snapshot.last_connected_at);

    broker.restart().await.unwrap();
    until(&client, Status::Connected).await;
    let health = client.health().await;
    assert!(health.healthy, "{health:?}");
    assert_eq!(health.snapshot.reconnect_attempts, 0);
    let stats = client.stats();
    assert_eq!((stats.connects, stats.reconnects, stats.disconnects), (2, 1, 1));
    assert!(stats.errors >= 2, "the loss and two checks: {stats:?}");
    client.close().await.unwrap();
    let health = client.health().await;
    assert!(!health.healthy && health.snapshot.status == Status::Closed, "{health:?}");
}

// S14, S15
#[tokio::test]
async fn health_as_json_shows_an_outage_and_no_secret() {
    let broker = Broker::start().await.unwrap();
    let url = broker.url().replace("nats://", "nats://joe:hunter2@");
    let client = ConnectOptions::new().token("t0k3n".to_owned()).connect(&url).await.unwrap();
    let connected = serde_json::to_value(client.health().await).unwrap();
    assert_eq!((&connected["healthy"], &connected["snapshot"]["status"]), (&true.into(), &"connected".into()));
    assert!(connected["round_trip_seconds"].is_f64(), "{connected}");
    assert_eq!(connected["snapshot"]["server"], *client.connected_server().unwrap());
    broker.kill();
    until(&client, Status::Reconnecting).await;
    let lost = serde_json::to_value(client.health().await).unwrap();
    assert_eq!((&lost["healthy"], &lost["snapshot"]["status"]), (&false.into(), &"reconnecting".into()));
    assert_eq!((&lost["error"], &lost["stats"]["disconnects"]), (&lost["snapshot"]["last_error"], &1.into()));
    for time in ["last_connected_at", "last_disconnected_at"] {
        let text = lost["snapshot"][time].as_str().unwrap();
        assert!(text.len() == "2025-02-28T23:59:59.123Z".len() && text.ends_with('Z'), "{text}");
    }
    let text = format!("{connected}{lost}");
    assert!(!text.contains("hunter2") && !text.contains("joe") && !text.contains("t0k3n"), "{text}");
}

// S15: connected, but the server does not answer
#[tokio::test]
async fn a_server_that_does_not_answer_is_unhealthy() {
    let broker = Broker::start().await.unwrap();
    let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
    broker.stall();
    let health = client.health_within(Duration::from_millis(100)).await;
    assert!(!health.healthy && health.snapshot.connected, "{health:?}");
    assert_eq!(health.error.as_deref(), Some("no PONG within 100ms"));
    assert_eq!(client.health_snapshot().last_error, health.error);
}

// S15, S17
#[tokio::test]
async fn a_check_ends_when_the_connection_is_lost() {
    let broker = Broker::start().await.unwrap();
    let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
    broker.stall();
    let checking = tokio::spawn({
        let client = client.clone();
        async move { client.health_within(Duration::from_secs(3600)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!checking.is_finished());
    broker.kill();
    let health = tokio::time::timeout(Duration::from_secs(20), checking).await.unwrap().unwrap();
    assert!(!health.healthy && !health.snapshot.connected, "{health:?}");
    assert!(health.error.is_some_and(|error| error.starts_with("not connected to NATS: ")));
}

// N15
#[tokio::test]
async fn the_recovery_log_has_a_line_for_each_change() {
    let broker = Broker::start().await.unwrap();
    let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
    let mut events = client.events();
    broker.kill();
    while !matches!(events.recv().await.unwrap(), ConnectionEvent::AttemptFailed { .. }) {}
    broker.restart().await.unwrap();
    until(&client, Status::Connected).await;
    client.close().await.unwrap();
    let log = client.recovery_log();
    let states: Vec<Status> = log.iter().map(|change| change.status).collect();
    let expected = [Status::Connecting, Status::Connected, Status::Reconnecting, Status::Connected, Status::Closed];
    assert_eq!(states, expected, "{log:#?}");
    let outage = &log[2];
    assert!(outage.failed_attempts >= 1 && outage.last_failure.is_some(), "{outage}");
    assert!(log.is_sorted_by_key(|change| change.at));
    let line = log[3].to_string();
    assert!(line.contains("Z connected 127.0.0.1:") && line.contains("attempt"), "{line}");
}
