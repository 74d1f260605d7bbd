//! The rounds: every contender in turn, repeatedly, each in a new process against a new far end.

use crate::Failure;
use crate::args::Args;
use crate::contender::Contender;
use crate::far_end::FarEnd;
use crate::figures::{Figure, Metric, Round, Row};
use crate::job::{FLAG, Job};
use crate::peers::Peers;
use crate::report::{self, Run};
use crate::server::Server;
use crate::table::{self, REPLAYED};
use crate::tls::Certificate;
use crate::workload::{Needs, Work, Workload};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    allow_many_files();
    let server = Server::get(args.server.as_deref());
    let mut bench = Bench {
        args,
        peers: Peers::find(args.peers.as_deref()),
        server: server.as_ref().map(|server| server.addr.as_str()),
        certificate: Certificate::new()?,
        rate: None,
        failures: Vec::new(),
    };
    println!("{}", report::head());
    let mut rows: Vec<Row> = Vec::new();
    for workload in &args.workloads {
        if matches!(workload.far_end, Needs::Server | Needs::Stream { .. }) && server.is_none() {
            continue;
        }
        let row = bench.row(workload);
        if workload.name == CLOSED {
            bench.rate = half_of_the_slowest(&row);
        }
        rows.push(row);
        report::print(&rows);
    }
    let run = Run {
        rounds: args.rounds,
        factor: args.factor,
        server: server.as_ref().map(|server| server.version.clone()),
        peers: bench.peers.versions().map(str::to_owned).collect(),
        rate: bench.rate,
        failures: bench.failures,
        rows,
    };
    match &args.out {
        Some(out) => report::write(&run, out),
        None => {
            println!("\nNothing is written after a part of a run; --out DIR writes.");
            Ok(())
        }
    }
}

/// A thousand clients need as many connections, here and in the child.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The row with requests as fast as they are answered. A fixed schedule has half the rate of the slowest client there.
const CLOSED: &str = "req64";

/// Raw sockets are so fast that they get this many times the messages.
const LONGER_BOUND: u64 = 4;

fn half_of_the_slowest(row: &Row) -> Option<u64> {
    let asking = Contender::ALL.into_iter().filter(|contender| PACED.has(*contender));
    let slowest = asking.map(|contender| row.median(contender, Metric::Rate)).fold(f64::NAN, f64::min);
    (!slowest.is_nan()).then_some((slowest / 2.0) as u64)
}

const PACED: &Workload = {
    let mut at = 0;
    while !matches!(table::ALL[at].work, Work::Paced) {
        at += 1;
    }
    &table::ALL[at]
};

struct Bench<'a> {
    args: &'a Args,
    peers: Peers,
    server: Option<&'a str>,
    certificate: Certificate,
    /// Requests per second of the fixed schedule, once known.
    rate: Option<u64>,
    /// Measurements that failed, and why.
    failures: Vec<String>,
}

impl Bench<'_> {
    fn row(&mut self, workload: &'static Workload) -> Row {
        if workload.work == Work::Paced && self.rate.is_none() {
            let closed = table::named(CLOSED).map(|closed| self.row(closed));
            self.rate = closed.and_then(|row| half_of_the_slowest(&row));
        }
        let mut rounds: Vec<Round> = Vec::new();
        for number in 0..self.args.rounds.min(workload.rounds) {
            let mut round: Round = [None; Contender::ALL.len()];
            for step in 0..round.len() {
                // The order changes from round to round, so that no contender always has the cold or the hot machine.
                let place = (step + number) % round.len();
                let contender = Contender::ALL[place];
                if !self.takes_part(contender, workload) {
                    continue;
                }
                match self.measure(workload, contender) {
                    Ok(figure) => round[place] = Some(figure),
                    Err(failure) => self.failed(format!("{}, {}: {failure}", workload.name, contender.name())),
                }
            }
            rounds.push(round);
        }
        Row { workload, rounds }
    }

    fn failed(&mut self, text: String) {
        eprintln!("compare: {text}");
        self.failures.push(text);
    }

    fn takes_part(&self, contender: Contender, workload: &Workload) -> bool {
        let there = contender.program().is_none() || self.peers.program(contender).is_some();
        there && workload.has(contender) && self.args.contenders.contains(&contender)
    }

    fn job(&self, workload: &Workload, contender: Contender) -> Job {
        let scaled = |number: u64| ((number as f64 * self.args.factor) as u64).max(1);
        // A few milliseconds would say little.
        let times = if contender == Contender::Raw && workload.is_light() { LONGER_BOUND } else { 1 };
        Job {
            work: Some(workload.work),
            tasks: workload.tasks,
            payload: workload.payload,
            // A multiple of the number of tasks.
            messages: scaled(workload.messages * times).div_ceil(workload.tasks) * workload.tasks,
            subscriptions: if workload.work == Work::Replay { scaled(REPLAYED) } else { 0 },
            rate: self.rate.unwrap_or(1_000),
            last: workload.far_end == Needs::Server && workload.work.publishes(),
            servers: Vec::new(),
            ca: workload.tls.then(|| self.certificate.file.clone()),
        }
    }

    fn measure(&self, workload: &'static Workload, contender: Contender) -> Result<Figure, Failure> {
        let mut job = self.job(workload, contender);
        let mut far_end = FarEnd::start(workload, &job, self.server, &self.certificate)?;
        job.servers = far_end.servers();
        let program = match self.peers.program(contender) {
            Some(program) => program.to_owned(),
            None => std::env::current_exe()?,
        };
        let mut command = Command::new(program);
        command.args([FLAG, contender.name()]).args(job.words());
        let mut talk = Talk::with(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)?;
        talk.hear()?;
        talk.say("go")?;
        let mut times = Vec::new();
        if workload.work.ends_at_far_end() {
            times = far_end.see_the_end(job.messages)?;
            talk.say("seen")?;
        }
        let mut figure = figure(&talk.hear()?, job.messages as f64)?;
        if !times.is_empty() {
            figure.set_percentiles(times);
        }
        Ok(figure)
    }
}

/// From the results of a child: `name=number …`.
fn figure(result: &str, messages: f64) -> Result<Figure, Failure> {
    let mut figure = Figure::default();
    for word in result.split_whitespace() {
        let (name, number) = word.split_once('=').ok_or_else(|| format!("a child said {result}"))?;
        let number: f64 = number.parse()?;
        match name {
            "wall" => figure.set(Metric::Rate, messages / number * 1e9),
            "cpu" => figure.set(Metric::Cpu, number / messages),
            "dropped" => figure.dropped = number as u64,
            "bytes" => figure.set(Metric::Bytes, number),
            _ => {
                let known = Metric::PERCENTILES.iter().find(|(_, _, known)| *known == name);
                let (metric, ..) = known.ok_or_else(|| format!("a child said {result}"))?;
                figure.set(*metric, number);
            }
        }
    }
    Ok(figure)
}

/// A dialogue with a child.
struct Talk {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talk {
    fn with(mut child: Child) -> Result<Self, Failure> {
        let out = child.stdout.take().ok_or("a child without output")?;
        Ok(Self { child, lines: BufReader::new(out).lines() })
    }

    fn say(&mut self, line: &str) -> Result<(), Failure> {
        let input = self.child.stdin.as_mut().ok_or("a child without input")?;
        Ok(writeln!(input, "{line}")?)
    }

    fn hear(&mut self) -> Result<String, Failure> {
        Ok(self.lines.next().ok_or("a child has failed")??)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It has sent its result, or never will.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
