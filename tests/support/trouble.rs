//! What goes wrong in a cluster with JetStream: one thing at a time, so that the others still have a majority.

use std::time::{Duration, Instant};

use nats_lifeline::jetstream::{Context, response::Response};
use serde_json::Value;

use super::cluster::Cluster;
use super::monitor;
use super::server::{Server, ServerBuilder};

/// One disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// SIGKILL of the server that leads the stream, and a new start.
    KillLeader,
    /// SIGKILL of another one.
    KillFollower,
    /// SIGSTOP of the server that leads the stream for a while.
    FreezeLeader,
    /// Lame duck mode of a server until it has ended, and a new start.
    LameDuck,
    /// The stream's leader steps down.
    StreamStepDown,
    /// The consumer's leader steps down.
    ConsumerStepDown,
}

/// All of them, the frequent ones more than once.
pub(crate) const TROUBLES: [Trouble; 8] = [
    Trouble::StreamStepDown,
    Trouble::KillLeader,
    Trouble::ConsumerStepDown,
    Trouble::KillFollower,
    Trouble::ConsumerStepDown,
    Trouble::FreezeLeader,
    Trouble::StreamStepDown,
    Trouble::LameDuck,
];

/// How long a leader is frozen. Elections begin after some seconds.
const FROZEN: Duration = Duration::from_secs(6);

/// No cluster takes longer to become whole again, unless it is broken.
const WHOLE: Duration = Duration::from_secs(60);

/// Configuration of servers whose files and elections are the ones that a deployment has, in little.
pub(crate) fn jetstream_server() -> ServerBuilder {
    Server::builder().jetstream().lame_duck(Duration::from_secs(1), Duration::from_secs(30))
}

impl Cluster {
    /// Starts a cluster with JetStream, and waits until it has a leader.
    pub(crate) async fn with_jetstream(count: usize) -> Cluster {
        let cluster = Cluster::start_as(count, jetstream_server()).await;
        cluster.whole().await;
        cluster
    }

    /// Waits until every server is healthy, so that the next disturbance does not take a majority away.
    pub(crate) async fn whole(&self) {
        let began = Instant::now();
        for server in &self.servers {
            loop {
                let port = server.monitor_port();
                let health =
                    tokio::task::spawn_blocking(move || monitor::get(port, "/healthz")).await.expect("no panic");
                if health.as_ref().is_some_and(|health| health["status"] == "ok") {
                    break;
                }
                assert!(began.elapsed() < WHOLE, "{} is not healthy: {health:?}\n{}", server.port(), server.log());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The place of the server with that name.
    fn place(&self, name: &str) -> Option<usize> {
        self.servers.iter().position(|server| format!("n{}", server.port()) == name)
    }

    /// Makes one disturbance around the stream and its consumer, and waits until it is over; not until the cluster is
    /// [`whole`](Cluster::whole). `calm` is connected to some server. `false`: it could not be made.
    pub(crate) async fn trouble(
        &mut self,
        trouble: Trouble,
        calm: &Context,
        stream: &str,
        consumer: Option<&str>,
    ) -> bool {
        let leader = leader(calm, stream).await.and_then(|name| self.place(&name));
        let Some(leader) = leader else { return false };
        let other = (leader + 1) % self.servers.len();
        match trouble {
            Trouble::KillLeader | Trouble::KillFollower => {
                let server = &mut self.servers[if trouble == Trouble::KillLeader { leader } else { other }];
                server.kill();
                server.restart().await;
            }
            Trouble::FreezeLeader => {
                self.servers[leader].stop();
                tokio::time::sleep(FROZEN).await;
                self.servers[leader].cont();
            }
            Trouble::LameDuck => {
                let server = &mut self.servers[other];
                server.lame_duck();
                // It ends by itself when its clients have left.
                server.ended().await;
                server.restart().await;
            }
            Trouble::StreamStepDown => return step_down(calm, &format!("STREAM.LEADER.STEPDOWN.{stream}")).await,
            Trouble::ConsumerStepDown => {
                let Some(consumer) = consumer else { return false };
                return step_down(calm, &format!("CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}")).await;
            }
        }
        true
    }
}

/// The name of the server that leads the stream.
pub(crate) async fn leader(calm: &Context, stream: &str) -> Option<String> {
    let stream = calm.get_stream(stream).await.ok()?;
    stream.cached_info().cluster.as_ref()?.leader.clone()
}

async fn step_down(calm: &Context, subject: &str) -> bool {
    let answer = calm.request(subject.to_owned(), &Value::Null).await;
    matches!(answer, Ok(Response::<Value>::Ok(_)))
}
