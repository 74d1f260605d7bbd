//! What happens to the servers while a world lives: they crash, come back, and say that they will stop. The user may want
//! another connection too.

use std::time::Duration;

use nats_lifeline::Client;
use rand::RngExt;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use tokio::time::{Instant, sleep};

use crate::carrier::Network;
use crate::cluster::State;

/// How long a lame duck's clients may take to leave it: it is left within a second, a dial takes up to 900 ms, and each of two PONGs
/// a moment.
const NOTICE: Duration = Duration::from_secs(4);

/// A client has heard of a change after this.
const GOSSIP: Duration = Duration::from_millis(100);

pub(crate) struct Weather {
    pub(crate) network: Network,
    pub(crate) client: Client,
    pub(crate) rng: SmallRng,
}

impl Weather {
    /// Until the rough time is over; then all servers are there.
    pub(crate) async fn change(mut self) {
        let began = Instant::now();
        let rough = self.network.plan.rough;
        while began.elapsed() < rough {
            if self.network.plan.calm { self.move_on().await } else { self.strike().await }
        }
        let mut cluster = self.network.cluster.lock().unwrap();
        for node in 0..cluster.nodes.len() {
            if cluster.nodes[node].state == State::LameDuck {
                cluster.crash(node);
            }
            cluster.come_back(node);
        }
    }

    async fn rest(&mut self, from: u64, below: u64) {
        sleep(Duration::from_millis(self.rng.random_range(from..below))).await;
    }

    async fn move_on(&mut self) {
        self.rest(500, 2_500).await;
        let node = if self.rng.random_bool(0.7) { Some(self.near()) } else { None };
        let Some(node) = node else {
            // Where a server is missing this is no planned move: one server is tried, and then the present one left.
            return self.client.force_reconnect().await.expect("the client lives");
        };
        self.network.cluster.lock().unwrap().announce_the_end(node);
        sleep(NOTICE).await;
        {
            let mut cluster = self.network.cluster.lock().unwrap();
            let still = cluster.open_at(node);
            if !still.is_empty() {
                cluster.complaints.push(format!("m{node} stops, and connections {still:?} are still there"));
            }
            cluster.crash(node);
        }
        sleep(GOSSIP).await;
        let plan = &self.network.plan;
        if node >= plan.named && plan.preferred != Some(node) {
            let pool = self.client.server_pool().await.expect("a pool");
            let still = pool.iter().find(|server| server.addr.host() == format!("m{node}"));
            assert!(still.is_none(), "m{node} is gone, and in the pool: {still:?}");
        }
        self.rest(0, 2_000).await;
        self.network.cluster.lock().unwrap().come_back(node);
    }

    /// The client's server, mostly.
    fn near(&mut self) -> usize {
        let cluster = self.network.cluster.lock().unwrap();
        let up = cluster.up();
        let near = up.iter().copied().find(|node| !cluster.open_at(*node).is_empty());
        near.filter(|_| self.rng.random_bool(0.8)).unwrap_or_else(|| up.choose(&mut self.rng).copied().unwrap_or(0))
    }

    async fn strike(&mut self) {
        self.rest(100, 2_500).await;
        let what = self.rng.random_range(0..10);
        if what == 0 {
            return self.client.force_reconnect().await.expect("the client lives");
        }
        let mut cluster = self.network.cluster.lock().unwrap();
        let node = self.rng.random_range(0..cluster.nodes.len());
        match (what, cluster.nodes[node].state) {
            (_, State::Down) => cluster.come_back(node),
            (1..4, State::Up) => cluster.announce_the_end(node),
            (1..8, _) => cluster.crash(node),
            _ => {}
        }
    }
}
