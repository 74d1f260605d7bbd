//! Where messages go: a trie of subscriptions, and the routes that publishers remember.

use super::session::Key;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// One subscription of a connection, to which its messages go.
pub(super) struct Interest<C> {
    pub(super) connection: C,
    pub(super) key: Key,
    pub(super) queue: Option<Box<[u8]>>,
}

/// All subscriptions of a broker, or of all brokers of a cluster. `C` is a connection.
pub(super) struct Router<C> {
    /// Grows with every change, so that an outdated route is recognized.
    generation: AtomicU64,
    root: RwLock<Branch<C>>,
}

/// The subscriptions whose subjects begin with the tokens on the path to here.
struct Branch<C> {
    /// Those that end here.
    here: Vec<Arc<Interest<C>>>,
    /// Those that continue with `>`.
    rest: Vec<Arc<Interest<C>>>,
    any: Option<Box<Branch<C>>>,
    literal: HashMap<Box<[u8]>, Branch<C>>,
}

/// Where the messages of one subject go.
pub(super) struct Route<C> {
    pub(super) plain: Vec<Arc<Interest<C>>>,
    /// One member of each gets the message.
    pub(super) groups: Vec<Vec<Arc<Interest<C>>>>,
}

impl<C> Router<C> {
    pub(super) fn new() -> Self {
        Self { generation: AtomicU64::new(0), root: RwLock::new(Branch::new()) }
    }

    pub(super) fn insert(&self, subject: &[u8], interest: Interest<C>) {
        let interest = Arc::new(interest);
        let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
        let mut branch = &mut *root;
        let mut tokens = tokens(subject).peekable();
        while let Some(token) = tokens.next() {
            if token == b">" && tokens.peek().is_none() {
                branch.rest.push(interest);
                self.generation.fetch_add(1, Ordering::Release);
                return;
            }
            branch = match token {
                b"*" => branch.any.get_or_insert_with(|| Box::new(Branch::new())),
                token => branch.literal.entry(token.into()).or_insert_with(Branch::new),
            };
        }
        branch.here.push(interest);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Removes the interests that `is_it` finds at this subject. Does nothing if there are none.
    pub(super) fn remove(&self, subject: &[u8], is_it: impl Fn(&Interest<C>) -> bool) {
        let others = |other: &Arc<Interest<C>>| !is_it(other);
        let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
        root.remove(Some(subject), &others);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(super) fn find(&self, subject: &[u8]) -> Route<C> {
        let mut route = Route::new();
        // Nobody gets a subject with an empty token (nats-server `sublist.go`, `match`).
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

impl<C> Branch<C> {
    fn new() -> Self {
        Self { here: Vec::new(), rest: Vec::new(), any: None, literal: HashMap::new() }
    }

    /// Keeps only `others` at the end of the path, and no branch that is empty then.
    fn remove(&mut self, path: Option<&[u8]>, others: &impl Fn(&Arc<Interest<C>>) -> bool) {
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
                    branch.remove(path, others);
                    if branch.is_empty() {
                        self.any = None;
                    }
                }
            }
            token => {
                if let Some(branch) = self.literal.get_mut(token) {
                    branch.remove(path, others);
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

impl<C> Route<C> {
    fn new() -> Self {
        Self { plain: Vec::new(), groups: Vec::new() }
    }

    fn add(&mut self, interests: &[Arc<Interest<C>>]) {
        for interest in interests {
            if interest.queue.is_none() {
                self.plain.push(Arc::clone(interest));
                continue;
            }
            let of_group =
                |group: &&mut Vec<Arc<Interest<C>>>| group.first().is_some_and(|first| first.queue == interest.queue);
            match self.groups.iter_mut().find(of_group) {
                Some(group) => group.push(Arc::clone(interest)),
                None => self.groups.push(vec![Arc::clone(interest)]),
            }
        }
    }
}

fn tokens(subject: &[u8]) -> impl Iterator<Item = &[u8]> {
    subject.split(|byte| *byte == b'.')
}

/// How many routes one publisher remembers. Arbitrary: more subjects than a program usually
/// publishes to in turn, and little memory.
const REMEMBERED: usize = 1024;

/// The most recent routes of one publisher.
pub(super) struct Routes<C> {
    generation: u64,
    last_subject: Vec<u8>,
    last: Arc<Route<C>>,
    known: HashMap<Box<[u8]>, Arc<Route<C>>>,
}

impl<C> Routes<C> {
    pub(super) fn new() -> Self {
        Self { generation: 0, last_subject: Vec::new(), last: Arc::new(Route::new()), known: HashMap::new() }
    }

    /// The route of `subject` as of now.
    #[inline]
    pub(super) fn to(&mut self, router: &Router<C>, subject: &[u8]) -> &Route<C> {
        // Read before the trie: a change in between makes the route outdated, and is not missed.
        let generation = router.generation.load(Ordering::Acquire);
        if generation != self.generation || subject != self.last_subject {
            self.look_up(router, subject, generation);
        }
        &self.last
    }

    fn look_up(&mut self, router: &Router<C>, subject: &[u8], generation: u64) {
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
