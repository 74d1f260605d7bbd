//! The frame of a small example: its arguments, its server, its checks and its exit code.

// Every example uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]

#[path = "command_line.rs"]
mod command_line;
#[path = "out.rs"]
pub(crate) mod out;

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use nats_lifeline::Client;
use nats_lifeline::connection::ConnectionEvent;
use nats_lifeline::testing::{Broker, Builder};

pub(crate) use command_line::read;
pub(crate) use nats_lifeline::Error;
pub(crate) use out::say;

/// The argument of most examples.
#[derive(Parser)]
pub(crate) struct ServerArgs {
    /// A real server, such as nats://localhost:4222; without it, a broker inside this program
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

/// Where an example connects to.
pub(crate) struct Server {
    url: String,
    /// `None` with `--server`.
    pub(crate) broker: Option<Broker>,
}

/// Reads the arguments, starts the server, runs the example, and reports its error.
pub(crate) async fn run<F, Fut>(about: &'static str, example: F) -> ExitCode
where
    F: FnOnce(Server) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    run_on(about, Broker::builder(), example).await
}

/// [`run`] on a broker of this kind, if no real server is given.
pub(crate) async fn run_on<F, Fut>(about: &'static str, broker: Builder, example: F) -> ExitCode
where
    F: FnOnce(Server) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let given = command_line::matches(ServerArgs::command().about(about));
    let args = ServerArgs::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
    report(async { example(args.start(broker).await?).await }.await)
}

/// For an example without arguments: shows the help, or refuses what is given.
pub(crate) fn no_arguments(about: &'static str) {
    command_line::matches(clap::Command::new("example").about(about));
}

/// The exit code of a program with this result. An error is shown with those of its causes that its text does not contain.
pub(crate) fn report(result: Result<(), Error>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        if !text.contains(&cause.to_string()) {
            text += &format!(": {cause}");
        }
        source = cause.source();
    }
    eprintln!("error: {text}");
    ExitCode::FAILURE
}

/// An error that says what did not happen, unless it did.
pub(crate) fn check(happened: bool, what: &str) -> Result<(), Error> {
    if happened { Ok(()) } else { Err(format!("this should have happened: {what}").into()) }
}

impl ServerArgs {
    /// The given server, or a broker of this program.
    pub(crate) async fn start(self, builder: Builder) -> Result<Server, Error> {
        match self.server {
            Some(url) => Ok(Server { url, broker: None }),
            None => {
                let broker = builder.start().await?;
                Ok(Server { url: broker.url(), broker: Some(broker) })
            }
        }
    }
}

impl Server {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// An outage of a third of a second. A real server is not killed: the client leaves it and comes back.
    pub(crate) async fn outage(&self, client: &Client) -> Result<(), Error> {
        match &self.broker {
            Some(broker) => {
                broker.kill();
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(broker.restart().await?)
            }
            None => {
                let mut events = client.events();
                client.force_reconnect().await?;
                while let Some(event) = events.recv().await {
                    if matches!(event, ConnectionEvent::Reconnected { .. }) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}
