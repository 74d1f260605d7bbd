//! What a client sees of a broker that is broken on purpose.

use super::Outcome;
use super::raw::{Raw, read_until_closed};
use nats_lifeline::testing::Broker;
use std::time::{Duration, Instant};

#[tokio::test]
async fn kill_and_restart_on_the_same_port() -> Outcome {
    let broker = Broker::start().await?;
    let port = broker.port();
    for round in 1..=20 {
        let mut client = Raw::connected(&broker).await?;
        client.send("SUB a 1\r\n").await?;
        broker.wait_for_subscriptions(1).await?;
        broker.kill();
        assert_eq!((broker.connections(), broker.subscription_count()), (0, 0));
        assert!(!broker.is_up());
        assert!(Raw::connect(&broker).await.is_err());
        read_until_closed(&mut client).await?;
        broker.restart().await?;
        assert_eq!((broker.port(), broker.accepted()), (port, round));
    }
    assert_eq!(broker.accept_times().len(), 20);
    assert!(broker.accept_times().is_sorted());
    Ok(())
}

#[tokio::test]
async fn the_port_is_not_given_away_while_it_is_down() -> Outcome {
    let broker = Broker::start().await?;
    broker.kill();
    // Ports for outgoing connections and for port 0 come from the same range.
    let mut others = Vec::new();
    for _ in 0..200 {
        others.push(std::net::TcpListener::bind("127.0.0.1:0")?);
    }
    assert!(others.iter().all(|other| other.local_addr().unwrap().port() != broker.port()));
    broker.restart().await?;
    Raw::connected(&broker).await?;
    Ok(())
}

#[tokio::test]
async fn refusing_leaves_connections_alone() -> Outcome {
    let broker = Broker::start().await?;
    let mut client = Raw::connected(&broker).await?;
    broker.refuse(true);
    assert!(Raw::connect(&broker).await.is_err());
    client.send("PING\r\n").await?;
    client.expect("PONG\r\n").await?;
    broker.refuse(false);
    Raw::connected(&broker).await?;
    broker.close_on_accept(true);
    let before = broker.accepted();
    assert!(Raw::connect(&broker).await.is_err());
    assert_eq!(broker.accepted(), before + 1);
    broker.close_on_accept(false);
    broker.close_after_info(true);
    let mut client = Raw::connect(&broker).await?;
    assert_eq!(read_until_closed(&mut client).await?, "");
    broker.close_after_info(false);
    broker.close_after_pong(true);
    let mut client = Raw::connected(&broker).await?;
    assert_eq!(read_until_closed(&mut client).await?, "");
    Ok(())
}

#[tokio::test]
async fn frozen_and_thawed() -> Outcome {
    let broker = Broker::start().await?;
    let mut client = Raw::connected(&broker).await?;
    broker.stall();
    client.send("PING\r\n").await?;
    // The system accepts, nobody speaks.
    let late = tokio::spawn(Raw::connect_to(broker.addr()));
    assert!(client.is_silent(Duration::from_millis(100)).await?);
    assert!(!late.is_finished());
    assert_eq!(broker.accepted(), 1);
    broker.resume();
    client.expect("PONG\r\n").await?;
    late.await??;
    // One direction only.
    broker.stall_writes(true);
    client.send("PUB a 0\r\n\r\nPING\r\n").await?;
    broker.wait_until("message", |broker| broker.messages_in() == 1).await?;
    assert!(client.is_silent(Duration::from_millis(50)).await?);
    broker.resume();
    client.expect("PONG\r\n").await?;
    broker.drop_pongs(true);
    client.send("PING\r\n").await?;
    assert!(client.is_silent(Duration::from_millis(50)).await?);
    Ok(())
}

