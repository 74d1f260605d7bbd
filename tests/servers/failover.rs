//! Several servers: where the client goes when one dies, hangs, refuses or announces its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use nats_lifeline::{Client, ConnectOptions, Event, Subscriber};

use crate::support::{CallbackLog, Cluster, Direction, Proxy, SOON, Server, debian_server, eventually, soon, within};

async fn works(client: &Client) {
    let inbox = client.new_inbox();
    let mut own = soon("a subscription", client.subscribe(inbox.clone())).await.unwrap();
    soon("a publish", client.publish(inbox, "x".into())).await.unwrap();
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "x");
}

async fn number(subscriber: &mut Subscriber) -> u64 {
    let message = soon("a message", subscriber.next()).await.expect("the subscription goes on");
    std::str::from_utf8(&message.payload).unwrap().parse().unwrap()
}

// Scenario 3, S20, S41
#[tokio::test]
async fn when_its_server_dies_the_client_goes_to_another_of_its_list() {
    let (mut one, mut two) = (Server::start().await, Server::start().await);
    let log = CallbackLog::new();
    let options = ConnectOptions::new().retain_servers_order().event_callback(log.callback());
    let client = options.connect(vec![one.url(), two.url()]).await.unwrap();
    assert_eq!(client.server_info().port, one.port(), "the order is kept");
    let mut own = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    one.kill();
    log.times(Event::Connected, 2).await;
    assert_eq!(client.server_info().port, two.port());
    client.publish("a", "1".into()).await.unwrap();
    assert_eq!(number(&mut own).await, 1);
    one.restart().await;
    two.kill();
    log.times(Event::Connected, 3).await;
    assert_eq!(client.server_info().port, one.port());
    client.publish("a", "2".into()).await.unwrap();
    assert_eq!(number(&mut own).await, 2);
}

// Scenarios 4, 37, S9, S41
#[tokio::test]
async fn a_server_known_only_from_gossip_is_used() {
    let mut cluster = Cluster::start(3).await;
    let log = CallbackLog::new();
    let client = ConnectOptions::new().event_callback(log.callback()).connect(cluster.servers[0].url()).await.unwrap();
    eventually("gossip has come", SOON, async || client.server_pool().await.unwrap().len() == 3).await;
    let pool = client.server_pool().await.unwrap();
    assert_eq!(pool.iter().filter(|server| server.is_discovered).count(), 2);
    cluster.servers[0].kill();
    log.times(Event::Connected, 2).await;
    let second = client.server_info().port;
    assert_ne!(second, cluster.servers[0].port());
    works(&client).await;
    cluster.on_port(second).kill();
    log.times(Event::Connected, 3).await;
    let third = client.server_info().port;
    assert!(third != second && third != cluster.servers[0].port());
    works(&client).await;
}

// P4
#[tokio::test]
async fn gossip_can_be_ignored() {
    let cluster = Cluster::start(2).await;
    let options = ConnectOptions::new().ignore_discovered_servers();
    let client = options.connect(cluster.servers[0].url()).await.unwrap();
    works(&client).await;
    client.flush().await.unwrap();
    assert_eq!(client.server_pool().await.unwrap().len(), 1);
}

/// Numbers are published all the time while one node after another is killed with -9 and restarted.
// Scenarios 1, 37, 56, I2, I3, I7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_messages_survives_the_rotation_of_a_cluster() {
    const ROUNDS: usize = 6;
    let mut cluster = Cluster::start(3).await;
    let log = CallbackLog::new();
    let client = ConnectOptions::new().event_callback(log.callback()).connect(cluster.urls()).await.unwrap();
    let mut own = client.subscribe("n").await.unwrap();
    client.flush().await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let (publisher, stop) = (client.clone(), Arc::clone(&done));
    let publishing = tokio::spawn(async move {
        let mut n = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            publisher.publish("n", n.to_string().into()).await.unwrap();
            n += 1;
            if n % 20 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        n
    });
    let mut last = number(&mut own).await;
    for round in 0..ROUNDS {
        let port = client.server_info().port;
        cluster.on_port(port).kill();
        log.times(Event::Connected, round + 2).await;
        // A hundred messages of the new connection, in order; messages in doubt may be missing, none comes twice.
        let mut fresh = 0;
        while fresh < 100 {
            let n = number(&mut own).await;
            assert!(n > last, "round {round}: {n} after {last}");
            fresh = if n == last + 1 { fresh + 1 } else { 0 };
            last = n;
        }
        cluster.on_port(port).restart().await;
    }
    done.store(true, Ordering::Relaxed);
    let published = publishing.await.unwrap();
    while last + 1 < published {
        let n = number(&mut own).await;
        assert!(n > last, "{n} after {last}");
        last = n;
    }
    assert_eq!(log.count(|event| *event == Event::Disconnected), ROUNDS);
}

// Scenario 5, S25
#[tokio::test]
async fn a_hung_server_is_noticed_by_pings_and_left() {
    let (mut one, two) = (Server::start().await, Server::start().await);
    let log = CallbackLog::new();
    let client = ConnectOptions::new()
        .ping_interval(Duration::from_secs(1))
        .retain_servers_order()
        .event_callback(log.callback())
        .connect(vec![one.url(), two.url()])
        .await
        .unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    one.stop();
    log.times(Event::Connected, 2).await;
    assert_eq!(client.server_info().port, two.port());
    client.publish("a", "1".into()).await.unwrap();
    assert_eq!(number(&mut own).await, 1);
    one.cont();
    eventually("the old server sees us gone", SOON, async || one.connections().is_empty()).await;
    assert_eq!(log.count(|event| *event == Event::Disconnected), 1);
}

