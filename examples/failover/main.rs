//! Kills the server of a busy client every second, and accounts for every message. `--help` lists the options.
//!
//! Three brokers in this process form a cluster. A client publishes, and has the plain subscription and one of the two
//! members of the queue group; its servers are A and B, and the one that it is connected to is killed, every fourth
//! time both. The other member and the responder are connected to C, which is never killed. So a message can only be
//! missing because the publisher's server was killed, and missing messages can be compared with the client's account: a
//! broker delivers a message to its subscribers before it answers the PING after it, and to subscribers on the
//! publisher's own connection before that PONG. **Confirmed messages must have been received; missing ones must have
//! been in doubt.** At most: a broker may have processed a message that it did not live to confirm.
//!
//! With `--servers` they are yours, all clients use all of them, and you kill them. For the plain subscription the same
//! holds, because its copies are delivered on the publisher's own connection. Copies for the other queue member can die
//! with its server, so missing messages of the queue group are not judged.

mod account;
mod args;
mod attack;
mod client_log;
mod load;
mod payload;
mod report;
#[path = "../shared/mod.rs"]
mod shared;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use nats_lifeline::ToServerAddrs;
use nats_lifeline::testing::Broker;

use args::Args;
use attack::Attack;
use client_log::ClientLog;
use load::Load;
use report::Report;
use shared::figures::Terminal;

type Error = nats_lifeline::Error;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&shared::command_line::read::<Args>()).await {
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
        Some(servers) => Attack::none(servers.to_server_addrs()?.collect()),
        None => Attack::on(Broker::cluster(3).await?)?,
    };
    let mut load = Load::start(args, &attack).await?;
    let mut log = ClientLog::new(load.publisher.events());
    report::begin(&attack, args);

    let began = Instant::now();
    let mut seconds = tokio::time::interval_at((began + Duration::from_secs(1)).into(), Duration::from_secs(1));
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    for second in 1..=args.seconds {
        tokio::select! {
            _ = seconds.tick() => {}
            _ = &mut interrupted => break,
        }
        log.listen();
        report::line(second, &load, &mut log, &mut attack);
        // No attack in the last two seconds, so that the end is observed on a live connection.
        if second + 2 <= args.seconds {
            attack.strike(&load.publisher).await?;
        }
    }
    attack.make_peace().await?;
    load.finish().await;
    log.listen();

    let report = Report::new(&load, &log, &attack);
    report.print(&terminal);
    let holds = report.holds();
    load.close().await;
    Ok(holds)
}
