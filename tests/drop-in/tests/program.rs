//! Runs the program of this package against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use server::{Server, soon};

#[tokio::test]
async fn the_program_does_what_it_did_with_async_nats() {
    let server = Server::start("");
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_drop-in")).arg(server.url()).output();
    let output = soon("the end of the program", run).await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("all of it works"), "{text}");
}
