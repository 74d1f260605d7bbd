//! The broker, killed under load, leaks nothing.

#[path = "../fakes/broker/raw.rs"]
#[allow(dead_code, reason = "only a part of it is used here")]
mod raw;

use nats_lifeline::testing::Broker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::alone_with_two_workers;
use raw::Raw;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn killed_again_and_again_under_load() -> Outcome {
    alone_with_two_workers(async {
        let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let cluster = Broker::cluster(2).await?;
        let before = descriptors();
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for index in 0..6 {
            let addr = cluster[index % 2].addr();
            let stop = stop.clone();
            clients.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
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
        stop.store(true, Ordering::Relaxed);
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
        assert!(descriptors() <= before, "{before} then {}", descriptors());
        drop(cluster);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
        Ok(())
    })
}
