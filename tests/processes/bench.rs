//! The example `bench` as a process: every option in its combinations, with few messages, and what it refuses. And what
//! examples show of a password in the wrong place. Nothing here measures.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::built::built;
use crate::support::process::no_fork;
#[cfg(feature = "ring")]
use crate::support::{Authority, Server};

/// The exit code, standard output, and standard error.
fn run(program: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let forking = no_fork();
    let child = Command::new(program)
        .args(words)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(forking);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn program() -> &'static Path {
    static BUILT: OnceLock<std::path::PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built("bench"))
}

/// It succeeds, and its report contains all of this.
#[track_caller]
fn reports(words: &str, expected: &[&str]) {
    let (code, report, errors) = run(program(), &words.split(' ').collect::<Vec<_>>());
    assert_eq!(code, Some(0), "bench {words}: {report}{errors}");
    for part in expected {
        assert!(report.contains(part), "bench {words}: {part:?} is missing in\n{report}");
    }
}

/// It is refused as a wrong argument, with all of this.
#[track_caller]
fn refuses(words: &str, expected: &[&str]) {
    let (code, report, errors) = run(program(), &words.split(' ').collect::<Vec<_>>());
    assert_eq!((code, report.as_str()), (Some(2), ""), "bench {words}: {errors}");
    for part in expected {
        assert!(errors.contains(part), "bench {words}: {part:?} is missing in\n{errors}");
    }
}

const PERCENTILES: [&str; 5] = ["p50 ", "p90 ", "p99 ", "p99.9 ", "max "];

#[test]
fn bench_publishes_with_every_option() {
    let counted = "the far end has counted 1,000 messages";
    reports("pub --msgs 1000", &["pub: 16 B, 1 client to a sink", counted]);
    reports("pub --msgs 1000 --clients 2 --tasks 3", &["2 clients with 3 tasks each", counted]);
    reports("pub --msgs 1000 --tasks 2 --batch 7", &["in batches of 7", "with 2 tasks to", counted]);
    reports("pub --msgs 1000 --headers 2 --size 100", &["100 B and 2 headers", counted]);
}

#[test]
fn bench_receives_with_every_option() {
    let all = "dropped 0, missing 0";
    reports("sub --msgs 1000", &["for 1,000\n", all]);
    reports("sub --msgs 1000 --clients 2 --tasks 2", &["2 clients with 2 subscriptions each", "for 1,000\n", all]);
    reports("sub --msgs 1000 --headers 1 --size 0", &["0 B and 1 headers", all]);
    reports("sub --msgs 1000 --batch 7", &["in batches of up to 7", "for 1,000\n", all]);
}

#[test]
fn bench_measures_from_publish_to_subscriber() {
    let all = ["the far end has counted 1,000 messages", "dropped 0, missing 0"];
    let closed = [&PERCENTILES[..], &all, &["closed loop"]].concat();
    reports("pubsub --msgs 1000 --clients 2 --tasks 2", &[&closed[..], &["for 2,000\n", "to 2 others"]].concat());
    reports("pubsub --msgs 1000 --batch 10", &closed);
    let open = [&PERCENTILES[..], &all, &["1,000 measured", "open loop at 2,000 /s", "was due"]].concat();
    reports("pubsub --msgs 1000 --rate 2000", &open);
    // In batches, several are due at the same time.
    reports("pubsub --msgs 1000 --rate 2000 --tasks 2 --batch 10", &open);
    reports("pubsub --msgs 1000 --size 3", &all);
}

#[test]
fn bench_measures_requests() {
    let all = [&PERCENTILES[..], &["500 measured", "failed 0"]].concat();
    reports("request --msgs 500 --clients 2 --tasks 4", &[&all[..], &["with 4 at a time", "closed loop"]].concat());
    reports("request --msgs 500 --rate 1000 --tasks 4", &[&all[..], &["open loop at 1,000 /s", "was due"]].concat());
    let late = "the rate was not reached";
    reports("request --msgs 500 --rate 10_000_000", &[&all[..], &["open loop", late]].concat());
}

#[cfg(feature = "ring")]
#[test]
fn bench_speaks_tls_with_every_far_end() {
    reports("pub --msgs 1000 --tls --batch 10 --clients 2", &["this process, TLS", "has counted 1,000 messages"]);
    reports("sub --msgs 1000 --tls", &["this process, TLS", "dropped 0, missing 0"]);
    reports("pubsub --msgs 100 --tls --rate 1000", &["this process, TLS", "dropped 0, missing 0"]);
    reports("request --msgs 100 --tls", &["this process, TLS", "failed 0"]);
}

#[cfg(feature = "ring")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_speaks_tls_with_a_real_server() {
    let authority = Authority::new();
    let server = Server::builder().line(authority.server(&["127.0.0.1"]).tls("")).start().await;
    let (url, ca) = (server.address(), authority.certificate());
    let words = ["request", "--msgs", "100", "--server", &url, "--tls"];
    let trusting = [&words[..], &["--ca", ca.to_str().unwrap()]].concat();
    let (code, report, errors) = run(program(), &trusting);
    assert!(code == Some(0) && report.contains(", TLS") && report.contains("failed 0"), "{report}{errors}");
    let (code, report, errors) = run(program(), &words);
    assert!(code == Some(1) && errors.contains("no secure connection"), "nobody is trusted: {report}{errors}");
    // `--tls` is a demand, whatever the server offers.
    let plain = Server::start().await;
    let (code, report, errors) = run(program(), &["pub", "--msgs", "100", "--server", &plain.address(), "--tls"]);
    assert!(code == Some(1) && errors.contains("TLS"), "{report}{errors}");
}

#[test]
fn bench_refuses_what_it_cannot_do_with_the_reason() {
    refuses("pub --rate 5", &["--rate 5", "only for pubsub and request"]);
    refuses("pubsub --rate 5 --size 3", &["--size 3", "8 bytes"]);
    refuses("request --batch 3", &["--batch 3", "not for request"]);
    refuses("pub --batch 3 --headers 1", &["--batch 3", "not with --headers"]);
    refuses("pub --msgs 10 --tasks 2 --batch 6", &["--batch 6", "only 5 messages"]);
    refuses("request --msgs 7 --clients 2 --tasks 4", &["--msgs 7", "at least 8"]);
    refuses("pub --tasks 0", &["'0'", "--tasks", "from 1 to"]);
    refuses("pub --tls --ca x", &["--server"]);
    refuses("pub --subject a.*", &["a.*", "wildcards"]);
}

#[test]
fn no_example_shows_the_password_of_a_url_in_the_wrong_place() {
    let url = "nats://joe:hunter2@a";
    for (example, before) in [
        ("bench", &["pub"][..]),
        ("bench", &["--rate"]),
        ("failover", &[]),
        ("failover", &["--rate"]),
        ("quickstart", &[]),
    ] {
        let program = if example == "bench" { program().to_owned() } else { built(example) };
        for word in [url, "--nats://joe:hunter2@a"] {
            let (code, report, errors) = run(&program, &[before, &[word]].concat());
            let text = report + &errors;
            assert!(code == Some(2) && text.contains("***@a"), "{example} {before:?} {word}: {text}");
            assert!(!text.contains("hunter2"), "{example} {before:?} {word}: {text}");
        }
    }
}
