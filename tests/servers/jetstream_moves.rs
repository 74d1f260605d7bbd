//! Planned moves to another connection cost JetStream nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::jetstream::consumer::{AckPolicy, pull, push};
use nats_lifeline::jetstream::response::Response;
use nats_lifeline::jetstream::stream::{ClusterInfo, Config, StorageType, Stream};
use nats_lifeline::jetstream::{self, Context};
use nats_lifeline::{Client, ConnectOptions};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::trouble::jetstream_server;
use crate::support::{Cluster, SOON, Server, Timeline, soon, within};

async fn stream(context: &Context, replicas: usize) -> Stream {
    let config = Config {
        name: "M".to_owned(),
        subjects: vec!["m".to_owned()],
        storage: StorageType::Memory,
        num_replicas: replicas,
        ..Config::default()
    };
    within("a stream", SOON * 2, async {
        loop {
            if let Ok(stream) = context.create_stream(config.clone()).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
}

/// What a client does while it moves.
struct Load {
    client: Client,
    stream: Stream,
    begin: Arc<Notify>,
    done: Arc<AtomicBool>,
    publisher: tokio::task::JoinHandle<u64>,
    worker: tokio::task::JoinHandle<(u64, u64)>,
    ordered: tokio::task::JoinHandle<u64>,
    pushed: tokio::task::JoinHandle<u64>,
    names: Vec<String>,
}

impl Load {
    async fn start(client: Client, replicas: usize) -> Load {
        let context = jetstream::new(client.clone());
        let stream = stream(&context, replicas).await;
        let config = pull::Config {
            durable_name: Some("c".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(60),
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let mut messages = consumer.messages().await.unwrap();
        let ordered = stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
        let in_order = ordered.messages().await.unwrap();
        let (begin, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (publishing, go, stop) = (context.clone(), begin.clone(), done.clone());
        let publisher = tokio::spawn(async move {
            go.notified().await;
            let mut published = 0;
            while !stop.load(Ordering::Relaxed) {
                publishing.publish("m", published.to_string().into()).await.unwrap().await.unwrap();
                published += 1;
            }
            publishing.publish("m", "end".into()).await.unwrap().await.unwrap();
            published + 1
        });
        let worker = tokio::spawn(async move {
            let (mut received, mut redelivered) = (0, 0);
            loop {
                let message = messages.next().await.unwrap().unwrap();
                let info = message.info().unwrap();
                received += 1;
                redelivered += u64::from(info.delivered > 1);
                assert_eq!(info.stream_sequence, received + redelivered, "in order");
                match received % 10 {
                    0 => message.double_ack().await.unwrap(),
                    _ => message.ack().await.unwrap(),
                }
                if message.payload == "end" {
                    return (received, redelivered);
                }
            }
        });
        let deliver_subject = client.new_inbox();
        let durable_name = Some("pushed".to_owned());
        let config =
            push::Config { durable_name, deliver_subject, ack_policy: AckPolicy::None, ..push::Config::default() };
        let pushed = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
        let in_order = in_order.map(|message| message.unwrap());
        let ordered = tokio::spawn(to_the_end(in_order));
        let pushed = tokio::spawn(to_the_end(pushed.map(|message| message.unwrap())));
        let names = consumers(&stream).await;
        Load { client, stream, begin, done, publisher, worker, ordered, pushed, names }
    }

    /// Moves have been made: nothing was lost, redelivered or created again.
    async fn check(self) {
        assert_eq!(consumers(&self.stream).await, self.names, "a consumer was created again");
        self.done.store(true, Ordering::Relaxed);
        let published = soon("the publisher", self.publisher).await.unwrap();
        let worker = soon("the worker", self.worker).await.unwrap();
        assert_eq!((worker, soon("the reader", self.ordered).await.unwrap()), ((published, 0), published));
        assert_eq!(soon("the reader of what is pushed", self.pushed).await.unwrap(), published);
        assert_eq!(self.client.stats().in_doubt, 0);
        soon("acknowledgements", async {
            while self.stream.consumer_info("c").await.unwrap().num_ack_pending > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

/// Reads every message once, in order.
async fn to_the_end(mut messages: impl futures_util::Stream<Item = jetstream::Message> + Unpin) -> u64 {
    let mut last = 0;
    loop {
        let message = messages.next().await.unwrap();
        let sequence = message.info().unwrap().stream_sequence;
        assert_eq!(sequence, last + 1);
        last = sequence;
        if message.payload == "end" {
            return last;
        }
    }
}

fn leader_of(info: Option<ClusterInfo>) -> Option<String> {
    info?.leader
}

/// The names of the stream's consumers.
async fn consumers(stream: &Stream) -> Vec<String> {
    let mut names: Vec<String> = stream.consumer_names().map(Result::unwrap).collect().await;
    names.sort();
    names
}

fn moved(timeline: &Timeline) -> usize {
    timeline.count(|event| matches!(event, ConnectionEvent::Reconnected { .. }))
}

// J10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forced_move_costs_no_message_no_redelivery_and_no_consumer() {
    let server = Server::builder().jetstream().start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    let load = Load::start(client.clone(), 1).await;
    load.begin.notify_one();
    for number in 1..=10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.force_reconnect().await.unwrap();
        soon("the move", async {
            while moved(&timeline) < number {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    load.check().await;
}

// J10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_a_lame_duck_costs_no_message_no_redelivery_and_no_consumer() {
    let mut cluster = Cluster::start_as(3, jetstream_server()).await;
    cluster.whole().await;
    let client = ConnectOptions::new().connect(cluster.urls()).await.unwrap();
    let timeline = Timeline::of(&client);
    let load = Load::start(client.clone(), 3).await;
    // One server leads everything, so that the client's leads nothing: what a leader costs that goes away is another matter.
    let context = jetstream::new(client.clone());
    let ordered = load.names.iter().find(|name| !["c", "pushed"].contains(&name.as_str())).unwrap();
    let leader = leader_of(load.stream.consumer_info(ordered).await.unwrap().cluster).unwrap();
    within("one leader", SOON * 2, async {
        let stay = json!({ "placement": { "preferred": leader } });
        loop {
            let stream = leader_of(load.stream.get_info().await.unwrap().cluster);
            let mut leaders = vec![("STREAM.LEADER.STEPDOWN.M".to_owned(), stream)];
            for name in ["c", "pushed"] {
                let consumer = leader_of(load.stream.consumer_info(name).await.unwrap().cluster);
                leaders.push((format!("CONSUMER.LEADER.STEPDOWN.M.{name}"), consumer));
            }
            leaders.retain(|(_, own)| own.as_ref() != Some(&leader));
            if leaders.is_empty() {
                return;
            }
            for (subject, _) in leaders {
                let _: Result<Response<Value>, _> = context.request(subject, &stay).await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    let place = |client: &Client| {
        let own = client.connected_server().unwrap();
        cluster.servers.iter().position(|server| own.ends_with(&server.port().to_string())).unwrap()
    };
    let name = |place: usize| format!("n{}", cluster.servers[place].port());
    within("a server that leads nothing", SOON * 2, async {
        while name(place(&client)) == leader {
            let before = moved(&timeline);
            client.force_reconnect().await.unwrap();
            while moved(&timeline) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    })
    .await;
    load.begin.notify_one();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (before, own) = (moved(&timeline), place(&client));
    cluster.servers[own].lame_duck();
    within("the move", SOON * 2, async {
        while moved(&timeline) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    load.check().await;
}
