//! TLS with a client certificate, which the server requires. `cargo run --example tls`

#[path = "shared/small.rs"]
mod small;
#[path = "shared/tls_front.rs"]
mod tls_front;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nats_lifeline::ConnectOptions;
use small::{Error, check, out, say};
use tls_front::{Files, TlsFront};

/// Connects over TLS with a client certificate. Without arguments it makes all certificates itself.
#[derive(Parser)]
struct Args {
    /// A real server, such as tls://nats.example:4222; the three files are needed with it
    #[arg(long, value_name = "URL", requires_all = ["ca", "cert", "key"])]
    server: Option<String>,
    /// The certificate of the authority that the server's is signed by (PEM)
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// The client's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "server")]
    cert: Option<PathBuf>,
    /// The key of the client's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "server")]
    key: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    small::report(example(small::read()).await)
}

async fn example(args: Args) -> Result<(), Error> {
    let front = TlsFront::start().await?; // a broker behind a TLS server that wants a client certificate
    let Files { ca, cert, key } = front.files();
    let url = args.server.unwrap_or_else(|| front.url());
    let (ca, cert, key) = (args.ca.unwrap_or(ca), args.cert.unwrap_or(cert), args.key.unwrap_or(key));

    let trusting = ConnectOptions::new().require_tls(true).add_root_certificates(ca);
    let client = trusting.clone().add_client_certificate(cert, key).connect(url.clone()).await?;
    let confirmed = client.publish_confirmed("greetings", "hello".into()).await.is_confirmed();
    say!("with a client certificate: {}, message confirmed: {confirmed}", client.status());
    check(confirmed, "a message goes over TLS")?;
    client.close().await?;

    for (who, options) in [("without a client certificate", trusting), ("trusting nobody", ConnectOptions::new())] {
        let refused = options.require_tls(true).connect(url.clone()).await;
        say!("{who}: {}", refused.as_ref().map_or_else(ToString::to_string, |_| "connected".to_owned()));
        check(refused.is_err(), "both sides verify certificates")?;
    }
    Ok(())
}
