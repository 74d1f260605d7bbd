//! Runs the programs of this package against real servers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use std::time::Duration;

use server::{Server, soon};

#[tokio::test]
async fn the_program_does_what_it_did_with_async_nats() {
    let server = Server::start("");
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_drop-in")).arg(server.url()).output();
    let output = soon("the end of the program", run).await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("all of it works"), "{text}");
}

/// `jetstream.txt` is what it printed with async-nats.
#[tokio::test]
async fn the_program_for_jetstream_prints_what_it_printed_with_async_nats() {
    let server = Server::start_jetstream_on(0);
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_jetstream")).arg(server.url()).output();
    let output = tokio::time::timeout(Duration::from_secs(120), run).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut expected = include_str!("jetstream.txt").lines();
    for line in text.lines() {
        assert_eq!(Some(line), expected.next(), "in {text}");
    }
    assert!(output.status.success() && expected.next().is_none(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
