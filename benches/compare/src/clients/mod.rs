//! The measured code, written once: both Rust clients run the same source, with only the crate's name replaced.

mod handles;
mod requests;
mod stored;
mod streams;
mod upkeep;

use crate::Failure;
use crate::child::Done;
use crate::job::Job;
use crate::workload::HEADERS;
use std::future::Future;

pub(crate) use handles::Handles;

/// A connected client and its work.
pub(crate) trait Client: Sized {
    /// With the subscriptions to replay, if there are any.
    fn connect(job: &Job) -> impl Future<Output = Result<Self, Failure>>;
    fn publish(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn receive(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn publish_and_receive(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn request(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn paced(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn idle_subscriptions(&mut self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn idle_clients(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn connects(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn store(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn store_many(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn pull(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn fetch(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    fn ordered(&self, job: &Job) -> impl Future<Output = Result<Done, Failure>>;
    /// Publishes a message about every 100 µs from now on, from a thread of its own.
    fn trickle(&self) -> Result<Done, Failure>;
}

/// Messages that a subscription may be behind. With the defaults, 65,536 for both, it drops messages when its task is not
/// scheduled for some milliseconds, and then its figures would not count. This is room for all of them.
const ROOM: usize = 16_777_216;

macro_rules! client {
    ($name:ident, $nats:ident) => {
        mod $name {
            use super::*;

            pub(crate) struct Subject {
                pub(super) client: $nats::Client,
                pub(super) subscribers: Vec<$nats::Subscriber>,
            }

            /// The defaults, but for what the job needs.
            pub(super) async fn open(job: &Job) -> Result<$nats::Client, Failure> {
                use crate::workload::Work::{FailoverEager, Subscribe, SubscribeBatch};
                let mut options = $nats::ConnectOptions::new();
                if matches!(job.work()?, Subscribe | SubscribeBatch) {
                    options = options.subscription_capacity(ROOM);
                }
                if job.work()? == FailoverEager {
                    options = options.reconnect_delay_callback(|_| std::time::Duration::ZERO);
                }
                if let Some(ca) = &job.ca {
                    options = options.add_root_certificates(ca.clone()).require_tls(true);
                }
                let servers = job.servers.iter().map(|server| server.parse::<$nats::ServerAddr>());
                Ok(options.connect(servers.collect::<Result<Vec<_>, _>>()?).await?)
            }

            pub(super) fn headers() -> $nats::HeaderMap {
                let mut map = $nats::HeaderMap::new();
                for (name, value) in HEADERS {
                    map.insert(name, value);
                }
                map
            }

            streams::functions!($nats);
            requests::functions!($nats);
            upkeep::functions!($nats);
            stored::functions!($nats);

            impl Client for Subject {
                async fn connect(job: &Job) -> Result<Self, Failure> {
                    let mut subject = Self { client: open(job).await?, subscribers: Vec::new() };
                    subscribe_idly(&mut subject, job.subscriptions).await?;
                    Ok(subject)
                }

                async fn publish(&self, job: &Job) -> Result<Done, Failure> {
                    publish(&self.client, job).await
                }

                async fn receive(&self, job: &Job) -> Result<Done, Failure> {
                    receive(&self.client, job).await
                }

                async fn publish_and_receive(&self, job: &Job) -> Result<Done, Failure> {
                    publish_and_receive(&self.client, job).await
                }

                async fn request(&self, job: &Job) -> Result<Done, Failure> {
                    request(&self.client, job).await
                }

                async fn paced(&self, job: &Job) -> Result<Done, Failure> {
                    paced(&self.client, job).await
                }

                async fn idle_subscriptions(&mut self, job: &Job) -> Result<Done, Failure> {
                    idle_subscriptions(self, job).await
                }

                async fn idle_clients(&self, job: &Job) -> Result<Done, Failure> {
                    idle_clients(job).await
                }

                async fn connects(&self, job: &Job) -> Result<Done, Failure> {
                    connects(job).await
                }

                async fn store(&self, job: &Job) -> Result<Done, Failure> {
                    store(&self.client, job).await
                }

                async fn store_many(&self, job: &Job) -> Result<Done, Failure> {
                    store_many(&self.client, job).await
                }

                async fn pull(&self, job: &Job) -> Result<Done, Failure> {
                    pull(&self.client, job).await
                }

                async fn fetch(&self, job: &Job) -> Result<Done, Failure> {
                    fetch(&self.client, job).await
                }

                async fn ordered(&self, job: &Job) -> Result<Done, Failure> {
                    ordered(&self.client, job).await
                }

                fn trickle(&self) -> Result<Done, Failure> {
                    trickle(&self.client)
                }
            }
        }
    };
}

client!(lifeline, nats_lifeline);
client!(peer, async_nats);

pub(crate) use lifeline::Subject as Lifeline;
pub(crate) use peer::Subject as Peer;