#[tokio::test]
async fn cut_at_every_byte() -> Outcome {
    let broker = Broker::start().await?;
    let mut subscriber = Raw::connected(&broker).await?;
    subscriber.send("SUB > 1\r\nPING\r\n").await?;
    subscriber.expect("PONG\r\n").await?;
    let frame = "PUB a 2\r\nhi\r\n";
    for bytes in 0..=frame.len() {
        let mut publisher = Raw::connected(&broker).await?;
        let before = broker.messages_in();
        broker.cut_after(bytes as u64);
        publisher.send(frame).await?;
        read_until_closed(&mut publisher).await?;
        let whole = bytes == frame.len();
        assert_eq!(broker.messages_in() - before, u64::from(whole), "{bytes}");
    }
    subscriber.expect("MSG a 1 2\r\nhi\r\n").await?;
    // It happens once.
    Raw::connected(&broker).await?;
    drop(subscriber);

    let message = "MSG a 1 2\r\nhi\r\n";
    for bytes in 1..=message.len() {
        let mut client = Raw::connected(&broker).await?;
        client.send("SUB a 1\r\nPING\r\n").await?;
        client.expect("PONG\r\n").await?;
        broker.cut_after_sent(bytes as u64);
        client.send(frame).await?;
        assert_eq!(read_until_closed(&mut client).await?, message[..bytes]);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_said_to_all() -> Outcome {
    let broker = Broker::start().await?;
    let mut client = Raw::connected(&broker).await?;
    broker.say_err("Permissions Violation for Publish to \"a\"");
    client.expect("-ERR 'Permissions Violation for Publish to \"a\"'\r\n").await?;
    broker.inject(b"PONG\r\n");
    client.expect("PONG\r\n").await?;
    broker.set_max_payload(77);
    broker.push_info();
    assert!(client.until("\r\n").await?.contains("\"max_payload\":77"));
    assert_eq!(broker.disconnect_all(), 1);
    assert_eq!(read_until_closed(&mut client).await?, "");
    assert_eq!(broker.connections(), 0);
    Ok(())
}

#[tokio::test]
async fn gossip_and_lame_duck() -> Outcome {
    let grace = Duration::from_millis(100);
    let builder = Broker::builder().lame_duck_grace(grace).server_name("a");
    let mut cluster = builder.cluster(1).await?;
    let mut client = Raw::connected(&cluster[0]).await?;
    assert!(!client.info.contains("connect_urls"), "{}", client.info);
    assert!(client.info.contains("\"server_name\":\"a-0\""), "{}", client.info);
    let joined = cluster.join().await?.addr().to_string();
    let info = client.until("\r\n").await?;
    assert!(info.contains(&joined), "{info}");
    let urls = format!("\"connect_urls\":[\"{}\",\"{joined}\"]", cluster[0].addr());
    assert!(info.contains(&urls), "{info}");
    let third = cluster.join().await?.addr().to_string();
    assert!(client.until("\r\n").await?.contains(&third));
    cluster[2].kill();
    let info = client.until("\r\n").await?;
    assert!(info.contains(&joined) && !info.contains(&third), "{info}");
    cluster[2].restart().await?;
    assert!(client.until("\r\n").await?.contains(&third));

    let mut other = Raw::connected(&cluster[1]).await?;
    assert!(other.info.contains(&third));
    cluster[0].lame_duck();
    let started = Instant::now();
    let info = client.until("\r\n").await?;
    let own = cluster[0].addr().to_string();
    assert!(info.contains("\"ldm\":true") && info.contains(&third), "{info}");
    assert!(!info.contains(&own), "{info}");
    let info = other.until("\r\n").await?;
    assert!(!info.contains("ldm") && !info.contains(&own), "{info}");
    assert!(Raw::connect(&cluster[0]).await.is_err());
    assert_eq!(read_until_closed(&mut client).await?, "");
    assert!(started.elapsed() >= grace);
    cluster[0].wait_until("end", |broker| !broker.is_up()).await?;
    cluster[0].restart().await?;
    Raw::connected(&cluster[0]).await?;
    Ok(())
}

#[tokio::test]
async fn messages_cross_the_cluster_and_die_with_a_broker() -> Outcome {
    let cluster = Broker::cluster(3).await?;
    let mut subscriber = Raw::connected(&cluster[2]).await?;
    subscriber.send("SUB a 1\r\nPING\r\n").await?;
    subscriber.expect("PONG\r\n").await?;
    let mut publisher = Raw::connected(&cluster[0]).await?;
    publisher.send("PUB a 1\r\nx\r\n").await?;
    subscriber.expect("MSG a 1 1\r\nx\r\n").await?;
    cluster[2].kill();
    publisher.until("\r\n").await?;
    publisher.send("SUB r 5\r\nPUB a r 0\r\n\r\n").await?;
    publisher.until("NATS/1.0 503\r\n").await?;
    assert_eq!(cluster[2].messages_out(), 1);
    Ok(())
}

#[tokio::test]
async fn dropping_it_closes_everything() -> Outcome {
    let broker = Broker::start().await?;
    let addr = broker.addr();
    let mut client = Raw::connected(&broker).await?;
    drop(broker);
    assert_eq!(read_until_closed(&mut client).await?, "");
    assert!(Raw::connect_to(addr).await.is_err());
    tokio::time::sleep(Duration::from_millis(20)).await;
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 0);
    Ok(())
}
