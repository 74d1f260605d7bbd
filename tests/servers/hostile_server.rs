//! Servers that send invalid bytes: a typed error or a recovery, within the deadline, and the other servers are used.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use nats_lifeline::{Client, ConnectErrorKind, ConnectOptions, Event};
use tokio::sync::Notify;

use crate::support::{
    CallbackLog, SOON, Server,
    fake::{Conversation, Fake, INFO},
    soon, within,
};

async fn works(client: &Client) {
    let inbox = client.new_inbox();
    let mut own = soon("a subscription", client.subscribe(inbox.clone())).await.unwrap();
    soon("a publish", client.publish(inbox, "x".into())).await.unwrap();
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "x");
}

/// Alone, the script makes `connect` fail with that kind; with a valid server after it, that one is used.
async fn never_greets<F, Fut>(script: F, kind: ConnectErrorKind)
where
    F: Fn(Conversation, usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let fake = Fake::start(script).await;
    let options = || ConnectOptions::new().retain_servers_order().connection_timeout(Duration::from_secs(1));
    let begin = Instant::now();
    let error = soon("an error", options().connect(fake.url())).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    if kind == ConnectErrorKind::TimedOut {
        assert!(begin.elapsed() >= Duration::from_secs(1));
    }
    let good = Server::start().await;
    let client = soon("a connection", options().connect(vec![fake.url(), good.url()])).await.unwrap();
    assert_eq!(client.server_info().port, good.port());
    works(&client).await;
}

/// The first connection completes the handshake and then follows the script; later ones
/// are served normally.
async fn then_misbehaves<F, Fut>(script: F) -> (Fake, Client, CallbackLog)
where
    F: Fn(Conversation) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let script = Arc::new(script);
    let go = Arc::new(Notify::new());
    let connected = Arc::clone(&go);
    let fake = Fake::start(move |mut conversation, number| {
        let (script, connected) = (Arc::clone(&script), Arc::clone(&connected));
        async move {
            if conversation.handshake().await {
                if number == 0 {
                    connected.notified().await;
                    script(conversation).await;
                } else {
                    conversation.serve().await;
                }
            }
        }
    })
    .await;
    let log = CallbackLog::new();
    let options = ConnectOptions::new().event_callback(log.callback());
    let client = soon("a connection", options.connect(fake.url())).await.unwrap();
    go.notify_one();
    (fake, client, log)
}

// Scenario 8
#[tokio::test]
async fn a_server_that_never_sends_info_is_left_after_the_timeout() {
    never_greets(|mut conversation, _| async move { conversation.ignore().await }, ConnectErrorKind::TimedOut).await;
}

