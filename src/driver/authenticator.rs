//! Asks for the user's credentials, beside the connection's task and again on every attempt.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinSet;

use crate::engine::{Cause, Credentials};

/// The attempt that needs credentials.
#[derive(Clone, Debug)]
pub(crate) struct CredentialsQuestion {
    /// The nonce that the server wants signed, if any.
    pub(crate) nonce: Option<String>,
    /// `host:port` of the server.
    pub(crate) server: String,
    /// Number of the attempt since the last connection, from 1.
    pub(crate) attempt: u64,
    /// Why the last attempt failed, or the last connection was lost.
    pub(crate) last_error: Option<Cause>,
}

/// Credentials, or the reason why there are none, as text without secrets.
type Answer = Pin<Box<dyn Future<Output = Result<Credentials, String>> + Send>>;

/// Provides credentials.
#[derive(Clone)]
pub(crate) struct Authenticator(Arc<dyn Fn(CredentialsQuestion) -> Answer + Send + Sync>);

impl Authenticator {
    pub(crate) fn new<F, Fut>(answer: F) -> Authenticator
    where
        F: Fn(CredentialsQuestion) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Credentials, String>> + Send + 'static,
    {
        Authenticator(Arc::new(move |question| Box::pin(answer(question))))
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator")
    }
}

/// A pending question for credentials. The user's code runs in its own task, so that it may block or panic;
/// dropping this ends it.
#[derive(Debug)]
pub(super) struct PendingCredentials(JoinSet<Result<Credentials, String>>);

impl PendingCredentials {
    pub(super) fn new(authenticator: Option<&Authenticator>, question: CredentialsQuestion) -> PendingCredentials {
        let mut tasks = JoinSet::new();
        if let Some(Authenticator(answer)) = authenticator.cloned() {
            tasks.spawn(async move { answer(question).await });
        }
        PendingCredentials(tasks)
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Credentials, Cause>> {
        self.0.poll_join_next(cx).map(|answer| match answer {
            Some(Ok(answer)) => answer.map_err(|reason| Cause::Credentials(reason.into())),
            Some(Err(_)) => Err(Cause::Credentials("the callback panicked".into())),
            None => Err(Cause::Credentials("no source of credentials is set".into())),
        })
    }
}
