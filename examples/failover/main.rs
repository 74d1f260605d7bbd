//! Kills the server of a busy client every second, and accounts for every message. `--help` tells what can be set.
//!
//! Three brokers of this process form a cluster. A client publishes, and has the plain subscription and one of the
//! two members of the queue group; its servers are A and B, and the one that it is connected to is killed, every
//! fourth time both. The other member and the responder are with C, which is never killed. So everything that is
//! missing in the end can only be missing because the publisher's server was killed, and can be held against what the
//! client says: a broker hands a message to its subscribers before it answers the PING behind it, and to those on the
//! publisher's own connection in front of that PONG. **What was confirmed must have been received; what is missing
//! must have been in doubt.** At most: a broker may well have processed a message that it did not live to confirm.
//!
//! With `--servers` they are yours, all clients use all of them, and you do the killing. For the plain subscription
//! the same holds, because its copies come back on the publisher's own connection. Copies for the other queue member
//! can die with its server, so nothing is said about what the queue group misses.

mod account;
mod args;
mod attack;
mod load;
mod payload;
mod report;
#[path = "../shared/mod.rs"]
mod shared;
mod told;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nats_lifeline::testing::Broker;

use args::Args;
use attack::Attack;
use load::Load;
use report::Report;
use shared::begin;
use shared::figures::Terminal;
use told::Told;

type Error = nats_lifeline::Error;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match begin::arguments("failover", args::HELP, Args::read(std::env::args().skip(1))) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match run(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("failover: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: a promise was broken.
async fn run(args: &Args) -> Result<bool, Error> {
    let terminal = Terminal::find();
    let mut attack = match &args.servers {
        Some(servers) => Attack::none(servers),
        None => Attack::on(Broker::cluster(3).await?),
    };
    let mut load = Load::start(args, &attack).await?;
    let mut told = Told::new(load.publisher.events());
    report::begin(&attack, args);

    let began = Instant::now();
    let mut seconds = tokio::time::interval_at((began + Duration::from_secs(1)).into(), Duration::from_secs(1));
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    for second in 1..=args.seconds {
        tokio::select! {
            _ = seconds.tick() => {}
            _ = &mut interrupted => break,
        }
        told.listen();
        report::line(second, &load, &mut told, &mut attack);
        // None in the last two seconds, so that the end is seen from a connection that lives.
        if second + 2 <= args.seconds {
            attack.strike(&load.publisher).await?;
        }
    }
    attack.make_peace().await?;
    load.finish().await;
    told.listen();

    let report = Report::new(&load, &told, &attack);
    report.print(&terminal);
    let holds = report.holds();
    load.close().await;
    Ok(holds)
}
