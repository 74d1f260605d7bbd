//! Logs in with an NKey, and with the JWT and the key of a credentials file. `cargo run --example nkey`

#[path = "shared/small.rs"]
mod small;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nats_lifeline::ConnectOptions;
use nats_lifeline::testing::Broker;
use small::{Error, check, out, say};

/// Public credentials, for the broker of this example. Yours come from `nsc`, and are secret.
const CREDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shared/example.creds");
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const USER: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const ACCOUNT: &str = "ACLMOALI6J2D223PIBKEBUB5OSS2YDBBEPRKYBNLQ4S6OKRLDABP2NJ3";

/// Logs in with an NKey, and with a credentials file.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    server: small::ServerArgs,
    /// A credentials file, as `nsc` writes it
    #[arg(long, value_name = "FILE", default_value = CREDS, hide_default_value = true)]
    creds: PathBuf,
    /// A user's seed; a real program reads it from a file or from its environment
    #[arg(long, value_name = "SU…", default_value = SEED, hide_default_value = true)]
    seed: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    small::report(example(small::read()).await)
}

async fn example(Args { server, creds, seed }: Args) -> Result<(), Error> {
    let server = server.start(Broker::builder().nkey(USER).account(ACCOUNT)).await?;

    // The key signs the server's nonce and never leaves this process.
    let client = ConnectOptions::new().nkey(seed).connect(server.url()).await?;
    say!("an NKey: {}", client.status());
    check(client.publish_confirmed("greetings", "hello".into()).await.is_confirmed(), "the key gets in")?;
    client.close().await?;

    // The file is read again on every attempt, and before its JWT expires.
    let client = ConnectOptions::new().credentials_file(creds).await?.connect(server.url()).await?;
    say!("a credentials file: {}", client.status());
    check(client.publish_confirmed("greetings", "hello".into()).await.is_confirmed(), "the file gets in")?;
    client.close().await?;

    let Err(error) = nats_lifeline::connect(server.url()).await else {
        return check(server.broker.is_none(), "nobody gets in without credentials");
    };
    say!("no credentials: {error}");
    Ok(())
}
