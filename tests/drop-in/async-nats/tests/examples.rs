//! async-nats's own examples, except that about key-value, with only the dependency changed.
//!
//! They are copied from the downloaded crate into `target/tmp`, built there with this crate in place of async-nats,
//! and run against a server on port 4222, which most of them contain. None of their code is in this repository.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../tests/server/mod.rs"]
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use server::{SOON, Server, scratch};

/// These need a server on the internet. They are only built.
const ELSEWHERE: [&str; 2] = ["docs_getting_started_publish", "docs_getting_started_subscribe"];

/// These run until they are killed: how to trigger them, and where the effect shows.
const GO_ON: [(&str, Partner); 11] = [
    ("docs_basics_subscribe", Partner::Heard("docs_basics_publish", "Received: Temperature")),
    (
        "docs_learn_core_nats_publish_subscribe_subscribe",
        Partner::Heard("docs_learn_core_nats_publish_subscribe_publish", "warehouse received: "),
    ),
    (
        "docs_learn_core_nats_queue_groups_queue_subscribe",
        Partner::Heard("docs_learn_core_nats_publish_subscribe_publish", "packer handling: "),
    ),
    (
        "docs_learn_core_nats_subjects_and_wildcards_wildcard_multi",
        Partner::Heard("docs_learn_core_nats_publish_subscribe_publish", "audit: orders.created"),
    ),
    ("sub", Partner::Heard("json", "Received message ")),
    (
        "docs_learn_core_nats_request_reply_respond",
        Partner::Answered("docs_learn_core_nats_request_reply_request", "inventory replied: "),
    ),
    (
        "docs_learn_core_nats_scatter_gather_provider",
        Partner::Answered("docs_learn_core_nats_scatter_gather_gather", "gathered 1 quotes"),
    ),
    (
        "docs_learn_jetstream_pull_consumers_consume_continuous",
        Partner::Heard("docs_learn_jetstream_publishing_pub_ack", "shipping {\"order_id\""),
    ),
    (
        "docs_learn_jetstream_worker_pool_worker",
        Partner::Heard("docs_learn_jetstream_publishing_pub_ack", "shipping {\"order_id\""),
    ),
    // No example publishes the message that these wait for.
    ("docs_learn_jetstream_acknowledgment_watch_max_deliveries", Partner::Nobody),
    ("docs_learn_core_nats_subjects_and_wildcards_wildcard_single", Partner::Nobody),
];

