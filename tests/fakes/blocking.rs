//! The blocking client: from any thread, in every state, with the deadlines of the async client.

use std::cell::RefCell;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nats_lifeline::blocking::{self, Client, TimedOut};
use nats_lifeline::client::{FlushErrorKind, SendFault};
use nats_lifeline::connection::{ConnectionEvent, EndReason, Status};
use nats_lifeline::header::HeaderMap;
use nats_lifeline::testing::Broker;
use nats_lifeline::{ConnectErrorKind, ConnectOptions, Event, PublishErrorKind, Request};
use tokio::runtime::Runtime;

use crate::support::SOON;

/// A broker on a runtime of its own.
struct World {
    runtime: Runtime,
    broker: Broker,
}

impl World {
    fn start() -> World {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = runtime.block_on(Broker::start()).unwrap();
        World { runtime, broker }
    }

    fn client(&self) -> Client {
        blocking::connect(self.broker.url()).unwrap()
    }

    fn restart(&self) {
        self.runtime.block_on(self.broker.restart()).unwrap();
    }

    fn wait_for_subscriptions(&self, number: usize) {
        self.runtime.block_on(self.broker.wait_for_subscriptions(number)).unwrap();
    }
}

/// Options whose callback shows when the client's thread ends.
fn watched(options: ConnectOptions) -> (ConnectOptions, Receiver<()>) {
    struct AtTheEnd(Sender<()>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    thread_local!(static END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) });
    let (sender, ended) = channel();
    let sender = Arc::new(Mutex::new(Some(sender)));
    let options = options.event_callback(move |_| {
        let sender = sender.clone();
        async move {
            if let Some(sender) = sender.lock().unwrap().take() {
                END.set(Some(AtTheEnd(sender)));
            }
        }
    });
    (options, ended)
}

fn echo(client: &Client, subject: &'static str) -> thread::JoinHandle<u64> {
    let (mut questions, client) = (client.subscribe_confirmed(subject).unwrap(), client.clone());
    thread::spawn(move || {
        for question in questions.by_ref() {
            client.publish(question.reply.unwrap(), question.payload).unwrap();
        }
        questions.delivered()
    })
}

// N16
#[test]
fn publishing_subscribing_and_asking_need_no_runtime() {
    let world = World::start();
    let client = world.client();
    let mut orders = client.subscribe("orders.*").unwrap();
    assert_eq!(orders.try_next().map(|order| order.payload), None);
    assert_eq!(orders.next_timeout(Duration::from_millis(20)).unwrap_err(), TimedOut);
    let mut headers = HeaderMap::new();
    headers.insert("Trace", "17");
    client.publish_with_reply_and_headers("orders.new", "answers", headers, "four wheels".into()).unwrap();
    client.flush().unwrap();
    let order = orders.next_timeout(SOON).unwrap().unwrap();
    assert_eq!((order.subject.as_str(), &order.payload[..]), ("orders.new", &b"four wheels"[..]));
    assert_eq!(order.reply.as_deref(), Some("answers"));
    assert_eq!(order.headers.unwrap().get("Trace").unwrap().as_str(), "17");
    client.publish("orders.old", "no wheels".into()).unwrap();
    assert_eq!(orders.next().unwrap().payload, "no wheels");
    assert!(client.publish_confirmed("orders.new", "one more".into()).is_confirmed());
    assert_eq!(orders.next().unwrap().payload, "one more");

    let echo = echo(&client, "echo");
    assert_eq!(client.request("echo", "ping".into()).unwrap().payload, "ping");
    let doubled: u32 = client.request_json("echo", &21).unwrap();
    assert_eq!(doubled, 21);
    let error = client.request("nobody", "".into()).unwrap_err();
    assert_eq!(error.kind(), nats_lifeline::RequestErrorKind::NoResponders);
    assert!(client.rtt().unwrap() < SOON && client.health().healthy);
    assert_eq!((client.status(), client.server_pool().unwrap().len()), (Status::Connected, 1));

    // Dropping a subscriber unsubscribes; the other two are the echo and the replies.
    drop(orders);
    client.flush().unwrap();
    world.runtime.block_on(world.broker.wait_until("two", |broker| broker.subscription_count() == 2)).unwrap();
    client.close().unwrap();
    assert_eq!(echo.join().unwrap(), 2);
}

