//! A registry of handlers: subjects, what handles their messages, and what becomes of messages that fail.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client::Client;
use super::error::SubscribeError;
use super::message::{Message, OutboundMessage};
use super::subscriber::Subscriber;
use super::wait;
use crate::protocol::{Subject, ToSubject};

/// The header of a dead letter that says why its handler failed.
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
    /// As [`Client::subscribe`] and [`Client::queue_subscribe`]. Then no subject is subscribed to.
    pub async fn start(self) -> Result<RunningRouter, SubscribeError> {
        let Router { client, queue_group, dead_letters, routes } = self;
        let mut subscribed = Vec::with_capacity(routes.len());
        for route in routes {
            let messages = match &queue_group {
                Some(group) => client.queue_subscribe(route.subject.clone(), group.clone()).await?,
                None => client.subscribe(route.subject.clone()).await?,
            };
            subscribed.push((route, messages));
        }
        let shared = Arc::new(Shared { client: client.clone(), dead_letters, counts: Counts::default() });
        let (phase, _) = watch::channel(Phase::Handling);
        let mut tasks = JoinSet::new();
        for (route, messages) in subscribed {
            let run = run(route, messages, Arc::clone(&shared), phase.subscribe());
            tasks.spawn_on(run, client.shared().runtime());
        }
        Ok(RunningRouter { shared, phase, tasks })
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subjects: Vec<&Subject> = self.routes.iter().map(|route| &route.subject).collect();
        f.debug_struct("Router").field("subjects", &subjects).finish_non_exhaustive()
    }
}

/// Whether the routes still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handling,
    Draining,
}

#[derive(Debug, Default)]
struct Counts {
    started: AtomicU64,
    handled: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    dead_letters: Option<Subject>,
    counts: Counts,
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

/// What a [`RunningRouter`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterReport {
    /// Messages whose handler succeeded.
    pub handled: u64,
    /// Messages whose handler failed or panicked.
    pub failed: u64,
    /// Messages whose handler has not ended.
    pub unfinished: u64,
}

impl RunningRouter {
    /// The counts so far.
    pub fn report(&self) -> RouterReport {
        let counts = &self.shared.counts;
        let (handled, failed) = (counts.handled.load(Ordering::Acquire), counts.failed.load(Ordering::Acquire));
        let started = counts.started.load(Ordering::Acquire);
        RouterReport { handled, failed, unfinished: started.saturating_sub(handled).saturating_sub(failed) }
    }

    /// Waits until every subscription has ended: because the client was drained or closed, or the server refused them.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends the subscriptions, handles every message that the server had sent before, and flushes what the handlers have
    /// published. Returns after `within` at the latest: handlers that still run then are ended at their next `await`.
    pub async fn drain(mut self, within: Duration) -> RouterReport {
        self.phase.send_replace(Phase::Draining);
        let shared = Arc::clone(&self.shared);
        let client = &shared.client;
        let drained = async {
            self.ended().await;
            // What it reports belongs to the client's own account.
            let _ = client.flush().await;
        };
        let _ = wait::until(client.shared(), wait::deadline(Some(within)), drained).await;
        self.report()
    }
}

/// Handles the messages of one route.
async fn run(route: Route, mut messages: Subscriber, shared: Arc<Shared>, mut phase: watch::Receiver<Phase>) {
    let mut handlers = JoinSet::new();
    let mut draining = false;
    loop {
        while handlers.len() >= route.concurrency {
            handlers.join_next().await;
        }
        let message = tokio::select! {
            message = poll_fn(|cx| Pin::new(&mut messages).poll_next(cx)) => message,
            () = drain_begins(&mut phase), if !draining => {
                draining = true;
                // A client that has ended has ended the subscription as well.
                let _ = messages.drain().await;
                continue;
            }
            Some(_) = handlers.join_next() => continue,
        };
        let Some(message) = message else { break };
        shared.counts.started.fetch_add(1, Ordering::AcqRel);
        handlers.spawn(handle(Arc::clone(&route.handler), message, Arc::clone(&shared)));
    }
    while handlers.join_next().await.is_some() {}
}

/// Returns when the routes are to be drained.
async fn drain_begins(phase: &mut watch::Receiver<Phase>) {
    // The sender lives as long as the tasks.
    let _ = phase.wait_for(|phase| *phase == Phase::Draining).await;
}

/// Handles one message, and publishes it as a dead letter if that fails.
async fn handle(handler: Handler, message: Message, shared: Arc<Shared>) {
    let outcome = caught(handler, message.clone()).await;
    let counts = &shared.counts;
    let Err(reason) = outcome else {
        counts.handled.fetch_add(1, Ordering::AcqRel);
        return;
    };
    tracing::warn!(subject = %message.subject, %reason, "a handler failed");
    if let Some(subject) = shared.dead_letters.clone() {
        let letter = dead_letter(subject, message, &reason);
        let OutboundMessage { subject, headers, payload, .. } = letter;
        if let Err(error) = shared.client.publish_with_headers(subject, headers.unwrap_or_default(), payload).await {
            tracing::warn!(%error, "a dead letter was not accepted");
        }
    }
    counts.failed.fetch_add(1, Ordering::AcqRel);
}

/// The handler's result, in which a panic is an error.
async fn caught(handler: Handler, message: Message) -> Result<(), String> {
    let called = std::panic::catch_unwind(AssertUnwindSafe(|| handler(message)));
    let mut handling = called.map_err(|payload| panicked(&*payload))?;
    poll_fn(move |cx| {
        // After a panic it is not polled again.
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx)));
        polled.unwrap_or_else(|payload| std::task::Poll::Ready(Err(panicked(&*payload))))
    })
    .await
}

fn panicked(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("the handler panicked: {text}"),
        None => "the handler panicked".to_owned(),
    }
}

fn dead_letter(to: Subject, message: Message, reason: &str) -> OutboundMessage {
    let mut headers = message.headers.unwrap_or_default();
    // A header is one line.
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    headers.insert(DEAD_LETTER_REASON, reason.trim());
    headers.insert(DEAD_LETTER_SUBJECT, message.subject.as_str());
    OutboundMessage { subject: to, reply: None, payload: message.payload, headers: Some(headers) }
}
