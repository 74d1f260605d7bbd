//! Single-threaded runtimes of every kind, compiled as users compile: messages arrive, and idling takes no CPU.
// Fault A1. All tests were debug builds on runtimes made by the tests; only an optimised build with the default code
// generation gives two clones of one waker different addresses.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::testing::Broker;

/// Far more than anything here needs; a hang becomes a failure.
const SOON: Duration = Duration::from_secs(60);

/// A broker on its own runtime, which nothing under test can starve.
struct Elsewhere {
    runtime: tokio::runtime::Runtime,
    broker: Broker,
}

impl Elsewhere {
    fn start() -> Elsewhere {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = runtime.block_on(Broker::start()).unwrap();
        Elsewhere { runtime, broker }
    }

    fn publish(&self, subject: &'static str, payload: &'static str) {
        let url = self.broker.url();
        self.runtime.block_on(async move {
            let client = nats_lifeline::connect(url).await.unwrap();
            client.publish(subject, payload.into()).await.unwrap();
            client.flush().await.unwrap();
        });
    }
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The CPU time of a process; `None` without procfs.
fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

#[test]
fn the_smallest_program_receives_and_uses_no_cpu_while_idle() {
    let elsewhere = Elsewhere::start();
    let program = Command::new(env!("CARGO_BIN_EXE_nats-lifeline-release-tests"))
        .env("NATS_URL", elsewhere.broker.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = Program(program);
    let mut output = BufReader::new(program.0.stdout.take().unwrap());
    let (said, line) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_line(&mut text).unwrap();
        said.send(text).unwrap();
    });
    assert_eq!(line.recv_timeout(SOON).expect("nothing was received").trim(), "Some(b\"one\")");
    reading.join().unwrap();
    if let Some(before) = cpu_time(program.0.id()) {
        std::thread::sleep(Duration::from_secs(2));
        let used = cpu_time(program.0.id()).unwrap() - before;
        assert!(used < Duration::from_secs(1), "{used:?} of CPU in two idle seconds");
    }
    elsewhere.publish("ticks", "end");
    let begun = Instant::now();
    while program.0.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < SOON, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

async fn receive_a_hundred(url: String) {
    let client = nats_lifeline::connect(url).await.unwrap();
    let mut ticks = client.subscribe("ticks").await.unwrap();
    let publisher = client.clone();
    let work = async move {
        for number in 0..100 {
            publisher.publish("ticks", format!("{number}").into()).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let publishing = tokio::spawn(work);
    for number in 0..100 {
        let tick = tokio::time::timeout(SOON, ticks.next()).await.expect("a message").unwrap();
        assert_eq!(tick.payload, format!("{number}"));
    }
    publishing.await.unwrap();
    let mut answers = client.subscribe("service").await.unwrap();
    let service = client.clone();
    tokio::spawn(async move {
        while let Some(request) = answers.next().await {
            service.publish(request.reply.unwrap(), request.payload).await.unwrap();
        }
    });
    assert_eq!(client.request("service", "you".into()).await.unwrap().payload, "you");
    client.close().await.unwrap();
}

#[test]
fn a_current_thread_runtime_receives_in_its_main_future() {
    let elsewhere = Elsewhere::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(receive_a_hundred(elsewhere.broker.url()));
}

#[test]
fn so_does_a_local_set() {
    let elsewhere = Elsewhere::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, receive_a_hundred(elsewhere.broker.url()));
    let local = tokio::task::LocalSet::new();
    let spawned = local.spawn_local(receive_a_hundred(elsewhere.broker.url()));
    runtime.block_on(local);
    runtime.block_on(spawned).unwrap();
}
