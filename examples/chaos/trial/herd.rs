//! Faults of servers: three in a cluster, killed, stopped, made lame ducks and restarted.

use std::time::Duration;

use nats_lifeline::Client;

use super::dice::Dice;
use crate::support::{Cluster, Server};

const SIZE: usize = 3;

/// A lame duck that has not ended after this time is killed.
const LAME: Duration = Duration::from_secs(8);

/// How long to wait after a stop, until the server has processed the bytes that its kernel took in the meantime.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
enum Strike {
    Kill(usize),
    Terminate,
    Stop,
    LongStop,
    Lame,
}

const STRIKES: [(u64, Strike); 7] = [
    (40, Strike::Kill(1)),
    (10, Strike::Kill(2)),
    (5, Strike::Kill(SIZE)),
    (8, Strike::Terminate),
    (12, Strike::Stop),
    (12, Strike::LongStop),
    (13, Strike::Lame),
];

pub(crate) struct Herd {
    cluster: Cluster,
    has_begun: bool,
}

impl Herd {
    pub(crate) async fn start() -> Herd {
        // The shortest that servers accept; with a handful of clients it is over in seconds.
        let setup = Server::builder().lame_duck(Duration::from_secs(1), Duration::from_secs(30));
        Herd { cluster: Cluster::start_as(SIZE, setup).await, has_begun: false }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.cluster.urls()
    }

    /// Injects one fault, usually into the server of one of `victims`, repairs it, and returns its name. The first one
    /// is simple: the server of a client is killed.
    ///
    /// While a server hangs, nothing else happens: a cluster whose members continue with old bytes at the same time may
    /// deliver a message twice, whatever clients do.
    pub(crate) async fn strike(&mut self, dice: &mut Dice, victims: &[&Client]) -> &'static str {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let first = self.victim(dice, victims, if is_first { 100 } else { 80 });
        let strike = if is_first { Strike::Kill(1) } else { dice.weighted(&STRIKES) };
        match strike {
            Strike::Kill(count) => {
                let dead: Vec<usize> = (0..count).map(|more| (first + more) % SIZE).collect();
                for index in &dead {
                    self.cluster.servers[*index].kill();
                }
                tokio::time::sleep(dice.millis(0, 2_000)).await;
                for index in dead {
                    self.cluster.servers[index].restart().await;
                }
                ["one killed", "two killed", "all killed"][count - 1]
            }
            Strike::Terminate => {
                let server = &mut self.cluster.servers[first];
                server.terminate().await;
                tokio::time::sleep(dice.millis(0, 1_000)).await;
                server.restart().await;
                "one terminated"
            }
            Strike::Stop => self.hang(first, dice.millis(50, 900), "one stopped for a moment").await,
            Strike::LongStop => self.hang(first, dice.millis(3_000, 5_000), "one stopped").await,
            Strike::Lame => {
                let server = &mut self.cluster.servers[first];
                server.lame_duck();
                tokio::time::sleep(LAME).await;
                server.kill();
                server.restart().await;
                "one made a lame duck"
            }
        }
    }

    async fn hang(&mut self, index: usize, time: Duration, name: &'static str) -> &'static str {
        self.cluster.servers[index].stop();
        tokio::time::sleep(time).await;
        self.cluster.servers[index].cont();
        tokio::time::sleep(SETTLE).await;
        name
    }

    /// The server of one of the clients, in this many of a hundred cases, or any server.
    fn victim(&self, dice: &mut Dice, victims: &[&Client], percent: u64) -> usize {
        let at_random = dice.between(0, SIZE as u64 - 1) as usize;
        let victim = victims[dice.between(0, victims.len() as u64 - 1) as usize];
        let server = victim.connected_server().filter(|_| dice.percent(percent));
        let of_it = |server: &Server| Some(server.address()) == victim.connected_server();
        server.and_then(|_| self.cluster.servers.iter().position(of_it)).unwrap_or(at_random)
    }
}
