//! The same bytes go to a real server and to the broker of the feature `testing`, and both must answer the same. What the
//! models of the simulation and of the whole stack assume of a server's session stands on this.

use nats_lifeline::testing::Broker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{SOON, Server, within};

/// After this a client has headers and no responders.
const CONNECT: &str =
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\n";

/// What a session says, without its INFOs (of the last one there may be half), up to the PONG for the last PING or to the end.
async fn answers(port: u16, said: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(said.as_bytes()).await.unwrap();
    let pings = said.matches("PING\r\n").count();
    let mut got = Vec::new();
    let closed = within("the last PONG or the end", SOON, async {
        loop {
            if String::from_utf8_lossy(&got).matches("PONG\r\n").count() >= pings {
                return false;
            }
            if !matches!(stream.read_buf(&mut got).await, Ok(1..)) {
                return true;
            }
        }
    })
    .await;
    let text = String::from_utf8_lossy(&got);
    let lines = text.split_inclusive("\r\n").filter(|line| !line.starts_with("INFO"));
    let mut said: String = lines.collect();
    if closed {
        said.push_str("(closed)");
    }
    said
}

async fn alike(scripts: &[(&str, &str)]) {
    let server = Server::start().await;
    let broker = Broker::start().await.unwrap();
    let mut different = Vec::new();
    for (what, script) in scripts {
        let real = answers(server.port(), script).await;
        let ours = answers(broker.addr().port(), script).await;
        println!("{what}: {real:?}");
        if real != ours {
            different.push(format!("{what}: the server {real:?}, the broker {ours:?}"));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
}

fn connected(scripts: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    scripts.iter().map(|(what, rest)| (*what, format!("{CONNECT}{rest}"))).collect()
}

#[tokio::test]
async fn subscriptions_are_counted_as_a_server_counts_them() {
    let scripts = connected(&[
        ("a live sid", "SUB a 1\r\nSUB b 1\r\nPUB a 1\r\nx\r\nPUB b 1\r\ny\r\nPING\r\n"),
        ("a live sid in a group", "SUB a 1\r\nSUB a g 1\r\nPUB a 1\r\nx\r\nPING\r\n"),
        ("a sid that is free again", "SUB a 1\r\nUNSUB 1\r\nSUB b 1\r\nPUB a 1\r\nx\r\nPUB b 1\r\ny\r\nPING\r\n"),
        ("a limit", "SUB a 1\r\nUNSUB 1 2\r\nPUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\nPING\r\n"),
        ("a limit that is behind", "SUB a 1\r\nPUB a 1\r\n1\r\nUNSUB 1 1\r\nPUB a 1\r\n2\r\nPING\r\n"),
        (
            "a limit raised",
            "SUB a 1\r\nUNSUB 1 1\r\nUNSUB 1 2\r\nPUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\nPING\r\n",
        ),
        ("a limit of none", "SUB a 1\r\nUNSUB 1 0\r\nPUB a 1\r\n1\r\nPING\r\n"),
        ("the largest limit", "SUB a 1\r\nUNSUB 1 999999999\r\nPUB a 1\r\n1\r\nPING\r\n"),
        ("a limit that can't be read", "SUB a 1\r\nUNSUB 1 1000000000\r\nPUB a 1\r\n1\r\nPING\r\n"),
        (
            "after the limit",
            "SUB a 1\r\nUNSUB 1 1\r\nPUB a 1\r\n1\r\nSUB a 1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\nPING\r\n",
        ),
        (
            "a live sid keeps its count",
            "SUB a 1\r\nUNSUB 1 2\r\nPUB a 1\r\n1\r\nSUB a 1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\nPING\r\n",
        ),
        ("a sid that nobody knows", "UNSUB 7\r\nUNSUB 7 3\r\nSUB a 7\r\nPUB a 1\r\n1\r\nPING\r\n"),
        ("a second CONNECT", &format!("SUB a 1\r\n{CONNECT}PUB a 1\r\n1\r\nPING\r\n")),
    ]);
    let scripts: Vec<_> = scripts.iter().map(|(what, script)| (*what, script.as_str())).collect();
    alike(&scripts).await;
}

#[tokio::test]
async fn what_is_published_comes_as_from_a_server() {
    let scripts = connected(&[
        ("with a reply", "SUB a 1\r\nPUB a r 1\r\nx\r\nPING\r\n"),
        ("with headers", "SUB a 1\r\nHPUB a 18 19\r\nNATS/1.0\r\nA: b\r\n\r\nx\r\nPING\r\n"),
        ("with empty headers", "SUB a 1\r\nHPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\nPING\r\n"),
        ("with no header bytes", "SUB a 1\r\nHPUB a 0 1\r\nx\r\nPING\r\n"),
        ("nobody listens", "SUB r 1\r\nPUB q r 0\r\n\r\nPING\r\n"),
        ("nobody listens, with a wildcard", "SUB r.* 1\r\nPUB q r.x 0\r\n\r\nPING\r\n"),
        (
            "nobody listens, and no count",
            "SUB r 1\r\nUNSUB 1 1\r\nPUB q r 0\r\n\r\nPUB r 1\r\nx\r\nPUB r 1\r\ny\r\nPING\r\n",
        ),
        ("a subject with an empty token", "SUB > 1\r\nPUB a..b 1\r\nx\r\nPING\r\n"),
        ("a subject with a wildcard", "SUB a.b 1\r\nPUB a.* 1\r\nx\r\nPING\r\n"),
        ("more than is allowed", "PUB a 1048577\r\nPING\r\n"),
        ("in small letters", "sub a 1\r\npub a 1\r\nx\r\nPING\r\n"),
    ]);
    let scripts: Vec<_> = scripts.iter().map(|(what, script)| (*what, script.as_str())).collect();
    alike(&scripts).await;
}

#[tokio::test]
async fn a_session_begins_and_ends_as_with_a_server() {
    let without = "CONNECT {\"verbose\":false,\"protocol\":1,\"headers\":false}\r\n";
    alike(&[
        ("a PING first", &format!("PING\r\n{CONNECT}PING\r\n")),
        ("verbose", "CONNECT {\"protocol\":1}\r\nSUB a 1\r\nSUB a 1\r\nPUB a 1\r\nx\r\nUNSUB 1\r\nPONG\r\nPING\r\n"),
        ("no echo", "CONNECT {\"verbose\":false,\"echo\":false}\r\nSUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n"),
        ("headers without having asked", &format!("{without}HPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\nPING\r\n")),
        ("no responders without headers", "CONNECT {\"verbose\":false,\"no_responders\":true}\r\nPING\r\n"),
        ("a subject that can't be", &format!("{CONNECT}SUB a..b 1\r\nSUB a.>.b 2\r\nPING\r\n")),
        ("what is no operation", &format!("{CONNECT}HELLO\r\nPING\r\n")),
        ("CONNECT that is no JSON", "CONNECT {\"verbose\"\r\nPING\r\n"),
        ("CONNECT with another protocol", "CONNECT {\"verbose\":false,\"protocol\":2}\r\nPING\r\n"),
        ("+OK", &format!("{CONNECT}+OK\r\nPING\r\n")),
        ("a line that is too long", &format!("{CONNECT}SUB {} 1\r\nPING\r\n", "a".repeat(5000))),
    ])
    .await;
}
