//! Rows A: runtimes that are busy, processes that are stopped, slow lines, ends of runtimes, drains.

use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::options::RequestOptions;
use nats_lifeline::testing::Broker;
use nats_lifeline::{ConnectOptions, Request};

use crate::support::line::line;
use crate::support::{Direction, Proxy, SOON, Server, Timeline, soon, within};

fn lost(event: &ConnectionEvent) -> bool {
    matches!(event, ConnectionEvent::Disconnected { .. })
}

/// A server in its own process: nothing here can starve it.
pub(super) fn server() -> (tokio::runtime::Runtime, Server) {
    let beside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = beside.block_on(Server::start());
    (beside, server)
}

pub(super) fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Enough polls for the connection's task to write, but too few for an answer to be read.
async fn few_turns() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

// Fault A2. No test blocked the runtime for longer than a deadline of the connection.
#[test]
fn a_runtime_that_is_busy_for_longer_than_all_deadlines_keeps_its_connection() {
    let (_beside, server) = server();
    one_thread().block_on(async {
        let client = ConnectOptions::new().ping_interval(Duration::from_secs(1)).connect(server.url()).await.unwrap();
        let timeline = Timeline::of(&client);
        for _ in 0..2 {
            client.publish("work", "before".into()).await.unwrap();
            let flushing = tokio::spawn({
                let client = client.clone();
                async move { client.flush().await }
            });
            // A PING was written; its PONG arrives while the runtime is busy.
            few_turns().await;
            std::thread::sleep(Duration::from_secs(4));
            client.publish("work", "after".into()).await.unwrap();
            soon("the flush", flushing).await.unwrap().unwrap();
            soon("another flush", client.flush()).await.unwrap();
        }
        assert_eq!((client.stats().in_doubt, client.stats().reconnects), (0, 0));
        assert_eq!(timeline.count(lost), 0);
    });
}

// Fault A2, its sibling: the deadlines of calls pass in the same way.
#[test]
fn an_answer_that_arrived_while_the_runtime_was_busy_is_in_time() {
    let (beside, server) = server();
    let url = server.url();
    beside.spawn(async move {
        let service = nats_lifeline::connect(url).await.unwrap();
        let mut requests = service.subscribe("service").await.unwrap();
        while let Some(request) = requests.next().await {
            service.publish(request.reply.unwrap(), "yes".into()).await.unwrap();
        }
    });
    one_thread().block_on(async {
        let client = nats_lifeline::connect(server.url()).await.unwrap();
        let ask = async || client.send_request("service", Request::new().timeout(Some(Duration::from_secs(1)))).await;
        while ask().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The request is sent during these polls, and its answer arrives long before the runtime polls again.
        let busy = async {
            few_turns().await;
            std::thread::sleep(Duration::from_secs(2));
        };
        let (answer, ()) = futures_util::future::join(
            client.send_request("service", Request::new().timeout(Some(Duration::from_millis(1_500)))),
            busy,
        )
        .await;
        assert_eq!(answer.unwrap().payload, "yes");
    });
}

const ROLE: &str = "NATS_LIFELINE_FAULTS_SERVER";

/// The program that is stopped: it publishes all the time, and reports at the end.
#[test]
#[ignore = "only for the test that starts it"]
fn stopped_child() {
    let Ok(url) = std::env::var(ROLE) else { panic!("this is a part of another test") };
    let seconds: u64 = std::env::var("NATS_LIFELINE_FAULTS_PING").unwrap().parse().unwrap();
    one_thread().block_on(async {
        let mut options = ConnectOptions::new();
        if seconds > 0 {
            options = options.ping_interval(Duration::from_secs(seconds));
        }
        let client = options.connect(url).await.unwrap();
        let mut stop = client.subscribe("stop").await.unwrap();
        client.flush().await.unwrap();
        loop {
            client.publish("work", "x".into()).await.unwrap();
            if tokio::time::timeout(Duration::from_millis(20), stop.next()).await.is_ok() {
                break;
            }
        }
        client.flush().await.unwrap();
        println!("reconnects {}, in doubt {}", client.stats().reconnects, client.stats().in_doubt);
    });
}

