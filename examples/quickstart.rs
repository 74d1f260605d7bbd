//! The first program: subscribe, publish, flush, request. `cargo run --example quickstart`

#[path = "shared/small.rs"]
mod small;

use futures_util::StreamExt;
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Publishes, subscribes, and asks a question.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = nats_lifeline::connect(server.url()).await?;

    let mut orders = client.subscribe("orders.*").await?;
    client.publish("orders.new", "four wheels".into()).await?;
    client.flush().await?; // Ok: the server has processed it
    let order = orders.next().await.ok_or("the subscription has ended")?;
    say!("{}: {}", order.subject, String::from_utf8_lossy(&order.payload));
    check(order.payload == "four wheels", "the order arrives")?;

    let (mut questions, responder) = (client.subscribe("weather").await?, client.clone());
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            // A message that was only published has no reply subject.
            let Some(reply) = question.reply else { continue };
            let _ = responder.publish(reply, "sunny".into()).await;
        }
    });
    client.publish("weather", "is it fine?".into()).await?; // no request: nobody waits for an answer
    let answer = client.request("weather", "and tomorrow?".into()).await?;
    say!("weather: {}", String::from_utf8_lossy(&answer.payload));
    check(answer.payload == "sunny", "the question is answered")?;
    Ok(client.close().await?)
}
