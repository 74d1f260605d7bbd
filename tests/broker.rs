//! The broker of `testing`, over raw TCP: it must speak as nats-server does, break as told, and
//! be honest about what it saw.

mod raw;

use nats_lifeline::testing::{Broker, Sink, Source};
use raw::{Raw, read_until_closed};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::test]
async fn wildcards_and_order() -> Outcome {
    let broker = Broker::start().await?;
    let mut subscriber = Raw::connected(&broker).await?;
    subscriber.send("SUB a.* 1\r\nSUB a.> 2\r\nSUB a.b 3\r\nSUB b 4\r\nSUB > 5\r\nPING\r\n").await?;
    subscriber.expect("PONG\r\n").await?;
    assert_eq!(broker.subscription_count(), 5);

    let mut publisher = Raw::connected(&broker).await?;
    publisher.send("PUB a.b.c 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a..b 1\r\n3\r\nPUB c 1\r\n4\r\nPING\r\n").await?;
    publisher.expect("PONG\r\n").await?;
    let mut got = subscriber.frames(4).await?;
    got[..2].sort();
    assert_eq!(got, ["MSG a.b.c 2 1 1", "MSG a.b.c 5 1 1", "MSG a 5 1 2", "MSG c 5 1 4"]);
    publisher.send("PUB a.b 1\r\n5\r\n").await?;
    let mut got = subscriber.frames(4).await?;
    got.sort();
    assert_eq!(got, ["MSG a.b 1 1 5", "MSG a.b 2 1 5", "MSG a.b 3 1 5", "MSG a.b 5 1 5"]);
    assert_eq!((broker.messages_in(), broker.messages_out()), (5, 8));
    Ok(())
}

#[tokio::test]
async fn one_member_of_each_queue_group_gets_a_message() -> Outcome {
    let cluster = Broker::cluster(2).await?;
    let mut first = Raw::connected(&cluster[0]).await?;
    let mut second = Raw::connected(&cluster[1]).await?;
    first.send("SUB q g 1\r\nSUB q g 2\r\nSUB q other 3\r\nSUB all.end g 9\r\nPING\r\n").await?;
    second.send("SUB q g 1\r\nSUB end 2\r\nPING\r\n").await?;
    first.expect("PONG\r\n").await?;
    second.expect("PONG\r\n").await?;
    let mut publisher = Raw::connected(&cluster[1]).await?;
    publisher.send(&"PUB q 0\r\n\r\n".repeat(300)).await?;
    publisher.send("PUB end 0\r\n\r\nPUB all.end 0\r\n\r\n").await?;
    let first = first.until("MSG all.end 9 0\r\n\r\n").await?;
    let second = second.until("MSG end 2 0\r\n\r\n").await?;
    let one = first.matches("MSG q 1 ").count();
    let two = first.matches("MSG q 2 ").count();
    let three = second.matches("MSG q 1 ").count();
    assert_eq!(first.matches("MSG q 3 ").count(), 300);
    assert_eq!(one + two + three, 300);
    assert!(one > 50 && two > 50 && three > 50, "{one} {two} {three}");
    Ok(())
}

#[tokio::test]
async fn no_echo_means_not_to_oneself() -> Outcome {
    let broker = Broker::start().await?;
    let mut quiet = Raw::connect(&broker).await?;
    quiet.send("CONNECT {\"verbose\":false,\"echo\":false,\"headers\":true,\"no_responders\":true}\r\n").await?;
    quiet.send("SUB a 1\r\nSUB r 2\r\nPUB a 0\r\n\r\nPUB a r 0\r\n\r\nPING\r\n").await?;
    let got = quiet.until("PONG\r\n").await?;
    assert!(!got.contains("MSG a "), "{got}");
    assert!(got.contains("HMSG r 2 33 33\r\nNATS/1.0 503\r\nNats-Subject: a\r\n\r\n\r\n"), "{got}");
    Ok(())
}

#[tokio::test]
async fn a_client_without_headers_gets_the_message_without_them() -> Outcome {
    let broker = Broker::start().await?;
    let mut old = Raw::connect(&broker).await?;
    old.send("CONNECT {\"verbose\":false}\r\nSUB a 1\r\nPING\r\n").await?;
    old.until("PONG\r\n").await?;
    let mut publisher = Raw::connected(&broker).await?;
    publisher.send("HPUB a r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nOK\r\n").await?;
    old.expect("MSG a 1 r 2\r\nOK\r\n").await?;
    old.send("HPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n").await?;
    assert_eq!(read_until_closed(&mut old).await?, "");
    Ok(())
}

