//! Several brokers that route messages to each other and announce each other to clients.

use super::broker::Broker;
use super::builder::Builder;
use super::node::{Fabric, random};
use std::io;
use std::ops::Deref;
use std::sync::Arc;

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

impl Cluster {
    pub(super) async fn start(builder: Builder, brokers: usize) -> io::Result<Self> {
        let name = format!("cluster-{:08x}", random() >> 32);
        let fabric = Arc::new(Fabric::new(Some(name), builder.has_jetstream()));
        let mut cluster = Self { brokers: Vec::new(), builder, fabric };
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

impl Builder {
    /// Starts a cluster of this many brokers, which route messages to each other and announce each
    /// other to clients.
    ///
    /// # Errors
    ///
    /// When a port can't be opened.
    pub async fn cluster(self, brokers: usize) -> io::Result<Cluster> {
        Cluster::start(self, brokers).await
    }
}

impl Broker {
    /// Starts a cluster of this many brokers, which route messages to each other and announce each
    /// other to clients. [`Builder::cluster`] does the same with settings.
    ///
    /// # Errors
    ///
    /// When a port can't be opened.
    pub async fn cluster(brokers: usize) -> io::Result<Cluster> {
        Builder::default().cluster(brokers).await
    }
}
