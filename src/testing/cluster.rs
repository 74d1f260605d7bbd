//! Several brokers that route messages to each other and announce each other to clients.

use super::broker::Broker;
use super::builder::Builder;
use super::lock;
use super::node::{Node, random};
use super::router::Router;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, Weak};

/// What the brokers of a cluster share. A single broker has one of its own.
pub(super) struct Fabric {
    /// `None` for a single broker.
    pub(super) name: Option<String>,
    /// One for all: a message goes straight to every subscriber, whichever broker it is connected to.
    pub(super) router: Router,
    members: Mutex<Vec<Weak<Node>>>,
}

impl Fabric {
    pub(super) fn new(name: Option<String>) -> Self {
        Self { name, router: Router::default(), members: Mutex::default() }
    }

    pub(super) fn join(&self, node: &Arc<Node>) {
        lock(&self.members).push(Arc::downgrade(node));
    }

    fn members(&self) -> Vec<Arc<Node>> {
        let mut members = lock(&self.members);
        members.retain(|node| node.strong_count() > 0);
        members.iter().filter_map(Weak::upgrade).collect()
    }

    /// The complete list, with the broker's own address first unless it is about to stop. A single
    /// broker sends none.
    pub(super) fn connect_urls(&self, node: &Node, without_own: bool) -> Vec<String> {
        if self.name.is_none() {
            return Vec::new();
        }
        let members = self.members();
        let others = members.iter().filter(|other| other.addr != node.addr);
        let mut urls: Vec<String> =
            others.filter(|other| other.is_up() && !other.is_lame_duck()).map(|other| other.addr.to_string()).collect();
        if !without_own && !urls.is_empty() {
            urls.insert(0, node.addr.to_string());
        }
        urls
    }

    /// Sends a new INFO to the clients of all brokers.
    pub(super) fn announce(&self) {
        for node in self.members() {
            node.push_info();
        }
    }
}

/// Brokers that form a cluster: each routes what its clients publish to the clients of the others.
/// When a broker comes or goes, every client gets a new INFO with the complete list
/// (`connect_urls`).
///
/// It derefs to a slice of brokers: `cluster[0].kill()`, `cluster.len()`,
/// `for broker in cluster.iter()`. Dropping it stops them all.
///
/// ```
/// use nats_lifeline::testing::Broker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let cluster = Broker::cluster(3).await?;
/// cluster[1].kill();
/// assert_eq!(cluster.urls().len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a cluster stops its brokers"]
pub struct Cluster {
    brokers: Vec<Broker>,
    builder: Builder,
    fabric: Arc<Fabric>,
}

impl std::fmt::Debug for Fabric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fabric").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(super) async fn start(builder: Builder, brokers: usize) -> io::Result<Self> {
        let name = format!("cluster-{:08x}", random() >> 32);
        let mut cluster = Self { brokers: Vec::new(), builder, fabric: Arc::new(Fabric::new(Some(name))) };
        for _ in 0..brokers {
            cluster.join().await?;
        }
        Ok(cluster)
    }

    /// Starts one more broker, which joins the others.
    ///
    /// # Errors
    ///
    /// When its port can't be opened.
    pub async fn join(&mut self) -> io::Result<&Broker> {
        let index = self.brokers.len();
        let fabric = Arc::clone(&self.fabric);
        let broker = self.builder.start_in(fabric, index).await?;
        self.brokers.push(broker);
        self.brokers.last().ok_or(io::ErrorKind::NotFound.into())
    }

    /// The URLs of all brokers, including those that are down.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.brokers.iter().map(Broker::url).collect()
    }
}

impl Deref for Cluster {
    type Target = [Broker];

    fn deref(&self) -> &[Broker] {
        &self.brokers
    }
}
