//! Counts the client's instructions for each operation, and fails if a count has grown: see README.md.

mod args;
mod baseline;
mod child;
mod consumer;
mod count;
mod far_end;
mod operation;
mod tools;
mod verdict;

use std::process::ExitCode;

use args::Args;
use baseline::Baseline;
use operation::Operation;
use tools::Tools;
use verdict::{Outcome, Verdict};

/// Any error; it is only printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The exit code when there is nothing to compare with: other tools, or no valgrind.
const NOT_CHECKED: u8 = 3;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    let outcome = if words.peek().is_some_and(|word| word == child::FLAG) {
        child::main(words.skip(1)).map(|()| ExitCode::SUCCESS)
    } else {
        Args::parse(words).and_then(|args| run(&args))
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("instructions: {failure}");
        ExitCode::FAILURE
    })
}

fn run(args: &Args) -> Result<ExitCode, Failure> {
    let Some(tools) = Tools::find()? else {
        eprintln!("instructions: NOT CHECKED: valgrind is not on PATH (Debian: apt install valgrind)");
        return Ok(ExitCode::from(NOT_CHECKED));
    };
    let operations: Vec<Operation> =
        operation::all().into_iter().filter(|operation| args.wants(operation.name())).collect();
    if operations.is_empty() {
        return Err(format!("no operation's name contains {:?}", args.filter.as_deref().unwrap_or_default()).into());
    }
    if let Some(file) = &args.profile {
        let [operation] = &operations[..] else {
            let names: Vec<&str> = operations.iter().map(Operation::name).collect();
            return Err(format!("--profile wants one operation, not {}", names.join(", ")).into());
        };
        return count::profile(operation, file).map(|()| ExitCode::SUCCESS);
    }
    let baseline = Baseline::read()?;
    let comparable = baseline.tools == tools;
    if args.renew && args.filter.is_some() && !comparable {
        return Err("the baseline was counted with other tools: renew all of it, without a filter".into());
    }
    if baseline.names().next().is_none() && !args.renew {
        return Err(format!("{} has no counts: run this with --renew", baseline::FILE).into());
    }
    println!("{:<22} {:>10} {:>8} {:>10} {:>8}", "instructions for each", "now", "spread", "baseline", "change");
    let mut verdict = Verdict::default();
    let mut counted = Baseline::new(tools);
    for operation in &operations {
        let count = count::count(operation)?;
        let outcome = Outcome::new(operation.name(), count.instructions, baseline.count(operation.name()));
        println!("{}", outcome.row(count.spread));
        counted.add(operation.name(), count.instructions);
        verdict.add(outcome);
    }
    println!();
    if args.renew {
        // What the filter left out stays.
        let renewed = if comparable { baseline.updated(counted) } else { counted };
        renewed.write()?;
        println!("The baseline is renewed: commit {}", baseline::FILE);
        return Ok(ExitCode::SUCCESS);
    }
    if args.filter.is_none() {
        verdict.look_for_missing(&baseline);
    }
    if !comparable {
        println!("{}", tools::differ(&baseline.tools, &counted.tools));
        return Ok(ExitCode::from(NOT_CHECKED));
    }
    print!("{verdict}");
    Ok(if verdict.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
