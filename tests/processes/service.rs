//! The example `service` as a process: its probes, its metrics and its final summary, under load, through ten outages
//! and at its end.
//!
//! `cargo test --test processes service:: -- --nocapture` prints a table.

mod load;
mod running;

use std::time::{Duration, Instant};

use load::{Ends, Load, Outcomes};
use running::{Metrics, Service, refused};

use serde_json::Value;

use crate::support::{SOON, Server, ServerBuilder, eventually, within};

const OUTAGES: u64 = 10;

/// For what takes the service some seconds, on a heavily loaded machine.
const LATER: Duration = Duration::from_secs(120);

const PASSWORD: &str = "hunter2-is-secret";

/// A server, and the URL with the credentials for it.
async fn locked_server() -> (Server, String) {
    let server = Server::builder().user_and_password("joe", PASSWORD).start().await;
    let url = format!("nats://joe:{PASSWORD}@{}", server.address());
    (server, url)
}

/// Asks `/health/nats` until code and body are the expected ones. Returns the body.
async fn probed(service: &Service, what: &str, expected: impl Fn(u16, &Value) -> bool) -> Value {
    let mut answer = Value::Null;
    eventually(what, LATER, async || {
        let Some((code, body)) = service.get("/health/nats").await else { return false };
        answer = serde_json::from_str(&body).expect("a probe answers with JSON");
        let ready = answer["healthy"] == true && answer["stopping"] == false;
        assert_eq!(code, if ready { 200 } else { 503 }, "{body}");
        expected(code, &answer)
    })
    .await;
    answer
}

async fn ready(service: &Service) -> Value {
    probed(service, "the service is ready", |code, _| code == 200).await
}

async fn disconnected(service: &Service) -> Value {
    let expected = |code, body: &Value| code == 503 && body["snapshot"]["connected"] == false;
    probed(service, "the service is not ready, since it is not connected", expected).await
}

async fn is_alive(service: &Service) -> bool {
    service.get("/health/live").await.is_some_and(|(code, _)| code == 200)
}

/// Kills the server and starts it again. A line of the table.
async fn outage(number: u64, server: &mut Server, service: &Service, load: &Load) {
    let before = load.outcomes().answered;
    eventually("the load is answered", LATER, async || load.outcomes().answered > before + 500).await;
    let killed = Instant::now();
    server.kill();
    let body = disconnected(service).await;
    let noticed = killed.elapsed();
    assert!(body["error"].is_string() && body["snapshot"]["server"].is_null(), "{body}");
    assert!(is_alive(service).await, "an outage is no reason to restart the process");
    let restarted = Instant::now();
    server.restart().await;
    let body = ready(service).await;
    let back = restarted.elapsed();
    assert_eq!(body["stats"]["reconnects"], number, "{body}");
    assert!(body["round_trip_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{body}");
    let Outcomes { answered, no_responders, in_doubt } = load.outcomes();
    println!("{number:>6} {noticed:>12.1?} {back:>12.1?} {answered:>12} {no_responders:>14} {in_doubt:>10}");
}

/// SIGTERM while requests are under way. What became of them, and the last figures of the metrics.
async fn terminate_under_load(service: &mut Service, url: &str) -> (Outcomes, Metrics) {
    let load = Load::start(url, Ends::WithoutResponders).await;
    eventually("the load is answered", LATER, async || load.outcomes().answered > 500).await;
    service.signal("TERM");
    probed(service, "the service is stopping", |code, body| code == 503 && body["stopping"] == true).await;
    assert!(is_alive(service).await, "it still works");
    let metrics = service.last_metrics().await;
    (within("the load has no responders", LATER, load.ended()).await, metrics)
}

// S14, S15, S16, S17, S54, S55, S57, S61, S66
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_survives_ten_outages_and_its_probes_metrics_and_account_agree() {
    let (mut server, url) = locked_server().await;
    let flags = ["--notice", "1", "--drain", "60", "--last-scrape", "120"];
    let mut service = Service::start(&[("NATS_URL", &url)], &flags).await;
    ready(&service).await;
    let load = Load::start(&url, Ends::WhenStopped).await;
    let [answered, no_responders, in_doubt] = ["answered", "no responders", "in doubt"];
    println!("\noutage {:>12} {:>12} {answered:>12} {no_responders:>14} {in_doubt:>10}", "503 after", "200 after");
    for number in 1..=OUTAGES {
        outage(number, &mut server, &service, &load).await;
    }
    load.stop();
    let through_outages = within("the load ends", LATER, load.ended()).await;

    let (at_the_end, metrics) = terminate_under_load(&mut service, &url).await;
    let ended = service.ended().await;
    println!("\n{}", ended.output);
    let account = |what: &str| ended.account(what);
    // Nothing was lost by the end: each request was answered, or had no responders any more.
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.output.contains("\ncomplete: every request was handled"), "{ended:?}");
    let earlier = account("messages in doubt") + account("messages lost") > 0;
    assert_eq!(ended.output.contains("earlier outages"), earlier, "{ended:?}");
    assert_eq!(at_the_end.in_doubt, 0, "{at_the_end:?}");
    assert!(at_the_end.answered > 500 && at_the_end.no_responders > 0, "{at_the_end:?}");
    let received = account("requests received");
    assert_eq!(account("requests accepted"), received, "{ended:?}");
    assert!(received >= through_outages.answered + at_the_end.answered, "{received} were received");
    // Each has an answer and an announcement.
    assert_eq!(account("messages published"), 2 * received, "{ended:?}");
    let settled = ["messages confirmed", "messages in doubt", "messages lost"].map(account);
    assert_eq!(settled.iter().sum::<u64>(), 2 * received, "{ended:?}");

    assert_eq!(account("reconnections"), OUTAGES, "{ended:?}");
    for (metric, what) in [
        ("nats_messages_published_total", "messages published"),
        ("nats_reconnections_total", "reconnections"),
        ("nats_disconnection_duration_seconds_count", "reconnections"),
        ("nats_messages_lost", "messages lost"),
        ("service_requests_total", "requests received"),
        (r#"nats_messages_published_total{service="orders",subject="orders.accepted"}"#, "requests accepted"),
    ] {
        println!("{:>8} = {metric} = {what}", metrics.sum(metric));
        assert_eq!(metrics.sum(metric), account(what), "{metric}: {metrics:?}");
    }
    assert!(metrics.sum("nats_publish_latency_seconds_count") > 0, "{metrics:?}");
    assert_eq!(metrics.sum("nats_connection_state"), 0, "the last state is disconnected: {metrics:?}");
    assert!(!format!("{ended:?}{metrics:?}").contains(PASSWORD));
}

// S16, S65, S66
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_no_server_takes_before_the_end_are_in_the_account_and_in_the_exit_code() {
    let (mut server, url) = locked_server().await;
    // The order is received before the outage, and handled during it.
    let flags = ["--work-ms", "5000", "--notice", "0", "--drain", "1", "--last-scrape", "120"];
    let mut service = Service::start(&[("NATS_URL", &url)], &flags).await;
    ready(&service).await;
    let _sender = load::one(&url).await;
    eventually("the service gets the order", SOON, async || service.received(&server) == 1).await;
    server.kill();
    disconnected(&service).await;
    let buffered = async || service.metrics().await.sum("nats_overflow_queue_size") == 2;
    eventually("the order is handled", LATER, buffered).await;
    service.signal("TERM");
    let metrics = service.last_metrics().await;
    let ended = service.ended().await;
    assert_eq!((ended.account("messages published"), ended.account("messages lost")), (2, 2), "{ended:?}");
    assert_eq!(metrics.sum("nats_messages_lost"), 2, "{metrics:?}");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.output.contains("INCOMPLETE"), "{ended:?}");
}

