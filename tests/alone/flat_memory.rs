//! Whatever fails, times out or is cancelled, a client leaks nothing.
//!
//! A normal run is short; `FLAT=1000000 cargo test --release --test alone flat_memory -- --nocapture` is the long one,
//! and prints its figures; `SOAK=86400` makes the soak last for a day.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use nats_lifeline::options::Backoff;
use nats_lifeline::testing::{Broker, Source};
use nats_lifeline::{Client, ConnectOptions, ServerAddr};

use crate::support::ports::Ports;
use crate::support::{Cut, Direction, Proxy, SOON, Server, eventually, soon, within};
use crate::{alone, alone_with_two_workers};

/// The number of repetitions. Arbitrary by default: a second or so in a debug build.
fn times(modest: u64) -> u64 {
    std::env::var("FLAT").map_or(modest, |times| times.parse().expect("FLAT is a number"))
}

/// The measured resources.
#[derive(Clone, Copy, Debug)]
struct Footprint {
    resident: usize,
    descriptors: usize,
    tasks: usize,
}

impl Footprint {
    fn now() -> Footprint {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        Footprint {
            resident: pages * 4096,
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        }
    }

    /// Checks that nothing has grown: no descriptor, no task, and no memory, except what an allocator needs for pieces
    /// that are freed in another order.
    fn assert_flat(self, what: &str, times: u64, since: Instant) {
        let now = Footprint::now();
        let grown = now.resident.saturating_sub(self.resident);
        println!("{what}: {times} in {:?}; {self:?}, then {now:?}: {grown} bytes more", since.elapsed());
        assert!(grown < 8 << 20, "{what}: memory has grown by {grown} bytes in {times}");
        assert!(now.descriptors <= self.descriptors, "{what}: {self:?}, then {now:?}");
        assert!(now.tasks <= self.tasks, "{what}: {self:?}, then {now:?}");
    }
}

/// No limit in practice; only a hang fails.
const LONG: Duration = Duration::from_secs(3600);

