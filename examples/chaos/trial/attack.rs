//! The attack: one fault after the other, until it is stopped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nats_lifeline::Client;
use tokio::sync::watch;

use super::args::Mode;
use super::cutter::{Cutter, wait};
use super::dice::Dice;
use super::herd::Herd;
use super::load::lock;

/// How long the attack waits for its victims to reconnect before it continues.
const BACK: Duration = Duration::from_secs(10);

pub(crate) enum Attack {
    Cut(Box<Cutter>),
    Cluster(Herd),
}

/// The faults so far.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) latest: Option<&'static str>,
}

impl Attack {
    pub(crate) async fn prepare(mode: Mode) -> Attack {
        match mode {
            Mode::Cut => Attack::Cut(Box::new(Cutter::start().await)),
            Mode::Cluster => Attack::Cluster(Herd::start().await),
        }
    }

    /// The servers of the publisher.
    pub(crate) fn exposed(&self) -> Vec<String> {
        match self {
            Attack::Cut(cutter) => vec![cutter.exposed()],
            Attack::Cluster(herd) => herd.urls(),
        }
    }

    /// The servers of the subscriber.
    pub(crate) fn sheltered(&self) -> Vec<String> {
        match self {
            Attack::Cut(cutter) => vec![cutter.sheltered()],
            Attack::Cluster(herd) => herd.urls(),
        }
    }

    /// How often a message was sent after a later one, if this can be observed.
    pub(crate) fn disordered(&self, at_most_once: bool) -> u64 {
        match self {
            Attack::Cut(cutter) => cutter.leaving().disordered(at_most_once),
            Attack::Cluster(_) => 0,
        }
    }

    /// Injects faults until stopped, then repairs everything.
    pub(crate) async fn run(
        mut self,
        seed: u64,
        publisher: Client,
        subscriber: Client,
        strikes: Arc<Mutex<Strikes>>,
        mut over: watch::Receiver<bool>,
    ) -> Attack {
        let mut dice = Dice::new(seed);
        loop {
            let pause = match dice.percent(30) {
                true => dice.millis(0, 200),
                false => dice.millis(200, 1_500),
            };
            let ready = async {
                // Sometimes a client is hit while it is disconnected.
                if dice.percent(80) {
                    let up = || [&publisher, &subscriber].iter().all(|client| client.connected_server().is_some());
                    wait(BACK, up).await;
                }
                tokio::time::sleep(pause).await;
            };
            tokio::select! {
                _ = over.wait_for(|over| *over) => break,
                () = ready => {}
            }
            let done = match &mut self {
                Attack::Cut(cutter) => cutter.strike(&mut dice, &publisher).await,
                Attack::Cluster(herd) => herd.strike(&mut dice, &[&publisher, &subscriber]).await,
            };
            let mut strikes = lock(&strikes);
            *strikes.counts.entry(done).or_default() += 1;
            strikes.latest = Some(done);
        }
        if let Attack::Cut(cutter) = &self {
            cutter.make_peace().await;
        }
        self
    }
}
