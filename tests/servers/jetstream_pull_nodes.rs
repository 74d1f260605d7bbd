//! A pull consumer whose own server freezes or leaves, in a cluster that goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::jetstream::consumer::{PullConsumer, pull};
use nats_lifeline::jetstream::stream::{Config, StorageType, Stream};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::{Client, ConnectOptions};
use tokio::task::JoinHandle;

use super::jetstream_pull::number;
use crate::support::{Cluster, SOON, eventually, until_ok, within};

/// Longer than an election takes to begin.
const FROZEN: Duration = Duration::from_secs(8);

async fn connect(urls: Vec<String>) -> Client {
    let options = ConnectOptions::new().retain_servers_order().ignore_discovered_servers();
    options.connect(urls).await.unwrap()
}

/// A stream and a consumer on three servers.
struct World {
    cluster: Cluster,
    stream: Stream,
    /// Connected to a server that stays.
    calm: Context,
    /// Where the consumer's leader is, by its place in the cluster.
    leader: usize,
}

impl World {
    async fn start() -> World {
        let cluster = Cluster::with_jetstream(3).await;
        let any = jetstream::new(connect(cluster.urls()).await);
        let config = Config {
            name: "M".to_owned(),
            subjects: vec!["m".to_owned()],
            storage: StorageType::File,
            num_replicas: 3,
            ..Config::default()
        };
        let stream = until_ok("a stream", async || any.create_stream(config.clone()).await).await;
        let durable = pull::Config { durable_name: Some("c".to_owned()), ..pull::Config::default() };
        until_ok("a consumer", async || stream.create_consumer(durable.clone()).await).await;
        let info = until_ok("the leader", async || stream.consumer_info("c").await).await;
        let name = info.cluster.and_then(|cluster| cluster.leader).unwrap();
        let leader = cluster.servers.iter().position(|server| format!("n{}", server.port()) == name).unwrap();
        let calm = jetstream::new(connect(vec![cluster.servers[(leader + 1) % 3].url()]).await);
        let stream = until_ok("the stream", async || calm.get_stream("M").await).await;
        World { cluster, stream, calm, leader }
    }

    /// Stores messages until it is asked to end, and returns how many.
    fn publish(&self, done: &Arc<AtomicBool>) -> JoinHandle<u64> {
        let (context, done) = (self.calm.clone(), Arc::clone(done));
        tokio::spawn(async move {
            let mut count = 0_u64;
            while !done.load(Ordering::Relaxed) {
                // During an election it is published again until it is stored.
                match context.publish_retry("m", count.to_string().into(), Default::default()).await {
                    jetstream::publish::PublishOutcome::Stored(_) => count += 1,
                    other => panic!("{other:?}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            count
        })
    }

    /// A reader whose client is connected to the server at this place.
    async fn read(&self, place: usize) -> Reader {
        let mut urls = self.cluster.urls();
        urls.rotate_left(place);
        let context = jetstream::new(connect(urls).await);
        let consumer: PullConsumer =
            until_ok("the consumer", async || context.get_consumer_from_stream("c", "M").await).await;
        let mut messages = consumer.messages().await.unwrap();
        let got = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let numbers = Arc::clone(&got);
        let task = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                // An error that does not end the stream may come while there is no leader.
                let Ok(message) = message else { continue };
                let _ = message.ack().await;
                numbers.lock().unwrap().insert(number(&message));
            }
        });
        Reader { got, task }
    }
}

struct Reader {
    got: Arc<std::sync::Mutex<BTreeSet<u64>>>,
    task: JoinHandle<()>,
}

impl Reader {
    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    /// More messages come than have come so far.
    async fn goes_on(&self) {
        let before = self.count();
        eventually("more messages", SOON * 3, async || self.count() > before + 20).await;
    }

    async fn ends_with(self, count: u64) {
        let all = async || self.got.lock().unwrap().iter().copied().eq(0..count);
        eventually("all messages", SOON * 4, all).await;
        assert!(!self.task.is_finished(), "the stream goes on");
        self.task.abort();
    }
}

// J2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_when_the_server_of_its_consumer_freezes() {
    let mut world = World::start().await;
    let done = Arc::new(AtomicBool::new(false));
    let publisher = world.publish(&done);
    // One loses its connection, the other only its pulls.
    let readers = [world.read(world.leader).await, world.read((world.leader + 2) % 3).await];
    for reader in &readers {
        reader.goes_on().await;
    }
    world.cluster.servers[world.leader].stop();
    tokio::time::sleep(FROZEN).await;
    readers[1].goes_on().await;
    world.cluster.servers[world.leader].cont();
    readers[0].goes_on().await;
    done.store(true, Ordering::Relaxed);
    let count = within("the publisher", SOON * 3, publisher).await.unwrap();
    let [one, other] = readers;
    let all = async || {
        let got = one.got.lock().unwrap();
        got.union(&other.got.lock().unwrap()).copied().eq(0..count)
    };
    // What was on its way to a connection that was lost comes again after 30 s.
    eventually("all messages", SOON * 4, all).await;
    assert!(!one.task.is_finished() && !other.task.is_finished());
}

// J2, J10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_when_the_server_of_its_consumer_leaves_as_a_lame_duck() {
    let mut world = World::start().await;
    let done = Arc::new(AtomicBool::new(false));
    let publisher = world.publish(&done);
    let reader = world.read(world.leader).await;
    reader.goes_on().await;
    world.cluster.servers[world.leader].lame_duck();
    reader.goes_on().await;
    world.cluster.servers[world.leader].ended().await;
    reader.goes_on().await;
    world.cluster.servers[world.leader].restart().await;
    reader.goes_on().await;
    done.store(true, Ordering::Relaxed);
    let count = within("the publisher", SOON * 3, publisher).await.unwrap();
    reader.ends_with(count).await;
    let info = until_ok("the consumer", async || world.stream.consumer_info("c").await).await;
    assert_eq!(info.num_pending, 0);
}
