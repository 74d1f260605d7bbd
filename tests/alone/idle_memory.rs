//! What idle subscriptions and idle clients keep: exact bytes of this thread's heap, without threads of the runtime and
//! without the allocator's own overhead.

use std::sync::mpsc;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use futures_util::{FutureExt, StreamExt};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, Subscriber};
use tokio::runtime::{Builder, Runtime};

use crate::support::{SOON, soon};
use crate::turn;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A broker on a thread of its own, whose memory is not counted. It stops when the sender is dropped.
fn broker_elsewhere() -> (String, mpsc::Sender<()>) {
    let (send_url, url) = mpsc::channel();
    let (stop, stopped) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = runtime.block_on(Broker::start()).unwrap();
        send_url.send(broker.url()).unwrap();
        let _ = stopped.recv();
    });
    (url.recv_timeout(SOON).unwrap(), stop)
}

async fn connect(url: &str) -> Client {
    soon("a connection", ConnectOptions::new().connect(url)).await.unwrap()
}

/// Waits until the idle clients have freed what they do not need.
async fn become_idle() {
    tokio::time::pause();
    for _ in 0..4 {
        tokio::time::advance(Duration::from_millis(600)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::resume();
}

// Fault J10: the memory of a large message was freed only when nothing at all came for a second.
#[test]
fn the_memory_of_a_large_message_is_freed_although_small_ones_keep_coming() {
    let _turn = turn();
    let (url, _broker) = broker_elsewhere();
    let runtime = runtime();
    let client = runtime.block_on(connect(&url));
    let mut subscriber = runtime.block_on(client.subscribe("large")).unwrap();
    let used = measure(|| {
        runtime.block_on(async {
            client.publish("large", vec![b'x'; 900_000].into()).await.unwrap();
            assert_eq!(soon("the large message", subscriber.next()).await.unwrap().payload.len(), 900_000);
            for _ in 0..50 {
                client.publish("large", "small".into()).await.unwrap();
                assert_eq!(soon("a small one", subscriber.next()).await.unwrap().payload, "small");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    });
    // The read buffer of a client with traffic remains.
    assert!(used.bytes_current < 512 * 1024, "{used:?}");
}

/// Nearly as many as a table of this size can have. With 100,000 it is a third less full.
const SUBSCRIPTIONS: usize = 14_000;

/// Bytes for each subscription, with its `Subscriber`.
fn bytes_each(info: &AllocationInfo) -> usize {
    usize::try_from(info.bytes_current).unwrap() / SUBSCRIPTIONS + size_of::<Subscriber>()
}

// Scenario 55
#[test]
fn an_idle_subscription_takes_little_memory_before_and_after_it_is_used() {
    let _turn = turn();
    let (url, _broker) = broker_elsewhere();
    let runtime = runtime();
    let client = runtime.block_on(connect(&url));
    let mut subscribers = Vec::with_capacity(SUBSCRIPTIONS);
    let unused = measure(|| {
        runtime.block_on(async {
            for number in 0..SUBSCRIPTIONS {
                subscribers.push(client.subscribe(format!("idle.{number}.events")).await.unwrap());
            }
            soon("a flush", client.flush()).await.unwrap();
            become_idle().await;
        });
    });
    let used = measure(|| {
        runtime.block_on(async {
            for number in 0..SUBSCRIPTIONS {
                client.publish(format!("idle.{number}.events"), "x".into()).await.unwrap();
            }
            for subscriber in &mut subscribers {
                soon("a message", subscriber.next()).await.unwrap();
                assert!(subscriber.next().now_or_never().is_none());
            }
            become_idle().await;
        });
    });
    println!("{} bytes each; {} more after use", bytes_each(&unused), used.bytes_current);
    assert!(bytes_each(&unused) < 256, "{unused:?}");
    // Buffers of the client itself, such as that of the last read.
    assert!(used.bytes_current < 64 * 1024, "{used:?}");
    assert_eq!(subscribers.iter().map(Subscriber::delivered).sum::<u64>(), SUBSCRIPTIONS as u64);

    let dropped = measure(|| {
        runtime.block_on(async {
            subscribers.clear();
            soon("a flush", client.flush()).await.unwrap();
            become_idle().await;
        });
    });
    let left = unused.bytes_current + used.bytes_current + dropped.bytes_current;
    assert!(left < 64 * 1024, "{left} bytes are left of subscriptions that were dropped");
}

#[test]
fn an_idle_client_takes_less_than_32_kib_before_and_after_it_is_used() {
    const CLIENTS: usize = 50;
    let _turn = turn();
    let (url, _broker) = broker_elsewhere();
    let runtime = runtime();
    // The runtime's and the process's own memory comes with the first.
    let mut clients = Vec::with_capacity(CLIENTS + 1);
    clients.push(runtime.block_on(connect(&url)));
    let unused = measure(|| {
        runtime.block_on(async {
            for _ in 0..CLIENTS {
                clients.push(connect(&url).await);
            }
            become_idle().await;
        });
    });
    let used = measure(|| {
        runtime.block_on(async {
            for client in &clients {
                let mut own = client.subscribe("a").await.unwrap();
                for _ in 0..100 {
                    client.publish("a", vec![b'x'; 1000].into()).await.unwrap();
                }
                soon("a reply", client.request("nobody", "".into())).await.unwrap_err();
                for _ in 0..100 {
                    soon("a message", own.next()).await.unwrap();
                }
            }
            become_idle().await;
        });
    });
    let each = |bytes: i64| usize::try_from(bytes).unwrap() / CLIENTS;
    let (before, after) = (each(unused.bytes_current), each(unused.bytes_current + used.bytes_current));
    println!("{before} bytes each; {after} after use");
    assert!(before < 32 * 1024 && after < 32 * 1024, "{before}, then {after}");
}