// Scenario 84
#[tokio::test]
async fn a_path_that_is_dead_in_one_direction_is_noticed_and_left() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let (one, two) = (Server::start().await, Server::start().await);
        let proxy = Proxy::start(one.port()).await;
        let log = CallbackLog::new();
        let client = ConnectOptions::new()
            .ping_interval(Duration::from_millis(500))
            .retain_servers_order()
            .event_callback(log.callback())
            .connect(vec![proxy.url(), two.url()])
            .await
            .unwrap();
        proxy.freeze(direction);
        log.times(Event::Connected, 2).await;
        assert_eq!(client.server_info().port, two.port(), "{direction:?}");
        works(&client).await;
    }
}

// Scenario 8: a kernel that accepts, with a hung process
#[tokio::test]
async fn a_server_that_hangs_from_the_start_leads_to_the_next() {
    let (mut one, two) = (Server::start().await, Server::start().await);
    one.stop();
    let client = ConnectOptions::new().retain_servers_order().connection_timeout(Duration::from_millis(500));
    let client = soon("a connection", client.connect(vec![one.url(), two.url()])).await.unwrap();
    assert_eq!(client.server_info().port, two.port());
    works(&client).await;
}

// Scenario 20
#[tokio::test]
async fn a_full_server_is_reported_as_full() {
    let server = Server::builder().max_connections(1).start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let error = soon("a refusal", nats_lifeline::connect(server.url())).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("maximum connections"), "{error}");
    drop(client);
    eventually("room", SOON, async || server.connections().is_empty()).await;
    works(&nats_lifeline::connect(server.url()).await.unwrap()).await;
}

// Scenario 20
#[tokio::test]
async fn a_client_that_finds_no_room_after_an_outage_waits_for_it() {
    let mut server = Server::start().await;
    let log = CallbackLog::new();
    let client =
        ConnectOptions::new().name("lifeline").event_callback(log.callback()).connect(server.url()).await.unwrap();
    server.kill();
    log.times(Event::Disconnected, 1).await;
    // One place for two clients: the first one gets it, the other one waits.
    server.restart_as(Server::builder().max_connections(1)).await;
    let rival = loop {
        if server.connection("lifeline").is_some() {
            break None;
        }
        if let Ok(rival) = nats_lifeline::connect(server.url()).await {
            break Some(rival);
        }
    };
    if rival.is_some() {
        let refused = |event: &Event| event.to_string().to_lowercase().contains("maximum connections");
        log.until("a refusal is reported", |events| events.iter().any(refused)).await;
    }
    drop(rival);
    log.times(Event::Connected, 2).await;
    works(&client).await;
}

// Scenario 77, P4
#[tokio::test]
async fn a_pool_replaced_during_an_outage_is_used_immediately() {
    let (mut old, new) = (Server::start().await, Server::start().await);
    let log = CallbackLog::new();
    let client = ConnectOptions::new().event_callback(log.callback()).connect(old.url()).await.unwrap();
    old.kill();
    log.times(Event::Disconnected, 1).await;
    soon("the order is taken", client.set_server_pool(new.url())).await.unwrap();
    log.times(Event::Connected, 2).await;
    assert_eq!(client.server_info().port, new.port());
    let pool = client.server_pool().await.unwrap();
    assert_eq!(pool.iter().map(|server| server.addr.port()).collect::<Vec<_>>(), [new.port()]);
    works(&client).await;
}

// Scenario 35, P14
#[tokio::test]
async fn a_lame_duck_is_reported_and_its_end_survived() {
    let mut cluster =
        Cluster::start_as(2, Server::builder().lame_duck(Duration::from_secs(1), Duration::from_secs(30))).await;
    let log = CallbackLog::new();
    let client = ConnectOptions::new().event_callback(log.callback()).connect(cluster.servers[0].url()).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    eventually("gossip has come", SOON, async || client.server_pool().await.unwrap().len() == 2).await;
    cluster.servers[0].lame_duck();
    log.times(Event::LameDuckMode, 1).await;
    within("a move", Duration::from_secs(90), async {
        while client.server_info().port != cluster.servers[1].port() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    log.times(Event::Connected, 2).await;
    client.publish("a", "1".into()).await.unwrap();
    assert_eq!(number(&mut own).await, 1);
}

// Scenario 89
#[tokio::test]
async fn an_old_server_and_a_new_one_serve_the_same_client_in_turn() {
    // Without an old server on this machine, two new ones are used, with the same promise.
    let old = debian_server().map_or(Server::builder(), |binary| Server::builder().binary(&binary));
    let (mut old, mut new) = (old.start().await, Server::start().await);
    let log = CallbackLog::new();
    let options = ConnectOptions::new().retain_servers_order().event_callback(log.callback());
    let client = options.connect(vec![old.url(), new.url()]).await.unwrap();
    let mut own = client.subscribe("a").await.unwrap();
    for round in 0..4 {
        client.publish("a", round.to_string().into()).await.unwrap();
        assert_eq!(number(&mut own).await, round as u64);
        let error = soon("no responders", client.request("nobody", "".into())).await.unwrap_err();
        assert_eq!(error.kind(), nats_lifeline::RequestErrorKind::NoResponders);
        let current = if round % 2 == 0 { &mut old } else { &mut new };
        assert_eq!(client.server_info().port, current.port());
        current.kill();
        log.times(Event::Connected, round + 2).await;
        current.restart().await;
    }
}
