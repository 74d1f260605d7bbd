//! The attack: which broker is killed when, and when it is restarted.

use std::io;
use std::time::{Duration, Instant};

use nats_lifeline::testing::{Broker, Cluster};
use nats_lifeline::{Client, ServerAddr, ToServerAddrs};

use crate::Error;

/// Once in this many times, both brokers of the publisher are killed, and it has no server at all.
const ALL_EVERY: u64 = 4;

pub(crate) struct Attack {
    cluster: Option<Cluster>,
    /// The servers of the attacked client, and those of the other one.
    pub(crate) exposed: Vec<ServerAddr>,
    pub(crate) sheltered: Vec<ServerAddr>,
    strikes: u64,
    /// Since when none of the attacked brokers is up.
    dark_since: Option<Instant>,
    /// What happened since the last line.
    pub(crate) news: Option<String>,
    pub(crate) killed: u64,
    /// How often none of the attacked brokers was up, and the longest time.
    pub(crate) dark: u64,
    pub(crate) longest_dark: Duration,
}

impl Attack {
    /// With our own brokers: A and B are attacked, C is not.
    pub(crate) fn on(cluster: Cluster) -> io::Result<Attack> {
        let mut exposed: Vec<ServerAddr> = cluster.urls().to_server_addrs()?.collect();
        let sheltered = exposed.split_off(2);
        Ok(Attack { cluster: Some(cluster), ..Attack::peaceful(exposed, sheltered) })
    }

    /// No attack: the user kills servers.
    pub(crate) fn none(servers: Vec<ServerAddr>) -> Attack {
        Attack::peaceful(servers.clone(), servers)
    }

    fn peaceful(exposed: Vec<ServerAddr>, sheltered: Vec<ServerAddr>) -> Attack {
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

    /// Whether the brokers are our own.
    pub(crate) fn is_ours(&self) -> bool {
        self.cluster.is_some()
    }

    /// Restarts the brokers of the last strike, and kills the broker that `victim` is connected to.
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

    /// Restarts dead brokers.
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
