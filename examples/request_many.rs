//! Many replies to one request, and the four ways to end them. `cargo run --example request_many`

#[path = "shared/small.rs"]
mod small;

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use nats_lifeline::Client;
use nats_lifeline::options::RepliesOptions;
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Asks all services that listen, and collects their replies.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = nats_lifeline::connect(server.url()).await?;
    for name in ["billing", "shipping", "weather"] {
        answer(client.clone(), name).await?;
    }
    let until = RepliesOptions::new;
    for (rule, options, expected) in [
        ("three replies", until().max_replies(3), 3),
        ("two replies", until().max_replies(2), 2),
        ("no reply for half a second", until().stall(Duration::from_millis(500)), 3),
        ("a second", until().timeout(Duration::from_secs(1)), 3),
        ("an empty reply", until().sentinel(), 0),
    ] {
        // "end" is answered with an empty reply by everybody.
        let question = if expected == 0 { "end" } else { "who is there?" };
        let mut replies = client.request_stream("services", question.into(), options).await?;
        let names: Vec<_> = replies.by_ref().map_ok(|reply| reply.payload).try_collect().await?;
        say!("until {rule}: {names:?}, ended by {:?}", replies.end());
        check(names.len() == expected, "the rule ends the replies")?;
    }
    Ok(client.close().await?)
}

/// A service that says its name.
async fn answer(client: Client, name: &'static str) -> Result<(), Error> {
    let mut questions = client.subscribe_confirmed("services").await?; // the server has it
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let name = if question.payload == "end" { "" } else { name };
            if let Some(reply) = question.reply {
                let _ = client.publish(reply, name.into()).await; // the other side has a deadline
            }
        }
    });
    Ok(())
}
