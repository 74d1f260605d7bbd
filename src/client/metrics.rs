//! Metrics through the `metrics` facade (feature `metrics`): the events and counters of a client, under names that
//! dashboards use.
//!
//! [`Client::report_metrics`] makes a [`MetricsReporter`], and [`run`](MetricsReporter::run) reports until the client
//! is closed. It reads the client's events, and looks at [`stats`](Client::stats) at an interval. It adds no cost to
//! publishing and receiving.
//!
//! | metric | kind | labels | meaning |
//! |---|---|---|---|
//! | `nats_connection_state` | gauge | `service`, `server` | 1 for the connected server, 0 for the previous one; while none is connected, `server` is `disconnected` and the value 0 |
//! | `nats_reconnections_total` | counter | `service` | connections made after a loss |
//! | `nats_disconnection_duration_seconds` | histogram | `service` | time from a loss until the next connection is ready |
//! | `nats_buffer_size_bytes` | gauge | `service` | bytes waiting for the transport, connected or not |
//! | `nats.overflow_queue_size` | gauge | `service` | messages buffered while no server is connected; 0 while one is |
//! | `nats.messages_lost` | counter | `service`, `subject` | accepted messages that were lost on our side |
//! | `nats_messages_published_total` | counter | `service` | messages accepted by `publish` and requests |
//! | `nats_errors_total` | counter | `service`, `type` | failed attempts, unplanned losses, errors that servers sent, slow consumers, refused publishes |
//!
//! `service` is the name given to `report_metrics`. Give each client of a process its own name, or their gauges
//! overwrite each other. Counters begin at zero when the reporter is made. Exporters for Prometheus write the dots as
//! underscores.
//!
//! **Whether a server is connected** is `max by (service) (nats_connection_state)`. The series of a server that was
//! left stays at 0, so an alert on a single series would never end.
//!
//! **Buckets** are set in the exporter. For the durations these fit the thresholds of usual alerts: 0.1, 0.5, 1, 5,
//! 10, 30, 60 and 120 seconds. An outage that ends because the client is closed or gives up has no duration; a
//! planned move has a short one.
//!
//! **Published messages have no label `subject`.** Counting by subject would cost a table look-up for each message.
//! If you need it, count at the call site, with [`subject_label`].
//!
//! **The subject of lost messages** is shortened by [`subject_label`]. A reporter uses at most [`MOST_SUBJECTS`] of them;
//! further ones, and messages that were too many to be returned in events, are counted under `{other}`. The sum over
//! the subjects is exact.
//!
//! **`type`** is the name of the error in lower case: `io`, `timed_out`, `stale`, `authorization_violation`,
//! `permissions_violation`, `slow_consumer`; `unknown` for unknown server errors; `publish_failed` for refused
//! messages.
//!
//! Latency belongs to single messages, so measure it where you publish them:
//!
//! ```no_run
//! # async fn example(client: nats_lifeline::Client) {
//! let began = std::time::Instant::now();
//! if client.publish_confirmed("orders.new", "four wheels".into()).await.is_confirmed() {
//!     metrics::histogram!("nats_publish_latency_seconds", "service" => "orders").record(began.elapsed());
//! }
//! # }
//! ```

mod error_type;
mod subject;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

pub use subject::subject_label;

use super::client::Client;
use super::connection::{ConnectionEvent, Events, Lost, LostMessages, Stats};
use super::wait;
use crate::driver::{EventFilter, Shared};

const CONNECTION_STATE: &str = "nats_connection_state";
const RECONNECTIONS: &str = "nats_reconnections_total";
const DISCONNECTION_DURATION: &str = "nats_disconnection_duration_seconds";
const BUFFER_SIZE: &str = "nats_buffer_size_bytes";
const OVERFLOW_QUEUE_SIZE: &str = "nats.overflow_queue_size";
const MESSAGES_LOST: &str = "nats.messages_lost";
const MESSAGES_PUBLISHED: &str = "nats_messages_published_total";
const ERRORS: &str = "nats_errors_total";

/// The label `server` while none is connected.
const DISCONNECTED: &str = "disconnected";

/// The label `subject` of messages without a known subject, or beyond the limit of labels.
const OTHER: &str = "{other}";

/// Most values of the label `subject` of lost messages per reporter, besides `{other}`. Arbitrary: far more than a
/// dashboard shows, and little for an exporter.
pub const MOST_SUBJECTS: usize = 200;

/// The default interval of a reporter. Arbitrary: well below the usual 15 s between two scrapes, and a sample costs
/// microseconds.
const USUAL_INTERVAL: Duration = Duration::from_secs(1);

