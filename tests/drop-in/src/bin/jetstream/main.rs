//! A program written for async-nats that uses JetStream, and prints what it sees.
//!
//! It uses only features of async-nats 0.51, so that it builds with either crate, and prints the same with either. Run it with
//! the address of a server that has JetStream.

mod consuming;
mod managing;
mod publishing;
mod reading;

use std::fmt::Debug;
use std::time::Duration;

use async_nats::Error;
use async_nats::error::Error as KindError;
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{Context, ContextBuilder};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "nats://localhost:4222".to_owned());
    let client = async_nats::connect(url).await?;
    let context = ContextBuilder::new().timeout(Duration::from_secs(10)).build(client);

    managing::streams(&context).await?;
    publishing::publish(&context).await?;
    reading::read(&context).await?;
    managing::consumers(&context).await?;
    consuming::pull(&context).await?;
    consuming::acknowledge(&context).await?;
    consuming::push(&context).await?;
    consuming::in_order(&context).await?;
    managing::delete(&context).await?;
    Ok(())
}

/// A context that gives up early.
fn impatient(context: &Context) -> Context {
    ContextBuilder::new().timeout(Duration::from_secs(1)).build(context.client())
}

/// A new stream of this name for subjects that begin with it, with as many messages.
async fn filled(context: &Context, name: &str, messages: usize) -> Result<Stream, Error> {
    let subjects = vec![format!("{name}.>")];
    let config = Config { name: name.to_owned(), subjects, allow_direct: true, ..Default::default() };
    let stream = context.create_stream(config).await?;
    for number in 1..=messages {
        context.publish(format!("{name}.{}", number % 3), number.to_string().into()).await?.await?;
    }
    Ok(stream)
}

/// Prints an outcome, or the kind of an error and its text (without that of its source).
fn outcome<T: Debug, K>(what: &str, outcome: Result<T, KindError<K>>)
where
    K: Clone + Debug + std::fmt::Display + PartialEq,
{
    match outcome {
        Ok(value) => println!("{what}: {value:?}"),
        Err(error) => println!("{what}: {:?}: {}", error.kind(), error.kind()),
    }
}
