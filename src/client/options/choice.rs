//! Options that choose the next server and the delay before it with callbacks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::ConnectOptions;
use crate::client::server::{ReconnectToServer, Server};
use crate::driver::{Chooser, Question};
use crate::engine::Choice;
use crate::protocol::ServerInfo;

type DelayCallback = Arc<dyn Fn(usize) -> Duration + Send + Sync>;
type ServerAnswer = Pin<Box<dyn Future<Output = Option<ReconnectToServer>> + Send>>;
type ServerCallback = Arc<dyn Fn(Vec<Server>, ServerInfo) -> ServerAnswer + Send + Sync>;

/// The callbacks that were set.
#[derive(Clone, Default)]
pub(super) struct Callbacks {
    delay: Option<DelayCallback>,
    server: Option<ServerCallback>,
}

impl Callbacks {
    pub(super) fn asks_delay(&self) -> bool {
        self.delay.is_some()
    }

    pub(super) fn asks_server(&self) -> bool {
        self.server.is_some()
    }

    pub(super) fn into_chooser(self) -> Option<Chooser> {
        (self.asks_delay() || self.asks_server()).then(|| {
            Chooser::new(move |question| {
                let callbacks = self.clone();
                async move { callbacks.choose(question).await }
            })
        })
    }

    async fn choose(&self, question: Question) -> Choice {
        let Question { servers, info, attempt, server } = question;
        let mut choice = Choice::default();
        if let (Some(pick), true) = (&self.server, server) {
            let servers = servers.into_iter().map(Server::of).collect();
            let info = info.map(|info| ServerInfo::from(&*info)).unwrap_or_default();
            if let Some(ReconnectToServer { addr, delay }) = pick(servers, info).await {
                choice = Choice { server: Some(addr), delay };
            }
        }
        if let (Some(delay), None) = (&self.delay, choice.delay) {
            choice.delay = Some(delay(usize::try_from(attempt).unwrap_or(usize::MAX)));
        }
        choice
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Callbacks { delay, server } = self;
        let shown = |set: bool| set.then_some("Fn");
        f.debug_struct("Callbacks")
            .field("delay", &shown(delay.is_some()))
            .field("server", &shown(server.is_some()))
            .finish()
    }
}

impl ConnectOptions {
    /// Uses `cb` to decide how long to wait before an attempt, instead of [`backoff`](ConnectOptions::backoff).
    /// Default: the backoff.
    ///
    /// Its argument is the number of the attempt, from 1, counted over all servers since the last connection. It is
    /// called before every attempt, including the first one of `connect`; the servers are then tried in turn. Zero is
    /// allowed, but no server is dialled more than ten times a second. It runs in its own task; if it panics, or has
    /// not answered within the [`connection_timeout`](ConnectOptions::connection_timeout), the backoff applies. It
    /// must not [block](ConnectOptions#callbacks).
    ///
    /// ```
    /// use nats_lifeline::ConnectOptions;
    /// use std::time::Duration;
    ///
    /// let options = ConnectOptions::new()
    ///     .reconnect_delay_callback(|attempt| if attempt <= 1 { Duration::ZERO } else { Duration::from_secs(2) });
    /// # drop(options);
    /// ```
    pub fn reconnect_delay_callback<F>(mut self, cb: F) -> ConnectOptions
    where
        F: Fn(usize) -> Duration + Send + Sync + 'static,
    {
        self.callbacks.delay = Some(Arc::new(cb));
        self
    }

    /// Uses `cb` to pick the server of each attempt, and the delay before it, including the first one of `connect`.
    /// Default: the server that is due earliest.
    ///
    /// Its arguments are the current [`server_pool`](crate::Client::server_pool) and the INFO of the last server,
    /// which is empty before the first one. `connect` still fails when each of its servers has failed once, or when
    /// as many attempts have failed as there are servers. The answer must be in the pool; otherwise
    /// [`ClientError::ServerNotInPool`](crate::ClientError::ServerNotInPool) is reported and the default applies, as
    /// it does if `cb` returns `None`, panics, or has not answered within the
    /// [`connection_timeout`](ConnectOptions::connection_timeout). It runs in its own task. A delay of zero is
    /// allowed, but no server is dialled more than ten times a second. It must not [block](ConnectOptions#callbacks).
    ///
    /// ```
    /// use nats_lifeline::{ConnectOptions, ReconnectToServer};
    ///
    /// // The server with the fewest failures.
    /// let options = ConnectOptions::new().reconnect_to_server_callback(|servers, _info| async move {
    ///     let best = servers.into_iter().min_by_key(|server| server.failed_attempts)?;
    ///     Some(ReconnectToServer { addr: best.addr, delay: None })
    /// });
    /// # drop(options);
    /// ```
    pub fn reconnect_to_server_callback<F, Fut>(mut self, cb: F) -> ConnectOptions
    where
        F: Fn(Vec<Server>, ServerInfo) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<ReconnectToServer>> + Send + 'static,
    {
        self.callbacks.server = Some(Arc::new(move |servers, info| Box::pin(cb(servers, info))));
        self
    }
}
