//! Requests: as many at a time as there are tasks, or on a fixed schedule.

use crate::Failure;
use std::time::{Duration, Instant};

/// When the requests of a fixed schedule are due.
pub(super) struct Schedule {
    began: Instant,
    interval: Duration,
    number: u32,
}

impl Schedule {
    /// On a thread of its own: it sleeps.
    pub(super) fn of(rate: u64) -> Result<Self, Failure> {
        let interval = Duration::from_secs(1) / u32::try_from(rate.max(1))?;
        // Linux otherwise adds up to 50 µs to each sleep.
        #[cfg(target_os = "linux")]
        rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
        Ok(Self { began: Instant::now(), interval, number: 0 })
    }

    /// Waits for the next one, and returns when it was due: earlier than now if the thread is late, so that a delay here
    /// counts as well.
    pub(super) fn next(&mut self) -> Instant {
        let due = self.began + self.interval * self.number;
        self.number += 1;
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            std::thread::sleep(early);
        }
        due
    }
}

macro_rules! functions {
    ($nats:ident) => {
        use crate::clients::requests::Schedule;
        use crate::workload::SERVICE;
        use std::time::Instant;

        async fn request(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let share = job.messages / job.tasks;
            let payload = Bytes::from(vec![b'x'; job.payload]);
            let spawn = |_| {
                let (client, payload) = (client.clone(), payload.clone());
                tokio::spawn(async move {
                    let mut times = Vec::with_capacity(share as usize);
                    for _ in 0..share {
                        let began = Instant::now();
                        client.request(SERVICE, payload.clone()).await?;
                        times.push(began.elapsed().as_nanos() as u64);
                    }
                    Ok::<_, Failure>(times)
                })
            };
            let askers: Vec<_> = (0..job.tasks).map(spawn).collect();
            let mut done = Done::default();
            for asker in askers {
                done.times.extend(asker.await??);
            }
            Ok(done)
        }

        /// A request waits for no other one. Its time counts from when it was due.
        async fn paced(client: &$nats::Client, job: &Job) -> Result<Done, Failure> {
            let (client, rate, messages) = (client.clone(), job.rate, job.messages);
            let payload = Bytes::from(vec![b'x'; job.payload]);
            let runtime = tokio::runtime::Handle::current();
            let asking = tokio::task::spawn_blocking(move || {
                let mut schedule = Schedule::of(rate)?;
                let ask = |_| {
                    let due = schedule.next();
                    let (client, payload) = (client.clone(), payload.clone());
                    runtime.spawn(async move {
                        client.request(SERVICE, payload).await?;
                        Ok::<_, Failure>(due.elapsed().as_nanos() as u64)
                    })
                };
                Ok::<_, Failure>((0..messages).map(ask).collect::<Vec<_>>())
            });
            let mut done = Done::default();
            for asked in asking.await?? {
                done.times.push(asked.await??);
            }
            Ok(done)
        }
    };
}

pub(super) use functions;
