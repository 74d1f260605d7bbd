//! One measurement, in its own process, so that its CPU time is that of the client alone.

use crate::Failure;
use crate::clients::{Client, Lifeline, Peer};
use crate::far_end::Contender;
use crate::raw;
use crate::workload::{Work, Workload};
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The first argument of such a process.
pub(crate) const FLAG: &str = "--child";

/// A measurement that takes longer has failed; none takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The task: contender, workload, address and number of messages.
pub(crate) struct Job {
    pub(crate) workload: &'static Workload,
    /// `host:port`.
    pub(crate) addr: String,
    pub(crate) messages: u64,
}

/// The results of the work.
#[derive(Default)]
pub(crate) struct Done {
    /// Messages that never arrived.
    pub(crate) dropped: u64,
    /// Each round trip, in nanoseconds.
    pub(crate) round_trips: Vec<u64>,
}

/// `--child contender workload host:port messages`; then a dialogue of lines: the child prints `ready`, reads `go`,
/// works, reads `seen` when the far end has received the last message, and prints the result.
pub(crate) fn main(mut words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut word = || words.next().ok_or("a child is started by compare itself");
    let contender = Contender::named(&word()?).ok_or("no such contender")?;
    let workload = Workload::named(&word()?).ok_or("no such workload")?;
    let job = Job { workload, addr: word()?, messages: word()?.parse()? };
    match contender {
        Contender::Lifeline => client::<Lifeline>(&job),
        Contender::AsyncNats => client::<Peer>(&job),
        Contender::NatsGo => Err("nats.go is measured by the program given with --go".into()),
        Contender::Raw => {
            let mut connection = raw::Connection::open(&job)?;
            measured(&job, || connection.work(&job))
        }
    }
}

fn client<C: Client>(job: &Job) -> Result<(), Failure> {
    // The same runtime as with `#[tokio::main]`.
    let runtime = Runtime::new()?;
    let client = runtime.block_on(C::connect(&job.addr))?;
    measured(job, || {
        let work = async {
            match job.workload.work {
                Work::Publish { tasks, headers } => client.publish(job, tasks, headers).await,
                Work::Subscribe => client.receive(job).await,
                Work::Loop => client.publish_and_receive(job).await,
                Work::Request { tasks } => client.request(job, tasks).await,
            }
        };
        runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await })?
    })
}

fn measured(job: &Job, work: impl FnOnce() -> Result<Done, Failure>) -> Result<(), Failure> {
    say("ready")?;
    wait_for("go")?;
    let (began, cpu_began) = (Instant::now(), cpu());
    let mut done = work()?;
    if matches!(job.workload.work, Work::Publish { .. }) {
        wait_for("seen")?;
    }
    let (wall, cpu) = (began.elapsed(), cpu() - cpu_began);
    done.round_trips.sort_unstable();
    let p50 = done.round_trips.get(done.round_trips.len() / 2).copied().unwrap_or(0);
    say(&format!("{} {} {} {}", wall.as_nanos(), cpu, done.dropped, p50))
}

/// CPU time of this process, user and system, in nanoseconds.
fn cpu() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn wait_for(word: &str) -> Result<(), Failure> {
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    if line.trim() == word { Ok(()) } else { Err(format!("wanted {word}, got {line}").into()) }
}
