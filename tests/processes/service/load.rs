//! Load for the example `service`: another client's requests, and what became of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use nats_lifeline::{Client, Request, RequestErrorKind};
use tokio::task::JoinSet;

/// Tasks that send requests.
const SENDERS: u64 = 4;

/// Requests that each has under way at the same time.
const BATCH: u64 = 16;

/// Far more than an answer needs while the service is connected.
const TIMEOUT: Duration = Duration::from_secs(60);

/// When senders end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// When the load is [stopped](Load::stop). Until then it goes on, whatever becomes of its requests.
    WhenStopped,
    /// When a request has no responders.
    WithoutResponders,
}

#[derive(Debug, Default)]
struct Counts {
    stopped: AtomicBool,
    answered: AtomicU64,
    no_responders: AtomicU64,
    in_doubt: AtomicU64,
}

/// What became of the requests so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) answered: u64,
    /// The service had no subscription.
    pub(crate) no_responders: u64,
    /// The connection was lost before the answer came, or no answer came.
    pub(crate) in_doubt: u64,
}

pub(crate) struct Load {
    counts: Arc<Counts>,
    senders: JoinSet<()>,
    client: Client,
}

impl Load {
    pub(crate) async fn start(url: &str, ends: Ends) -> Load {
        let client = nats_lifeline::connect(url).await.unwrap();
        let counts = Arc::new(Counts::default());
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            senders.spawn(send(client.clone(), sender, ends, Arc::clone(&counts)));
        }
        Load { counts, senders, client }
    }

    pub(crate) fn outcomes(&self) -> Outcomes {
        self.counts.outcomes()
    }

    /// Sends no further requests.
    pub(crate) fn stop(&self) {
        self.counts.stopped.store(true, Ordering::Relaxed);
    }

    /// Waits for the outcomes of all requests.
    pub(crate) async fn ended(mut self) -> Outcomes {
        while let Some(sender) = self.senders.join_next().await {
            sender.unwrap();
        }
        self.client.close().await.unwrap();
        self.counts.outcomes()
    }
}

impl Counts {
    fn outcomes(&self) -> Outcomes {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Outcomes {
            answered: count(&self.answered),
            no_responders: count(&self.no_responders),
            in_doubt: count(&self.in_doubt),
        }
    }
}

/// Sends one order, for whose answer nobody waits.
pub(crate) async fn one(url: &str) -> Client {
    let client = nats_lifeline::connect(url).await.unwrap();
    client.publish_with_reply("orders.new", "answers.one", "a single order".into()).await.unwrap();
    client.flush().await.unwrap();
    client
}

/// Sends batches of requests, and waits for the outcomes of each.
async fn send(client: Client, sender: u64, ends: Ends, counts: Arc<Counts>) {
    for batch in 0.. {
        let requests = (0..BATCH).map(|number| {
            let order = format!("order {sender}-{batch}-{number}");
            let request = Request::new().payload(order.into()).timeout(Some(TIMEOUT));
            client.send_request("orders.new", request)
        });
        let mut served = true;
        for outcome in join_all(requests).await {
            let counter = match outcome {
                Ok(answer) => {
                    assert_eq!(answer.payload, "accepted");
                    &counts.answered
                }
                Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                    served = false;
                    &counts.no_responders
                }
                Err(_) => &counts.in_doubt,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let over = match ends {
            Ends::WhenStopped => counts.stopped.load(Ordering::Relaxed),
            Ends::WithoutResponders => !served,
        };
        if over {
            return;
        }
        // Without responders the answers come immediately.
        tokio::time::sleep(Duration::from_millis(if served { 2 } else { 50 })).await;
    }
}