/// Stops a publishing program and continues it. `ping`: its interval in seconds, 0 for the default.
async fn stopped_for(pause: Duration, ping: u64) {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let mut raw = server.raw().await;
    raw.subscribe("work", "1").await;
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "runtimes::stopped_child", "--ignored", "--nocapture"])
        .env(ROLE, proxy.url())
        .env("NATS_LIFELINE_FAULTS_PING", ping.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    soon("the program publishes", raw.next_n(10)).await;
    let pid = child.id().unwrap().to_string();
    let signal = |name: &'static str| {
        let status = std::process::Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(status.success());
    };
    // A PING is out, and its PONG arrives while the program is stopped.
    proxy.freeze(Direction::ToClient);
    tokio::time::sleep(Duration::from_millis(500)).await;
    signal("-STOP");
    proxy.unfreeze(Direction::ToClient);
    tokio::time::sleep(pause).await;
    signal("-CONT");
    let before = raw.waiting().await;
    soon("it publishes again", raw.next_n(before + 10)).await;
    raw.publish("stop", "now").await;
    raw.sync().await;
    let output = soon("the end", child.wait_with_output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("reconnects 0, in doubt 0"), "{said}");
}

// Fault A2. Tests stopped servers, but never the client itself.
#[cfg(unix)]
#[tokio::test]
async fn a_program_that_was_stopped_for_longer_than_all_deadlines_is_still_connected() {
    stopped_for(Duration::from_secs(6), 1).await;
}

// Fault A2, at full length: `cargo test --test faults stopped_for_a_minute -- --ignored`.
#[cfg(unix)]
#[tokio::test]
#[ignore = "takes a minute"]
async fn a_program_that_was_stopped_for_a_minute_is_still_connected() {
    stopped_for(Duration::from_secs(60), 0).await;
}

