//! One measurement, in its own process, so that its CPU time is that of the client alone.

use crate::Failure;
use crate::clients::{Client, Handles, Lifeline, Peer};
use crate::contender::Contender;
use crate::figures::{Figure, Metric};
use crate::job::Job;
use crate::raw;
use crate::workload::Work;
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A measurement that takes longer has failed; none takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The results of the work.
#[derive(Default)]
pub(crate) struct Done {
    /// Messages that never arrived.
    pub(crate) dropped: u64,
    /// Each round trip, in nanoseconds.
    pub(crate) times: Vec<u64>,
    /// Memory for each, if that was measured.
    pub(crate) bytes: Option<f64>,
}

/// `--child contender key=value …`; then a dialogue of lines: the child prints `ready`, reads `go`, works, reads `seen` if
/// only the far end sees the end of the work, and prints its results.
pub(crate) fn main(mut words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let name = words.next().ok_or("a child is started by compare itself")?;
    let job = Job::parse(words)?;
    match Contender::named(&name).ok_or("no such contender")? {
        Contender::Lifeline => client::<Lifeline>(&job),
        Contender::AsyncNats => client::<Peer>(&job),
        Contender::Raw => {
            let work = raw::prepare(&job)?;
            measured(&job, work)
        }
        Contender::NatsGo | Contender::NatsC => Err("it has its own program".into()),
    }
}

fn client<C: Client + Handles>(job: &Job) -> Result<(), Failure> {
    // The same runtime as with `#[tokio::main]`.
    let runtime = Runtime::new()?;
    let mut client = runtime.block_on(async { tokio::time::timeout(PATIENCE, C::connect(job)).await })??;
    measured(job, || {
        let work = async {
            match job.work()? {
                Work::Publish | Work::PublishHeaders | Work::PublishCloned => client.publish(job).await,
                Work::PublishHandle => client.publish_handle(job).await,
                Work::PublishBatch => client.publish_batch(job).await,
                Work::Subscribe => client.receive(job).await,
                Work::SubscribeBatch => client.receive_batch(job).await,
                Work::Loop => client.publish_and_receive(job).await,
                Work::Request => client.request(job).await,
                Work::Paced => client.paced(job).await,
                Work::Subscriptions => client.idle_subscriptions(job).await,
                Work::Clients => client.idle_clients(job).await,
                Work::Connect => client.connects(job).await,
                Work::Replay => Ok(Done::default()),
                Work::Failover | Work::FailoverEager => client.trickle(),
                Work::Store => client.store(job).await,
                Work::StoreMany => client.store_many(job).await,
                Work::Pull | Work::PullAcked => client.pull(job).await,
                Work::Fetch => client.fetch(job).await,
                Work::Ordered => client.ordered(job).await,
            }
        };
        runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await })?
    })
}

fn measured(job: &Job, work: impl FnOnce() -> Result<Done, Failure>) -> Result<(), Failure> {
    say("ready")?;
    wait_for("go")?;
    let (began, cpu_began) = (Instant::now(), cpu());
    let done = work()?;
    if job.work()?.ends_at_far_end() {
        wait_for("seen")?;
    }
    let (wall, cpu) = (began.elapsed(), cpu() - cpu_began);
    let mut line = format!("wall={} cpu={cpu} dropped={}", wall.as_nanos(), done.dropped);
    if let Some(bytes) = done.bytes {
        line.push_str(&format!(" bytes={bytes}"));
    }
    let mut figure = Figure::default();
    figure.set_percentiles(done.times);
    for (metric, _, name) in Metric::PERCENTILES {
        if !figure.get(metric).is_nan() {
            line.push_str(&format!(" {name}={}", figure.get(metric)));
        }
    }
    say(&line)
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