/// The shortest interval.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// The longest interval: some exporters drop series that are not written to for some minutes.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

impl Client {
    /// Returns a reporter of this client's metrics under the name `service`, counting from now on. It reports nothing
    /// until it [runs](MetricsReporter::run). [`client::metrics`](crate::client::metrics) lists the metrics.
    ///
    /// Call it right after connecting. The reporter does not keep the connection alive.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), nats_lifeline::Error> {
    /// // Install the exporter of your choice first, as the process's recorder.
    /// let client = nats_lifeline::connect("localhost").await?;
    /// tokio::spawn(client.report_metrics("orders").run());
    /// # Ok(())
    /// # }
    /// ```
    pub fn report_metrics(&self, service: impl Into<String>) -> MetricsReporter {
        let shared = self.core.handle.shared.clone();
        let events = shared.events(EventFilter::Edges);
        let stats = Stats::of(&shared);
        MetricsReporter {
            service: service.into().into(),
            interval: USUAL_INTERVAL,
            server: None,
            published: stats.accepted,
            refused: stats.refused,
            subjects: BTreeSet::new(),
            events,
            shared,
        }
    }
}

/// Reports the metrics of one client: see [`client::metrics`](crate::client::metrics) and [`Client::report_metrics`].
///
/// It does not keep the connection alive. Dropping it, or the future of [`run`](MetricsReporter::run), stops the
/// reporting immediately; the gauges then keep their last values.
#[must_use = "nothing is reported before it runs"]
pub struct MetricsReporter {
    service: SharedString,
    interval: Duration,
    /// The server whose state was last reported as 1.
    server: Option<String>,
    /// The highest reported value of `Stats::accepted`: it falls when a request is withdrawn.
    published: u64,
    /// The last reported value of `Stats::refused`.
    refused: u64,
    /// The subjects of lost messages so far. `subjects.len() <= MOST_SUBJECTS`.
    subjects: BTreeSet<String>,
    events: Events,
    shared: Arc<Shared>,
}

impl fmt::Debug for MetricsReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MetricsReporter { service, interval, server, published, refused, subjects, events: _, shared: _ } = self;
        f.debug_struct("MetricsReporter")
            .field("service", service)
            .field("interval", interval)
            .field("server", server)
            .field("published", published)
            .field("refused", refused)
            .field("subjects", &subjects.len())
            .finish_non_exhaustive()
    }
}

impl MetricsReporter {
    /// Sets how often gauges and counters are updated. Default 1 s; values are limited to 100 ms and one minute.
    /// Changes that come with events, such as the state, are reported immediately.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::Client) {
    /// use std::time::Duration;
    ///
    /// let reporter = client.report_metrics("orders").every(Duration::from_secs(5));
    /// tokio::spawn(reporter.run());
    /// # }
    /// ```
    pub fn every(mut self, interval: Duration) -> MetricsReporter {
        self.interval = interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
        self
    }

    /// Reports until the client is closed, and then once more: the state is 0 and nothing is pending. While no server
    /// is connected it continues, and reports how much is buffered.
    ///
    /// The metrics go to the recorder that is installed when this is first polled. A recorder that is installed later
    /// gets later values, but no descriptions. Any executor can run this future, and it spawns no task.
    ///
    /// ```no_run
    /// # async fn example(client: nats_lifeline::Client) {
    /// let reporting = tokio::spawn(client.report_metrics("orders").run());
    /// // …
    /// let _ = client.close().await;
    /// let _ = reporting.await; // the last figures are out
    /// # }
    /// ```
    pub async fn run(mut self) {
        self.describe();
        loop {
            self.sample();
            let deadline = wait::deadline(Some(self.interval));
            match wait::until(&self.shared, deadline, self.events.recv()).await {
                Ok(Some(event)) => {
                    self.report(&event);
                    while let Some(event) = self.events.try_recv() {
                        self.report(&event);
                    }
                }
                // The state is public before the last event is read.
                Ok(None) => return self.sample(),
                Err(wait::Elapsed) => {}
            }
        }
    }

