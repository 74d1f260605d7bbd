//! A registry of handlers: subjects, what handles their messages, and what becomes of messages that fail.

mod handling;

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::handling::{Counts, Phase, Shared, run};
use super::client::Client;
use super::error::{SubscribeError, SubscribeErrorKind};
use super::message::Message;
use super::wait;
use crate::protocol::{Subject, SubjectFault, ToSubject, check_subscribe_subject, matches};

/// The header of a dead letter that says why its handler failed. A long reason is cut after 1 KiB.
pub const DEAD_LETTER_REASON: &str = "Dead-Letter-Reason";

/// The header of a dead letter that says which subject the message had.
pub const DEAD_LETTER_SUBJECT: &str = "Dead-Letter-Subject";

type Outcome = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Handler = Arc<dyn Fn(Message) -> Outcome + Send + Sync>;

/// Handlers by subject, made with [`Client::router`].
///
/// Each subject has its own subscription and its own tasks, so a slow handler delays no other subject. A handler that
/// fails or panics ends nothing: its message goes to the [dead letters](Router::dead_letters), and the next message is
/// handled. The subscriptions survive outages like all others.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), nats_lifeline::Error> {
/// use nats_lifeline::Message;
/// use nats_lifeline::testing::Broker;
/// use std::time::Duration;
///
/// async fn ship(order: Message) -> Result<(), String> {
///     match order.payload.is_empty() {
///         true => Err("an order without content".to_owned()),
///         false => Ok(()),
///     }
/// }
///
/// let broker = Broker::start().await?;
/// let client = nats_lifeline::connect(broker.url()).await?;
/// let worker = client
///     .router()
///     .queue_group("shipping")
///     .dead_letters("orders.failed")
///     .route("orders.new", ship)
///     .route_with("orders.cancel", 8, |_| async { Ok::<(), String>(()) })
///     .start()
///     .await?;
/// client.publish("orders.new", "four wheels".into()).await?;
/// client.flush().await?;
///
/// // At the end of the program: reads nothing new, handles what was received.
/// let report = worker.drain(Duration::from_secs(10)).await;
/// assert_eq!((report.handled, report.failed, report.unfinished), (1, 0, 0));
/// # Ok(())
/// # }
/// ```
#[must_use = "no subject is subscribed to until `start` is called"]
pub struct Router {
    client: Client,
    queue_group: Option<String>,
    dead_letters: Option<Subject>,
    routes: Vec<Route>,
}

struct Route {
    subject: Subject,
    concurrency: usize,
    handler: Handler,
}

impl Client {
    /// A registry of handlers, without any yet.
    pub fn router(&self) -> Router {
        Router { client: self.clone(), queue_group: None, dead_letters: None, routes: Vec::new() }
    }
}

impl Router {
    /// Subscribes in this queue group, so that each message goes to one member of it. Default: none, and each message
    /// goes to every router that asked for it.
    pub fn queue_group<T: Into<String>>(mut self, name: T) -> Router {
        self.queue_group = Some(name.into());
        self
    }

    /// Sets the subject to which messages are published whose handler failed: with their payload and headers, and the
    /// headers [`DEAD_LETTER_REASON`] and [`DEAD_LETTER_SUBJECT`]. Default: none; failures are logged and counted.
    ///
    /// The subject must have no wildcard, and must not be one that this router handles, or a message that always fails would come back for ever.
    /// For the same reason, a message that has the header [`DEAD_LETTER_SUBJECT`] makes no dead letter: another router
    /// made it one. It counts as [`undelivered`](RouterReport::undelivered), as does a message that is too large with
    /// the two headers.
    pub fn dead_letters<S: ToSubject>(mut self, subject: S) -> Router {
        self.dead_letters = Some(subject.to_subject());
        self
    }

