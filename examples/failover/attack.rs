//! The attack: which broker is killed when, and which comes back.

use std::time::{Duration, Instant};

use nats_lifeline::Client;
use nats_lifeline::testing::{Broker, Cluster};

use crate::Error;

/// Every so many times both brokers of the publisher are killed, and nothing is left to go to.
const ALL_EVERY: u64 = 4;

pub(crate) struct Attack {
    cluster: Option<Cluster>,
    /// The servers of the client that is attacked, and of the one that is not.
    pub(crate) exposed: Vec<String>,
    pub(crate) sheltered: Vec<String>,
    strikes: u64,
    /// Since when no exposed broker is up.
    dark_since: Option<Instant>,
    /// What was done since the last line.
    pub(crate) news: Option<String>,
    pub(crate) killed: u64,
    /// How often no exposed broker was left, and for how long at most.
    pub(crate) dark: u64,
    pub(crate) longest_dark: Duration,
}

impl Attack {
    /// On brokers of our own: A and B are attacked, C is not.
    pub(crate) fn on(cluster: Cluster) -> Attack {
        let mut exposed = cluster.urls();
        let sheltered = exposed.split_off(2);
        Attack { cluster: Some(cluster), ..Attack::peaceful(exposed, sheltered) }
    }

    /// None: the user does it.
    pub(crate) fn none(servers: &[String]) -> Attack {
        Attack::peaceful(servers.to_vec(), servers.to_vec())
    }

    fn peaceful(exposed: Vec<String>, sheltered: Vec<String>) -> Attack {
        Attack {
            cluster: None,
            exposed,
            sheltered,
            strikes: 0,
            dark_since: None,
            news: None,
            killed: 0,
            dark: 0,
            longest_dark: Duration::ZERO,
        }
    }

    /// Are the brokers ours?
    pub(crate) fn is_ours(&self) -> bool {
        self.cluster.is_some()
    }

    /// Restarts what the last strike killed, and kills the broker that `victim` is connected to.
    pub(crate) async fn strike(&mut self, victim: &Client) -> Result<(), Error> {
        self.make_peace().await?;
        let Some(cluster) = &self.cluster else { return Ok(()) };
        self.strikes += 1;
        let all = self.strikes % ALL_EVERY == 0;
        let server = victim.connected_server();
        let mut names = Vec::new();
        for (broker, name) in exposed(cluster) {
            if all || server.as_deref() == Some(broker.addr().to_string().as_str()) {
                broker.kill();
                names.push(name);
            }
        }
        self.killed += names.len() as u64;
        if all {
            self.dark += 1;
            self.dark_since = Some(Instant::now());
        }
        if !names.is_empty() {
            self.news = Some(format!("{} killed", names.join(" and ")));
        }
        Ok(())
    }

    /// Restarts what is down.
    pub(crate) async fn make_peace(&mut self) -> Result<(), Error> {
        let Some(cluster) = &self.cluster else { return Ok(()) };
        for (broker, _) in exposed(cluster) {
            if !broker.is_up() {
                broker.restart().await?;
            }
        }
        if let Some(since) = self.dark_since.take() {
            self.longest_dark = self.longest_dark.max(since.elapsed());
        }
        Ok(())
    }

    /// The name of a server: its letter and port if it is ours.
    pub(crate) fn name(&self, server: &str) -> String {
        let brokers = self.cluster.iter().flat_map(|cluster| cluster.iter());
        let known = ["A", "B", "C"].into_iter().zip(brokers).find(|(_, broker)| broker.addr().to_string() == server);
        known.map_or_else(|| server.to_owned(), |(name, _)| name.to_owned())
    }
}

fn exposed(cluster: &Cluster) -> impl Iterator<Item = (&Broker, &'static str)> {
    cluster.iter().zip(["A", "B"])
}
