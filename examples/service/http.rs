//! The endpoints for probes and metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use nats_lifeline::client::Health;
use nats_lifeline::{Client, Error};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a probe waits for the NATS server. The orchestrator must wait longer (Kubernetes: `timeoutSeconds`).
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// How long open HTTP connections may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// Where the service is on its way to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Working,
    /// Not ready any more: it has got a signal, and finishes its work.
    Stopping,
    /// The metrics have their last values.
    Drained,
    /// HTTP ends too.
    Stopped,
}

/// The HTTP server.
pub(crate) struct Http {
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    scraped: Arc<Notify>,
    task: JoinHandle<std::io::Result<()>>,
}

/// Takes the port. Requests wait until [`Http::start`].
pub(crate) async fn listen(on: SocketAddr) -> Result<TcpListener, Error> {
    Ok(TcpListener::bind(on).await.map_err(|error| format!("cannot listen on {on}: {error}"))?)
}

/// What the handlers need.
#[derive(Clone)]
struct App {
    client: Client,
    metrics: PrometheusHandle,
    phase: watch::Receiver<Phase>,
    /// The last figures were read.
    scraped: Arc<Notify>,
}

impl Http {
    pub(crate) fn start(listener: TcpListener, client: Client, metrics: PrometheusHandle) -> Result<Http, Error> {
        let address = listener.local_addr()?;
        let (phase, mut ending) = watch::channel(Phase::Working);
        let scraped = Arc::new(Notify::new());
        let app = App { client, metrics, phase: phase.subscribe(), scraped: Arc::clone(&scraped) };
        let routes = Router::new()
            .route("/health/live", get(|| async { "alive\n" }))
            .route("/health/nats", get(ready))
            .route("/metrics", get(scrape))
            .with_state(app);
        let stopped = async move {
            let _ = ending.wait_for(|phase| *phase == Phase::Stopped).await;
        };
        let task = tokio::spawn(axum::serve(listener, routes).with_graceful_shutdown(stopped).into_future());
        Ok(Http { address, phase, scraped, task })
    }

    /// With the port that the system chose for port 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Waits until the last figures were read.
    pub(crate) async fn last_scrape(&self, within: Duration) {
        let _ = timeout(within, self.scraped.notified()).await;
    }

    /// Answers open requests, and ends.
    pub(crate) async fn stop(self) {
        self.enter(Phase::Stopped);
        let _ = timeout(STOP_WITHIN, self.task).await;
    }
}

/// The answer of `/health/nats`: the fields of [`Health`], and one more.
#[derive(Serialize)]
struct Readiness {
    /// Whether the service is about to end. Then it is not ready, even if the connection is healthy.
    stopping: bool,
    #[serde(flatten)]
    health: Health,
}

async fn ready(State(app): State<App>) -> Response {
    let health = app.client.health_within(CHECK_WITHIN).await;
    // Read after the check, which takes time.
    let stopping = *app.phase.borrow() > Phase::Working;
    let code = match health.healthy && !stopping {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    match serde_json::to_string(&Readiness { stopping, health }) {
        Ok(json) => (code, [(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn scrape(State(app): State<App>) -> Response {
    // Read before the figures.
    let last = *app.phase.borrow() == Phase::Drained;
    let text = app.metrics.render();
    if last {
        app.scraped.notify_one();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