// Fault J6, S16, S69: more requests than it can handle, and no account that hides it
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_a_slow_service_has_dropped_are_in_the_account_and_in_the_exit_code() {
    const ORDERS: u64 = 200_000;
    let (_server, url) = locked_server().await;
    let flags = ["--work-ms", "20000", "--concurrency", "1024", "--notice", "0", "--drain", "1"];
    let mut service = Service::start(&[("NATS_URL", &url)], &flags).await;
    ready(&service).await;
    let sender = nats_lifeline::connect(&url).await.unwrap();
    for _ in 0..ORDERS {
        sender.publish_with_reply("orders.new", "answers.one", "an order".into()).await.unwrap();
    }
    sender.flush().await.unwrap();
    probed(&service, "the service has received all", |_, body| body["stats"]["in_messages"] == ORDERS).await;
    let dropping = async || service.metrics().await.sum("nats_errors_total") > 0;
    eventually("it has dropped some", LATER, dropping).await;
    service.signal("TERM");
    let ended = service.ended().await;
    let account = |what: &str| ended.account(what);
    assert!(account("requests dropped: too slow") > 0, "{ended:?}");
    assert_eq!(account("requests received"), ORDERS, "{ended:?}");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.output.contains("INCOMPLETE"), "{ended:?}");
}

// Fault J7, S16, S66: the server comes back and does not let it subscribe any more
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_subscription_a_server_refuses_drains_and_accounts_for_its_messages() {
    let mut server = users("").start().await;
    let url = format!("nats://joe:{PASSWORD}@{}", server.address());
    let flags = ["--work-ms", "5000", "--notice", "3600", "--drain", "60"];
    let mut service = Service::start(&[("NATS_URL", &url)], &flags).await;
    ready(&service).await;
    let _sender = load::one(&format!("nats://jane:{PASSWORD}@{}", server.address())).await;
    eventually("the service gets the order", SOON, async || service.received(&server) == 1).await;
    server.kill();
    server.restart_as(users(", permissions: {subscribe: {deny: \"orders.new\"}}")).await;
    let ended = service.ended().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!((ended.account("requests accepted"), ended.account("messages published")), (1, 2), "{ended:?}");
    assert!(ended.output.contains("\nended early: the subscription has ended: "), "{ended:?}");
}

