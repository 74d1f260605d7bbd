//! Runtimes that are busy elsewhere, processes that are stopped, lines that are slow, peers that never pause, and users' code
//! that panics.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::connection::{ConnectionEvent, Status};
use nats_lifeline::options::RequestOptions;
use nats_lifeline::testing::Broker;
use nats_lifeline::{ConnectOptions, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::support::line::line;
use crate::support::{Direction, Proxy, SOON, Server, Timeline, soon, within};

fn lost(event: &ConnectionEvent) -> bool {
    matches!(event, ConnectionEvent::Disconnected { .. })
}

/// A server in a process of its own: nothing here can starve it.
fn server() -> (tokio::runtime::Runtime, Server) {
    let beside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = beside.block_on(Server::start());
    (beside, server)
}

fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Enough turns for the connection's task to write what it was given; too few for an answer to be read.
async fn few_turns() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

// Fault A2. No test computed without an await for longer than a deadline of the connection.
#[test]
fn a_runtime_that_computes_for_longer_than_all_deadlines_keeps_its_connection() {
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
            // It is under way: the PING is written, and its PONG comes while nobody looks.
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
fn an_answer_that_came_while_the_runtime_computed_is_in_time() {
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
        // The request goes out in the turns, and its answer is there long before the runtime looks again.
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

/// Stops a publishing program and lets it go on. `ping`: its interval in seconds, 0 for the default.
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
    // A PING is out, and its PONG comes while the program can't read it.
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

// Fault A2. The servers were stopped in tests, never the client itself.
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

/// `messages` of 8 KiB over a line that passes `rate` bytes a second.
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

// Fault A3. The peers of all tests read everything or nothing; none read slowly without a pause for longer than the deadlines.
#[tokio::test]
async fn a_tunnel_that_reads_slowly_without_a_pause_is_not_left() {
    let options = ConnectOptions::new()
        .publish_timeout(Duration::from_secs(300))
        .write_timeout(Duration::from_secs(2))
        .ping_interval(Duration::from_secs(4));
    // The defaults at 40 kB/s, five times as fast: 2 MiB in ten seconds, with a deadline of two for writing.
    tunnel(options, 200_000, 256).await;
}

// Fault A3, at full length: `cargo test --test faults tunnel_of_forty -- --ignored`.
#[tokio::test]
#[ignore = "takes two minutes"]
async fn a_tunnel_of_forty_kilobytes_a_second_is_not_left_at_default_options() {
    tunnel(ConnectOptions::new().publish_timeout(Duration::from_secs(300)), 40_000, 512).await;
}

/// A stream over a socket that breaks the rules in some way.
struct Odd {
    stream: TcpStream,
    /// Nothing but `+OK` comes from it, and it is always ready.
    chatters: Arc<AtomicBool>,
    /// Its next call panics, once.
    panics: Arc<AtomicBool>,
}

impl Odd {
    fn maybe_panic(&self) {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "this stream panics, as the test wants it to");
    }
}

impl AsyncRead for Odd {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.maybe_panic();
        if self.chatters.load(Ordering::SeqCst) {
            while buf.remaining() >= 5 {
                buf.put_slice(b"+OK\r\n");
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Odd {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Options whose streams are odd, as far as the switches say.
fn odd() -> (ConnectOptions, Arc<AtomicBool>, Arc<AtomicBool>) {
    let (chatters, panics) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let switches = (chatters.clone(), panics.clone());
    let options = ConnectOptions::new().dialer(move |server| {
        let (chatters, panics) = switches.clone();
        async move {
            let stream = TcpStream::connect((server.host().to_owned(), server.port())).await?;
            Ok(Odd { stream, chatters, panics })
        }
    });
    (options, chatters, panics)
}

// Fault A5. Peers in tests stopped sending when they were left.
#[test]
fn a_peer_that_never_stops_sending_does_not_keep_the_client_from_closing() {
    let (_beside, server) = server();
    one_thread().block_on(leave_a_chatterer(&server));
}

async fn leave_a_chatterer(server: &Server) {
    let (options, chatters, _) = odd();
    let client = options.connect(server.url()).await.unwrap();
    client.flush().await.unwrap();
    // Others have their turn all the time.
    let turns = tokio::spawn(async {
        let mut longest = Duration::ZERO;
        for _ in 0..1000 {
            let begun = Instant::now();
            tokio::task::yield_now().await;
            longest = longest.max(begun.elapsed());
        }
        longest
    });
    chatters.store(true, Ordering::SeqCst);
    client.force_reconnect().await.unwrap();
    soon("others run", turns).await.unwrap();
    // It may say that no PONG came: this peer sends none.
    let _ = soon("close", client.close()).await;
    assert_eq!(client.status(), Status::Closed);
}

// Fault A6. Durations in tests were such as people choose with care.
#[tokio::test]
async fn no_deadline_at_all_can_be_said_wherever_a_time_is_given() {
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
fn a_request_between_two_tries_fails_when_its_runtime_goes() {
    let beside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let broker = beside.block_on(Broker::start()).unwrap();
    let drives = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = drives.block_on(nats_lifeline::connect(broker.url())).unwrap();
    let (report, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // A runtime without timers of its own: those of the connection's runtime are used.
        let plain = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let patient = RequestOptions::new().retries(1000).backoff(Duration::from_secs(600));
        let request = Request::new().timeout(Some(Duration::from_secs(3600)));
        report.send(plain.block_on(client.request_with("nobody", request, patient))).unwrap();
    });
    // Nobody answers: no responders, and then a long pause, in which the runtime goes.
    while broker.messages_in() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(200));
    drives.shutdown_background();
    let outcome = answer.recv_timeout(SOON).expect("an error, not a panic or a hang");
    assert!(outcome.is_err(), "{outcome:?}");
}

// Fault A9. No test drained a subscription that nobody reads.
#[tokio::test]
async fn a_drain_does_not_wait_for_subscriptions_that_nobody_reads() {
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

    // And two that are read one after the other.
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

/// Bytes whose owner panics when they are dropped.
struct Cursed(Vec<u8>);

impl AsRef<[u8]> for Cursed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Cursed {
    fn drop(&mut self) {
        panic!("this owner panics, as the test wants it to");
    }
}

// Fault A11. Users' callbacks panicked in tests, their streams and destructors never.
#[tokio::test]
async fn a_stream_or_a_destructor_that_panics_is_not_the_end_of_the_client() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("x", "1").await;
    let (options, _, panics) = odd();
    let client = options.connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    panics.store(true, Ordering::SeqCst);
    // It is noticed with the next byte.
    let _ = client.publish("x", "0".into()).await;
    timeline.disconnected(0).await;
    timeline.reconnected(0).await;
    client.publish("x", "1".into()).await.unwrap();
    soon("the flush", client.flush()).await.ok();
    // Large enough to be shared, so that it is dropped by the connection.
    client.publish("x", Bytes::from_owner(Cursed(vec![b'c'; 200_000]))).await.unwrap();
    soon("the next flush", client.flush()).await.unwrap();
    client.publish("x", "2".into()).await.unwrap();
    soon("the last flush", client.flush()).await.unwrap();
    assert_eq!(client.status(), Status::Connected);
    let sizes: Vec<usize> = raw.received().await.iter().map(|message| message.payload.len()).collect();
    assert!(sizes.ends_with(&[1, 200_000, 1]), "{sizes:?}");
}

// Fault A8, its sibling: a subscription that the connection's task never came to hear of.
#[test]
fn a_stream_that_was_just_begun_ends_when_its_runtime_goes() {
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

// Fault A9, its sibling: without a connection nobody says that nothing more comes.
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

struct Angry;

impl std::task::Wake for Angry {
    fn wake(self: Arc<Self>) {
        panic!("this waker panics, as the test wants it to");
    }
}

// Fault A11, its sibling: wakers are users' code too.
#[tokio::test]
async fn a_waker_that_panics_is_not_the_end_of_the_client() {
    let server = Server::start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let angry = std::task::Waker::from(Arc::new(Angry));
    let mut cx = Context::from_waker(&angry);
    let mut events = client.events();
    let mut waiting = Box::pin(events.recv());
    let mut flushing = Box::pin(client.flush());
    let mut subscriber = client.subscribe("a").await.unwrap();
    assert!(Future::poll(waiting.as_mut(), &mut cx).is_pending());
    assert!(Future::poll(flushing.as_mut(), &mut cx).is_pending());
    assert!(subscriber.poll_next_unpin(&mut cx).is_pending());
    client.publish("a", "1".into()).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    client.force_reconnect().await.unwrap();
    soon("a flush over another connection", client.flush()).await.unwrap();
    assert_eq!(client.status(), Status::Connected);
    soon("close", client.close()).await.unwrap();
    assert_eq!(client.status(), Status::Closed);
}
