//! Reports of long outages and of changes of the cluster.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nats_lifeline::ConnectOptions;
use nats_lifeline::client::LongOutage;

use crate::support::{Cluster, Cut, Proxy, SOON, Server, Timeline, eventually, soon};

type Log = Arc<Mutex<Vec<LongOutage>>>;

/// Adds a callback that keeps its arguments.
fn logging(options: ConnectOptions, threshold: Duration) -> (ConnectOptions, Log) {
    let log = Log::default();
    let kept = log.clone();
    let options = options.long_outage_callback(threshold, move |outage| {
        kept.lock().unwrap().push(outage);
        std::future::ready(())
    });
    (options, log)
}

// S47, N2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_callback_gets_the_outages_longer_than_its_threshold() {
    let server = Server::start().await;
    let proxy = Proxy::start(server.port()).await;
    let long = Duration::from_millis(400);
    // They never complete: one panics, one blocks its thread, one never returns.
    let options = ConnectOptions::new()
        .long_outage_callback(Duration::ZERO, |_| async { panic!("a callback that panics, as it should here") })
        .long_outage_callback(Duration::ZERO, |_| async { std::thread::sleep(Duration::from_secs(2)) })
        .long_outage_callback(Duration::ZERO, |_| std::future::pending());
    let (options, every) = logging(options, Duration::ZERO);
    let (options, longer) = logging(options, long);
    let (options, none) = logging(options, Duration::from_secs(3600));
    let client = options.backoff(nats_lifeline::options::Backoff::fixed(Duration::from_millis(20)));
    let client = client.connect(proxy.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    proxy.refuse().await;
    proxy.cut(Cut::Fin);
    timeline.disconnected(0).await;
    tokio::time::sleep(long + Duration::from_millis(50)).await;
    proxy.admit().await;
    timeline.reconnected(0).await;
    eventually("both are reported", SOON, async || every.lock().unwrap().len() + longer.lock().unwrap().len() == 2)
        .await;
    let LongOutage { duration, previous, server, outages, .. } = longer.lock().unwrap()[0].clone();
    let name = format!("127.0.0.1:{}", proxy.port());
    assert!(duration > long, "{duration:?}");
    assert_eq!((previous.as_deref(), server.as_str(), outages), (Some(name.as_str()), name.as_str(), 1));
    // They delay neither each other nor the client.
    proxy.cut(Cut::Fin);
    timeline.reconnected(1).await;
    eventually("the next one is reported", SOON, async || every.lock().unwrap().len() == 2).await;
    soon("a flush", client.flush()).await.unwrap();
    assert!(none.lock().unwrap().is_empty());
}

// S48, S9
#[tokio::test]
async fn changes_of_the_cluster_are_logged_with_times() {
    let mut cluster = Cluster::start(3).await;
    let client = ConnectOptions::new().connect(cluster.servers[0].url()).await.unwrap();
    let named = |wanted: &dyn Fn(&nats_lifeline::client::TopologyChange) -> usize| -> usize {
        client.topology_log().iter().map(wanted).sum()
    };
    eventually("both others", SOON, async || named(&|change| change.added.len()) == 2).await;
    cluster.servers[2].kill();
    eventually("one has gone", SOON, async || named(&|change| change.removed.len()) == 1).await;
    let log = client.topology_log();
    let gone = format!("-127.0.0.1:{}", cluster.servers[2].port());
    assert!(log.last().unwrap().to_string().ends_with(&gone), "{log:?}");
    assert!(log.windows(2).all(|pair| pair[0].at <= pair[1].at));
}
