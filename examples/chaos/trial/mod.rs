//! One trial: a load, an attack, and the resulting account. `tests/servers/chaos.rs` runs it too.

pub(crate) mod args;
mod attack;
mod client_log;
mod cutter;
mod dice;
mod herd;
pub(crate) mod leaving;
pub(crate) mod letter;
mod load;
mod publisher;
pub(crate) mod record;
mod report;
#[path = "../../shared/mod.rs"]
pub(crate) mod shared;
mod verdict;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use args::Args;
use attack::{Attack, Strikes};
use client_log::ClientLog;
use load::{Load, lock};
use verdict::Account;

type Error = nats_lifeline::Error;

/// The load continues for this long after the last fault.
const CALM: Duration = Duration::from_secs(1);

/// The whole run, with its output.
pub(crate) async fn run(args: &Args) -> Result<Account, Error> {
    let attack = Attack::prepare(args.mode).await;
    let mut load = Load::start(args, &attack).await?;
    let mut logs = [ClientLog::of(&load.publisher), ClientLog::of(&load.subscriber)];
    let strikes = Arc::new(Mutex::new(Strikes::default()));
    report::begin(args);

    let (stop, stopped) = watch::channel(false);
    let (publisher, subscriber) = (load.publisher.clone(), load.subscriber.clone());
    let attacking = tokio::spawn(attack.run(args.seed, publisher, subscriber, strikes.clone(), stopped));
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    for second in 1..=args.time().as_secs() {
        tokio::select! {
            going_on = load.go_on(Duration::from_secs(1)) => going_on?,
            _ = &mut interrupted => break,
        }
        logs.iter_mut().for_each(ClientLog::listen);
        report::line(second, &load, &strikes);
    }
    stop.send_replace(true);
    // Keeps the servers alive until the end.
    let attack = attacking.await?;
    load.go_on(CALM).await?;
    let in_time = load.finish().await?;
    logs.iter_mut().for_each(ClientLog::listen);

    let logs = [&logs[0], &logs[1]];
    let account = Account::of(args, &load, &attack, logs, in_time);
    report::print(&account, logs, &lock(&strikes));
    load.close().await;
    Ok(account)
}