/// Those about JetStream build on each other: they run in this order, and print these texts. One runs twice.
const STORY: [(&str, &str); 46] = [
    ("docs_learn_jetstream_your_first_stream_create", "Created stream: ORDERS"),
    ("docs_learn_jetstream_publishing_pub_ack", "Sequence:  1\nDuplicate: false"),
    ("docs_learn_jetstream_publishing_sync", "Stored in ORDERS at sequence 4"),
    ("docs_learn_jetstream_publishing_dedup", "Second: sequence 5, duplicate true"),
    ("docs_learn_jetstream_publishing_confirm_stored", "Confirmed stored in ORDERS at sequence 6"),
    ("docs_learn_jetstream_advanced_publishing_async", "order 4 stored at sequence 10"),
    ("docs_learn_jetstream_your_first_stream_info", "Message count:  10"),
    ("docs_learn_jetstream_your_first_consumer_create", "Created durable consumer: shipping"),
    ("docs_learn_jetstream_your_first_consumer_next", "orders."),
    ("docs_learn_jetstream_your_first_consumer_pull_and_ack", "orders."),
    ("docs_learn_jetstream_your_first_consumer_double_ack", "orders."),
    ("docs_learn_jetstream_acknowledgment_nak_with_delay", "orders."),
    ("docs_learn_jetstream_acknowledgment_term_poison", "orders."),
    ("docs_learn_jetstream_worker_pool_redelivery_count", "first delivery of {"),
    ("docs_learn_jetstream_publishing_pub_ack", "Sequence:  11"),
    ("docs_learn_jetstream_pull_consumers_fetch_batch", "shipping {"),
    ("docs_learn_jetstream_pull_consumers_empty_fetch", ""),
    ("docs_learn_jetstream_worker_pool_max_pending", "shipping max_ack_pending set to 5000"),
    ("docs_learn_jetstream_filtering_create_filtered", "got: orders.shipped"),
    ("docs_learn_jetstream_filtering_filter_matches_nothing", "Pull returned nothing"),
    ("docs_learn_jetstream_reading_back_create", "Created durable consumer: billing"),
    ("docs_learn_jetstream_reading_back_read", "stream 11 consumer 11: {"),
    ("docs_learn_jetstream_ordered_consumer_read", "order {"),
    ("docs_learn_jetstream_get_direct_enable", "allow_direct is now: true"),
    ("docs_learn_jetstream_get_direct_by_sequence", "Subject: orders.created"),
    ("docs_learn_jetstream_get_direct_direct_read", "Subject: orders.created"),
    ("docs_learn_jetstream_get_direct_last_for_subject", "Subject: orders.shipped"),
    ("docs_learn_jetstream_mirrors_and_sources_create_mirror", "Created mirror ORDERS-ARCHIVE of ORDERS"),
    ("docs_learn_jetstream_mirrors_and_sources_mirror_lag", "Upstream:  ORDERS"),
    ("docs_learn_jetstream_mirrors_and_sources_create_source", "Created ALL-ORDERS sourcing 3 streams"),
    ("docs_learn_jetstream_message_ttl_publish_with_ttl", "Stored on stream ORDERS at sequence 12"),
    ("docs_learn_jetstream_message_ttl_ttl_on_disabled_stream", "Publish rejected, nothing stored: "),
    ("docs_learn_jetstream_retention_policies_work_queue_create", "messages left in FULFILLMENT: "),
    ("docs_learn_jetstream_retention_policies_workqueue_overlap", "us-shippers and eu-shippers created"),
    ("docs_learn_jetstream_retention_policies_retention_switch_rejected", "rejected: "),
    ("docs_learn_jetstream_shaping_the_stream_set_limits", "ORDERS capped at 7d age and 1 GiB"),
    ("docs_learn_jetstream_shaping_the_stream_per_subject_limit", "ORDERS now keeps 100000 messages per subject"),
    ("docs_learn_jetstream_subject_mapping_republish", "Republishing to: dash.orders.>"),
    ("docs_learn_jetstream_subject_mapping_transform", "Created stream: ORDERS-SHARDED"),
    ("docs_learn_jetstream_pull_consumers_consume_continuous", ""),
    ("docs_learn_jetstream_worker_pool_worker", ""),
    ("docs_learn_jetstream_acknowledgment_watch_max_deliveries", ""),
    ("docs_learn_jetstream_shaping_the_stream_discard_new", "publish rejected: "),
    ("docs_jetstream_basic", "Received on orders.shipped: Order #1001 shipped"),
    ("jetstream_pull", "got message on subject events.9 with payload \"data\""),
    ("jetstream_push", "got message on subject events.9 with payload \"data\""),
];

enum Partner {
    /// This one prints the text while the other one runs repeatedly.
    Heard(&'static str, &'static str),
    /// The other one prints the text.
    Answered(&'static str, &'static str),
    Nobody,
}

/// The longest publishes ten million messages.
const TO_THE_END: Duration = Duration::from_secs(300);

