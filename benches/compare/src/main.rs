//! Compares nats-lifeline with other clients on the same machine, with the same payload and server, as ratios.

mod args;
mod child;
mod clients;
mod contender;
mod far_end;
mod figures;
mod frames;
mod job;
mod peers;
mod raw;
mod report;
mod rounds;
mod server;
mod table;
mod tls;
mod workload;

use args::Args;
use std::process::ExitCode;

/// Any error; it is only printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    let outcome = if words.peek().is_some_and(|word| word == job::FLAG) {
        child::main(words.skip(1))
    } else {
        Args::parse(words).and_then(|args| rounds::run(&args))
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("compare: {failure}");
            ExitCode::FAILURE
        }
    }
}
