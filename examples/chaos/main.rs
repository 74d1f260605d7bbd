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

pub(crate) mod args;
mod attack;
mod cutter;
mod dice;
mod herd;
pub(crate) mod leaving;
pub(crate) mod letter;
mod load;
mod publisher;
pub(crate) mod record;
mod report;
#[path = "../shared/mod.rs"]
mod shared;
#[path = "../../tests/support/mod.rs"]
mod support;
mod told;
mod verdict;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use args::Args;
use attack::{Attack, Strikes};
use load::{Load, lock};
use shared::begin;
use told::Told;
use verdict::Account;

type Error = nats_lifeline::Error;

/// The load goes on for so long when there is no trouble any more.
const CALM: Duration = Duration::from_secs(1);

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
    match run(&args).await {
        Ok(account) if account.broken().is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The whole run, with what is printed.
pub(crate) async fn run(args: &Args) -> Result<Account, Error> {
    let attack = Attack::prepare(args.mode).await;
    let mut load = Load::start(args, &attack).await?;
    let mut told = [Told::of(&load.publisher), Told::of(&load.subscriber)];
    let strikes = Arc::new(Mutex::new(Strikes::default()));
    report::begin(args);

    let (stop, stopped) = watch::channel(false);
    let (publisher, subscriber) = (load.publisher.clone(), load.subscriber.clone());
    let attacking = tokio::spawn(attack.run(args.seed, publisher, subscriber, strikes.clone(), stopped));
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    for second in 1..=args.time.as_secs() {
        tokio::select! {
            going_on = load.go_on(Duration::from_secs(1)) => going_on?,
            _ = &mut interrupted => break,
        }
        told.iter_mut().for_each(Told::listen);
        report::line(second, &load, &strikes);
    }
    stop.send_replace(true);
    // Keeps the servers alive until the end.
    let attack = attacking.await?;
    load.go_on(CALM).await?;
    let in_time = load.finish().await?;
    told.iter_mut().for_each(Told::listen);

    let told = [&told[0], &told[1]];
    let account = Account::of(args, &load, &attack, told, in_time);
    report::print(&account, told, &lock(&strikes));
    load.close().await;
    Ok(account)
}