    /// Describes the metrics, and registers the counters: a rate needs the zero before the first event.
    fn describe(&self) {
        describe_gauge!(CONNECTION_STATE, Unit::Count, "Whether this server is connected: 1 or 0");
        describe_counter!(RECONNECTIONS, Unit::Count, "Connections made after a loss");
        describe_histogram!(DISCONNECTION_DURATION, Unit::Seconds, "Time from a loss to the next connection");
        describe_gauge!(BUFFER_SIZE, Unit::Bytes, "Bytes waiting for the transport");
        describe_gauge!(OVERFLOW_QUEUE_SIZE, Unit::Count, "Messages buffered while no server is connected");
        describe_counter!(MESSAGES_LOST, Unit::Count, "Accepted messages that were lost on the client's side");
        describe_counter!(MESSAGES_PUBLISHED, Unit::Count, "Messages accepted by publish and requests");
        describe_counter!(ERRORS, Unit::Count, "Errors of the connection, of servers and of publishing");
        for name in [RECONNECTIONS, MESSAGES_PUBLISHED] {
            counter!(name, "service" => self.service.clone()).increment(0);
        }
    }

    /// Reports the current values.
    fn sample(&mut self) {
        let server = self.shared.server();
        let stats = Stats::of(&self.shared);
        let left = self.server.take().filter(|left| Some(left) != server.as_ref());
        let service = || self.service.clone();
        let state = |server: String, value: f64| {
            gauge!(CONNECTION_STATE, "service" => service(), "server" => server).set(value);
        };
        if let Some(left) = left {
            state(left, 0.0);
        }
        match &server {
            Some(server) => state(server.clone(), 1.0),
            None => state(DISCONNECTED.to_owned(), 0.0),
        }
        let buffered = if server.is_none() { stats.waiting } else { 0 };
        gauge!(OVERFLOW_QUEUE_SIZE, "service" => service()).set(buffered as f64);
        gauge!(BUFFER_SIZE, "service" => service()).set(stats.pending_bytes as f64);
        let published = stats.accepted.saturating_sub(self.published);
        counter!(MESSAGES_PUBLISHED, "service" => service()).increment(published);
        let refused = stats.refused.saturating_sub(self.refused);
        if refused > 0 {
            self.errors("publish_failed", refused);
        }
        self.published += published;
        self.refused += refused;
        self.server = server;
    }

    /// Reports an event.
    fn report(&mut self, event: &ConnectionEvent) {
        if let Some(kind) = error_type::of(event) {
            self.errors(kind, 1);
        }
        match event {
            ConnectionEvent::Reconnected { downtime, folded, .. } => {
                let (seconds, outages) = each_outage(*downtime, *folded);
                counter!(RECONNECTIONS, "service" => self.service.clone()).increment(outages);
                histogram!(DISCONNECTION_DURATION, "service" => self.service.clone())
                    .record_many(seconds, usize::try_from(outages).unwrap_or(usize::MAX));
            }
            ConnectionEvent::Lost { lost, messages, .. } => self.lost(lost, messages),
            _ => {}
        }
    }

    fn lost(&mut self, lost: &Lost, messages: &LostMessages) {
        let mut by_subject: BTreeMap<Cow<'static, str>, u64> = BTreeMap::new();
        for message in messages.iter() {
            let label = match subject_label(&message.subject).into_owned() {
                label if self.knows(&label) => Cow::Owned(label),
                _ => Cow::Borrowed(OTHER),
            };
            *by_subject.entry(label).or_default() += 1;
        }
        let unnamed = lost.total().saturating_sub(messages.len());
        if unnamed > 0 {
            *by_subject.entry(Cow::Borrowed(OTHER)).or_default() += unnamed;
        }
        for (subject, count) in by_subject {
            counter!(MESSAGES_LOST, "service" => self.service.clone(), "subject" => subject).increment(count);
        }
    }

    /// Whether `subject` has its own series; if there is room, it gets one.
    fn knows(&mut self, subject: &str) -> bool {
        if self.subjects.contains(subject) {
            return true;
        }
        let room = self.subjects.len() < MOST_SUBJECTS;
        if room {
            self.subjects.insert(subject.to_owned());
        }
        room
    }

    fn errors(&self, kind: &'static str, count: u64) {
        counter!(ERRORS, "service" => self.service.clone(), "type" => kind).increment(count);
    }
}

/// The duration of each outage, in seconds, and their number. If a thousand events were not polled, some outages are
/// folded into one: then only the sum is known, and each outage gets its share.
fn each_outage(downtime: Duration, folded: u64) -> (f64, u64) {
    let outages = folded + 1;
    (downtime.as_secs_f64() / outages as f64, outages)
}

#[cfg(test)]
mod tests {
    use super::*;

    // S55
    #[test]
    fn folded_outages_keep_their_count_and_their_sum() {
        assert_eq!(each_outage(Duration::from_millis(1500), 0), (1.5, 1));
        assert_eq!(each_outage(Duration::from_millis(1500), 2), (0.5, 3));
    }
}