// Scenario 9
#[tokio::test]
async fn an_info_byte_by_byte_does_not_extend_the_timeout() {
    let drip = |mut conversation: Conversation, _| async move {
        for byte in INFO.bytes() {
            conversation.say([byte]).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    never_greets(drip, ConnectErrorKind::TimedOut).await;
}

// Scenario 9: the same, fast enough
#[tokio::test]
async fn an_info_byte_by_byte_is_parsed() {
    let fake = Fake::start(|mut conversation, _| async move {
        for byte in INFO.bytes() {
            conversation.say([byte]).await;
            tokio::task::yield_now().await;
        }
        while let Some(line) = conversation.hear().await {
            if line == "PING" {
                for byte in "PONG\r\n".bytes() {
                    conversation.say([byte]).await;
                }
            }
        }
    })
    .await;
    let client = soon("a connection", nats_lifeline::connect(fake.url())).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
}

// Scenario 10
#[tokio::test]
async fn a_server_that_closes_immediately_is_left() {
    never_greets(|_conversation, _| async {}, ConnectErrorKind::Io).await;
    never_greets(|conversation, _| async move { conversation.reset() }, ConnectErrorKind::Io).await;
}

// Scenario 12
#[tokio::test]
async fn a_server_that_sends_info_and_closes_is_left() {
    never_greets(|mut conversation, _| async move { conversation.say(INFO).await }, ConnectErrorKind::Io).await;
}

// Scenario 13
#[tokio::test]
async fn a_server_that_never_answers_the_ping_is_left() {
    let mute = |mut conversation: Conversation, _| async move {
        conversation.say(INFO).await;
        conversation.ignore().await;
    };
    never_greets(mute, ConnectErrorKind::TimedOut).await;
}

// Hard limits: all bytes from the wire are treated as hostile
#[tokio::test]
async fn a_server_of_another_protocol_is_left_immediately() {
    for greeting in [
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n400 Bad Request",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "-ERR unknown command\r\n",
        "+OK\r\n+OK\r\n",
        "PING\r\n",
        "MSG a 1 1\r\nx\r\n",
        "INFO {\"server_id\":\r\n",
        "INFO []\r\n",
        "INFO\r\n",
        "\r\n\r\n\r\n",
        "\0\0\0\0\0\0\0\0",
    ] {
        let fake = Fake::start(move |mut conversation, _| async move {
            conversation.say(greeting).await;
            conversation.ignore().await;
        })
        .await;
        let good = Server::start().await;
        let options = ConnectOptions::new().retain_servers_order().connection_timeout(Duration::from_secs(2));
        let error = soon("an error", options.clone().connect(fake.url())).await.expect_err(greeting);
        let text = error.to_string();
        assert!(text.len() > "IO error: ".len(), "{greeting:?} is explained: {text}");
        let client = soon("a connection", options.connect(vec![fake.url(), good.url()])).await.unwrap();
        assert_eq!(client.server_info().port, good.port(), "{greeting:?}");
        works(&client).await;
    }
}

// Hard limits: a control line is limited
#[tokio::test]
async fn an_endless_info_is_refused_by_its_size() {
    let endless = |mut conversation: Conversation, _| async move {
        conversation.say("INFO {\"server_id\":\"").await;
        for _ in 0..4096 {
            conversation.say([b'x'; 1024]).await;
        }
        conversation.ignore().await;
    };
    let fake = Fake::start(endless).await;
    let options = ConnectOptions::new().connection_timeout(Duration::from_secs(600));
    let error = soon("an error long before the timeout", options.connect(fake.url())).await.unwrap_err();
    assert_ne!(error.kind(), ConnectErrorKind::TimedOut, "{error}");
}

// Scenario 66
#[tokio::test]
async fn a_message_announced_over_the_hard_cap_ends_the_connection_and_uses_no_memory() {
    for announced in
        ["MSG a 1 73400320\r\n", "HMSG a 1 10 73400320\r\n", "MSG a 1 99999999999999999999\r\n", "HMSG a 1 20 10\r\n"]
    {
        let (_fake, client, log) = then_misbehaves(move |mut conversation| async move {
            conversation.say(announced).await;
            conversation.ignore().await;
        })
        .await;
        log.times(Event::Connected, 2).await;
        soon("a flush", client.flush()).await.unwrap();
    }
}

// Hard limits: an unknown operation
#[tokio::test]
async fn invalid_bytes_on_a_live_connection_end_only_that_connection() {
    for nonsense in
        ["WHAT 1 2 3\r\n", "MSG\r\n", "MSG a 1 x\r\n", "MSG a 1 -1\r\n", "MSG a 1 3\r\nabcdef\r\n", "\u{1}\u{2}\r\n"]
    {
        let (_fake, client, log) = then_misbehaves(move |mut conversation| async move {
            conversation.say(nonsense).await;
            conversation.ignore().await;
        })
        .await;
        within(&format!("recovery from {nonsense:?}"), SOON * 2, log.times(Event::Connected, 2)).await;
        soon("a flush", client.flush()).await.unwrap();
        assert_eq!(log.count(|event| *event == Event::Disconnected), 1, "{nonsense:?}");
    }
}

// Scenario 62
#[tokio::test]
async fn a_flood_of_pongs_confirms_nothing() {
    let (_fake, client, log) = then_misbehaves(|mut conversation| async move {
        conversation.say("PONG\r\n".repeat(1000)).await;
        conversation.serve().await;
    })
    .await;
    for _ in 0..20 {
        soon("a flush", client.flush()).await.unwrap();
    }
    assert_eq!(log.count(|event| *event == Event::Disconnected), 0);
}

// Scenario 60
#[tokio::test]
async fn a_partial_message_before_the_end_is_not_delivered() {
    let (_fake, client, log) = then_misbehaves(|mut conversation| async move {
        let sub = conversation.hear().await.unwrap_or_default();
        let sid = sub.rsplit(' ').next().unwrap_or_default().to_owned();
        conversation.say(format!("MSG a {sid} 5\r\nwhole\r\nMSG a {sid} 10\r\nhalf ")).await;
    })
    .await;
    let mut own = client.subscribe("a").await.unwrap();
    assert_eq!(soon("the whole one", own.next()).await.unwrap().payload, "whole");
    log.times(Event::Connected, 2).await;
    soon("a flush", client.flush()).await.unwrap();
    own.unsubscribe().await.unwrap();
    assert!(soon("the stream ends", own.next()).await.is_none(), "half a message was delivered");
}

// Scenario 40: the pool follows the last one, and is bounded
#[tokio::test]
async fn a_thousand_infos_are_processed_and_the_last_one_counts() {
    let (_fake, client, log) = then_misbehaves(|mut conversation| async move {
        for n in 0..1000 {
            let urls = format!("\"connect_urls\":[\"a{n}.invalid:4222\",\"b{n}.invalid:4222\"],");
            conversation
                .say(INFO.replacen('{', &format!("{{{urls}"), 1).replace("1048576", &(2000 + n).to_string()))
                .await;
        }
        conversation.say("INFO {not json\r\nPING\r\n").await;
        conversation.serve().await;
    })
    .await;
    within("the last INFO", SOON, async {
        while client.max_payload() != 2999 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    soon("a flush", client.flush()).await.unwrap();
    let pool = client.server_pool().await.unwrap();
    let mut reported: Vec<&str> =
        pool.iter().filter(|server| server.is_discovered).map(|server| server.addr.host()).collect();
    reported.sort();
    assert_eq!(reported, ["a999.invalid", "b999.invalid"]);
    assert_eq!(log.count(|event| *event == Event::Disconnected), 0);
}

// Scenario 15, N8
#[tokio::test]
async fn a_flapping_server_is_not_dialled_in_a_spin() {
    let fake = Fake::start(|mut conversation, _| async move {
        conversation.handshake().await;
    })
    .await;
    let client = ConnectOptions::new().retry_on_initial_connect().connect(fake.url()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let dials = fake.accepted();
    drop(client);
    assert!(dials.len() >= 2, "it goes on trying");
    assert!(dials.len() < 30, "{} dials in 3 s", dials.len());
    let late = dials.iter().filter(|at| at.duration_since(dials[0]) > Duration::from_secs(1)).count();
    assert!(late < 12, "the pauses grow: {late} dials in the last 2 s");
}

// Scenarios 10, 57
#[tokio::test]
async fn a_server_that_closes_before_its_info_is_not_dialled_in_a_spin() {
    let fake = Fake::start(|_conversation, _| async {}).await;
    let client = ConnectOptions::new().retry_on_initial_connect().connect(fake.url()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let dials = fake.accepted();
    drop(client);
    assert!((2..30).contains(&dials.len()), "{} dials in 3 s", dials.len());
}
