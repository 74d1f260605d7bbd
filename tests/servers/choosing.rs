//! Programs that choose the next server and the delay, and servers that are given up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nats_lifeline::connection::{Cause, ConnectionEvent, Status};
use nats_lifeline::testing::Broker;
use nats_lifeline::{ClientError, ConnectOptions, Event, ReconnectToServer};

use crate::support::{CallbackLog, SOON, Server, Timeline, eventually, soon};

/// Three servers, in the user's order.
async fn three() -> (Vec<Broker>, Vec<String>) {
    let mut brokers = Vec::new();
    for _ in 0..3 {
        brokers.push(Broker::start().await.unwrap());
    }
    let urls = brokers.iter().map(Broker::url).collect();
    (brokers, urls)
}

// S42, P4
#[tokio::test]
async fn servers_are_shuffled_unless_their_order_is_retained() {
    let (brokers, urls) = three().await;
    let mut firsts = [0; 3];
    for seed in 0..20 {
        let options = ConnectOptions::new().random_seed(seed);
        let client = soon("a connection", options.clone().connect(&urls[..])).await.unwrap();
        let port = client.server_info().port;
        firsts[brokers.iter().position(|broker| broker.port() == port).unwrap()] += 1;
        let client = soon("a connection", options.retain_servers_order().connect(&urls[..])).await.unwrap();
        assert_eq!(client.server_info().port, brokers[0].port(), "seed {seed}");
    }
    assert!(firsts.iter().all(|first| *first > 0), "of 20 clients this many began with each server: {firsts:?}");
}

// Scenario 78
#[tokio::test]
async fn a_callback_picks_the_server() {
    let (brokers, urls) = three().await;
    // Fault D4: the callback is called for the first connection too, when no server's INFO is known.
    let (second, third) = (brokers[1].port(), brokers[2].port());
    let reported = Arc::new(Mutex::new(Vec::new()));
    let recording = Arc::clone(&reported);
    let options = ConnectOptions::new().retain_servers_order().reconnect_to_server_callback(move |servers, info| {
        recording.lock().unwrap().push((servers.len(), info.port));
        async move {
            let wanted = if info.port == 0 { second } else { third };
            let wanted = servers.into_iter().find(|server| server.addr.port() == wanted)?;
            Some(ReconnectToServer { addr: wanted.addr, delay: None })
        }
    });
    let client = soon("a connection", options.connect(urls)).await.unwrap();
    assert_eq!(client.server_info().port, second);
    assert_eq!(*reported.lock().unwrap(), [(3, 0)]);
    let timeline = Timeline::of(&client);
    brokers[1].kill();
    timeline.reconnected(0).await;
    // Not the first one, which would have been the default.
    assert_eq!((brokers[0].accepted(), brokers[2].connections()), (0, 1));
    assert_eq!(*reported.lock().unwrap(), [(3, 0), (3, second)]);
    assert_eq!(client.server_info().port, third);
}

// Scenario 78
#[tokio::test]
async fn a_server_that_is_not_in_the_pool_is_reported_and_the_default_applies() {
    let (brokers, urls) = three().await;
    let log = CallbackLog::new();
    let options =
        ConnectOptions::new().retain_servers_order().event_callback(log.callback()).reconnect_to_server_callback(
            |_, _| async { Some(ReconnectToServer { addr: "nats://no.such.host:1".parse().unwrap(), delay: None }) },
        );
    let client = soon("a connection", options.connect(urls)).await.unwrap();
    let timeline = Timeline::of(&client);
    brokers[0].kill();
    timeline.reconnected(0).await;
    assert_eq!(client.server_info().port, brokers[1].port());
    // Once for the first attempt, and once after the loss.
    log.times(Event::ClientError(ClientError::ServerNotInPool), 2).await;
}

// Scenario 78
#[tokio::test]
async fn a_callback_that_blocks_panics_or_never_answers_delays_nothing() {
    for fault in 0..3 {
        let (brokers, urls) = three().await;
        let options = ConnectOptions::new()
            .retain_servers_order()
            .connection_timeout(Duration::from_millis(500))
            .reconnect_to_server_callback(move |_, _| async move {
                match fault {
                    0 => tokio::time::sleep(Duration::from_secs(10)).await,
                    1 => std::future::pending().await,
                    _ => panic!("a callback that panics, on purpose"),
                }
                None
            });
        let client = soon("a connection", options.connect(urls)).await.unwrap();
        let timeline = Timeline::of(&client);
        let killed = Instant::now();
        brokers[0].kill();
        timeline.reconnected(0).await;
        assert!(killed.elapsed() < Duration::from_secs(5), "fault {fault}: {:?}", killed.elapsed());
        assert_eq!(client.server_info().port, brokers[1].port());
    }
}

