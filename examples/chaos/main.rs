//! Real servers, real faults, and an account of every message. `--help` lists the options.
//!
//! **`--mode cut`**: one server behind a proxy that cuts the publisher's connection at any byte, freezes it, throttles
//! it, passes it on byte by byte, refuses it, or accepts it without sending anything. The subscriber is connected directly
//! to the server, without faults, so it knows what has arrived. No message arrives changed, twice (at most once) or out
//! of order within a connection; no message is sent out of order over all connections; no message is missing that is
//! not in doubt or reported lost; and every message that an Ok of `flush` covered had arrived by then. At least once,
//! no message is missing at all.
//!
//! **`--mode cluster`**: three servers are killed, stopped, terminated, made lame ducks and restarted, and both clients
//! survive that. No message arrives changed or twice, and each connection keeps the order. Missing messages are only
//! reported, because a PONG is from a single server, which may die before it has passed a message on.
//!
//! In both modes, `accepted = waiting + unconfirmed + confirmed + in doubt + lost` at every moment.

#[path = "../../tests/support/mod.rs"]
mod support;
mod trial;

use std::process::ExitCode;

use trial::args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    let args = trial::shared::command_line::read::<Args>();
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