/// A server with two users; the first is the service's.
fn users(more: &str) -> ServerBuilder {
    let user = |name: &str, more: &str| format!("{{user: {name}, password: \"{PASSWORD}\"{more}}}");
    let users = format!("authorization {{ users: [{}, {}] }}", user("joe", more), user("jane", ""));
    Server::builder().line(users).observer(&format!("\"user\":\"jane\",\"pass\":\"{PASSWORD}\""))
}

// S16, S49
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_starts_without_a_server_and_is_ready_while_there_is_one_that_answers() {
    let (mut server, url) = locked_server().await;
    server.kill();
    let mut service = Service::start(&[("NATS_URL", &url)], &["--notice", "0", "--name", "shop"]).await;
    let body = disconnected(&service).await;
    assert!(body["snapshot"]["last_connected_at"].is_null(), "{body}");
    assert!(is_alive(&service).await);
    assert_eq!(service.get("/nowhere").await.map(|(code, _)| code), Some(404));
    server.restart().await;
    ready(&service).await;
    let group = server.subscriptions().into_iter().find(|subscription| subscription.subject == "orders.new");
    assert_eq!(group.and_then(|subscription| subscription.queue).as_deref(), Some("shop"));
    // Connected, but the server does not answer.
    server.stop();
    let hung = |code, body: &Value| code == 503 && body["snapshot"]["connected"] == true;
    let body = probed(&service, "the service is not ready, since its server hangs", hung).await;
    assert_eq!(body["error"], "no PONG within 2s", "{body}");
    assert!(is_alive(&service).await);
    server.cont();
    ready(&service).await;
    service.signal("INT");
    let ended = service.ended().await;
    assert_eq!((ended.code, ended.account("reconnections")), (Some(0), 0), "{ended:?}");
    assert!(ended.output.contains("Ctrl-C: not ready from now on"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rust_log_sets_what_the_service_logs() {
    for (rust_log, level, other) in [("", " INFO ", " DEBUG "), ("nats_lifeline=debug", " DEBUG ", " TRACE ")] {
        let vars = [("NATS_URL", "127.0.0.1:1"), ("RUST_LOG", rust_log)];
        let mut service = Service::start(&vars, &["--notice", "0", "--drain", "1"]).await;
        let tried = |_, body: &Value| body["snapshot"]["last_error"].is_string();
        probed(&service, "an attempt has failed", tried).await;
        service.signal("TERM");
        let ended = format!("{:?}", service.ended().await);
        assert!(ended.contains(level) && !ended.contains(other), "{rust_log:?}: {ended}");
        let own = ended.lines().any(|line| line.contains("connecting servers=") && line.contains("127.0.0.1:1"));
        assert_eq!(own, rust_log.is_empty(), "the service's own line: {ended}");
    }
}

#[tokio::test]
async fn a_wrong_argument_of_the_service_is_refused_with_its_value_and_the_rule() {
    for (flags, code, expected) in [
        (&["--listen", "nowhere"][..], 2, &["nowhere", "--listen", "invalid socket address"][..]),
        (&["--concurrency", "0"], 2, &["'0'", "--concurrency", "1..=1024"]),
        (&["--name", "a b"], 2, &["'a b'", "--name", "letters, digits"]),
        (&["--servers", "nats://joe:hunter2@a:99999"], 2, &["--servers", "nats://***@a:99999", "port"]),
        (&["--servers", "nats://joe:hunter2,three@a:99999"], 2, &["--servers", "***@a:99999"]),
        (&["--servers", "nats://joe:hunter2@a,b:99999"], 2, &["--servers", "b:99999"]),
        (&["nats://joe:hunter2@a"], 2, &["unexpected argument '***@a'"]),
        (&["--drain", "nats://joe:hunter2@a"], 2, &["'***@a'", "--drain"]),
        (&["--listen", "203.0.113.1:1"], 1, &["cannot listen on 203.0.113.1:1"]),
    ] {
        let (status, text) = refused(&[("NATS_URL", "127.0.0.1:1")], flags).await;
        assert_eq!(status, Some(code), "{flags:?}: {text}");
        for part in expected {
            assert!(text.contains(part), "{flags:?}: {part:?} is missing in {text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
    let (status, text) = refused(&[("NATS_URL", "127.0.0.1:1")], &["--listen", "203.0.113.1:1"]).await;
    assert!(status == Some(1) && text.lines().count() == 1, "no line but the error: {text}");
    let (status, text) = refused(&[("RUST_LOG", "nats_lifeline=loud")], &[]).await;
    assert!(status == Some(1) && text.contains("service: RUST_LOG: "), "{status:?}: {text}");
    let (status, text) = refused(&[("NATS_USER", "joe")], &["--listen", "127.0.0.1:0"]).await;
    assert!(status == Some(1) && text.contains("service: NATS_USER: needs NATS_PASSWORD"), "{status:?}: {text}");
}
