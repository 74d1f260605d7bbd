//! Routes between the servers, as in nats-server: interest spreads to all of them, and each server with interest gets a message
//! once. One member of a queue group gets it, preferably one at the same server. Everything takes a while, and stays in order
//! between two servers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nats_lifeline::protocol;
use nats_lifeline::testing::session::Subscription;
use rand::seq::IndexedRandom;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::cluster::{Cluster, State};
use crate::content::Id;

/// Names a subscription in the whole cluster: its connection and its sid.
pub(crate) type Key = (usize, u64);

pub(crate) type Known = BTreeMap<Key, Elsewhere>;

/// Interest at another server.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    pub(crate) node: usize,
    subject: Vec<u8>,
    queue: Option<Vec<u8>>,
}

impl Elsewhere {
    fn of(node: usize, subscription: &Subscription) -> Elsewhere {
        let queue = subscription.queue.as_ref().map(|queue| queue.to_vec());
        Elsewhere { node, subject: subscription.subject.to_vec(), queue }
    }
}

/// A message on its way through the cluster.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) id: Id,
    pub(crate) subject: Vec<u8>,
    pub(crate) headers: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

/// Something that one server sends to another.
enum Hop {
    Interest(Key, Elsewhere),
    NoInterest(Key),
    Message(Arc<Published>, Parcel),
    /// A request to a responder there: this is the reply.
    Question(Arc<Published>),
}

/// The receivers of a message at another server.
#[derive(Clone, Debug, Default)]
struct Parcel {
    plain: bool,
    groups: Vec<Vec<u8>>,
}

pub(crate) struct Routes {
    delay: Duration,
    on_their_way: BTreeMap<(usize, usize), VecDeque<(Instant, Hop)>>,
    news: Arc<Notify>,
}

impl Routes {
    pub(crate) fn new(delay: Duration) -> Routes {
        Routes { delay, on_their_way: BTreeMap::new(), news: Arc::default() }
    }

    fn send(&mut self, from: usize, to: usize, hop: Hop) {
        let due = Instant::now() + self.delay;
        self.on_their_way.entry((from, to)).or_default().push_back((due, hop));
        self.news.notify_one();
    }

    /// A server is gone.
    pub(crate) fn cut(&mut self, node: usize) {
        self.on_their_way.retain(|(from, to), _| *from != node && *to != node);
    }

    fn next_due(&self) -> Option<Instant> {
        self.on_their_way.values().filter_map(|queue| queue.front()).map(|(due, _)| *due).min()
    }

    fn take_due(&mut self) -> Option<(usize, usize, Hop)> {
        let now = Instant::now();
        for ((from, to), queue) in &mut self.on_their_way {
            if queue.front().is_some_and(|(due, _)| *due <= now) {
                return queue.pop_front().map(|(_, hop)| (*from, *to, hop));
            }
        }
        None
    }
}

/// Delivers what is due, without end.
pub(crate) async fn carry(cluster: Arc<Mutex<Cluster>>) {
    let news = Arc::clone(&cluster.lock().unwrap().routes.news);
    loop {
        let due = {
            let mut cluster = cluster.lock().unwrap();
            while let Some((from, to, hop)) = cluster.routes.take_due() {
                cluster.arrive(from, to, hop);
            }
            cluster.routes.next_due()
        };
        match due {
            None => news.notified().await,
            Some(due) => tokio::select! {
                biased;
                () = sleep_until(due) => {}
                () = news.notified() => {}
            },
        }
    }
}

