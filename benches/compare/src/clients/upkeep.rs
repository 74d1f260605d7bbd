//! What clients cost at rest, and how they begin and begin again.

use crate::Failure;
use std::time::Duration;

/// Memory is measured after this time without anything to do.
pub(super) const REST: Duration = Duration::from_secs(2);

/// Between two messages of a trickle; the system makes about twice as much of it.
pub(super) const TRICKLE: Duration = Duration::from_micros(50);

/// Resident memory of this process, in bytes.
pub(super) fn resident() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

macro_rules! functions {
    ($nats:ident) => {
        use crate::clients::upkeep::{REST, TRICKLE, resident};
        use crate::workload::IDLE;

        async fn subscribe_idly(subject: &mut Subject, subscriptions: u64) -> Result<(), Failure> {
            for number in 0..subscriptions {
                subject.subscribers.push(subject.client.subscribe(format!("{IDLE}{number}")).await?);
            }
            Ok(subject.client.flush().await?)
        }

        async fn idle_subscriptions(subject: &mut Subject, job: &Job) -> Result<Done, Failure> {
            subject.subscribers.reserve_exact(job.messages as usize);
            let before = resident()?;
            subscribe_idly(subject, job.messages).await?;
            tokio::time::sleep(REST).await;
            let bytes = (resident()? - before) / job.messages as f64;
            Ok(Done { bytes: Some(bytes), ..Done::default() })
        }

        async fn idle_clients(job: &Job) -> Result<Done, Failure> {
            let before = resident()?;
            let mut clients = Vec::with_capacity(job.messages as usize);
            for _ in 0..job.messages {
                clients.push(open(job).await?);
            }
            tokio::time::sleep(REST).await;
            let bytes = (resident()? - before) / job.messages as f64;
            Ok(Done { bytes: Some(bytes), ..Done::default() })
        }

        async fn connects(job: &Job) -> Result<Done, Failure> {
            let mut done = Done::default();
            for _ in 0..job.messages {
                let began = Instant::now();
                let client = open(job).await?;
                let mut subscriber = client.subscribe(SUBJECT).await?;
                subscriber.next().await.ok_or("no message came")?;
                done.times.push(began.elapsed().as_nanos() as u64);
            }
            Ok(done)
        }

        fn trickle(client: &$nats::Client) -> Result<Done, Failure> {
            let (client, runtime) = (client.clone(), tokio::runtime::Handle::current());
            std::thread::Builder::new().name("trickle".to_owned()).spawn(move || {
                // It ends with the process.
                while runtime.block_on(client.publish(SUBJECT, Bytes::from_static(b"0123456789abcdef"))).is_ok() {
                    std::thread::sleep(TRICKLE);
                }
            })?;
            Ok(Done::default())
        }
    };
}

pub(super) use functions;