// N16: tokio would leave a wake-up to the runtime that the call blocks
#[test]
fn calls_work_inside_of_a_runtime_in_tasks_and_in_spawn_blocking() {
    let world = World::start();
    let client = world.client();
    let echo = echo(&client, "echo");
    let calls = |client: &Client| {
        let mut ticks = client.subscribe("ticks").unwrap();
        // More than a runtime lets a task do without yielding, and more than the client lets one publish without.
        for _ in 0..2000 {
            client.publish("ticks", vec![b'x'; 1000].into()).unwrap();
        }
        for _ in 0..300 {
            drop(client.subscribe("other").unwrap());
        }
        // Each round trip uses up some of a task's budget.
        for _ in 0..200 {
            client.flush().unwrap();
        }
        assert_eq!(ticks.by_ref().take(2000).count(), 2000);
        assert_eq!(ticks.next_timeout(Duration::from_millis(5)).unwrap_err(), TimedOut);
        assert_eq!(client.request("echo", "ping".into()).unwrap().payload, "ping");
        let late = client.send_request("ticks", Request::new().timeout(Some(Duration::from_millis(50))));
        assert_eq!(late.unwrap_err().kind(), nats_lifeline::RequestErrorKind::TimedOut);
        drop(ticks);
        client.flush().unwrap();
    };
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    single.block_on(async {
        calls(&client);
        let own = client.clone();
        tokio::spawn(async move { calls(&own) }).await.unwrap();
        let own = client.clone();
        tokio::task::spawn_blocking(move || calls(&own)).await.unwrap();
        // Connecting, and the end, as well.
        let other = blocking::connect(world.broker.url()).unwrap();
        assert!(other.publish_confirmed("a", "b".into()).is_confirmed());
        other.close().unwrap();
    });
    let own = client.clone();
    world
        .runtime
        .block_on(world.runtime.spawn(async move {
            // The only worker, which the broker needs too: only calls that do not wait work here.
            own.publish("a", "b".into()).unwrap();
        }))
        .unwrap();
    client.close().unwrap();
    assert_eq!(echo.join().unwrap(), 3);
}

// N16
#[test]
fn many_threads_share_one_client() {
    let world = World::start();
    let client = world.client();
    let mut all = client.subscribe_confirmed("numbers").unwrap();
    let echo = echo(&client, "echo");
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = client.clone();
            scope.spawn(move || {
                for number in 0..100 {
                    let text = format!("{thread} {number}");
                    client.publish("numbers", text.clone().into()).unwrap();
                    assert_eq!(client.request("echo", text.clone().into()).unwrap().payload, text);
                }
                client.flush().unwrap();
            });
        }
    });
    let mut next = [0; 8];
    for message in all.by_ref().take(800) {
        let text = std::str::from_utf8(&message.payload).unwrap();
        let (thread, number) = text.split_once(' ').unwrap();
        let next = &mut next[thread.parse::<usize>().unwrap()];
        assert_eq!(number, next.to_string(), "the order of each thread is kept");
        *next += 1;
    }
    assert_eq!(next, [100; 8]);
    // Nothing more to read: the drain need not wait for an answer to the last message.
    assert!(all.try_next().is_none());
    let report = client.drain_and_close(SOON).unwrap();
    assert!(report.completed && report.ended && report.lost.total() == 0, "{report:?}");
    assert_eq!(echo.join().unwrap(), 800);
    assert!(all.next().is_none());
    assert_eq!(all.end_reason(), Some(EndReason::Drained));
}

// N16
#[test]
fn an_outage_is_survived_and_reported_in_order() {
    let world = World::start();
    let client = world.client();
    let mut events = client.events();
    let mut orders = client.subscribe_confirmed("orders").unwrap();
    let reading = thread::spawn(move || (orders.next(), orders));
    world.broker.kill();
    assert!(client.wait_for_status(Status::Reconnecting, SOON));
    assert!(!client.wait_for_status(Status::Connected, Duration::from_millis(20)));

    // Buffered, and refused if it must not be.
    client.publish("orders", "buffered".into()).unwrap();
    let error = client.publish_critical("orders", "now".into()).unwrap_err();
    assert_eq!((error.kind(), error.source_as()), (PublishErrorKind::Send, Some(&SendFault::Disconnected)));
    assert!(!client.health().healthy);
    let asking = client.clone();
    let flushing = thread::spawn(move || asking.flush_timeout(SOON));

    world.restart();
    flushing.join().unwrap().unwrap();
    let (order, _orders) = reading.join().unwrap();
    assert_eq!(order.unwrap().payload, "buffered");
    assert_eq!(client.stats().reconnects, 1);
    client.close().unwrap();
    let seen: Vec<ConnectionEvent> = events.by_ref().collect();
    let at = |is: fn(&ConnectionEvent) -> bool| seen.iter().position(is).unwrap_or_else(|| panic!("{seen:?}"));
    let lost = at(|event| matches!(event, ConnectionEvent::Disconnected { .. }));
    let back = at(|event| matches!(event, ConnectionEvent::Reconnected { .. }));
    let end = at(|event| matches!(event, ConnectionEvent::Closed { .. }));
    assert!(lost < back && back < end, "{seen:?}");
    assert_eq!((events.try_next(), events.next_timeout(SOON)), (None, Ok(None)));
}

