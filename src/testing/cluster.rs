//! Several brokers that pass messages on to each other and know of each other.

use super::broker::Broker;
use super::builder::Builder;
use super::lock;
use super::node::{Node, random};
use super::router::Router;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, Weak};

/// What the brokers of a cluster share. A lone broker has one for itself.
pub(super) struct Fabric {
    /// `None` for a lone broker.
    pub(super) name: Option<String>,
    /// One for all: a message goes to every subscriber at once, whichever broker it is at.
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

    /// The complete list: the own address first, unless it will go. A broker that is alone sends
    /// none.
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

    /// Tells the clients of all brokers what is new.
    pub(super) fn announce(&self) {
        for node in self.members() {
            node.push_info();
        }
    }
}

/// Brokers that form a cluster: each passes on what its clients publish to the clients of the
/// others, and every client is told at once who comes and goes (`connect_urls` in INFO, the
/// complete list each time).
///
/// It is a slice of brokers: `cluster[0].kill()`, `cluster.len()`, `for broker in cluster.iter()`.
/// Dropping it ends them all.
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
    /// When its port can't be had.
    pub async fn join(&mut self) -> io::Result<&Broker> {
        let index = self.brokers.len();
        let fabric = Arc::clone(&self.fabric);
        let broker = self.builder.start_in(fabric, index).await?;
        self.brokers.push(broker);
        self.brokers.last().ok_or(io::ErrorKind::NotFound.into())
    }

    /// The URLs of all brokers, also of those that are down.
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
