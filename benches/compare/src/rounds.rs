//! The rounds: every contender in turn, repeatedly, each in a new process against a new far end.

use crate::Failure;
use crate::args::Args;
use crate::child::FLAG;
use crate::far_end::{Contender, FarEnd, Needs};
use crate::report;
use crate::workload::{Work, Workload};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The figures of one contender in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) per_second: f64,
    /// Of the client's process, in nanoseconds per message.
    pub(crate) cpu: f64,
    /// Median round trip in nanoseconds, if it was measured.
    pub(crate) p50: f64,
    pub(crate) dropped: u64,
}

/// One workload's figures: of one round, by contender.
pub(crate) type Round = [Option<Figure>; Contender::ALL.len()];

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    println!("{}", report::head());
    for workload in &args.workloads {
        if workload.far_end == Needs::Server && args.server.is_none() {
            println!("| {} | left out: it needs --server |", workload.name);
            continue;
        }
        let mut rounds: Vec<Round> = Vec::new();
        for number in 0..args.rounds {
            let mut round: Round = [None; Contender::ALL.len()];
            for step in 0..round.len() {
                // The order changes from round to round, so that no contender always has the cold or the hot machine.
                let place = (step + number) % round.len();
                let contender = Contender::ALL[place];
                if args.contenders.contains(&contender) && can(contender, workload, args) {
                    round[place] = Some(measure(workload, contender, args)?);
                }
            }
            rounds.push(round);
        }
        println!("{}", report::row(workload, &rounds));
    }
    Ok(())
}

/// Whether this contender can do this work.
fn can(contender: Contender, workload: &Workload, args: &Args) -> bool {
    match contender {
        Contender::Lifeline | Contender::AsyncNats => true,
        Contender::NatsGo => args.go.is_some(),
        Contender::Raw => workload.bound,
    }
}

fn measure(workload: &'static Workload, contender: Contender, args: &Args) -> Result<Figure, Failure> {
    // A multiple of the number of tasks, and at least one each.
    let messages = ((workload.messages as f64 * args.factor) as u64).div_ceil(64).max(1) * 64;
    let mut far_end = FarEnd::start(workload, messages, args.server.as_deref())?;
    let program = match (contender, &args.go) {
        (Contender::NatsGo, Some(program)) => program.clone(),
        _ => std::env::current_exe()?,
    };
    let mut command = Command::new(program);
    command.args([FLAG, contender.name(), workload.name, &far_end.addr(), &messages.to_string()]);
    if contender == Contender::NatsGo {
        // It has no table of the workloads.
        command.args(workload.spelled_out());
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut talk = Talk::with(child)?;
    talk.hear()?;
    talk.say("go")?;
    if matches!(workload.work, Work::Publish { .. }) {
        far_end.wait_for_last(messages)?;
        talk.say("seen")?;
    }
    let result = talk.hear()?;
    let numbers = result.split(' ').map(str::parse::<f64>).collect::<Result<Vec<_>, _>>()?;
    let [wall, cpu, dropped, p50] = numbers[..] else {
        return Err(format!("{} said {result}", contender.name()).into());
    };
    let messages = messages as f64;
    Ok(Figure { per_second: messages / wall * 1e9, cpu: cpu / messages, p50, dropped: dropped as u64 })
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
