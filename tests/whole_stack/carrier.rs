//! Carries the bytes of a connection between the client's stream and the model server, each direction by itself, until
//! the fate of the connection has its way.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

use crate::plan::{At, Dial, End, Fate, Plan};
use crate::server::Server;
use crate::stream::Stream;

/// The network and the server at its far end. Every clone is the same one.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) plan: Arc<Plan>,
    pub(crate) server: Arc<Mutex<Server>>,
    /// No faults from now on; connections that have fallen silent remain so.
    pub(crate) peace: Arc<AtomicBool>,
    dials: Arc<AtomicUsize>,
    carriers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Network {
    pub(crate) fn new(plan: Plan) -> Network {
        Network {
            plan: Arc::new(plan),
            server: Arc::default(),
            peace: Arc::default(),
            dials: Arc::default(),
            carriers: Arc::default(),
        }
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }

    fn is_at_peace(&self) -> bool {
        self.peace.load(Ordering::Relaxed)
    }

    pub(crate) async fn dial(self) -> io::Result<Stream> {
        let number = self.dials.fetch_add(1, Ordering::Relaxed);
        let fate = self.plan.fate(number);
        match fate.dial {
            Dial::Refuse if !self.is_at_peace() => return Err(io::ErrorKind::ConnectionRefused.into()),
            Dial::Hang if !self.is_at_peace() => pending().await,
            Dial::Connect(after) => tokio::time::sleep(after).await,
            Dial::Refuse | Dial::Hang => {}
        }
        let (ours, theirs) = tokio::io::duplex(fate.window);
        let at = self.server.lock().unwrap().accept();
        let (from, to) = tokio::io::split(theirs);
        let stream = Stream::new(ours, fate.habits, self.plan.dice(1_000_000 + number as u64), Arc::clone(&self.peace));
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
        while let Ok(got @ 1..) = from.read(&mut buf).await {
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
            self.server.lock().unwrap().read(at, &buf[..got]);
            match end.map(|end| end.what) {
                None => {}
                Some(End::Silence) => silent.store(true, Ordering::Relaxed),
                Some(End::Closed) => break,
            }
        }
        self.server.lock().unwrap().close(at);
    }

    /// From the server to the client.
    async fn carry_down(&self, at: usize, mut to: WriteHalf<DuplexStream>, fate: &Fate, silent: &AtomicBool) {
        let mut passed = 0;
        loop {
            let (said, closed, news) = {
                let conn = &mut self.server.lock().unwrap().conns[at];
                (std::mem::take(&mut conn.out), conn.closed, Arc::clone(&conn.news))
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