    /// Handles the messages of `subject` one after the other, in order.
    pub fn route<S, F, Fut, E>(self, subject: S, handler: F) -> Router
    where
        S: ToSubject,
        F: Fn(Message) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        self.route_with(subject, 1, handler)
    }

    /// Handles up to `concurrency` messages of `subject` at the same time, begun in order. 0 counts as 1.
    pub fn route_with<S, F, Fut, E>(mut self, subject: S, concurrency: usize, handler: F) -> Router
    where
        S: ToSubject,
        F: Fn(Message) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let handler: Handler = Arc::new(move |message| {
            let handling = handler(message);
            Box::pin(async move { handling.await.map_err(|error| error.to_string()) })
        });
        self.routes.push(Route { subject: subject.to_subject(), concurrency: concurrency.max(1), handler });
        self
    }

    /// Subscribes to all subjects, and handles their messages from now on.
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe`] and [`Client::queue_subscribe`]; [`InvalidSubject`](SubscribeErrorKind::InvalidSubject)
    /// if nothing can be published to the subject of the [dead letters](Router::dead_letters), or if a route matches it.
    /// All subjects and the queue group are checked before the first is subscribed to, so an invalid one takes no message
    /// from the other members of the group. If there is no room in time for one of the subscriptions, the others end.
    pub async fn start(self) -> Result<RunningRouter, SubscribeError> {
        let Router { client, queue_group, dead_letters, routes } = self;
        if let Some(subject) = &dead_letters {
            check_dead_letters(subject, &routes)
                .map_err(|fault| SubscribeError::with_source(SubscribeErrorKind::InvalidSubject, fault))?;
        }
        for route in &routes {
            client.check_subscription(&route.subject, queue_group.as_deref())?;
        }
        let mut subscribed = Vec::with_capacity(routes.len());
        for route in routes {
            let messages = match &queue_group {
                Some(group) => client.queue_subscribe(route.subject.clone(), group.clone()).await?,
                None => client.subscribe(route.subject.clone()).await?,
            };
            subscribed.push((route, messages));
        }
        let inboxes = subscribed.iter().map(|(_, messages)| messages.shared_inbox()).collect();
        let shared = Arc::new(Shared { client: client.clone(), dead_letters, counts: Counts::default(), inboxes });
        let (phase, _) = watch::channel(Phase::Handling);
        let mut tasks = JoinSet::new();
        for (route, messages) in subscribed {
            let run = run(route, messages, Arc::clone(&shared), phase.subscribe());
            tasks.spawn_on(run, client.shared().runtime());
        }
        Ok(RunningRouter { shared, phase, tasks })
    }
}

/// Why dead letters can't be published to a subject.
#[derive(Debug, thiserror::Error)]
enum DeadLetterFault {
    #[error("dead letters to {subject:?}: {fault}")]
    Subject {
        subject: String,
        #[source]
        fault: SubjectFault,
    },
    #[error("dead letters to {subject:?}: it has a wildcard, and messages are published to one subject")]
    Wildcard { subject: String },
    #[error("dead letters to {subject:?} would be handled again, by the route {route:?}")]
    Handled { subject: String, route: String },
}

fn check_dead_letters(subject: &Subject, routes: &[Route]) -> Result<(), DeadLetterFault> {
    let bytes = subject.as_bytes();
    let named = subject.as_str().to_owned();
    if let Err(fault) = check_subscribe_subject(bytes) {
        return Err(DeadLetterFault::Subject { subject: named, fault });
    }
    if named.split('.').any(|token| matches!(token, "*" | ">")) {
        return Err(DeadLetterFault::Wildcard { subject: named });
    }
    match routes.iter().find(|route| matches(route.subject.as_bytes(), bytes)) {
        Some(route) => Err(DeadLetterFault::Handled { subject: named, route: route.subject.as_str().to_owned() }),
        None => Ok(()),
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subjects: Vec<&Subject> = self.routes.iter().map(|route| &route.subject).collect();
        f.debug_struct("Router").field("subjects", &subjects).finish_non_exhaustive()
    }
}

/// A router that handles messages, until it is [drained](RunningRouter::drain) or dropped. Dropping it ends the
/// subscriptions and the handlers at their next `await`.
#[derive(Debug)]
#[must_use = "dropping it ends the handlers"]
pub struct RunningRouter {
    shared: Arc<Shared>,
    phase: watch::Sender<Phase>,
    tasks: JoinSet<()>,
}

/// How long a drain waits, after its time, for the routes to end. They end immediately unless a handler blocks the
/// client's runtime.
const ENDING: Duration = Duration::from_secs(1);

/// What a [`RunningRouter`] has done. After a [drain](RunningRouter::drain),
/// `handled + failed + unfinished + unread + dropped` is everything that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterReport {
    /// Messages whose handler succeeded.
    pub handled: u64,
    /// Messages whose handler failed or panicked.
    pub failed: u64,
    /// Failed messages that are in no [dead letter](Router::dead_letters) although they should be: the client did not
    /// accept it, or the message was a dead letter itself. They are counted in `failed` as well.
    pub undelivered: u64,
    /// Messages whose handler has not ended.
    pub unfinished: u64,
    /// Messages that were received, and not begun when the time of a drain was over. 0 while the router runs.
    pub unread: u64,
    /// Messages that were received and dropped, because the handlers were too slow and
    /// [`subscription_capacity`](crate::ConnectOptions::subscription_capacity) was reached, or because a message was larger
    /// than the client's [`limits`](crate::ConnectOptions::limits). No handler has seen them.
    pub dropped: u64,
}

impl RunningRouter {
    /// The counts so far.
    pub fn report(&self) -> RouterReport {
        let counts = &self.shared.counts;
        // Each is counted after those that it is a part of, and loaded before them.
        let undelivered = counts.undelivered.load(Ordering::Acquire);
        let (handled, failed) = (counts.handled.load(Ordering::Acquire), counts.failed.load(Ordering::Acquire));
        let started = counts.started.load(Ordering::Acquire);
        let unfinished = started.saturating_sub(handled).saturating_sub(failed);
        let unread = counts.unread.load(Ordering::Acquire);
        let dropped = self.shared.inboxes.iter().map(|inbox| inbox.dropped()).sum();
        RouterReport { handled, failed, undelivered, unfinished, unread, dropped }
    }

    /// Waits until every subscription has ended: because the client was drained or closed, or the server refused them.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends the subscriptions, handles every message that the server had sent before, and flushes what the handlers have
    /// published. The subscriptions end immediately, even if all handlers are busy: in a queue group, the other members
    /// get what is published from then on.
    ///
    /// Returns after `within` at the latest, and handlers have this time even if the client is closed: those that still
    /// run then are ended at their next `await`. Up to a second later, with `unread` too low, if handlers block the client's runtime.
    pub async fn drain(mut self, within: Duration) -> RouterReport {
        self.phase.send_replace(Phase::Draining);
        let shared = Arc::clone(&self.shared);
        let client = &shared.client;
        let drained = async {
            self.ended().await;
            // With nothing left to send, no server is waited for.
            if client.connected_server().is_some() || client.stats().waiting > 0 {
                // What it reports belongs to the client's own account.
                let _ = client.flush().await;
            }
        };
        let _ = wait::until_even_if_closed(client.shared(), wait::deadline(Some(within)), drained).await;
        self.abort().await;
        self.report()
    }

    /// Ends the routes, which count what they have not read.
    async fn abort(&mut self) {
        let shared = Arc::clone(&self.shared);
        let aborted = self.tasks.shutdown();
        let _ = wait::until_even_if_closed(shared.client.shared(), wait::deadline(Some(ENDING)), aborted).await;
    }
}