#[tokio::test]
async fn the_delay_of_a_callback_is_obeyed() {
    let broker = Broker::start().await.unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let asking = Arc::clone(&asked);
    let options = ConnectOptions::new().reconnect_delay_callback(move |attempt| {
        asking.lock().unwrap().push((attempt, Instant::now()));
        Duration::from_millis(if asking.lock().unwrap().len() == 1 { 0 } else { 700 })
    });
    let client = soon("a connection", options.connect(broker.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    broker.disconnect_all();
    timeline.reconnected(0).await;
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 1]);
    let waited = broker.accept_times()[1].saturating_duration_since(asked[1].1);
    // The backoff would be ten times shorter.
    assert!((Duration::from_millis(690)..Duration::from_secs(3)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn a_delay_of_zero_does_not_spin() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().reconnect_delay_callback(|_| Duration::ZERO);
    let client = soon("a connection", options.connect(broker.url())).await.unwrap();
    broker.close_after_pong(true);
    broker.disconnect_all();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let times = broker.accept_times();
    assert!(times.len() >= 10, "only {} dials in two seconds", times.len());
    for window in times.windows(11) {
        assert!(window[10] - window[0] >= Duration::from_millis(900), "more than ten dials a second");
    }
    drop(client);
}

#[tokio::test]
async fn a_flapping_server_is_given_up_eventually() {
    let broker = Broker::start().await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let options = ConnectOptions::new().max_reconnects(5).reconnect_delay_callback(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Duration::from_millis(100)
    });
    let client = soon("a connection", options.connect(broker.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    broker.close_after_pong(true);
    broker.disconnect_all();
    let end = timeline.nth("GaveUp", 0, |event| matches!(event, ConnectionEvent::GaveUp { .. })).await;
    assert!(matches!(end, ConnectionEvent::GaveUp { attempts: 5, .. }), "{end:?}");
    eventually("it has ended", SOON, async || client.status() == Status::Disconnected).await;
    assert!((5..=7).contains(&broker.accepted()), "{}", broker.accepted());
    assert_eq!(asked.load(Ordering::Relaxed) as u64, broker.accepted());
}

// Fault B3: on the wire, with and without the option that ends the attempts
#[tokio::test]
async fn refused_credentials_end_the_client_only_after_a_configured_time_and_force_reconnect_revives_it() {
    for limit in [None, Some(Duration::from_millis(500))] {
        let broker = Broker::start().await.unwrap();
        let options = ConnectOptions::new().give_up_on_auth_error_after(limit);
        let client = soon("a connection", options.connect(broker.url())).await.unwrap();
        let timeline = Timeline::of(&client);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        broker.reject_logins(true);
        broker.disconnect_all();
        if limit.is_none() {
            timeline.nth("AttemptFailed", 4, |event| matches!(event, ConnectionEvent::AttemptFailed { .. })).await;
            assert_eq!(client.status(), Status::Reconnecting);
            let seen = client.health_snapshot().last_error.unwrap();
            assert!(seen.contains("Authorization Violation"), "{seen}");
        } else {
            let end = timeline.nth("GaveUp", 0, |event| matches!(event, ConnectionEvent::GaveUp { .. })).await;
            let refused = |cause: &Cause| cause.is_auth();
            assert!(matches!(&end, ConnectionEvent::GaveUp { cause, .. } if refused(cause)), "{end:?}");
        }
        broker.reject_logins(false);
        if limit.is_some() {
            client.force_reconnect().await.unwrap();
        }
        eventually("it is back", SOON, async || client.status() == Status::Connected).await;
        soon("a round trip", client.flush()).await.unwrap();
    }
}

// The preset of the guides, against a real server: it waits at least a second before it reconnects.
#[tokio::test]
async fn the_patient_policy_waits() {
    let mut server = Server::start().await;
    let options = ConnectOptions::new().patient_reconnect();
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    let timeline = Timeline::of(&client);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    server.kill();
    let lost = timeline.disconnected(0).await;
    assert!(matches!(lost, ConnectionEvent::Disconnected { .. }));
    server.restart().await;
    let back = timeline.nth("Connecting", 0, |event| matches!(event, ConnectionEvent::Connecting { .. })).await;
    let ConnectionEvent::Connecting { waited, .. } = back else { unreachable!() };
    assert!((Duration::from_millis(700)..=Duration::from_millis(1400)).contains(&waited), "{waited:?}");
    timeline.reconnected(0).await;
}