#[tokio::test]
async fn without_header_support_it_says_so_and_refuses() -> Outcome {
    let broker = Broker::builder().headers(false).start().await?;
    let mut client = Raw::connect(&broker).await?;
    assert!(client.info.contains("\"headers\":false"), "{}", client.info);
    client.send("CONNECT {\"headers\":true,\"no_responders\":true}\r\n").await?;
    let end = read_until_closed(&mut client).await?;
    assert_eq!(end, "-ERR 'no responders requires headers support'\r\n");
    Ok(())
}

#[tokio::test]
async fn verbose_is_the_default_until_connect_says_otherwise() -> Outcome {
    let broker = Broker::start().await?;
    let mut client = Raw::connect(&broker).await?;
    client.send("SUB a 1\r\nPUB b 0\r\n\r\nUNSUB 1\r\nPING\r\nCONNECT {\"verbose\":false}\r\nSUB a 1\r\n").await?;
    client.expect("+OK\r\n+OK\r\n+OK\r\nPONG\r\n").await?;
    client.send("PUB a 0\r\n\r\n").await?;
    client.expect("MSG a 1 0\r\n\r\n").await?;
    Ok(())
}

#[tokio::test]
async fn unsubscribe_counts_as_servers_count() -> Outcome {
    let broker = Broker::start().await?;
    let mut client = Raw::connected(&broker).await?;
    let publish = "PUB a 0\r\n\r\n";
    // A later UNSUB overrides an earlier one; one for what was delivered already ends it now.
    client.send(&format!("SUB a 1\r\nUNSUB 1 1\r\nUNSUB 1 3\r\n{}PING\r\n", publish.repeat(5))).await?;
    let got = client.until("PONG\r\n").await?;
    assert_eq!(got.matches("MSG a 1").count(), 3);
    client.send(&format!("SUB a 1\r\n{}UNSUB 1 2\r\n{publish}PING\r\n", publish.repeat(2))).await?;
    let got = client.until("PONG\r\n").await?;
    assert_eq!(got.matches("MSG a 1").count(), 2);
    // A live sid: the second SUB is ignored.
    client.send("SUB a 1\r\nSUB b 1\r\nPUB b 0\r\n\r\nPUB a 0\r\n\r\nPING\r\n").await?;
    client.expect("MSG a 1 0\r\n\r\nPONG\r\n").await?;
    assert_eq!(broker.subscriptions(), [("a".to_owned(), None)]);
    // A second CONNECT drops all subscriptions.
    client.send("CONNECT {\"verbose\":false}\r\nPUB a 0\r\n\r\nPING\r\n").await?;
    client.expect("PONG\r\n").await?;
    assert_eq!(broker.subscription_count(), 0);
    Ok(())
}

#[tokio::test]
async fn subjects_that_cannot_be_subscribed_to() -> Outcome {
    let broker = Broker::start().await?;
    let mut client = Raw::connected(&broker).await?;
    for subject in ["a..b", ".a", "a.", "a.>.b", ">.>"] {
        client.send(&format!("SUB {subject} 1\r\n")).await?;
        client.expect("-ERR 'Invalid Subject'\r\n").await?;
    }
    // As deep as a control line allows.
    let deep = ["x"; 2000].join(".");
    client.send(&format!("SUB {deep} 1\r\nPUB {deep} 0\r\n\r\nUNSUB 1\r\nPING\r\n")).await?;
    client.expect(&format!("MSG {deep} 1 0\r\n\r\nPONG\r\n")).await?;
    Ok(())
}