// I8: many addresses, since each one is dialled at most ten times a second
#[test]
fn dials_that_fail_leave_nothing_behind() {
    alone(async {
        let unused = Ports::reserve();
        let dials = times(2_000);
        let servers = (dials / 10).clamp(100, 4_000);
        let addrs: Vec<ServerAddr> = (0..servers)
            .map(|n| format!("127.1.{}.{}:{}", n / 250, n % 250 + 1, unused.client()).parse().unwrap())
            .collect();
        let options =
            ConnectOptions::new().retry_on_initial_connect().backoff(Backoff::fixed(Duration::from_millis(100)));
        let client = options.connect(addrs).await.unwrap();
        let start = Instant::now();
        let failed = async |count: u64| {
            within("dials", LONG, async {
                while client.stats().errors < count {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
        };
        // Each server stores its last error.
        failed(2 * servers).await;
        let before = Footprint { descriptors: usize::MAX, ..Footprint::now() };
        failed(2 * servers + dials).await;
        before.assert_flat("failed dials", dials, start);
        soon("the end", client.close()).await.unwrap();
        drop(client);
        let before = Footprint::now().descriptors;
        eventually("no task is left", SOON, async || Footprint::now().tasks == 0).await;
        assert!(Footprint::now().descriptors <= before);
    })
}

/// Unanswered requests: they time out, or are cancelled after or before they were sent.
async fn fail(client: &Client, count: u64) {
    for _ in 0..count.div_ceil(300) {
        let timed_out = join_all((0..100).map(|_| {
            let request = nats_lifeline::Request::new().timeout(Some(Duration::from_millis(1))).payload("x".into());
            client.send_request("deaf", request)
        }));
        let given_up = join_all((0..100).map(|_| async {
            tokio::time::timeout(Duration::from_millis(1), client.request("deaf", "x".into())).await
        }));
        let (timed_out, given_up) = tokio::join!(timed_out, given_up);
        assert!(timed_out.iter().all(Result::is_err) && given_up.iter().all(Result::is_err));
        for _ in 0..100 {
            let mut request = std::pin::pin!(client.request("deaf", "x".into()));
            std::future::poll_fn(|cx| {
                assert!(request.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
    }
}

// Scenario 47, I8
#[test]
fn requests_that_time_out_and_are_cancelled_leave_nothing_behind() {
    alone(async {
        let broker = Broker::start().await.unwrap();
        let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
        // This server has a subscriber that never answers; its messages are dropped.
        let deaf = broker.url();
        let deaf = ConnectOptions::new().subscription_capacity(1).connect(deaf).await.unwrap();
        let _questions = deaf.subscribe("deaf").await.unwrap();
        deaf.flush().await.unwrap();
        fail(&client, 3_000).await;
        let (before, start, requests) = (Footprint::now(), Instant::now(), times(9_000));
        within("requests", LONG, fail(&client, requests)).await;
        client.flush().await.unwrap();
        // Some tasks are just ending.
        eventually("tasks have ended", SOON, async || Footprint::now().tasks <= before.tasks).await;
        before.assert_flat("failed requests", requests, start);

        // The same without a server: unsent requests are withdrawn.
        broker.kill();
        eventually("the loss", SOON, async || client.status() != nats_lifeline::connection::Status::Connected).await;
        fail(&client, 300).await;
        let (before, start, requests) = (Footprint::now(), Instant::now(), times(9_000) / 10);
        within("requests", LONG, fail(&client, requests)).await;
        // Two clients dial now and then.
        let dialling = Footprint { descriptors: before.descriptors + 2, ..before };
        eventually("tasks have ended", SOON, async || Footprint::now().tasks <= before.tasks).await;
        dialling.assert_flat("requests in an outage", requests, start);
        assert_eq!(client.stats().waiting, 0, "requests that were cancelled or timed out are withdrawn");
        broker.restart().await.unwrap();
        soon("a flush", client.flush()).await.ok();
        // A drain waits for pending requests: there are none.
        let report = soon("the end", client.drain_and_close(SOON)).await.unwrap();
        assert!(report.completed, "{report:?}");
    })
}

// I8
#[test]
fn subscriptions_that_are_made_and_dropped_leave_nothing_behind() {
    alone(async {
        let broker = Broker::start().await.unwrap();
        let client = ConnectOptions::new().connect(broker.url()).await.unwrap();
        let cycles = async |count: u64| {
            for cycle in 0..count {
                let mut subscriber = client.subscribe(format!("a.{}", cycle % 100)).await.unwrap();
                match cycle % 4 {
                    0 => subscriber.unsubscribe().await.unwrap(),
                    1 => subscriber.unsubscribe_after(3).await.unwrap(),
                    2 => subscriber.drain().await.unwrap(),
                    _ => {}
                }
            }
            soon("a flush", client.flush()).await.unwrap();
        };
        cycles(3_000).await;
        let (before, start, count) = (Footprint::now(), Instant::now(), times(10_000));
        within("cycles", LONG, cycles(count)).await;
        before.assert_flat("subscriptions that were made and dropped", count, start);
        eventually("the server has none", SOON, async || broker.subscription_count() == 0).await;
    })
}

/// Injects one fault after the other, with traffic in between that ends in a round trip.
async fn suffer(client: &Client, proxy: &Proxy, faults: std::ops::Range<u64>, pause: Duration) {
    for fault in faults {
        match fault % 5 {
            0 => proxy.cut(Cut::Rst),
            1 => proxy.cut(Cut::Fin),
            2 => {
                proxy.refuse().await;
                proxy.cut(Cut::Rst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                proxy.admit().await;
            }
            3 => {
                proxy.freeze(Direction::ToServer);
                tokio::time::sleep(Duration::from_millis(20)).await;
                proxy.unfreeze(Direction::ToServer);
            }
            _ => proxy.hang_up(),
        }
        for _ in 0..20 {
            client.publish("soak", vec![b'x'; 1000].into()).await.unwrap();
        }
        let _ = client.request("soak.echo", "x".into()).await;
        // Messages in doubt are reported once.
        let _ = soon("a flush", client.flush()).await;
        soon("a flush", client.flush()).await.unwrap();
        assert!(client.stats().balances());
        tokio::time::sleep(pause).await;
    }
}

// Scenario 90, I8: one fault a minute for a day, or as many within some seconds
#[test]
fn a_soak_with_faults_leaves_nothing_behind() {
    alone(async {
        let seconds = std::env::var("SOAK").map_or(0, |seconds| seconds.parse::<u64>().expect("SOAK is a number"));
        let (faults, pause) = if seconds == 0 { (60, Duration::ZERO) } else { (seconds / 60, Duration::from_secs(60)) };
        let server = Server::start().await;
        let proxy = Proxy::start(server.port()).await;
        proxy.forget();
        let options = ConnectOptions::new().backoff(Backoff::fixed(Duration::from_millis(10)));
        let client = options.connect(proxy.url()).await.unwrap();
        let mut own = client.subscribe("soak").await.unwrap();
        let reading = tokio::spawn(async move { while own.next().await.is_some() {} });
        suffer(&client, &proxy, 0..10, Duration::ZERO).await;
        eventually("one way through the proxy", SOON, async || proxy.open() == 1).await;
        let (before, start) = (Footprint::now(), Instant::now());
        suffer(&client, &proxy, 0..faults, pause).await;
        eventually("one way through the proxy", SOON, async || proxy.open() == 1).await;
        eventually("tasks have ended", SOON, async || Footprint::now().tasks <= before.tasks).await;
        before.assert_flat("faults", faults, start);
        soon("the end", client.close()).await.unwrap();
        soon("the end of the stream", reading).await.unwrap();
    })
}

// Fault E4: the memory that a kept message keeps alive was computed, and never measured.
#[test]
fn keeping_one_message_of_many_keeps_little_other_memory_alive() {
    alone_with_two_workers(async {
        let source = Source::start(times(2_000_000), 16).unwrap();
        // Messages that are not read in time are dropped, which does not matter here.
        let client = ConnectOptions::new().connect(source.url()).await.unwrap();
        let mut kept = Vec::new();
        let mut before = Footprint::now();
        for keeps in [false, true] {
            // The source answers with a flood.
            let mut flood = client.subscribe("a").await.unwrap();
            let mut read = 0_usize;
            while flood.delivered() + flood.dropped() < times(2_000_000) {
                let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(1), flood.next()).await else { break };
                read += 1;
                if keeps && read % 1000 == 0 {
                    kept.push(message);
                }
            }
            assert!(read > 100_000, "{read}");
            drop(flood);
            if !keeps {
                before = Footprint::now();
            }
        }
        let grown = Footprint::now().resident.saturating_sub(before.resident);
        println!("{} messages kept: {grown} bytes more", kept.len());
        // 4 KiB per block, and the allocator's overhead. With a whole read per message it was 226 KiB.
        assert!(kept.len() >= 100 && grown < (kept.len() * 16 * 1024).max(8 << 20), "{grown} bytes for {}", kept.len());
        assert!(kept.iter().all(|message| message.payload.len() == 16));
    })
}
