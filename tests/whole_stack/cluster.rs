//! The servers of a world as one cluster: which of them are up, their gossip, and an exact record of all that they have done.
//! One server's end of a connection is `server`; how they route is `routes`.

use std::collections::BTreeMap;
use std::time::Duration;

use nats_lifeline::protocol;
use rand::RngExt;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use crate::content::Id;
use crate::plan::{Plan, Tls};
use crate::routes::{Known, Routes};
use crate::secure::Session;
use crate::server::Conn;

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// Of all servers, in the order in which they were made.
    pub(crate) conns: Vec<Conn>,
    pub(crate) routes: Routes,
    /// How often each message of the client was processed.
    pub(crate) processed: BTreeMap<Id, u64>,
    /// Violations found where a panic would not be seen.
    pub(crate) complaints: Vec<String>,
    pub(super) rng: SmallRng,
    tls: Option<Tls>,
}

/// A server.
pub(crate) struct Node {
    pub(crate) state: State,
    back_since: Option<Instant>,
    /// The interest at other servers that it knows of.
    pub(super) known: Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// It keeps its connections for a while and takes no new ones.
    LameDuck,
    Down,
}

/// A server that has come back knows all interest after this; the routes take up to 20 ms.
const INTRODUCTION: Duration = Duration::from_millis(50);

/// The address of a server.
pub(crate) fn address(node: usize) -> String {
    format!("m{node}:4222")
}

impl Cluster {
    pub(crate) fn new(plan: &Plan) -> Cluster {
        let node = || Node { state: State::Up, back_since: None, known: Known::default() };
        Cluster {
            nodes: (0..plan.servers).map(|_| node()).collect(),
            conns: Vec::new(),
            routes: Routes::new(plan.route),
            processed: BTreeMap::new(),
            complaints: Vec::new(),
            rng: plan.dice(3_000_000),
            tls: plan.tls,
        }
    }

    /// A connection, if the server takes any.
    pub(crate) fn accept(&mut self, node: usize) -> Option<usize> {
        if self.nodes[node].state != State::Up {
            return None;
        }
        let mut conn = Conn::new(node, self.tls.map(|_| Session::new()));
        let greeting = if self.tls == Some(Tls::BehindInfo) { &mut conn.clear } else { &mut conn.output.bytes };
        protocol::info(greeting, self.info(node).as_bytes());
        self.conns.push(conn);
        Some(self.conns.len() - 1)
    }

    pub(super) fn info(&self, node: usize) -> String {
        let up = (0..self.nodes.len()).filter(|node| self.nodes[*node].state == State::Up);
        let urls: Vec<String> = up.map(|node| format!("{:?}", address(node))).collect();
        let mut info = format!(
            r#"{{"server_id":"M{node}","server_name":"m{node}","version":"2.15.1","proto":1,"max_payload":1048576,"headers":true"#
        );
        if self.nodes.len() > 1 {
            info += &format!(r#","connect_urls":[{}]"#, urls.join(","));
        }
        if self.tls.is_some() {
            info += r#","tls_required":true"#;
        }
        if self.nodes[node].state == State::LameDuck {
            info += r#","ldm":true"#;
        }
        info + "}"
    }

    /// Every server sends its clients the list of servers.
    fn gossip(&mut self) {
        for at in 0..self.conns.len() {
            let (node, hears) = (self.conns[at].node, self.conns[at].is_connected());
            if hears && self.nodes.len() > 1 {
                let info = self.info(node);
                let conn = &mut self.conns[at];
                protocol::info(&mut conn.output.bytes, info.as_bytes());
                conn.news.notify_one();
            }
        }
    }

    pub(crate) fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].state == State::Up).collect()
    }

    /// Those of them that know all interest.
    pub(crate) fn knowing(&self) -> Vec<usize> {
        let knows = |node: &usize| self.nodes[*node].back_since.is_none_or(|since| since.elapsed() >= INTRODUCTION);
        self.up().into_iter().filter(knows).collect()
    }

    /// It will stop, and asks its clients to go.
    pub(crate) fn announce_the_end(&mut self, node: usize) {
        self.nodes[node].state = State::LameDuck;
        self.gossip();
    }

    /// The server is gone, with everything that it had not read, sent or routed.
    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node].state = State::Down;
        for at in self.open_at(node) {
            let said = self.conns[at].output.bytes.len();
            let kept = self.rng.random_range(0..=said);
            self.conns[at].output.bytes.truncate(kept);
            self.close(at);
        }
        self.nodes[node].known.clear();
        for other in &mut self.nodes {
            other.known.retain(|_, interest| interest.node != node);
        }
        self.routes.cut(node);
        self.gossip();
    }

    pub(crate) fn come_back(&mut self, node: usize) {
        if self.nodes[node].state == State::Down {
            self.nodes[node].back_since = Some(Instant::now());
            self.introduce(node);
        }
        self.nodes[node].state = State::Up;
        self.gossip();
    }

    /// The number of open connections at all servers.
    pub(crate) fn open(&self) -> usize {
        self.conns.iter().filter(|conn| !conn.closed).count()
    }

    /// Its open connections.
    pub(crate) fn open_at(&self, node: usize) -> Vec<usize> {
        let open = self.conns.iter().enumerate().filter(|(_, conn)| conn.node == node && !conn.closed);
        open.map(|(at, _)| at).collect()
    }
}
