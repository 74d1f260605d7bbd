//! Builds a context.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::Client;
use crate::jetstream::context::{Context, Inner};
use crate::jetstream::run::acks::AckLimit;
use crate::jetstream::wire::{InvalidName, Prefix};

/// How many ordered consumers of a context may be created again at the same time: after an outage there can be thousands.
const MOST_RECREATIONS: usize = 64;

/// The prefix may still be set.
#[derive(Debug, Default)]
pub struct Yes;

/// The prefix was set last.
#[derive(Debug, Default)]
pub struct No;

/// Whether the prefix of a [`ContextBuilder`] may be set.
pub trait ToAssign: fmt::Debug {}

impl ToAssign for Yes {}
impl ToAssign for No {}

/// Sets what a [`Context`] needs to know before it is made.
///
/// ```no_run
/// # fn example(client: nats_lifeline::Client) {
/// use nats_lifeline::jetstream::context::ContextBuilder;
/// use std::time::Duration;
///
/// let context = ContextBuilder::new().domain("hub").timeout(Duration::from_secs(5)).build(client);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it makes a context when it is built"]
pub struct ContextBuilder<PREFIX: ToAssign> {
    prefix: Result<Prefix, InvalidName>,
    timeout: Option<Duration>,
    concurrency: Option<usize>,
    ack_timeout: Duration,
    most_acks: usize,
    waits_for_acks: bool,
    state: PhantomData<PREFIX>,
}

impl Default for ContextBuilder<Yes> {
    fn default() -> Self {
        ContextBuilder {
            prefix: Ok(Prefix::default()),
            timeout: None,
            concurrency: None,
            ack_timeout: Duration::from_secs(30),
            most_acks: 5_000,
            waits_for_acks: true,
            state: PhantomData,
        }
    }
}

impl ContextBuilder<Yes> {
    /// The prefix `$JS.API`, the client's timeout, at most 5,000 pending acknowledgements, and no limit of concurrent requests.
    pub fn new() -> Self {
        ContextBuilder::default()
    }

    /// Sets the prefix of the API's subjects, such as one under which an account imports it (ADR-19). One that is no subject, or
    /// that has wildcards, makes every call fail with an error that names it.
    pub fn api_prefix<T: Into<String>>(mut self, prefix: T) -> ContextBuilder<No> {
        self.prefix = Prefix::new(&prefix.into());
        self.becomes()
    }

    /// Sets the domain: the prefix is `$JS.<domain>.API`. One that is not a single token makes every call fail with an error
    /// that names it.
    pub fn domain<T: Into<String>>(mut self, domain: T) -> ContextBuilder<No> {
        self.prefix = Prefix::of_domain(&domain.into());
        self.becomes()
    }
}

impl<PREFIX: ToAssign> ContextBuilder<PREFIX> {
    /// Sets the timeout of each call. Default: the client's [`request_timeout`](crate::ConnectOptions::request_timeout), and 5 s
    /// for acknowledgements of published messages.
    pub fn timeout(mut self, timeout: Duration) -> ContextBuilder<Yes> {
        self.timeout = Some(timeout);
        self.becomes()
    }

    /// Sets how long an acknowledgement that does not come counts as pending, whether or not it is awaited. Default: 30 s.
    pub fn ack_timeout(mut self, ack_timeout: Duration) -> ContextBuilder<Yes> {
        self.ack_timeout = ack_timeout;
        self.becomes()
    }

    /// Sets how many acknowledgements of published messages may be pending. Default: 5,000. 0 counts as 1.
    pub fn max_ack_inflight(mut self, capacity: usize) -> ContextBuilder<Yes> {
        self.most_acks = capacity;
        self.becomes()
    }

    /// Sets what a publisher does when that many are pending: it waits (true, the default), or fails immediately with
    /// [`MaxAckPending`](crate::jetstream::context::PublishErrorKind::MaxAckPending).
    pub fn backpressure_on_inflight(mut self, enabled: bool) -> ContextBuilder<Yes> {
        self.waits_for_acks = enabled;
        self.becomes()
    }

    /// Sets how many requests may wait for their answers at the same time; others wait for their turn, within their timeout.
    /// Default `None`: no limit. 0 counts as 1.
    pub fn concurrency_limit(mut self, limit: Option<usize>) -> ContextBuilder<Yes> {
        self.concurrency = limit;
        self.becomes()
    }

    /// The context.
    pub fn build(self, client: Client) -> Context {
        let most = |limit: usize| limit.clamp(1, Semaphore::MAX_PERMITS);
        let turns = self.concurrency.map(|limit| Arc::new(Semaphore::new(most(limit))));
        Context::with(Inner {
            client,
            prefix: self.prefix,
            timeout: self.timeout,
            turns,
            acks: AckLimit::new(self.most_acks, self.ack_timeout),
            waits_for_acks: self.waits_for_acks,
            deliveries: Arc::default(),
            publications: Arc::default(),
            recreations: Arc::new(Semaphore::new(MOST_RECREATIONS)),
        })
    }

    fn becomes<OTHER: ToAssign>(self) -> ContextBuilder<OTHER> {
        let ContextBuilder { prefix, timeout, concurrency, ack_timeout, most_acks, waits_for_acks, state: _ } = self;
        ContextBuilder { prefix, timeout, concurrency, ack_timeout, most_acks, waits_for_acks, state: PhantomData }
    }
}
