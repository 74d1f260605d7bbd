//! Asks the user's callbacks for the next server and the delay before it, beside the connection's task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinSet;

use crate::engine::Choice;
use crate::engine::pool::Server;
use crate::protocol::Info;

/// The arguments of the callbacks.
pub(crate) struct Question {
    pub(crate) servers: Vec<Server>,
    pub(crate) info: Option<Arc<Info>>,
    /// Number of the attempt since the last connection, from 1.
    pub(crate) attempt: u64,
    /// Whether to choose a server as well as the delay.
    pub(crate) server: bool,
}

type Answer = Pin<Box<dyn Future<Output = Choice> + Send>>;

/// Calls the callbacks.
#[derive(Clone)]
pub(crate) struct Chooser(Arc<dyn Fn(Question) -> Answer + Send + Sync>);

impl Chooser {
    pub(crate) fn new<F, Fut>(choose: F) -> Chooser
    where
        F: Fn(Question) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Choice> + Send + 'static,
    {
        Chooser(Arc::new(move |question| Box::pin(choose(question))))
    }
}

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chooser")
    }
}

/// A pending question. The callbacks run in their own task, so that they may block or panic;
/// dropping this ends them.
#[derive(Debug)]
pub(super) struct PendingChoice {
    ask: u64,
    tasks: JoinSet<Choice>,
}

impl PendingChoice {
    pub(super) fn new(ask: u64, chooser: Option<&Chooser>, question: Question) -> PendingChoice {
        let mut tasks = JoinSet::new();
        if let Some(Chooser(choose)) = chooser.cloned() {
            tasks.spawn(async move { choose(question).await });
        }
        PendingChoice { ask, tasks }
    }

    /// The answer; no choice if they panicked.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(u64, Choice)> {
        self.tasks.poll_join_next(cx).map(|answer| (self.ask, answer.and_then(Result::ok).unwrap_or_default()))
    }
}
