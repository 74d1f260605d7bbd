//! Headers: metadata beside the payload, with several values for a name. `cargo run --example headers`

#[path = "shared/small.rs"]
mod small;

use futures_util::StreamExt;
use nats_lifeline::HeaderMap;
use small::{Error, Server, check, out, say};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    small::run("Publishes a message with headers, and reads them.", example).await
}

async fn example(server: Server) -> Result<(), Error> {
    let client = nats_lifeline::connect(server.url()).await?;
    let mut orders = client.subscribe("orders.new").await?;

    let mut headers = HeaderMap::new();
    headers.insert("Content-Type", "application/json"); // replaces earlier values
    headers.append("Via", "web"); // adds a value
    headers.append("Via", "billing");
    client.publish_with_headers("orders.new", headers, r#"{"wheels":4}"#.into()).await?;

    let order = orders.next().await.ok_or("the subscription has ended")?;
    let headers = order.headers.ok_or("the message came without headers")?;
    for (name, value) in headers.entries() {
        say!("{name}: {value}");
    }
    say!("{}", String::from_utf8_lossy(&order.payload));
    // Names are case-sensitive, as in all NATS clients.
    check(
        headers.get("Content-Type").is_some_and(|kind| kind.as_str() == "application/json"),
        "a header is read back",
    )?;
    check(headers.get("content-type").is_none(), "another spelling is another header")?;
    let via: Vec<&str> = headers.get_all("Via").map(|value| value.as_str()).collect();
    check(via == ["web", "billing"], "all values of a name are read back, in order")?;
    Ok(client.close().await?)
}
