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
//! | `nats_buffer_limit_bytes` | gauge | `service` | bytes that may be buffered while no server is connected: [`reconnect_buffer_size`](crate::ConnectOptions::reconnect_buffer_size) |
//! | `nats.overflow_queue_size` | gauge | `service` | messages buffered while no server is connected; 0 while one is |
//! | `nats.messages_lost` | counter | `service`, `subject` | accepted messages that were lost on our side |
//! | `nats_messages_in_doubt_total` | counter | `service` | messages that were written to a connection which was lost before a PONG confirmed them: the server may or may not have processed them |
//! | `nats_messages_published_total` | counter | `service`; with `count_subjects` also `subject` | messages accepted by `publish` and requests, including requests that were withdrawn before they were sent |
//! | `nats_publish_latency_seconds` | histogram | `service` | time from publishing to the PONG that confirms it; only with [`measure_latency`](MetricsReporter::measure_latency) |
//! | `nats_errors_total` | counter | `service`, `type` | failed attempts, unplanned losses, errors that servers sent, slow consumers, refused publishes |
//!
//! `service` is the name given to `report_metrics`. Give each client of a process its own name, or their gauges
//! overwrite each other. Counters begin at zero when the reporter is made. Exporters for Prometheus write the dots as
//! underscores.
//!
//! **Whether a server is connected** is `max by (service) (nats_connection_state)`. The series of a server that was
//! left stays at 0, so an alert on a single series would never end.
//!
//! **Buckets** are set in the exporter; without them, some exporters make a summary of a histogram. For the durations,
//! 0.1, 0.5, 1, 5, 10, 30, 60 and 120 seconds fit the thresholds of usual alerts; for the latency, 0.5 ms to 10 s. An
//! outage that ends because the client is closed or gives up has no duration; a planned move has a short one.
//!
//! **Published messages have no label `subject`,** since it would cost a look-up for each message. If you need it,
//! publish through [`Client::count_subjects`]: it counts the subjects that you choose, and everything else as `{other}`.
//!
//! **Latency** is measured by the reporter and not per message: at each interval it times a PING and its PONG, which
//! follow everything that was published before. A message published at that moment would be confirmed by the same PONG,
//! so this is the time that [`publish`](Client::publish) and [`flush`](Client::flush) take together, with the
//! queue in front of them. It costs one PING per interval, and nothing per message. It is off unless you call
//! [`measure_latency`](MetricsReporter::measure_latency). For the latency of single messages, time
//! [`publish_confirmed`](Client::publish_confirmed) where you call it.
//!
//! **The subject of lost messages** is shortened by [`subject_label`]. A reporter uses at most [`MOST_SUBJECTS`] of them;
//! further ones, and messages that were too many to be returned in events, are counted under `{other}`. The sum over
//! the subjects is exact.
//!
//! **`type`** is the name of the error in lower case: `io`, `timed_out`, `stale`, `authorization_violation`,
//! `permissions_violation`, `slow_consumer`; `unknown` for unknown server errors; `publish_failed` for refused
//! messages.
//!
//! The repository has alert rules and a dashboard for these metrics, in `examples/observability`.

mod counting;
mod counts;
mod latency;
mod lost;
mod names;
mod subject;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::metrics::{SharedString, counter, gauge, histogram};
use futures_core::Stream;

pub use counting::CountingClient;
pub use counts::CountSubjectsError;
pub use subject::subject_label;

use super::client::Client;
use super::connection::{ConnectionEvent, Events, Stats};
use super::wait;
use crate::driver::{EventFilter, Shared, error_type};
use counts::Counts;
use latency::Latency;
use lost::LostSubjects;
use names::{
    BUFFER_LIMIT, BUFFER_SIZE, CONNECTION_STATE, DISCONNECTION_DURATION, ERRORS, MESSAGES_IN_DOUBT, MESSAGES_LOST,
    MESSAGES_PUBLISHED, OTHER, OVERFLOW_QUEUE_SIZE, PUBLISH_LATENCY, RECONNECTIONS,
};

/// The label `server` while none is connected.
const DISCONNECTED: &str = "disconnected";

/// Most values of the label `subject` per metric and reporter, besides `{other}`. Arbitrary: far more than a dashboard
/// shows, and little for an exporter.
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
        MetricsReporter::new(self, service.into(), None)
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
    /// The last reported number of accepted messages that are not counted by subject.
    published: u64,
    /// The counters by subject, and their last reported values.
    counted: Option<(Arc<Counts>, Vec<u64>)>,
    latency: Option<Latency>,
    /// The last reported value of `Stats::refused`.
    refused: u64,
    /// The last reported value of `Stats::in_doubt`.
    in_doubt: u64,
    lost: LostSubjects,
    events: Events,
    shared: Arc<Shared>,
}

impl fmt::Debug for MetricsReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MetricsReporter { service, interval, server, published, counted, latency, refused, in_doubt, lost, .. } =
            self;
        f.debug_struct("MetricsReporter")
            .field("service", service)
            .field("interval", interval)
            .field("server", server)
            .field("published", published)
            .field("counted", counted)
            .field("latency", latency)
            .field("refused", refused)
            .field("in_doubt", in_doubt)
            .field("lost", lost)
            .finish_non_exhaustive()
    }
}

