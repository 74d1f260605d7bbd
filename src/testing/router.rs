//! Who wants which subject: a trie of subscriptions, and the routes that publishers remember.

use super::connection::Connection;
use super::lock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// One `SUB` of one connection.
pub(super) struct Subscription {
    pub(super) connection: Arc<Connection>,
    pub(super) sid: u64,
    pub(super) subject: Box<[u8]>,
    pub(super) queue: Option<Box<[u8]>>,
    /// Written only under the outbox lock of `connection`, like the two below it: that lock orders
    /// deliveries and `UNSUB`, so nothing follows the PONG behind an `UNSUB`.
    pub(super) delivered: AtomicU64,
    /// End after so many deliveries; 0 is "no end".
    pub(super) max: AtomicU64,
    pub(super) gone: AtomicBool,
}

/// All subscriptions of a broker, or of all brokers of a cluster.
#[derive(Default)]
pub(super) struct Router {
    /// Grows with every change, so that a remembered route can be seen to be old.
    generation: AtomicU64,
    root: RwLock<Branch>,
}

/// The subscriptions whose subjects begin with the tokens that lead here.
#[derive(Default)]
struct Branch {
    /// Those that end here.
    here: Vec<Arc<Subscription>>,
    /// Those that go on with `>`.
    rest: Vec<Arc<Subscription>>,
    any: Option<Box<Branch>>,
    literal: HashMap<Box<[u8]>, Branch>,
}

/// Where the messages of one subject go.
#[derive(Default)]
pub(super) struct Route {
    pub(super) plain: Vec<Arc<Subscription>>,
    /// One member of each gets the message.
    pub(super) groups: Vec<Vec<Arc<Subscription>>>,
}

impl Router {
    pub(super) fn insert(&self, subscription: Arc<Subscription>) {
        let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
        let subject = subscription.subject.clone();
        let mut branch = &mut *root;
        let mut tokens = tokens(&subject).peekable();
        while let Some(token) = tokens.next() {
            if token == b">" && tokens.peek().is_none() {
                branch.rest.push(subscription);
                self.generation.fetch_add(1, Ordering::Release);
                return;
            }
            branch = match token {
                b"*" => branch.any.get_or_insert_default(),
                token => branch.literal.entry(token.into()).or_default(),
            };
        }
        branch.here.push(subscription);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(super) fn remove(&self, subscription: &Arc<Subscription>) {
        let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
        root.remove(Some(&subscription.subject), subscription);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(super) fn find(&self, subject: &[u8]) -> Route {
        let mut route = Route::default();
        // A subject with an empty token is forwarded to nobody (nats-server `sublist.go`, `match`).
        if tokens(subject).any(<[u8]>::is_empty) {
            return route;
        }
        let root = self.root.read().unwrap_or_else(PoisonError::into_inner);
        let mut level = vec![&*root];
        let mut next = Vec::new();
        for token in tokens(subject) {
            for branch in level.drain(..) {
                route.add(&branch.rest);
                next.extend(branch.any.as_deref());
                next.extend(branch.literal.get(token));
            }
            std::mem::swap(&mut level, &mut next);
        }
        for branch in level {
            route.add(&branch.here);
        }
        route
    }
}

impl Branch {
    /// Removes the subscription below, and the branches that are empty then.
    fn remove(&mut self, path: Option<&[u8]>, subscription: &Arc<Subscription>) {
        let others = |other: &Arc<Subscription>| !Arc::ptr_eq(other, subscription);
        let Some(path) = path else {
            self.here.retain(others);
            return;
        };
        let (token, path) = match path.iter().position(|byte| *byte == b'.') {
            Some(dot) => (path.get(..dot).unwrap_or(path), path.get(dot + 1..)),
            None => (path, None),
        };
        match token {
            b">" if path.is_none() => self.rest.retain(others),
            b"*" => {
                if let Some(branch) = &mut self.any {
                    branch.remove(path, subscription);
                    if branch.is_empty() {
                        self.any = None;
                    }
                }
            }
            token => {
                if let Some(branch) = self.literal.get_mut(token) {
                    branch.remove(path, subscription);
                    if branch.is_empty() {
                        self.literal.remove(token);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.rest.is_empty() && self.any.is_none() && self.literal.is_empty()
    }
}

impl Route {
    fn add(&mut self, subscriptions: &[Arc<Subscription>]) {
        for subscription in subscriptions {
            if subscription.queue.is_none() {
                self.plain.push(Arc::clone(subscription));
                continue;
            }
            let of_group = |group: &&mut Vec<Arc<Subscription>>| {
                group.first().is_some_and(|first| first.queue == subscription.queue)
            };
            match self.groups.iter_mut().find(of_group) {
                Some(group) => group.push(Arc::clone(subscription)),
                None => self.groups.push(vec![Arc::clone(subscription)]),
            }
        }
    }
}

fn tokens(subject: &[u8]) -> impl Iterator<Item = &[u8]> {
    subject.split(|byte| *byte == b'.')
}

/// How many routes one publisher remembers. Arbitrary: more than the subjects that a program
/// usually publishes to in turn, and little memory.
const REMEMBERED: usize = 1024;

/// The routes that one publisher used last.
#[derive(Default)]
pub(super) struct Routes {
    generation: u64,
    last_subject: Vec<u8>,
    last: Arc<Route>,
    known: HashMap<Box<[u8]>, Arc<Route>>,
}

impl Routes {
    /// The route of `subject` as of now.
    #[inline]
    pub(super) fn to(&mut self, router: &Router, subject: &[u8]) -> &Route {
        // Read before the trie is, so that a change in between makes the route old, not lost.
        let generation = router.generation.load(Ordering::Acquire);
        if generation != self.generation || subject != self.last_subject {
            self.look_up(router, subject, generation);
        }
        &self.last
    }

    fn look_up(&mut self, router: &Router, subject: &[u8], generation: u64) {
        if generation != self.generation || self.known.len() >= REMEMBERED {
            self.known.clear();
            self.generation = generation;
        }
        self.last = match self.known.get(subject) {
            Some(route) => Arc::clone(route),
            None => {
                let route = Arc::new(router.find(subject));
                self.known.insert(subject.into(), Arc::clone(&route));
                route
            }
        };
        self.last_subject.clear();
        self.last_subject.extend_from_slice(subject);
    }
}

impl Subscription {
    /// Takes it out of the table of its connection and out of the router.
    pub(super) fn forget(self: &Arc<Self>) {
        let mut table = lock(&self.connection.subscriptions);
        // The sid may have been given to a newer subscription since.
        if table.get(&self.sid).is_some_and(|s| Arc::ptr_eq(s, self)) {
            table.remove(&self.sid);
        }
        drop(table);
        self.connection.node.fabric.router.remove(self);
        self.connection.node.changed.notify_waiters();
    }
}