/// Sends `messages` of 8 KiB over a line that passes `rate` bytes a second.
async fn tunnel(options: ConnectOptions, rate: u64, messages: usize) {
    let mut line = line(options).await;
    line.proxy.throttle(Direction::ToServer, Some(rate));
    let payload = Bytes::from(vec![b'p'; 8 * 1024]);
    for _ in 0..messages {
        line.client.publish("bulk", payload.clone()).await.unwrap();
    }
    let mut arrived = 0;
    let begun = Instant::now();
    while arrived < messages {
        arrived += line.raw.received().await.len();
        assert!(begun.elapsed() < Duration::from_secs(600), "{arrived} of {messages}");
        assert_eq!(line.timeline.count(lost), 0, "after {arrived} of {messages}: {:?}", line.timeline.all());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    within("all of it is confirmed", SOON * 3, async {
        while line.client.stats().confirmed < messages as u64 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!((line.client.stats().in_doubt, line.client.stats().reconnects), (0, 0));
}

// Fault A3. The peers of all tests read everything or nothing; none read slowly without a pause for longer than the
// deadlines.
#[tokio::test]
async fn a_slow_tunnel_that_reads_without_a_pause_is_kept() {
    let options = ConnectOptions::new()
        .publish_timeout(Duration::from_secs(300))
        .write_timeout(Duration::from_secs(2))
        .ping_interval(Duration::from_secs(4));
    // Five times the rate of the 40 kB/s test: 2 MiB in ten seconds, with a write timeout of two.
    tunnel(options, 200_000, 256).await;
}

// Fault A3, at full length: `cargo test --test faults tunnel_of_forty -- --ignored`.
#[tokio::test]
#[ignore = "takes two minutes"]
async fn a_tunnel_of_forty_kilobytes_a_second_is_kept_with_default_options() {
    tunnel(ConnectOptions::new().publish_timeout(Duration::from_secs(300)), 40_000, 512).await;
}

// Fault A6. Durations in tests were sensible ones.
#[tokio::test]
async fn duration_max_is_accepted_wherever_a_time_is_given() {
    let server = Server::start().await;
    let never = Duration::MAX;
    let client = ConnectOptions::new()
        .ping_interval(never)
        .write_timeout(never)
        .connection_timeout(never)
        .publish_timeout(never)
        .slow_consumer_grace(never)
        .connect(server.url())
        .await
        .unwrap();
    let _unread = client.subscribe("x").await.unwrap();
    for number in 0..10 {
        client.publish("y", format!("{number}").into()).await.unwrap();
    }
    soon("the flush", client.flush()).await.unwrap();
    let report = soon("the drain", client.drain_and_close(never)).await.unwrap();
    assert!(report.completed, "{report:?}");
    assert_eq!(client.stats().confirmed, 10);
}

// Fault A8. Runtimes ended in tests while a request waited for its answer, never between two tries.
#[test]
fn a_request_between_two_tries_fails_when_its_runtime_ends() {
    let beside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = beside.block_on(Broker::start()).unwrap();
    let drives = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = drives.block_on(nats_lifeline::connect(broker.url())).unwrap();
    let (report, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // This runtime has no timers: those of the connection's runtime are used.
        let plain = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let patient = RequestOptions::new().retries(1000).backoff(Duration::from_secs(600));
        let request = Request::new().timeout(Some(Duration::from_secs(3600)));
        report.send(plain.block_on(client.request_with("nobody", request, patient))).unwrap();
    });
    // No responders, and then a long pause, in which the runtime ends.
    while broker.messages_in() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(200));
    drives.shutdown_background();
    let outcome = answer.recv_timeout(SOON).expect("an error, not a panic or a hang");
    assert!(outcome.is_err(), "{outcome:?}");
}

// Fault A9. No test drained an unread subscription.
#[tokio::test]
async fn a_drain_does_not_wait_for_unread_subscriptions() {
    let server = Server::start().await;
    let long = Duration::from_secs(300);
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let _never_polled = client.subscribe("a").await.unwrap();
    let mut given_up = client.subscribe("b").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), given_up.next()).await.is_err());
    let mut read_once = client.subscribe("c").await.unwrap();
    client.publish("c", "1".into()).await.unwrap();
    assert_eq!(soon("the message", read_once.next()).await.unwrap().payload, "1");
    let report = soon("the drain", client.drain_and_close(long)).await.unwrap();
    assert!(report.completed, "{report:?}");

    // And two subscriptions that are read one after the other.
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut first = client.subscribe("a").await.unwrap();
    let mut second = client.subscribe("b").await.unwrap();
    for number in 0..10 {
        client.publish("a", format!("{number}").into()).await.unwrap();
        client.publish("b", format!("{number}").into()).await.unwrap();
    }
    client.flush().await.unwrap();
    let reads = tokio::spawn(async move {
        let first: Vec<_> = first.by_ref().map(|message| message.payload).collect().await;
        let second: Vec<_> = second.by_ref().map(|message| message.payload).collect().await;
        (first.len(), second.len())
    });
    let report = soon("the drain", client.drain_and_close(long)).await.unwrap();
    assert!(report.completed, "{report:?}");
    assert_eq!(soon("both were read", reads).await.unwrap(), (10, 10));
}

// Fault A8, its sibling: a subscription that the connection's task never received.
#[test]
fn a_new_stream_ends_when_its_runtime_ends() {
    let beside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = beside.block_on(Broker::start()).unwrap();
    let drives = one_thread();
    let (client, mut unheard) = drives.block_on(async {
        let client = nats_lifeline::connect(broker.url()).await.unwrap();
        let unheard = client.subscribe("a").await.unwrap();
        (client, unheard)
    });
    drop(drives);
    let ended = beside.block_on(soon("the end of the stream", unheard.next()));
    assert!(ended.is_none() && unheard.end_reason().is_some(), "{:?}", unheard.end_reason());
    drop(client);
}

// Fault A9, its sibling: without a connection no PONG ends the subscription.
#[tokio::test]
async fn a_drain_that_begins_with_the_loss_ends_empty_subscriptions_immediately() {
    let mut server = Server::start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let mut empty = client.subscribe("a").await.unwrap();
    client.flush().await.unwrap();
    server.stop();
    client.drain().await.unwrap();
    server.kill();
    assert!(soon("the end of the stream", empty.next()).await.is_none());
}