#[tokio::test]
async fn credentials() -> Outcome {
    let builder = Broker::builder().user("ada", "pw").token("t0ken").auth_timeout(Duration::from_millis(100));
    let broker = builder.start().await?;
    for good in ["\"user\":\"ada\",\"pass\":\"pw\"", "\"auth_token\":\"t0ken\""] {
        let mut client = Raw::connect(&broker).await?;
        assert!(client.info.contains("\"auth_required\":true"));
        client.send(&format!("CONNECT {{\"verbose\":true,{good}}}\r\nPING\r\n")).await?;
        client.expect("+OK\r\nPONG\r\n").await?;
        assert_eq!(broker.connections(), 1);
        drop(client);
        broker.wait_for_connections(0).await?;
    }
    for bad in ["CONNECT {\"user\":\"ada\",\"pass\":\"t0ken\"}\r\n", "CONNECT {}\r\n", "PING\r\n"] {
        let mut client = Raw::connect(&broker).await?;
        client.send(bad).await?;
        let end = read_until_closed(&mut client).await?;
        assert_eq!(end, "-ERR 'Authorization Violation'\r\n");
    }
    let mut silent = Raw::connect(&broker).await?;
    let end = read_until_closed(&mut silent).await?;
    assert_eq!(end, "-ERR 'Authentication Timeout'\r\n");
    broker.reject_logins(true);
    let mut client = Raw::connect(&broker).await?;
    client.send("CONNECT {\"auth_token\":\"t0ken\"}\r\n").await?;
    assert!(read_until_closed(&mut client).await?.contains("Authorization"));
    assert_eq!(broker.sockets(), 0);
    Ok(())
}

#[tokio::test]
async fn limits() -> Outcome {
    let broker = Broker::builder().max_payload(10).max_connections(1).start().await?;
    let mut client = Raw::connected(&broker).await?;
    let mut second = Raw::connect(&broker).await?;
    let end = read_until_closed(&mut second).await?;
    assert_eq!(end, "-ERR 'maximum connections exceeded'\r\n");
    broker.set_max_payload(12);
    client.send("SUB a 1\r\nPING\r\n").await?;
    client.expect("PONG\r\n").await?;
    client.send("PUB a 12\r\n123456789012\r\nPUB a 13\r\n").await?;
    client.expect("MSG a 1 12\r\n123456789012\r\n").await?;
    let end = read_until_closed(&mut client).await?;
    assert_eq!(end, "-ERR 'Maximum Payload Violation'\r\n");
    Ok(())
}

