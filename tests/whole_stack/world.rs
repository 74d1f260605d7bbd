//! One seed: a client and its users, a rough time, peace, and the account at the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nats_lifeline::connection::{Cause, ConnectionEvent, Status};
use nats_lifeline::options::Backoff;
use nats_lifeline::options::DeliveryMode;
use nats_lifeline::{Client, ConnectOptions};
use rand::RngExt;
use tokio::time::{Instant, sleep, timeout};

use crate::carrier::Network;
use crate::cluster::address;
use crate::deliveries::Came;
use crate::plan::Plan;
#[cfg(feature = "ring")]
use crate::plan::Tls;
use crate::readers::{collect, listen};
use crate::tally::Tally;
use crate::users::{PATIENCE, User};
use crate::weather::Weather;
use crate::{account, deliveries, losses, neighbour, routes};

/// Without faults all is well again within this: a silent connection is noticed after three PINGs at a second each, and a
/// write that stands still after two; a dial that hangs ends after one, and the next is due within half a second.
const RECOVERY: Duration = Duration::from_secs(12);

/// A planned move is over within this.
const MOVE: Duration = Duration::from_secs(6);

/// What is on the routes has arrived after this.
const ROUTES: Duration = Duration::from_millis(200);

/// The longest time of any world, so that one that hangs is one that fails.
const ALL: Duration = Duration::from_secs(600);

/// Panics where an invariant does not hold.
pub(crate) fn run(seed: u64) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { timeout(ALL, live(Plan::of(seed))).await.expect("the world stands still") })
}

fn options(network: &Network) -> ConnectOptions {
    let plan = Arc::clone(&network.plan);
    let dialled = network.clone();
    let delivery = if plan.resends { DeliveryMode::AtLeastOnce } else { DeliveryMode::AtMostOnce };
    let options = ConnectOptions::new()
        .random_seed(plan.dice(4_000_000).random())
        .dialer(move |server| dialled.clone().dial(server))
        .retry_on_initial_connect()
        // Where nothing may fail, a slow dial and the round trips of TLS after it have their time.
        .connection_timeout(Duration::from_secs(if plan.calm { 3 } else { 1 }))
        .ping_interval(Duration::from_secs(1))
        .max_pings_out(2)
        .write_timeout(Duration::from_secs(2))
        .publish_timeout(PATIENCE)
        .flush_timeout(Duration::from_secs(5))
        .reconnect_buffer_size(plan.buffer)
        .reconnect_buffer_messages(plan.most_buffered)
        .overflow_policy(plan.overflow)
        .max_message_age(plan.max_age)
        .delivery(delivery)
        .handover(plan.handover)
        .backoff(Backoff::exponential(Duration::from_millis(50), Duration::from_millis(500)))
        .failback_probe(Backoff::fixed(Duration::from_secs(1)))
        .failback_stability(Duration::from_millis(500))
        // Cuts hit the innocent.
        .poison_after(None);
    let options = match plan.preferred {
        Some(node) => options.preferred_servers(url(&plan, node)).expect("an address"),
        None => options,
    };
    let options = secured(options, &plan);
    if plan.callback {
        options.reconnect_delay_callback(move |attempt| {
            Duration::from_millis(plan.dice(2_000_000 + attempt as u64).random_range(0..500))
        })
    } else {
        options
    }
}

#[cfg(feature = "ring")]
fn secured(options: ConnectOptions, plan: &Plan) -> ConnectOptions {
    let jitter = Duration::from_millis(100);
    match plan.tls {
        None => options,
        Some(Tls::BehindInfo) => options.tls_client_config(crate::secure::trust()).tls_reconnect_jitter(jitter),
        Some(Tls::First) => options.tls_client_config(crate::secure::trust()).tls_reconnect_jitter(jitter).tls_first(),
    }
}

#[cfg(not(feature = "ring"))]
fn secured(options: ConnectOptions, _: &Plan) -> ConnectOptions {
    options
}

fn url(plan: &Plan, node: usize) -> String {
    format!("{}://{}", if plan.tls.is_some() { "tls" } else { "nats" }, address(node))
}