impl Cluster {
    fn others(&self, node: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|other| *other != node && self.nodes[*other].state != State::Down).collect()
    }

    /// Sends a subscription to the other servers.
    pub(super) fn spread(&mut self, key: Key) {
        let conn = &self.conns[key.0];
        let node = conn.node;
        let Some(subscription) = conn.output.subscriptions.by_sid(key.1) else { return };
        let known = Elsewhere::of(node, subscription);
        for other in self.others(node) {
            self.routes.send(node, other, Hop::Interest(key, known.clone()));
        }
    }

    pub(super) fn forget(&mut self, key: Key) {
        let node = self.conns[key.0].node;
        for other in self.others(node) {
            self.routes.send(node, other, Hop::NoInterest(key));
        }
    }

    /// Sends all subscriptions to a server that has come back.
    pub(crate) fn introduce(&mut self, node: usize) {
        for at in (0..self.conns.len()).filter(|at| !self.conns[*at].closed) {
            let conn = &self.conns[at];
            let from = conn.node;
            for subscription in conn.output.subscriptions.iter() {
                let known = Elsewhere::of(from, subscription);
                self.routes.send(from, node, Hop::Interest((at, subscription.sid), known));
            }
        }
    }

    fn arrive(&mut self, from: usize, to: usize, hop: Hop) {
        match hop {
            Hop::Interest(key, known) => drop(self.nodes[to].known.insert(key, known)),
            Hop::NoInterest(key) => drop(self.nodes[to].known.remove(&key)),
            Hop::Question(answer) => self.publish_at(to, &answer),
            Hop::Message(message, parcel) => {
                if parcel.plain {
                    self.give_to_plain(to, &message);
                }
                // A server without a member passes it on to one with a member, but not back.
                let mut onward = BTreeMap::new();
                for group in parcel.groups {
                    self.give_to_group(to, Some(from), &message, group, &mut onward);
                }
                self.send_on(to, &message, onward);
            }
        }
    }

    /// A request at `node` is answered at any server.
    pub(super) fn ask(&mut self, node: usize, answer: Published) {
        let up = self.up();
        let there = up.choose(&mut self.rng).copied().unwrap_or(node);
        if there == node {
            self.publish_at(node, &Arc::new(answer));
        } else {
            self.routes.send(node, there, Hop::Question(Arc::new(answer)));
        }
    }

    /// Routes a message by the interest that this server knows of.
    pub(crate) fn publish_at(&mut self, node: usize, message: &Arc<Published>) {
        self.give_to_plain(node, message);
        let mut onward: BTreeMap<usize, Parcel> = BTreeMap::new();
        let mut groups = BTreeSet::new();
        let wants = |subject: &[u8]| protocol::matches(subject, &message.subject);
        for known in self.nodes[node].known.values().filter(|known| wants(&known.subject)) {
            match &known.queue {
                None => onward.entry(known.node).or_default().plain = true,
                Some(queue) => drop(groups.insert(queue.clone())),
            }
        }
        for at in self.open_at(node) {
            let here = self.conns[at].output.subscriptions.iter().filter(|here| here.wants(&message.subject));
            groups.extend(here.filter_map(|here| Some(here.queue.as_ref()?.to_vec())));
        }
        for group in groups {
            self.give_to_group(node, None, message, group, &mut onward);
        }
        self.send_on(node, message, onward);
    }

    fn send_on(&mut self, node: usize, message: &Arc<Published>, onward: BTreeMap<usize, Parcel>) {
        for (other, parcel) in onward {
            self.routes.send(node, other, Hop::Message(Arc::clone(message), parcel));
        }
    }

    fn give_to_plain(&mut self, node: usize, message: &Published) {
        for key in self.members(node, None, message) {
            self.give(key, message);
        }
    }

    fn give_to_group(
        &mut self,
        node: usize,
        from: Option<usize>,
        message: &Published,
        group: Vec<u8>,
        onward: &mut BTreeMap<usize, Parcel>,
    ) {
        let here = self.members(node, Some(&group), message);
        if let Some(key) = here.choose(&mut self.rng).copied() {
            return self.give(key, message);
        }
        let known = self.nodes[node].known.values().filter(|known| {
            known.queue.as_ref() == Some(&group)
                && Some(known.node) != from
                && protocol::matches(&known.subject, &message.subject)
        });
        let elsewhere: Vec<usize> = known.map(|known| known.node).collect();
        if let Some(other) = elsewhere.choose(&mut self.rng) {
            onward.entry(*other).or_default().groups.push(group);
        }
    }

    /// The subscriptions at this server that match: without a queue group, or the members of `group`.
    fn members(&self, node: usize, group: Option<&[u8]>, message: &Published) -> Vec<Key> {
        let mut members = Vec::new();
        for at in self.open_at(node) {
            let here = self.conns[at].output.subscriptions.iter();
            let wants = |here: &&Subscription| here.queue.as_deref() == group && here.wants(&message.subject);
            members.extend(here.filter(wants).map(|here| (at, here.sid)));
        }
        members
    }
}