#[tokio::test]
async fn it_pings_and_gives_up_a_client_that_does_not_answer() -> Outcome {
    let builder = Broker::builder().ping_interval(Duration::from_millis(60));
    let broker = builder.start().await?;
    let mut client = Raw::connected(&broker).await?;
    client.until("PING\r\n").await?;
    client.send("PONG\r\n").await?;
    let end = read_until_closed(&mut client).await?;
    assert_eq!(end, "PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
    Ok(())
}

#[tokio::test]
async fn half_a_frame_reaches_nobody() -> Outcome {
    let broker = Broker::start().await?;
    let mut subscriber = Raw::connected(&broker).await?;
    subscriber.send("SUB > 1\r\nPING\r\n").await?;
    subscriber.expect("PONG\r\n").await?;
    for half in ["PUB a 5\r\nhel", "PUB a 2\r\nhi\r", "PUB a", "HPUB a 12 14\r\nNATS/1.0\r\n\r\nh"] {
        let mut publisher = Raw::connected(&broker).await?;
        publisher.send(half).await?;
        drop(publisher);
        broker.wait_until("end", |broker| broker.connections() == 1).await?;
    }
    subscriber.send("PUB b 0\r\n\r\n").await?;
    subscriber.expect("MSG b 1 0\r\n\r\n").await?;
    assert_eq!(broker.messages_in(), 1);
    Ok(())
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_cut_and_holds_nobody_up_for_long() -> Outcome {
    let broker = Broker::builder().max_pending(8 << 20).start().await?;
    let mut slow = Raw::connected(&broker).await?;
    slow.send("SUB a 1\r\nPING\r\n").await?;
    slow.expect("PONG\r\n").await?;
    let mut publisher = Raw::connected(&broker).await?;
    let payload = "x".repeat(100_000);
    let frame = format!("PUB a {}\r\n{payload}\r\n", payload.len());
    for _ in 0..300 {
        publisher.send(&frame).await?;
    }
    publisher.send("PING\r\n").await?;
    publisher.expect("PONG\r\n").await?;
    assert_eq!(broker.connections(), 1);
    let got = read_until_closed(&mut slow).await?;
    assert!(got.len() < 300 * payload.len());
    assert!(!got.contains("-ERR"));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_under_load() -> Outcome {
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let cluster = Broker::cluster(2).await?;
    let before = descriptors();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut clients = Vec::new();
    for index in 0..6 {
        let addr = cluster[index % 2].addr();
        let stop = stop.clone();
        clients.push(tokio::spawn(async move {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok(mut client) = Raw::connect_to(addr).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let text = "CONNECT {\"verbose\":false}\r\nSUB a 1\r\nSUB b.* g 2\r\n".to_owned();
                let text = text + &"PUB a 1\r\nx\r\nPUB b.c 1\r\ny\r\n".repeat(200);
                while client.send(&text).await.is_ok() && client.until("x\r\n").await.is_ok() {}
            }
        }));
    }
    for round in 0..60 {
        let broker = &cluster[round % 2];
        broker.wait_for_subscriptions(1).await?;
        match round % 5 {
            0 => broker.refuse(true),
            1 => broker.stall(),
            2 => broker.cut_after(1000),
            3 => assert!(broker.disconnect_all() > 0),
            _ => {}
        }
        broker.kill();
        assert_eq!((broker.sockets(), broker.subscription_count()), (0, 0), "{round}");
        broker.refuse(false);
        broker.resume();
        broker.restart().await?;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for broker in cluster.iter() {
        broker.disconnect_all();
        broker.close_on_accept(true);
    }
    for client in clients {
        client.await?;
    }
    for broker in cluster.iter() {
        broker.wait_until("sockets", |broker| broker.sockets() == 0).await?;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(descriptors() <= before + 2, "{before} then {}", descriptors());
    drop(cluster);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    Ok(())
}

#[test]
fn the_sink_counts_and_answers_in_order_however_the_bytes_are_cut() -> Outcome {
    let block = "pub a 0003\r\nxyz\r\nHPUB a.b r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPING\r\nSUB a 1\r\n".repeat(50)
        + "PUB a.b 300000\r\n"
        + &"P".repeat(300_000)
        + "\r\nPING\r\n";
    for piece in [1 << 20, 4096, 7] {
        let sink = Sink::start()?;
        let mut client = std::net::TcpStream::connect(sink.addr())?;
        let mut answers = client.try_clone()?;
        let reader = std::thread::spawn(move || {
            let mut received = String::new();
            answers.read_to_string(&mut received).map(|_| received)
        });
        for bytes in block.as_bytes().chunks(piece) {
            client.write_all(bytes)?;
        }
        client.shutdown(std::net::Shutdown::Write)?;
        let received = reader.join().unwrap()?;
        assert_eq!(received.matches("PONG\r\n").count(), 51);
        assert_eq!((sink.messages(), sink.bytes()), (101, block.len() as u64), "{piece}");
    }
    // What does not end where it said is no figure to build on.
    let sink = Sink::start()?;
    let mut client = std::net::TcpStream::connect(sink.addr())?;
    client.write_all(b"PUB a 2\r\nxyz\r\nPUB a 2\r\nxy\r\n")?;
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap_or(0);
    assert_eq!(sink.messages(), 1);
    Ok(())
}

#[test]
fn the_source_sends_as_many_as_it_promised_and_ends_when_dropped() -> Outcome {
    let source = Source::start(20_000, 100)?;
    let mut client = std::net::TcpStream::connect(source.addr())?;
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    client.write_all(b"CONNECT {}\r\nSUB a.* 7\r\nPING\r\nSUB b 8\r\n")?;
    // INFO, PONG, and the two lots.
    let messages = 20_000 * ("MSG a.* 7 100\r\n\r\n".len() + "MSG b 8 100\r\n\r\n".len() + 200);
    let mut received = String::new();
    let mut piece = [0; 4096];
    loop {
        let info = received.find('\n').map_or(usize::MAX / 2, |end| end + 1);
        if received.len() >= info + "PONG\r\n".len() + messages {
            break;
        }
        let got = client.read(&mut piece)?;
        assert!(got > 0);
        received.push_str(std::str::from_utf8(&piece[..got])?);
    }
    assert_eq!(received.matches("MSG a.* 7 100\r\n").count(), 20_000);
    assert_eq!(received.matches("MSG b 8 100\r\n").count(), 20_000);
    assert_eq!(received.matches("PONG\r\n").count(), 1);
    assert_eq!(source.sent(), 40_000);
    drop(source);
    assert_eq!(client.read(&mut piece).unwrap_or(0), 0);
    Ok(())
}