async fn live(plan: Plan) -> Tally {
    let began = Instant::now();
    let network = Network::new(plan);
    let plan = Arc::clone(&network.plan);
    let routing = tokio::spawn(routes::carry(Arc::clone(&network.cluster)));
    let named: Vec<String> = (0..plan.named).map(|node| url(&plan, node)).collect();
    let client = options(&network).connect(named).await.expect("a handle");
    let dice = |who| plan.dice(who);
    let user = |who| User { client: client.clone(), network: network.clone(), book: Arc::default(), rng: dice(who) };
    let first = user(1);
    let user = |who| User { book: Arc::clone(&first.book), ..user(who) };
    let events = tokio::spawn(collect(client.events(), Arc::clone(&first.book)));
    let plain = tokio::spawn(listen(client.subscribe("n.*").await.expect("a subscription"), 'z'));
    let group = client.queue_subscribe("n.*", "workers".to_owned()).await.expect("a subscription");
    let group = tokio::spawn(listen(group, 'z'));
    let wanted = dice(8).random_range(1..400);
    let mut few = client.subscribe("n.>").await.expect("a subscription");
    few.unsubscribe_after(wanted).await.expect("it is remembered");
    let few = tokio::spawn(listen(few, 'z'));
    let publishing = [
        tokio::spawn(user(1).publish('a')),
        tokio::spawn(user(2).publish('b')),
        tokio::spawn(user(3).publish_confirmed('c')),
    ];
    let others = [
        tokio::spawn(user(4).flush()),
        tokio::spawn(user(5).request('d')),
        tokio::spawn(user(7).publish_critical('f')),
        tokio::spawn(neighbour::speak(network.clone(), Arc::clone(&first.book), dice(9))),
    ];
    Weather { network: network.clone(), client: client.clone(), rng: dice(10) }.change().await;
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
    // A server that has not yet noticed the end of an earlier connection would give a group's message to that.
    while network.cluster.lock().unwrap().open() > 1 {
        sleep(ROUTES).await;
    }
    sleep(ROUTES).await;
    let mut tries = 0;
    while !last.confirm(('z', tries)).await {
        tries += 1;
        assert!(tries < 20, "nothing is confirmed in peace");
    }
    let _in_doubt_since_before = client.flush().await;
    client.flush().await.expect("all was processed");
    let (plain, group) = (plain.await.expect("content"), group.await.expect("content"));
    let pool = client.server_pool().await.expect("a pool");
    let stats = client.stats();
    client.close().await.expect("an end in order");
    let events = events.await.expect("events come to an end");
    let came = Came { plain, group, few: few.await.expect("content"), wanted };
    drop((client, last));
    network.settle().await;
    routing.abort();
    let cluster = network.cluster.lock().unwrap();
    let book = first.book.lock().unwrap();
    assert!(cluster.complaints.is_empty(), "{:#?}", cluster.complaints);
    account::messages(&plan, &cluster, &book, &stats, network.taken());
    account::order(&plan, &cluster, &book);
    account::events(&plan, &stats, &events);
    account::pool(&plan, &pool, &events);
    losses::check(&plan, &cluster, &book, &stats);
    deliveries::check(&plan, &cluster, &book, &came);
    let moved = |cause: Cause| {
        let is = |event: &&ConnectionEvent| matches!(event, ConnectionEvent::Disconnected { cause: why, .. } if *why == cause);
        events.iter().filter(is).count() as u64
    };
    Tally {
        dials: network.dials(),
        secure: u64::from(plan.tls.is_some()),
        calm: u64::from(plan.calm),
        losses: stats.disconnects,
        lame_ducks_left: moved(Cause::LameDuck),
        forced: moved(Cause::Forced),
        failbacks: moved(Cause::Failback),
        messages: stats.accepted,
        from_the_neighbour: came.group.iter().filter(|(who, _)| *who == 'y').count() as u64,
        in_doubt: stats.in_doubt,
        resent: stats.resent,
        dropped: stats.lost.overflow,
        expired: stats.lost.expired,
        critical_refused: book.refused,
        limits_reached: u64::from(came.few.len() as u64 == wanted),
        flushes: book.flushes,
        replies: book.replies,
        virtual_time: began.elapsed(),
    }
}

/// I7.
async fn recovers(client: &Client) {
    let peace = Instant::now();
    // Messages in doubt are reported once, and a connection may be lost again to an earlier fault.
    while client.flush().await.is_err() {
        assert!(peace.elapsed() <= RECOVERY, "{:?} of peace, and no flush", peace.elapsed());
    }
    assert!(peace.elapsed() <= RECOVERY, "{:?} of peace before the flush", peace.elapsed());
    // It may move once more, to a better server.
    let connected = timeout(MOVE, client.status_watch().wait_for(Status::Connected)).await;
    assert_eq!(connected, Ok(true), "{:?}", client.status());
}