#[test]
fn async_nats_examples_build_and_run_with_only_the_dependency_changed() {
    let sources = downloaded().join("examples");
    let project = scratch().join("async-nats-examples");
    let names = copy(&sources, &project.join("examples"));
    fs::create_dir_all(project.join("src")).unwrap();
    fs::write(project.join("src/lib.rs"), "").unwrap();
    fs::write(project.join("Cargo.toml"), manifest()).unwrap();
    // Its own folder, since the build of this package would interfere.
    let target = project.join("target");
    cargo(&project, &["build", "--examples", "--quiet", "--target-dir", target.to_str().unwrap()]);
    println!("{} built", names.len());

    let _server = Server::start_jetstream_on(4222);
    let place = target.join("debug/examples");
    let (mut ended, mut went_on) = (0, 0);
    let about_jetstream: BTreeSet<&str> = STORY.into_iter().map(|(name, _)| name).collect();
    let others = names.iter().filter(|name| !about_jetstream.contains(name.as_str()));
    for (name, text) in others.map(|name| (name.as_str(), "")).chain(STORY) {
        if ELSEWHERE.contains(&name) {
            continue;
        }
        match GO_ON.iter().find(|(other, _)| *other == name) {
            None => {
                let took = Instant::now();
                let said = Run::start(&place, name).end(TO_THE_END);
                println!("{name}: ended after {:?}, {} lines", took.elapsed(), said.lines().count());
                assert!(said.contains(text), "{name} does not print {text:?}: {said}");
                ended += 1;
            }
            Some((_, partner)) => {
                goes_on(&place, name, partner);
                println!("{name}: goes on");
                went_on += 1;
            }
        }
    }
    println!("{ended} ran to their end, {went_on} went on until they were killed, {} were built only", ELSEWHERE.len());
    assert!(about_jetstream.iter().all(|name| names.contains(*name)), "examples are missing");
    assert!(ended > 60 && went_on == GO_ON.len(), "examples are missing");
}

fn goes_on(place: &Path, name: &str, partner: &Partner) {
    let mut run = Run::start(place, name);
    let start = Instant::now();
    loop {
        let done = match partner {
            Partner::Heard(other, text) => {
                Run::start(place, other).end(SOON);
                run.said().contains(text)
            }
            Partner::Answered(other, text) => Run::start(place, other).end(SOON).contains(text),
            Partner::Nobody => start.elapsed() > Duration::from_secs(1),
        };
        assert!(run.process.try_wait().unwrap().is_none(), "{name} ended: {}", run.said());
        if done {
            return;
        }
        assert!(start.elapsed() < SOON, "{name} does nothing: {}", run.said());
    }
}

/// A running example; dropping it kills it.
struct Run {
    name: String,
    process: std::process::Child,
    output: PathBuf,
}

impl Run {
    fn start(place: &Path, name: &str) -> Run {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let output = place.join(format!("{name}-{number}.log"));
        let file = fs::File::create(&output).unwrap();
        let process = Command::new(place.join(name))
            .env_remove("NATS_URL")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Run { name: name.to_owned(), process, output }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    /// Its output until it ended successfully.
    fn end(mut self, within: Duration) -> String {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{}: {status}: {}", self.name, self.said());
                return self.said();
            }
            assert!(start.elapsed() < within, "{} does not end: {}", self.name, self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.output);
    }
}

/// The sources of async-nats, which this package depends on, as cargo has downloaded them.
fn downloaded() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let metadata = cargo(here, &["metadata", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "async-nats").expect("it is a dependency");
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_path_buf()
}

/// Copies the examples of what this crate has, and returns their names.
fn copy(from: &Path, to: &Path) -> BTreeSet<String> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        if !["kv::", "service::", "object_store"].iter().any(|word| text.contains(word)) {
            fs::write(to.join(path.file_name().unwrap()), text).unwrap();
            names.insert(name.to_owned());
        }
    }
    names
}

/// The dependencies of async-nats's examples, with this crate under the name of async-nats.
fn manifest() -> String {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap();
    format!(
        r#"[package]
name = "examples"
version = "0.0.0"
edition = "2021"

[workspace]

[dependencies]
async-nats = {{ package = "nats-lifeline", path = "{}" }}
bytes = "1"
chrono = "0.4"
futures = {{ version = "0.3", default-features = false, features = ["std", "async-await"] }}
futures-util = {{ version = "0.3", default-features = false, features = ["std", "async-await-macro"] }}
rand = "0.10"
serde = {{ version = "1", features = ["derive"] }}
serde_json = "1"
tokio = {{ version = "1", features = ["macros", "rt-multi-thread", "time"] }}
"#,
        own.display()
    )
}

/// Runs cargo, and returns its output.
fn cargo(folder: &Path, args: &[&str]) -> String {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(args).current_dir(folder).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "cargo {args:?} failed");
    String::from_utf8(output.stdout).unwrap()
}
