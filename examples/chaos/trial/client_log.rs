//! A client's events about its connection: losses, the time to the next connection, and lost messages.

use std::time::Duration;

use nats_lifeline::Client;
use nats_lifeline::connection::{ConnectionEvent, Events};

pub(crate) struct ClientLog {
    events: Events,
    connected: bool,
    pub(crate) losses: u64,
    /// From a loss to the next connection, after which buffered messages are on their way.
    pub(crate) downtimes: Vec<Duration>,
    pub(crate) attempts: u64,
    pub(crate) in_doubt: u64,
    pub(crate) lost: u64,
    /// How often `Connected` and `Disconnected` did not alternate.
    pub(crate) out_of_turn: u64,
}

impl ClientLog {
    /// From now on; the client is connected.
    pub(crate) fn of(client: &Client) -> ClientLog {
        ClientLog {
            events: client.events(),
            connected: true,
            losses: 0,
            downtimes: Vec::new(),
            attempts: 0,
            in_doubt: 0,
            lost: 0,
            out_of_turn: 0,
        }
    }

    /// Reads the events since the last call.
    pub(crate) fn listen(&mut self) {
        while let Some(event) = self.events.try_recv() {
            match event {
                ConnectionEvent::Disconnected { in_doubt, folded, .. } => {
                    self.in_doubt += in_doubt;
                    self.losses += 1 + folded;
                    self.turn(false);
                }
                ConnectionEvent::Reconnected { downtime, attempts, .. } => {
                    self.downtimes.push(downtime);
                    self.attempts += attempts;
                    self.turn(true);
                }
                ConnectionEvent::LeftInDoubt { messages, .. } => self.in_doubt += messages,
                ConnectionEvent::Lost { lost, .. } => self.lost += lost.total(),
                _ => {}
            }
        }
    }

    fn turn(&mut self, connected: bool) {
        self.out_of_turn += u64::from(self.connected == connected);
        self.connected = connected;
    }

    /// The time within which this many of a hundred outages were over.
    pub(crate) fn within(&self, percent: usize) -> Option<Duration> {
        let mut times = self.downtimes.clone();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        times.get((times.len() * percent / 100).min(last)).copied()
    }
}
