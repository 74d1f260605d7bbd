//! Real servers, real trouble, and an account of every message. `--help` tells what can be set.
//!
//! **`--mode cut`**: one server behind a proxy that cuts the publisher's connection at any byte, freezes it, throttles it,
//! hands it on byte by byte, refuses it or lets it in without a word. The subscriber is on the server itself, and nothing
//! happens to it; so it knows what has arrived. Nothing comes changed, twice (at most once) or out of order within a connection, nothing leaves out
//! of order over all of them, nothing is missing that is not in doubt or reported lost, and whatever a `flush` said Ok for was there. At least once, nothing is missing at all.
//!
//! **`--mode cluster`**: three servers are killed, stopped, terminated, made lame ducks and started again, and both clients
//! live with that. Nothing comes changed or twice, and each connection keeps the order; what is missing is only reported,
//! because a PONG is the word of one server, which may die with what it has not passed on.
//!
//! In both, `accepted = waiting + unconfirmed + confirmed + in doubt + lost` at every moment.

#[path = "../../tests/support/mod.rs"]
mod support;
mod trial;

use std::process::ExitCode;

use trial::args::{self, Args};
use trial::shared::begin;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match begin::arguments("chaos", args::HELP, Args::read(std::env::args().skip(1))) {
        Ok(args) => args,
        Err(code) => return code,
    };
    if let Err(reason) = support::binary::found() {
        eprintln!("chaos: {reason}");
        return ExitCode::from(2);
    }
    match trial::run(&args).await {
        Ok(account) if account.broken().is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}
