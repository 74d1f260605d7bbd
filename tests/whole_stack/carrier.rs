//! Carries the bytes of a connection between the client's stream and a model server, each direction by itself, until
//! the fate of the connection has its way.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nats_lifeline::ServerAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, address};
use crate::plan::{At, Dial, End, Fate, Plan};
use crate::stream::Stream;
use crate::tap::Tap;

/// There and back.
const SHORTEST_WAY: Duration = Duration::from_millis(1);

/// The network and the servers at its far end. Every clone is the same one.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) plan: Arc<Plan>,
    pub(crate) cluster: Arc<Mutex<Cluster>>,
    /// No faults from now on; connections that have fallen silent remain so.
    pub(crate) peace: Arc<AtomicBool>,
    dials: Arc<AtomicUsize>,
    /// The number of streams that the client has.
    held: Arc<AtomicUsize>,
    taps: Arc<Mutex<Vec<Arc<Mutex<Tap>>>>>,
    carriers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Network {
    pub(crate) fn new(plan: Plan) -> Network {
        Network {
            cluster: Arc::new(Mutex::new(Cluster::new(&plan))),
            plan: Arc::new(plan),
            peace: Arc::default(),
            dials: Arc::default(),
            held: Arc::default(),
            taps: Arc::default(),
            carriers: Arc::default(),
        }
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// How many messages all streams have taken whole; `None`: one of them has failed, and nobody knows.
    pub(crate) fn taken(&self) -> Option<u64> {
        let taps = self.taps.lock().unwrap();
        let taken =
            |tap: &Arc<Mutex<Tap>>| Some(tap.lock().unwrap()).filter(|tap| !tap.failed).map(|tap| tap.messages());
        taps.iter().map(taken).sum()
    }

    fn is_at_peace(&self) -> bool {
        self.peace.load(Ordering::Relaxed)
    }

    pub(crate) async fn dial(self, server: ServerAddr) -> io::Result<Stream> {
        let node = (0..self.plan.servers).find(|node| address(*node) == format!("{}:{}", server.host(), server.port()));
        let node = node.ok_or_else(|| io::Error::from(io::ErrorKind::HostUnreachable))?;
        let number = self.dials.fetch_add(1, Ordering::Relaxed);
        let fate = self.plan.fate(number);
        match fate.dial {
            Dial::Refuse if !self.is_at_peace() => return Err(io::ErrorKind::ConnectionRefused.into()),
            Dial::Hang if !self.is_at_peace() => pending().await,
            Dial::Connect(after) => tokio::time::sleep(after).await,
            Dial::Refuse | Dial::Hang => {}
        }
        // A connection takes a while, so that nothing has happened before anybody listens.
        tokio::time::sleep(SHORTEST_WAY).await;
        let accepted = self.cluster.lock().unwrap().accept(node);
        let Some(at) = accepted else { return Err(io::ErrorKind::ConnectionRefused.into()) };
        let (ours, theirs) = tokio::io::duplex(fate.window);
        let (from, to) = tokio::io::split(theirs);
        let tap = Arc::new(Mutex::new(Tap::new()));
        self.taps.lock().unwrap().push(Arc::clone(&tap));
        let rng = self.plan.dice(1_000_000 + number as u64);
        let stream = Stream::new(ours, fate.habits, rng, Arc::clone(&self.peace), Arc::clone(&self.held), tap);
        let (up, down) = (self.clone(), self.clone());
        let (fate, silent) = (Arc::new(fate), Arc::new(AtomicBool::new(false)));
        let (its_fate, its_silent) = (Arc::clone(&fate), Arc::clone(&silent));
        let up = tokio::spawn(async move { up.carry_up(at, from, &its_fate, &its_silent).await });
        let down = tokio::spawn(async move { down.carry_down(at, to, &fate, &silent).await });
        self.carriers.lock().unwrap().extend([up, down]);
        Ok(stream)
    }

    /// Awaits the end of everything that was on its way.
    pub(crate) async fn settle(&self) {
        let carriers = std::mem::take(&mut *self.carriers.lock().unwrap());
        for carrier in carriers {
            carrier.await.expect("a carrier does not panic");
        }
    }

    /// From the client to the server. The server acts on what was on its way when the client left, late perhaps.
    async fn carry_up(&self, at: usize, mut from: ReadHalf<DuplexStream>, fate: &Fate, silent: &AtomicBool) {
        let (mut passed, mut buf) = (0, [0; 1024]);
        let gone = Arc::clone(&self.cluster.lock().unwrap().conns[at].gone);
        loop {
            let read = tokio::select! {
                biased;
                read = from.read(&mut buf) => read,
                () = gone.notified() => break,
            };
            let Ok(got @ 1..) = read else { break };
            self.stall(fate.up_stalls, passed, got).await;
            if !self.is_at_peace() {
                tokio::time::sleep(fate.pause).await;
            }
            if silent.load(Ordering::Relaxed) {
                continue;
            }
            let end = self.end(fate.up_ends, passed, got);
            let got = end.map_or(got, |end| (end.byte - passed) as usize);
            passed += got as u64;
            self.cluster.lock().unwrap().read(at, &buf[..got]);
            match end.map(|end| end.what) {
                None => {}
                Some(End::Silence) => silent.store(true, Ordering::Relaxed),
                Some(End::Closed) => break,
            }
        }
        self.cluster.lock().unwrap().close(at);
    }

    /// From the server to the client.
    async fn carry_down(&self, at: usize, mut to: WriteHalf<DuplexStream>, fate: &Fate, silent: &AtomicBool) {
        let mut passed = 0;
        loop {
            let (said, closed, news) = {
                let conn = &mut self.cluster.lock().unwrap().conns[at];
                (conn.take_said(), conn.closed, Arc::clone(&conn.news))
            };
            if said.is_empty() || silent.load(Ordering::Relaxed) {
                if closed {
                    break;
                }
                news.notified().await;
                continue;
            }
            self.stall(fate.down_stalls, passed, said.len()).await;
            let end = self.end(fate.down_ends, passed, said.len());
            let said = &said[..end.map_or(said.len(), |end| (end.byte - passed) as usize)];
            passed += said.len() as u64;
            if to.write_all(said).await.is_err() {
                break;
            }
            match end.map(|end| end.what) {
                None => {}
                Some(End::Silence) => silent.store(true, Ordering::Relaxed),
                Some(End::Closed) => break,
            }
        }
        let _ = to.shutdown().await;
    }

    async fn stall(&self, stall: Option<At<Duration>>, passed: u64, coming: usize) {
        if let Some(stall) = stall.filter(|stall| stall.is_in(passed, coming)) {
            if !self.is_at_peace() {
                tokio::time::sleep(stall.what).await;
            }
        }
    }

    fn end(&self, end: Option<At<End>>, passed: u64, coming: usize) -> Option<At<End>> {
        end.filter(|end| end.is_in(passed, coming) && !self.is_at_peace())
    }
}

impl<T> At<T> {
    /// Among the next bytes.
    fn is_in(&self, passed: u64, coming: usize) -> bool {
        (passed..passed + coming as u64).contains(&self.byte)
    }
}
