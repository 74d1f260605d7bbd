//! One seed: a client and its users, a rough time, peace, and the account at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nats_lifeline::client::DeliveryMode;
use nats_lifeline::connection::{ConnectionEvent, Events, Status};
use nats_lifeline::{Client, ConnectOptions};
use rand::RngExt;
use tokio::time::{Instant, timeout};

use crate::account;
use crate::carrier::Network;
use crate::plan::Plan;
use crate::users::{User, listen};

/// Without faults all is well again within this: a silent connection is noticed after three PINGs at a second each, and a
/// write that stands still after two; a dial that hangs ends after one, and the next is due within half a second.
const RECOVERY: Duration = Duration::from_secs(12);

/// The longest time of any world, so that one that hangs is one that fails.
const ALL: Duration = Duration::from_secs(600);

/// What the worlds had in them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) dials: usize,
    pub(crate) losses: u64,
    pub(crate) messages: u64,
    pub(crate) in_doubt: u64,
    pub(crate) resent: u64,
    pub(crate) flushes: u64,
    pub(crate) replies: u64,
    pub(crate) virtual_time: Duration,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.dials += other.dials;
        self.losses += other.losses;
        self.messages += other.messages;
        self.in_doubt += other.in_doubt;
        self.resent += other.resent;
        self.flushes += other.flushes;
        self.replies += other.replies;
        self.virtual_time += other.virtual_time;
    }
}

/// Panics where an invariant does not hold.
pub(crate) fn run(seed: u64) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { timeout(ALL, live(Plan::of(seed))).await.expect("the world stands still") })
}

fn options(network: &Network) -> ConnectOptions {
    let plan = Arc::clone(&network.plan);
    let buffer = plan.buffer;
    let network = network.clone();
    let delivery = if plan.resends { DeliveryMode::AtLeastOnce } else { DeliveryMode::AtMostOnce };
    ConnectOptions::new()
        .dialer(move |_| network.clone().dial())
        .retry_on_initial_connect()
        .reconnect_delay_callback(move |attempt| {
            Duration::from_millis(plan.dice(2_000_000 + attempt as u64).random_range(0..500))
        })
        .connection_timeout(Duration::from_secs(1))
        .ping_interval(Duration::from_secs(1))
        .max_pings_out(2)
        .write_timeout(Duration::from_secs(2))
        .publish_timeout(Duration::from_secs(1))
        .flush_timeout(Duration::from_secs(5))
        .reconnect_buffer_size(buffer)
        .delivery(delivery)
        // Cuts hit the innocent.
        .poison_after(None)
}

async fn live(plan: Plan) -> Tally {
    let began = Instant::now();
    let network = Network::new(plan);
    let client = options(&network).connect("model").await.expect("a handle");
    let events = tokio::spawn(collect(client.events()));
    let dice = |who| network.plan.dice(who);
    let user = |who| User { client: client.clone(), network: network.clone(), book: Arc::default(), rng: dice(who) };
    let first = user(1);
    let user = |who| User { book: Arc::clone(&first.book), ..user(who) };
    let subscriber = client.subscribe("n.*").await.expect("a subscription");
    let listening = tokio::spawn(listen(subscriber, ('z', 0)));
    let publishing = [
        tokio::spawn(user(1).publish('a')),
        tokio::spawn(user(2).publish('b')),
        tokio::spawn(user(3).publish_confirmed('c')),
    ];
    let others = [tokio::spawn(user(4).flush()), tokio::spawn(user(5).request('d'))];
    tokio::time::sleep(network.plan.rough).await;
    network.peace.store(true, Ordering::Relaxed);
    recovers(&client).await;
    for user in publishing.into_iter().chain(others) {
        user.await.expect("a user is content");
    }
    // In peace everything gets through.
    let mut last = user(6);
    let mut tries = 0;
    while last.ask(('e', tries)).await.is_err() {
        tries += 1;
        assert!(tries < 20, "no request is answered in peace");
    }
    client.publish("n.z", crate::content::payload(('z', 0), 0)).await.expect("it is accepted");
    first.book.lock().unwrap().accepted.insert('z', 1);
    let _in_doubt_since_before = client.flush().await;
    client.flush().await.expect("all was processed");
    let came = listening.await.expect("the subscriber is content");
    let stats = client.stats();
    client.close().await.expect("an end in order");
    let events = events.await.expect("events come to an end");
    drop((client, last));
    network.settle().await;
    let server = network.server.lock().unwrap();
    let book = first.book.lock().unwrap();
    account::check(&network.plan, &server, &book, &stats, &came, &events);
    Tally {
        dials: network.dials(),
        losses: stats.disconnects,
        messages: stats.accepted,
        in_doubt: stats.in_doubt,
        resent: stats.resent,
        flushes: book.flushes,
        replies: book.replies,
        virtual_time: began.elapsed(),
    }
}

/// I7.
async fn recovers(client: &Client) {
    let peace = Instant::now();
    // What is in doubt is told once, and a connection may be lost once more to what was done to it before.
    while client.flush().await.is_err() {
        assert!(peace.elapsed() <= RECOVERY, "{:?} of peace, and no flush", peace.elapsed());
    }
    assert!(peace.elapsed() <= RECOVERY, "{:?} of peace before the flush", peace.elapsed());
    assert_eq!(client.status(), Status::Connected);
}

async fn collect(mut events: Events) -> Vec<ConnectionEvent> {
    let mut all = Vec::new();
    while let Some(event) = events.recv().await {
        all.push(event);
    }
    all
}