/// What a reporter waits for.
enum Next {
    Event(Option<ConnectionEvent>),
    Latency(Duration),
}

impl MetricsReporter {
    fn new(client: &Client, service: String, counts: Option<Arc<Counts>>) -> MetricsReporter {
        let shared = client.core.handle.shared.clone();
        let events = shared.events(EventFilter::Edges);
        let stats = Stats::of(&shared);
        let counted = counts.map(|counts| (counts.clone(), counts.all()));
        MetricsReporter {
            service: service.into(),
            interval: USUAL_INTERVAL,
            server: None,
            published: uncounted(&shared, &counted),
            counted,
            latency: None,
            refused: stats.refused,
            in_doubt: stats.in_doubt,
            lost: LostSubjects::default(),
            events,
            shared,
        }
    }

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

    /// Also measures `nats_publish_latency_seconds`, once per `interval` (at least 100 ms), while a server is connected.
    ///
    /// Each sample is the time that a round trip takes which follows everything that was published before. A round trip
    /// whose connection is lost is no sample; that time is in `nats_disconnection_duration_seconds`.
    ///
    /// ```no_run
    /// # fn example(client: nats_lifeline::Client) {
    /// use std::time::Duration;
    ///
    /// let reporter = client.report_metrics("orders").measure_latency(Duration::from_secs(1));
    /// tokio::spawn(reporter.run());
    /// # }
    /// ```
    pub fn measure_latency(mut self, interval: Duration) -> MetricsReporter {
        self.latency = Some(Latency::every(interval.max(SHORTEST_INTERVAL)));
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
        let shared = self.shared.clone();
        loop {
            self.sample();
            let deadline = wait::deadline(Some(self.pause()));
            match wait::until(&shared, deadline, poll_fn(|cx| self.poll_next(cx))).await {
                Ok(Next::Event(Some(event))) => {
                    self.report(&event);
                    while let Some(event) = self.events.try_recv() {
                        self.report(&event);
                    }
                }
                // The state is public before the last event is read.
                Ok(Next::Event(None)) => return self.sample(),
                Ok(Next::Latency(took)) => {
                    histogram!(PUBLISH_LATENCY, "service" => self.service.clone()).record(took.as_secs_f64());
                }
                Err(wait::Elapsed) => {}
            }
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(latency) = &mut self.latency {
            if let Poll::Ready(took) = latency.poll(&self.shared, cx) {
                return Poll::Ready(Next::Latency(took));
            }
        }
        Pin::new(&mut self.events).poll_next(cx).map(Next::Event)
    }

    /// How long to wait for news before the next sample. Begins to measure the latency, if that is due.
    fn pause(&mut self) -> Duration {
        let Some(latency) = &mut self.latency else { return self.interval };
        latency.begin(&self.shared);
        self.interval.min(latency.interval())
    }

    /// Describes the metrics, and registers counters and histograms: a rate needs the zero before the first event.
    fn describe(&self) {
        names::describe();
        let service = || self.service.clone();
        counter!(RECONNECTIONS, "service" => service()).increment(0);
        counter!(MESSAGES_LOST, "service" => service(), "subject" => OTHER).increment(0);
        self.count_published(0);
        let _ = histogram!(DISCONNECTION_DURATION, "service" => service());
        if self.latency.is_some() {
            let _ = histogram!(PUBLISH_LATENCY, "service" => service());
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
        gauge!(BUFFER_LIMIT, "service" => service()).set(self.shared.buffer_limit() as f64);
        let published = uncounted(&self.shared, &self.counted).saturating_sub(self.published);
        self.count_published(published);
        if let Some((counts, reported)) = &mut self.counted {
            counts.report(&self.service, reported);
        }
        let refused = stats.refused.saturating_sub(self.refused);
        if refused > 0 {
            self.errors("publish_failed", refused);
        }
        let in_doubt = stats.in_doubt.saturating_sub(self.in_doubt);
        counter!(MESSAGES_IN_DOUBT, "service" => service()).increment(in_doubt);
        self.published += published;
        self.refused += refused;
        self.in_doubt += in_doubt;
        self.server = server;
    }

    /// Reports published messages that are not counted by subject.
    fn count_published(&self, number: u64) {
        let service = self.service.clone();
        if self.counted.is_some() {
            counter!(MESSAGES_PUBLISHED, "service" => service, "subject" => OTHER).increment(number);
        } else {
            counter!(MESSAGES_PUBLISHED, "service" => service).increment(number);
        }
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
            ConnectionEvent::Lost { lost, messages, .. } => self.lost.report(&self.service, lost, messages),
            _ => {}
        }
    }

    fn errors(&self, kind: &'static str, count: u64) {
        counter!(ERRORS, "service" => self.service.clone(), "type" => kind).increment(count);
    }
}

/// Accepted messages that are not counted by subject. While messages are being published it may be a few too low.
///
/// Withdrawn requests are included, as in the counts by subject: counters do not fall.
fn uncounted(shared: &Shared, counted: &Option<(Arc<Counts>, Vec<u64>)>) -> u64 {
    let accepted = shared.ever_accepted();
    let claimed = counted.as_ref().map_or(0, |(counts, _)| counts.claimed());
    accepted.saturating_sub(claimed)
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