// N16
#[test]
fn without_a_server_every_call_ends_at_its_own_deadline() {
    let world = World::start();
    let short = Duration::from_millis(100);
    let options = ConnectOptions::new().flush_timeout(short).request_timeout(Some(short));
    let client = options.connect_blocking(world.broker.url()).unwrap();
    world.broker.kill();
    assert!(client.wait_for_status(Status::Reconnecting, SOON));
    let calls = || {
        let began = Instant::now();
        assert_eq!(client.flush().unwrap_err().kind(), FlushErrorKind::FlushError);
        assert_eq!(client.request("a", "".into()).unwrap_err().kind(), nats_lifeline::RequestErrorKind::TimedOut);
        assert!(client.publish_confirmed("a", "".into()).into_unsent().is_some());
        assert!(client.subscribe_confirmed("a").is_err());
        assert!(began.elapsed() >= 4 * short, "each waited");
        assert!(began.elapsed() < SOON, "and not for ever");
    };
    calls();
    // Also where a runtime is blocked, whose timers then stand still.
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async { calls() });
    client.publish("a", "never sent".into()).unwrap();
    let report = client.drain_and_close(short).unwrap();
    assert!(!report.completed && report.lost.closed == 1, "{report:?}");
    let began = Instant::now();
    assert!(client.flush().is_err() && client.subscribe("a").is_err() && client.publish("a", "".into()).is_err());
    assert!(client.drain_and_close(SOON).is_err() && client.close().is_ok());
    assert!(began.elapsed() < SOON);
}

// N16
#[test]
fn closing_without_a_server_reports_lost_messages() {
    let world = World::start();
    let client = world.client();
    world.broker.kill();
    assert!(client.wait_for_status(Status::Reconnecting, SOON));
    client.publish("a", "never sent".into()).unwrap();
    let error = client.close().unwrap_err();
    assert_eq!(error.report().lost.closed, 1, "{error}");
}

// N16
#[test]
fn dropping_everything_ends_the_thread_with_and_without_a_server() {
    for connected in [true, false] {
        let world = World::start();
        let (options, ended) = watched(ConnectOptions::new());
        let client = options.connect_blocking(world.broker.url()).unwrap();
        let other = client.clone();
        let orders = client.subscribe_confirmed("orders").unwrap();
        let events = client.events();
        world.wait_for_subscriptions(1);
        if !connected {
            world.broker.kill();
            assert!(client.wait_for_status(Status::Reconnecting, SOON));
        }
        client.publish("orders", "last".into()).unwrap();
        drop((client, other));
        assert!(ended.try_recv().is_err(), "the subscriber keeps the connection");
        drop(orders);
        ended.recv_timeout(SOON).unwrap_or_else(|_| panic!("the thread is still there; connected: {connected}"));
        assert!(matches!(events.last(), Some(ConnectionEvent::Closed { .. })));
        assert_eq!(world.broker.messages_in(), u64::from(connected), "accepted messages are sent first");
    }
}

// N16
#[test]
fn a_closed_clients_thread_ends_with_its_last_handle() {
    let world = World::start();
    let (options, ended) = watched(ConnectOptions::new());
    let client = options.connect_blocking(world.broker.url()).unwrap();
    // An async handle is one too.
    let last = client.async_client();
    client.publish("a", "b".into()).unwrap();
    client.close().unwrap();
    drop(client);
    assert!(world.runtime.block_on(last.flush()).is_err());
    drop(last);
    ended.recv_timeout(SOON).unwrap();
}

// N16
#[test]
fn a_failed_connect_is_an_error_and_leaves_no_thread() {
    let world = World::start();
    let url = world.broker.url();
    world.broker.kill();
    let (options, ended) = watched(ConnectOptions::new());
    let error = options.connect_blocking(url).unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Io, "{error}");
    ended.recv_timeout(SOON).unwrap();
    assert_eq!(blocking::connect("no port:x").unwrap_err().kind(), ConnectErrorKind::ServerParse);
}

// N16: it would wait for itself for ever
#[test]
fn a_callback_that_blocks_its_own_client_panics_and_the_client_lives() {
    let world = World::start();
    let own: Arc<Mutex<Option<Client>>> = Arc::default();
    let (sender, tried) = channel();
    let (shared, sender) = (own.clone(), Mutex::new(sender));
    let options = ConnectOptions::new().event_callback(move |event| {
        let client = shared.lock().unwrap().clone();
        let sender = sender.lock().unwrap().clone();
        async move {
            let (Event::Disconnected, Some(client)) = (event, client) else { return };
            // Async calls work there, and those that never block.
            client.async_client().publish("a", "async".into()).await.unwrap();
            client.try_publish("a", "without waiting".into()).unwrap();
            let flush = std::panic::AssertUnwindSafe(|| client.flush());
            let panicked = std::panic::catch_unwind(flush).is_err();
            // On another thread of the same runtime it may wait, with that runtime's timers.
            let other = tokio::task::spawn_blocking(move || client.flush_timeout(Duration::from_millis(20)));
            sender.send(panicked && other.await.unwrap().is_err()).unwrap();
        }
    });
    let client = options.connect_blocking(world.broker.url()).unwrap();
    *own.lock().unwrap() = Some(client.clone());
    world.broker.kill();
    assert!(tried.recv_timeout(SOON).unwrap(), "the call did not panic, or the other one did not end");
    world.restart();
    client.flush_timeout(SOON).unwrap();
    assert_eq!(world.broker.messages_in(), 2);
    own.lock().unwrap().take();
    client.close().unwrap();
}
