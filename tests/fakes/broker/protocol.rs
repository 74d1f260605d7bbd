//! What a client sees of a broker that is well.

use super::Outcome;
use super::raw::{Raw, read_until_closed};
use nats_lifeline::testing::Broker;
use std::time::Duration;

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
async fn one_subscription_too_many_is_refused_and_the_connection_stays() -> Outcome {
    let broker = Broker::builder().max_subscriptions(2).start().await?;
    let mut client = Raw::connected(&broker).await?;
    client.send("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n").await?;
    client.expect("-ERR 'maximum subscriptions exceeded'\r\n").await?;
    client.send("UNSUB 1\r\nSUB c 3\r\nPUB c 0\r\n\r\n").await?;
    client.expect("MSG c 3 0\r\n\r\n").await?;
    assert_eq!(broker.subscriptions(), [("b".to_owned(), None), ("c".to_owned(), None)]);
    // The limit is one of each connection, and this crate's client reports it.
    let client = nats_lifeline::connect(broker.url()).await?;
    let _first = client.subscribe_confirmed("a").await?;
    let second = client.subscribe_confirmed("b").await?;
    assert!(client.subscribe_confirmed("c").await.is_err());
    drop(second);
    let _third = client.subscribe_confirmed("c").await?;
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
