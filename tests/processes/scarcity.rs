//! A process without descriptors, a machine without a network, and a program that was stopped for a while.
//!
//! Faults of a whole process are applied to a child: this binary, started again.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nats_lifeline::connection::{Cause, ConnectionEvent};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectOptions};
use tokio::net::TcpStream;

use crate::support::{Timeline, soon};

const ROLE: &str = "NATS_LIFELINE_SCARCITY_ROLE";
const URL: &str = "NATS_LIFELINE_SCARCITY_URL";

/// EMFILE, on every known system.
const TOO_MANY_FILES: i32 = 24;

/// A child that gets orders and reports results as lines of text.
struct Program {
    child: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Program {
    /// `limits`: shell commands before the child starts.
    fn start(role: &str, limits: &str, url: &str) -> Program {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
            .arg(own)
            .args(["--exact", "scarcity::child", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .env(URL, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, reports) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Program { child, orders, reports }
    }

    fn order(&mut self, what: &str) {
        writeln!(self.orders, "{what}").unwrap();
    }

    /// Reads up to this report; other output of the test harness is skipped.
    async fn reports(&mut self, what: &str) {
        tokio::task::block_in_place(|| {
            let mut line = String::new();
            while line.trim_end() != what {
                line.clear();
                assert!(self.reports.read_line(&mut line).unwrap() > 0, "it ended before the report: {what}");
            }
        });
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    async fn ends_well(mut self) {
        self.reports("the end").await;
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(what: &str) {
    println!("\n{what}");
}

fn wait_for_order() {
    io::stdin().lines().next().unwrap().unwrap();
}

#[test]
#[ignore = "only for the tests that start it"]
fn child() {
    let (role, url) = (std::env::var(ROLE).unwrap(), std::env::var(URL).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "no descriptors" => without_descriptors(&url).await,
            "sleeps" => sleeps(&url).await,
            _ => panic!("this is a part of the other tests"),
        }
    });
    drop(runtime);
    say("the end");
}

/// Child: uses up all descriptors of its process, loses its connection, and closes the descriptors.
async fn without_descriptors(url: &str) {
    let client = ConnectOptions::new().connect(url).await.unwrap();
    let timeline = Timeline::of(&client);
    let mut hoard = Vec::new();
    let full = loop {
        match std::fs::File::open("/dev/null") {
            Ok(file) => hoard.push(file),
            Err(error) => break error,
        }
    };
    assert_eq!(full.raw_os_error(), Some(TOO_MANY_FILES));
    say("full");
    timeline.disconnected(0).await;
    // The descriptor of the lost connection.
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    client.publish("buffered", "x".into()).await.unwrap();
    let starved = |event: &ConnectionEvent| match event {
        ConnectionEvent::AttemptFailed { cause: Cause::Io(error), .. } => error.raw_os_error() == Some(TOO_MANY_FILES),
        _ => false,
    };
    timeline.nth("an attempt without a descriptor", 2, starved).await;
    drop(hoard);
    timeline.reconnected(0).await;
    soon("a flush", client.flush()).await.unwrap();
    let stats = client.stats();
    assert!(stats.balances() && stats.confirmed == 1, "{stats:?}");
}

/// Child: is stopped, once with its server running and once without.
async fn sleeps(url: &str) {
    let options = ConnectOptions::new().ping_interval(Duration::from_millis(500)).max_pings_out(2);
    let client = options.connect(url).await.unwrap();
    let timeline = Timeline::of(&client);
    soon("a flush", client.flush()).await.unwrap();
    say("connected");
    wait_for_order();
    soon("a flush", client.flush()).await.unwrap();
    let lost = timeline.count(|event| matches!(event, ConnectionEvent::Disconnected { .. }));
    assert_eq!(lost, 0, "a server that was running all the time was left");
    say("still connected");
    timeline.reconnected(0).await;
    soon("a flush", client.flush()).await.unwrap();
}

// Scenario 82, I8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_descriptors_keeps_trying_and_recovers() {
    let broker = Broker::start().await.unwrap();
    let mut program = Program::start("no descriptors", "ulimit -n 64;", &broker.url());
    program.reports("full").await;
    broker.disconnect_all();
    program.ends_well().await;
    assert_eq!(broker.messages_in(), 1);
}

// Scenario 82: no route, no local port
#[tokio::test]
async fn a_machine_without_a_network_keeps_trying_with_delays_and_recovers() {
    let broker = Broker::start().await.unwrap();
    let (addr, tries) = (broker.addr(), Arc::new(AtomicUsize::new(0)));
    let count = tries.clone();
    let options = ConnectOptions::new().dialer(move |_| {
        let n = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match n {
                0 | 7.. => TcpStream::connect(addr).await,
                _ => Err([io::ErrorKind::NetworkUnreachable, io::ErrorKind::AddrNotAvailable][n % 2].into()),
            }
        }
    });
    let client: Client = options.connect(broker.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    broker.disconnect_all();
    let ConnectionEvent::Reconnected { attempts, downtime, .. } = timeline.reconnected(0).await else { unreachable!() };
    assert_eq!(attempts, 7);
    // At least half of 100, 200, 400, 800 ms and so on, including the delay after the last failure.
    assert!(downtime >= Duration::from_millis(3000), "no spin: {downtime:?}");
    soon("a flush", client.flush()).await.unwrap();
}

// Scenario 58: a laptop that sleeps. (The wall clock is never used for decisions: `architecture.rs` checks this.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_was_stopped_keeps_a_live_server_and_leaves_a_dead_one() {
    let broker = Broker::start().await.unwrap();
    let mut program = Program::start("sleeps", "", &broker.url());
    program.reports("connected").await;
    program.signal("STOP");
    // Longer than its PINGs may be unanswered.
    tokio::time::sleep(Duration::from_secs(2)).await;
    program.signal("CONT");
    program.order("go on");
    program.reports("still connected").await;
    program.signal("STOP");
    broker.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    broker.restart().await.unwrap();
    program.signal("CONT");
    // The child ends as soon as its server is back.
    program.ends_well().await;
}
