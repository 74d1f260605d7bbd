//! The recorder for metrics, in Prometheus's text format.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use nats_lifeline::Error;

/// The bounds that `examples/observability` needs, in seconds.
const OUTAGES: [f64; 8] = [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0];

/// Round trips, in seconds, for the same.
const LATENCIES: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// In seconds.
const REQUESTS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// How often histograms are condensed. Otherwise they grow until the next scrape.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder for this process. The handle renders its metrics.
pub(crate) fn install() -> Result<PrometheusHandle, Error> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(full("nats_disconnection_duration_seconds"), &OUTAGES)?
        .set_buckets_for_metric(full("nats_publish_latency_seconds"), &LATENCIES)?
        .set_buckets_for_metric(full("service_request_duration_seconds"), &REQUESTS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
    let kept = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            kept.run_upkeep();
        }
    });
    Ok(handle)
}
