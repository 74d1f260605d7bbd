//! What the user sees of a connection's life: states, events, counters.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use nats_lifeline::{
    ConnectOptions, Event,
    connection::{ConnectionEvent, State, Status},
};

use crate::support::{CallbackLog, Cluster, Cut, Proxy, SOON, Server, Timeline, eventually, soon, within};

// S1, S2, S3
#[tokio::test]
async fn a_client_passes_through_its_states_in_the_documented_order() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    proxy.silence();
    let options = ConnectOptions::new().retry_on_initial_connect().connection_timeout(Duration::from_secs(600));
    let client = soon("a handle", options.connect(proxy.url())).await.unwrap();
    assert_eq!((client.status(), client.connection_state()), (Status::Connecting, State::Pending));
    let mut watch = client.status_watch();
    let seen = Arc::new(Mutex::new(vec![watch.status()]));
    let log = Arc::clone(&seen);
    let watching = tokio::spawn(async move {
        while let Some(status) = watch.changed().await {
            log.lock().unwrap().push(status);
        }
    });
    let last = || *seen.lock().unwrap().last().unwrap();
    let becomes = async |status| eventually("the state is seen", SOON, async || last() == status).await;
    // The first attempt fails, and the state becomes Reconnecting.
    proxy.refuse().await;
    proxy.cut(Cut::Rst);
    becomes(Status::Reconnecting).await;
    assert_eq!(client.connection_state(), State::Pending, "never connected yet");
    proxy.admit().await;
    becomes(Status::Connected).await;
    assert_eq!(client.connection_state(), State::Connected);
    proxy.refuse().await;
    proxy.cut(Cut::Fin);
    becomes(Status::Reconnecting).await;
    assert_eq!(client.connection_state(), State::Disconnected);
    proxy.admit().await;
    becomes(Status::Connected).await;
    let mut unread = client.subscribe("a").await.unwrap();
    client.publish("a", "x".into()).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    soon("the drain begins", client.drain()).await.unwrap();
    becomes(Status::Draining).await;
    within("the stream ends", SOON, async { while unread.next().await.is_some() {} }).await;
    becomes(Status::Closed).await;
    soon("the watch ends", watching).await.unwrap();
    let expected = [
        Status::Connecting,
        Status::Reconnecting,
        Status::Connected,
        Status::Reconnecting,
        Status::Connected,
        Status::Draining,
        Status::Closed,
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

// S2: exhausted retries end in Disconnected; force_reconnect leads out of it
#[tokio::test]
async fn exhausted_retries_end_in_disconnected() {
    let mut server = Server::start().await;
    let client = ConnectOptions::new().max_reconnects(2).connect(server.url()).await.unwrap();
    let mut watch = client.status_watch();
    server.kill();
    assert!(soon("disconnected", watch.wait_for(Status::Disconnected)).await);
    assert_eq!(client.connection_state(), State::Disconnected);
    server.restart().await;
    client.force_reconnect().await.unwrap();
    assert!(soon("connected", watch.wait_for(Status::Connected)).await);
    client.close().await.unwrap();
    assert!(soon("closed", watch.wait_for(Status::Closed)).await);
    assert!(!soon("never again", watch.wait_for(Status::Connected)).await);
}

// S5, S6, S7, N2, P2, I9
#[tokio::test]
async fn an_outage_is_reported_from_its_cause_to_its_end() {
    let mut server = Server::start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let _one = client.subscribe("a").await.unwrap();
    let _two = client.subscribe("b").await.unwrap();
    let begin = Instant::now();
    server.kill();
    let failed = |event: &ConnectionEvent| matches!(event, ConnectionEvent::AttemptFailed { .. });
    timeline.nth("a second failed attempt", 1, failed).await;
    server.restart().await;
    let reported = timeline.reconnected(0).await;
    let outage = begin.elapsed();
    let events = timeline.all();
    let Some(ConnectionEvent::Disconnected { server: lost, cause, .. }) =
        events.iter().find(|event| matches!(event, ConnectionEvent::Disconnected { .. }))
    else {
        panic!("{events:?}")
    };
    assert!(lost.contains(&server.port().to_string()), "{lost}");
    assert!(!cause.to_string().is_empty());
    let connecting: Vec<u64> = events
        .iter()
        .filter_map(|event| match event {
            ConnectionEvent::Connecting { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(connecting, (1..=connecting.len() as u64).collect::<Vec<_>>());
    assert_eq!(timeline.count(failed), connecting.len() - 1);
    match reported {
        ConnectionEvent::Reconnected { server: now, previous, downtime, attempts, subscriptions, .. } => {
            assert_eq!(Some(&now), previous.as_ref());
            assert!(now.contains(&server.port().to_string()), "{now}");
            assert_eq!((attempts, subscriptions), (connecting.len() as u64, 2));
            assert!(downtime > Duration::ZERO && downtime <= outage, "{downtime:?} of {outage:?}");
        }
        other => panic!("{other:?}"),
    }
    // Only the outage itself, in order.
    let order = |wanted: fn(&ConnectionEvent) -> bool| events.iter().position(wanted).unwrap();
    let disconnected = order(|event| matches!(event, ConnectionEvent::Disconnected { .. }));
    let dialled = order(|event| matches!(event, ConnectionEvent::Connecting { .. }));
    let reconnected = order(|event| matches!(event, ConnectionEvent::Reconnected { .. }));
    assert!(disconnected < dialled && dialled < reconnected, "{events:?}");
}

// S7: the attempt counter starts again
#[tokio::test]
async fn the_attempts_are_counted_from_each_loss() {
    let mut server = Server::start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let failed = |event: &ConnectionEvent| matches!(event, ConnectionEvent::AttemptFailed { .. });
    for round in 0..2 {
        server.kill();
        timeline.nth("a failed attempt", timeline.count(failed), failed).await;
        server.restart().await;
        timeline.reconnected(round).await;
    }
    let first: Vec<u64> = timeline
        .all()
        .windows(2)
        .filter_map(|pair| match pair {
            [ConnectionEvent::Disconnected { .. }, ConnectionEvent::Connecting { attempt, .. }] => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(first, [1, 1]);
}

// S9, S14, S48
#[tokio::test]
async fn changes_of_the_cluster_are_reported() {
    let mut cluster = Cluster::start(3).await;
    let client = ConnectOptions::new().connect(cluster.servers[0].url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let leaving = cluster.servers[2].address();
    let names = |event: &ConnectionEvent, gone: bool| match event {
        ConnectionEvent::ServersChanged { added, removed, .. } => {
            if gone { removed } else { added }.iter().any(|server| server.ends_with(&leaving))
        }
        _ => false,
    };
    eventually("gossip has come", SOON, async || client.server_pool().await.unwrap().len() == 3).await;
    let name = client.info().and_then(|info| info.cluster.clone());
    assert!(name.is_some(), "the servers of a cluster announce its name");
    assert_eq!(client.health_snapshot().cluster, name);
    cluster.servers[2].kill();
    timeline.nth("the leave", 0, |event| names(event, true)).await;
    let so_far = timeline.count(|event| names(event, false));
    cluster.servers[2].restart().await;
    timeline.nth("the return", so_far, |event| names(event, false)).await;
}

// S12, P13
#[tokio::test]
async fn the_server_info_is_available() {
    let mut server = Server::builder().max_payload(123_456).start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let info = client.server_info();
    assert_eq!((info.port, info.max_payload, info.headers), (server.port(), 123_456, true));
    assert_eq!(info.server_name, format!("n{}", server.port()));
    assert!(client.is_server_compatible(2, 9, 0) && !client.is_server_compatible(99, 0, 0));
    let id = info.client_id;
    server.kill();
    server.restart_as(Server::builder().max_payload(654_321)).await;
    timeline.reconnected(0).await;
    assert_eq!(client.max_payload(), 654_321);
    assert_ne!(client.server_info().server_id, info.server_id);
    assert!(client.server_info().client_id > 0 && id > 0);
}

// P6
#[tokio::test]
async fn the_round_trip_is_measured() {
    let server = Server::start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let begin = Instant::now();
    let rtt = soon("a round trip", client.rtt()).await.unwrap();
    assert!(rtt > Duration::ZERO && rtt <= begin.elapsed());
}

// P13, promise 3
#[tokio::test]
async fn the_counters_are_exact() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let client = ConnectOptions::new().connect(proxy.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut own = client.subscribe("a").await.unwrap();
    for _ in 0..100 {
        client.publish("a", "12345".into()).await.unwrap();
    }
    for _ in 0..100 {
        soon("a message", own.next()).await.unwrap();
    }
    assert_eq!((own.delivered(), own.dropped()), (100, 0));
    soon("a flush", client.flush()).await.unwrap();
    let stats = client.stats();
    assert!(stats.balances(), "{stats:?}");
    assert_eq!((stats.accepted, stats.confirmed, stats.waiting, stats.unconfirmed), (100, 100, 0, 0));
    assert_eq!((stats.in_messages, stats.out_messages, stats.pending_bytes), (100, 100, 0));
    assert_eq!(stats.connects, 1);
    // Bytes on the wire. An early PING from the server may arrive between the two readings.
    eventually("the bytes agree", SOON, async || {
        let (stats, passage) = (client.stats(), proxy.passages().remove(0));
        (stats.in_bytes, stats.out_bytes) == (passage.to_client, passage.to_server)
    })
    .await;
    let compat = client.statistics();
    let read = |number: &portable_atomic::AtomicU64| number.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((read(&compat.in_messages), read(&compat.out_messages), read(&compat.connects)), (100, 100, 1));
    proxy.cut(Cut::Fin);
    timeline.reconnected(0).await;
    assert_eq!(client.stats().connects, 2);
    assert_eq!(read(&client.statistics().connects), 2);
}

// Scenario 68, P10, D21
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_loses_only_its_own_messages() {
    let server = Server::start().await;
    let log = CallbackLog::new();
    let client = ConnectOptions::new()
        .subscription_capacity(100)
        .event_callback(log.callback())
        .connect(server.url())
        .await
        .unwrap();
    let timeline = Timeline::of(&client);
    let mut slow = client.subscribe("a").await.unwrap();
    let mut fast = client.subscribe("a").await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    let sid = slow.sid();
    for n in 0..50 {
        for _ in 0..20 {
            client.publish("a", n.to_string().into()).await.unwrap();
        }
        for _ in 0..20 {
            let message = soon("a message", fast.next()).await.unwrap();
            assert_eq!(message.payload, n.to_string());
        }
    }
    let reported = timeline
        .nth(
            "the slow consumer",
            0,
            |event| matches!(event, ConnectionEvent::SlowConsumer { sid: of, .. } if *of == sid),
        )
        .await;
    drop(reported);
    log.until("the callback hears of it", |events| events.contains(&Event::SlowConsumer(sid))).await;
    assert_eq!((slow.dropped(), fast.dropped()), (900, 0));
    // It has kept the oldest messages, complete and in order, and continues from there.
    for at in 0..100 {
        let message = soon("a kept message", slow.next()).await.unwrap();
        assert_eq!(message.payload, (at / 20).to_string());
    }
    client.publish("a", "again".into()).await.unwrap();
    assert_eq!(soon("a message", slow.next()).await.unwrap().payload, "again");
    assert_eq!(slow.delivered() + slow.dropped(), 1001);
    assert_eq!(timeline.count(|event| matches!(event, ConnectionEvent::Disconnected { .. })), 0);
}

// Scenario 73, I9
#[tokio::test]
async fn a_slow_or_panicking_callback_gets_every_event_in_order_and_delays_nothing() {
    let mut server = Server::start().await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    let options = ConnectOptions::new().event_callback(move |event| {
        let log = Arc::clone(&log);
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            log.lock().unwrap().push(event.clone());
            assert!(event != Event::Disconnected, "a callback that panics, on purpose");
        }
    });
    let client = options.connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    for round in 0..3 {
        server.kill();
        timeline.disconnected(round).await;
        server.restart().await;
        timeline.reconnected(round).await;
    }
    client.close().await.unwrap();
    eventually("the last event", SOON, async || heard.lock().unwrap().contains(&Event::Closed)).await;
    let heard: Vec<Event> =
        heard.lock().unwrap().drain(..).filter(|event| !matches!(event, Event::ClientError(_))).collect();
    let pair = [Event::Disconnected, Event::Connected];
    let expected = [&[Event::Connected][..], &pair, &pair, &pair, &[Event::Closed]].concat();
    // Closing may report the loss as well.
    let heard: Vec<Event> = match heard.as_slice() {
        [before @ .., Event::Disconnected, Event::Closed] => before.iter().cloned().chain([Event::Closed]).collect(),
        all => all.to_vec(),
    };
    assert_eq!(heard, expected);
}

// Scenario 73: a callback that blocks its thread keeps one worker busy, and nothing else
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_blocks_its_thread_delays_nothing() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let blocked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&blocked);
    let options = ConnectOptions::new().event_callback(move |_| {
        let count = Arc::clone(&count);
        async move {
            *count.lock().unwrap() += 1;
            std::thread::sleep(Duration::from_secs(2));
        }
    });
    let client = options.connect(proxy.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    eventually("the callback blocks", SOON, async || *blocked.lock().unwrap() == 1).await;
    let start = Instant::now();
    for round in 0..3 {
        client.publish("a", "x".into()).await.unwrap();
        soon("a flush", client.flush()).await.unwrap();
        proxy.cut(Cut::Fin);
        timeline.reconnected(round).await;
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(*blocked.lock().unwrap(), 1, "one call after the other");
}

// N2, S12: the full summary, and the server's info
#[tokio::test]
async fn reconnected_sums_up_the_outage() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let client = ConnectOptions::new().connect(proxy.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let _subscriber = client.subscribe("a").await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    proxy.refuse().await;
    proxy.cut(Cut::Fin);
    timeline.disconnected(0).await;
    for _ in 0..5 {
        client.publish("b", "buffered".into()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.admit().await;
    let ConnectionEvent::Reconnected {
        downtime,
        attempts,
        previous,
        subscriptions,
        flushed,
        dropped,
        expired,
        in_doubt,
        rtt,
        still_buffered,
        ..
    } = timeline.reconnected(0).await
    else {
        panic!("no Reconnected")
    };
    assert!(downtime >= Duration::from_millis(300) && attempts >= 1, "{downtime:?}, {attempts}");
    assert_eq!(previous, Some(format!("127.0.0.1:{}", proxy.port())));
    assert_eq!((subscriptions, flushed, dropped, expired, in_doubt, still_buffered), (1, 5, 0, 0, 0, 0));
    assert!(rtt > Duration::ZERO && rtt < Duration::from_secs(5), "{rtt:?}");
    let reported = timeline.nth("ServerInfo", 0, |event| matches!(event, ConnectionEvent::ServerInfo { .. })).await;
    let ConnectionEvent::ServerInfo { info, .. } = reported else { panic!("no ServerInfo") };
    assert_eq!(Some(info.server_id.clone()), client.info().map(|info| info.server_id.clone()));
    assert!(!info.version.is_empty());
}
