//! One measurement, in a process of its own, so that its CPU time is the client's and nobody else's.

use crate::Failure;
use crate::clients::{Client, Lifeline, Peer};
use crate::far_end::Contender;
use crate::raw;
use crate::workload::{Work, Workload};
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// The first word on the command line of such a process.
pub(crate) const FLAG: &str = "--child";

/// A measurement that takes longer than this has gone wrong; nothing here takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be done, against whom.
pub(crate) struct Job {
    pub(crate) workload: &'static Workload,
    /// `host:port`.
    pub(crate) addr: String,
    pub(crate) messages: u64,
}

/// What the work itself has to say.
#[derive(Default)]
pub(crate) struct Done {
    /// Messages that never came.
    pub(crate) dropped: u64,
    /// Each round trip, in nanoseconds.
    pub(crate) round_trips: Vec<u64>,
}

/// `--child contender workload host:port messages`; then a conversation of lines: we say `ready`, are told `go`, work,
/// are told `seen` when the far end has seen the last message, and say the result.
pub(crate) fn main(mut words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut word = || words.next().ok_or("a child is started by compare itself");
    let contender = Contender::named(&word()?).ok_or("no such contender")?;
    let workload = Workload::named(&word()?).ok_or("no such workload")?;
    let job = Job { workload, addr: word()?, messages: word()?.parse()? };
    match contender {
        Contender::Lifeline => client::<Lifeline>(&job),
        Contender::AsyncNats => client::<Peer>(&job),
        Contender::Raw => {
            let mut connection = raw::Connection::open(&job)?;
            measured(&job, || connection.work(&job))
        }
    }
}

fn client<C: Client>(job: &Job) -> Result<(), Failure> {
    // What `#[tokio::main]` makes.
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
