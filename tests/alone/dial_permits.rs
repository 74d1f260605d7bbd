//! A process makes at most 64 dials at a time, over all clients and runtimes, and waiting for a permit costs only time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions, ServerAddr};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use crate::support::{SOON, eventually, soon};
use crate::{alone, turn};

/// D14.
const MOST: usize = 64;

/// Counts the dials in progress, and blocks them until it is opened.
struct Gate {
    under_way: AtomicUsize,
    most: AtomicUsize,
    begun: AtomicUsize,
    open: watch::Sender<bool>,
}

/// Counts a dial as finished when it is dropped.
struct Over(Arc<Gate>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gate {
    fn new() -> Arc<Gate> {
        let (under_way, most, begun) = Default::default();
        Arc::new(Gate { under_way, most, begun, open: watch::channel(false).0 })
    }

    fn open(&self) {
        self.open.send_replace(true);
    }

    fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    async fn dial(self: Arc<Gate>, addr: ServerAddr) -> io::Result<TcpStream> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(under_way, Ordering::SeqCst);
        let over = Over(self);
        over.0.open.subscribe().wait_for(|open| *open).await.map_err(io::Error::other)?;
        TcpStream::connect((addr.host(), addr.port())).await
    }
}

fn options(gate: &Arc<Gate>) -> ConnectOptions {
    let gate = gate.clone();
    ConnectOptions::new()
        .connection_timeout(Duration::from_secs(60))
        .retry_on_initial_connect()
        .dialer(move |addr| gate.clone().dial(addr))
}

async fn clients(gate: &Arc<Gate>, broker: &Broker, count: usize) -> Vec<Client> {
    join_all((0..count).map(|_| async { options(gate).connect(broker.url()).await.unwrap() })).await
}

// N8, D14
#[test]
fn hundreds_of_clients_dial_sixty_four_at_a_time_and_all_arrive() {
    alone(async {
        let broker = Broker::start().await.unwrap();
        let gate = Gate::new();
        let clients = clients(&gate, &broker, 400).await;
        eventually("as many dials as may be", SOON, async || gate.under_way() == MOST).await;
        gate.open();
        for client in &clients {
            soon("a flush", client.flush()).await.unwrap();
        }
        assert_eq!((gate.most(), gate.begun()), (MOST, 400));
    })
}

// N8, D14
#[test]
fn a_dropped_client_returns_its_dial_permit() {
    alone(async {
        let broker = Broker::start().await.unwrap();
        let gate = Gate::new();
        let first = clients(&gate, &broker, MOST).await;
        eventually("as many dials as may be", SOON, async || gate.under_way() == MOST).await;
        let waiting = clients(&gate, &broker, 10).await;
        let last = clients(&gate, &broker, 1).await;
        // Drops both dialling and waiting clients: the last one gets its permit.
        drop(waiting);
        drop(first);
        eventually("the last one dials", SOON, async || gate.begun() > MOST && gate.under_way() == 1).await;
        gate.open();
        soon("a flush", last[0].flush()).await.unwrap();
        assert!(gate.most() <= MOST);
    })
}

// N8, D14
#[test]
fn waiting_for_a_dial_permit_does_not_use_up_the_attempts_time() {
    alone(async {
        let broker = Broker::start().await.unwrap();
        let gate = Gate::new();
        let first = clients(&gate, &broker, MOST).await;
        eventually("as many dials as may be", SOON, async || gate.under_way() == MOST).await;
        // The attempt's limit is shorter than its wait for a permit.
        let limit = Duration::from_secs(1);
        let patient = ConnectOptions::new().connection_timeout(limit).connect(broker.url());
        let patient = tokio::spawn(patient);
        tokio::time::sleep(3 * limit).await;
        assert!(!patient.is_finished(), "it waits, and nothing has failed");
        gate.open();
        soon("a connection", patient).await.unwrap().unwrap();
        drop(first);
    })
}

// N8, D14
#[test]
fn the_clients_of_all_runtimes_share_the_dial_permits() {
    let _turn = turn();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let main = runtime();
    let broker = Arc::new(main.block_on(Broker::start()).unwrap());
    let gate = Gate::new();
    // A runtime that ends early leaves its clients' permits to the others.
    let ended = runtime();
    let lost = ended.block_on(async {
        let clients = clients(&gate, &broker, 40).await;
        eventually("all dial", SOON, async || gate.under_way() == 40).await;
        clients
    });
    let done = Arc::new(Semaphore::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (broker, gate, done) = (broker.clone(), gate.clone(), done.clone());
            thread::spawn(move || {
                runtime().block_on(async {
                    let clients = clients(&gate, &broker, 40).await;
                    for client in &clients {
                        soon("a flush", client.flush()).await.unwrap();
                    }
                    done.add_permits(1);
                });
            })
        })
        .collect();
    let full = || eventually("as many dials as may be", SOON, async || gate.under_way() == MOST);
    main.block_on(full());
    assert_eq!(gate.most(), MOST);
    // Its tasks are dropped in any order: some dials may end a little later than their permits are returned.
    drop(ended);
    main.block_on(async {
        full().await;
        gate.open();
        let _all = soon("four runtimes", done.acquire_many(4)).await.unwrap();
    });
    drop(lost);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(gate.begun() >= 200, "{} dials", gate.begun());
}
