//! Requests: one client answers, and the others ask, each with a number of requests in flight.

use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::{Client, HeaderMap, Request};
use tokio::task::JoinSet;

use crate::args::Args;
use crate::far_end::FarEnd;
use crate::latency::Latency;
use crate::pace::Pace;
use crate::{Clock, Error, Outcome, headers, progress};

pub(crate) async fn ask(args: &Args, far_end: &FarEnd) -> Result<Outcome, Error> {
    let responder = far_end.connect().await?;
    let mut questions = responder.subscribe(args.subject).await?;
    responder.flush().await?;
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let Some(reply) = question.reply else { continue };
            // The requester reports the missing answer.
            let _ = responder.publish(reply, question.payload).await;
        }
    });
    let clients = far_end.clients(args.clients).await?;
    for client in &clients {
        // A client's first request also makes the subscription for all replies.
        client.request(args.subject, Bytes::new()).await?;
    }
    let clock = Clock::start();
    let mut tasks = JoinSet::new();
    for (number, pace) in args.paces()?.into_iter().enumerate() {
        if let Some(client) = clients.get(number % args.clients) {
            let asking = Asking {
                client: client.clone(),
                subject: args.subject,
                headers: headers(args),
                payload: Bytes::from(vec![0; args.size]),
                pace,
                answers: Latency::new()?,
                failed: 0,
            };
            tasks.spawn(asking.run(args.share(number)));
        }
    }
    let asked = || clients.iter().map(|client| client.stats().accepted).sum();
    let mut all = Latency::new()?;
    let mut missing = 0;
    let work = async {
        while let Some(asked) = tasks.join_next().await {
            let asked = asked?;
            all.add(&asked.answers)?;
            missing += asked.failed;
        }
        Ok::<_, Error>(clock.stop())
    };
    let (elapsed, cpu) = progress::show(args.msgs(), asked, work).await?;
    Ok(Outcome { published: all.count(), missing, elapsed, cpu, latency: Some(all), ..Outcome::default() })
}

/// One worker, which sends one request after the other.
struct Asking {
    client: Client,
    subject: &'static str,
    headers: Option<HeaderMap>,
    payload: Bytes,
    /// `None`: a closed loop.
    pace: Option<Pace>,
    answers: Latency,
    failed: u64,
}

impl Asking {
    async fn run(mut self, times: u64) -> Asking {
        for _ in 0..times {
            let request =
                Request { payload: Some(self.payload.clone()), headers: self.headers.clone(), ..Request::new() };
            let asked = match &mut self.pace {
                Some(pace) => pace.due().await,
                None => Instant::now(),
            };
            match self.client.send_request(self.subject, request).await {
                Ok(_) => self.answers.record(asked.elapsed()),
                Err(_) => self.failed += 1,
            }
        }
        self
    }
}
