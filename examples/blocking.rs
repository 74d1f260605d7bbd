//! A client for programs without async code, over an outage. `cargo run --example blocking`

#[path = "shared/small.rs"]
mod small;

use std::thread;
use std::time::Duration;

use nats_lifeline::blocking;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::testing::Broker;
use small::{Error, check, out, say};

fn main() -> std::process::ExitCode {
    small::no_arguments("Asks, publishes and subscribes without async code, through an outage.");
    small::report(example())
}

fn example() -> Result<(), Error> {
    // Only the broker of this example needs a runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let broker = runtime.block_on(Broker::start())?;

    let client = blocking::connect(broker.url())?;
    let (mut questions, responder) = (client.subscribe_confirmed("weather.*")?, client.clone());
    let answering = thread::spawn(move || {
        for question in questions.by_ref() {
            let Some(reply) = question.reply else { continue };
            if let Err(error) = responder.publish(reply, "sunny".into()) {
                eprintln!("no answer for {}: {error}", question.subject);
            }
        }
        questions.delivered()
    });
    let answer = client.request("weather.today", "".into())?;
    say!("today: {}", String::from_utf8_lossy(&answer.payload));

    // Afterwards nothing is in doubt: the server has processed everything.
    client.flush()?;
    let events = client.events();
    broker.kill();
    runtime.block_on(broker.restart())?;
    // Waits for the reconnect, which makes the subscription again.
    client.flush()?;
    let answer = client.request("weather.tomorrow", "".into())?;
    say!("tomorrow: {}", String::from_utf8_lossy(&answer.payload));

    let report = client.drain_and_close(Duration::from_secs(5))?;
    let mut reconnected = false;
    // They end with the client.
    for event in events {
        if let ConnectionEvent::Reconnected { server, downtime, .. } = event {
            say!("{server} was lost for {downtime:?}");
            reconnected = true;
        }
    }
    let answered = answering.join().unwrap_or_default();
    say!("{answered} questions answered; {} messages lost", report.lost.total());
    check(reconnected, "the client reconnects")?;
    check(answered == 2 && report.lost.total() == 0, "both questions are answered, and nothing is lost")
}
