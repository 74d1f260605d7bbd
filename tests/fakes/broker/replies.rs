//! What nats-server 2.15.1 answered to bytes of a client, and what the broker answers.
//!
//! Each input was sent behind CONNECT and PING, and a PING was appended; the reply is without the
//! PONG of that.

use super::raw::{Raw, read_until_closed};
use nats_lifeline::testing::Broker;

/// Name, what was sent, the reply, was the connection closed?
const SEEN: &[(&str, &[u8], &str, bool)] = &[
    ("sub_pub", b"SUB foo 1\r\nPUB foo 2\r\nhi\r\n", "MSG foo 1 2\r\nhi\r\n", false),
    ("pub_empty", b"SUB foo 1\r\nPUB foo 0\r\n\r\n", "MSG foo 1 0\r\n\r\n", false),
    ("lower_case_tabs_lf", b"sub\t foo \t 1\npUb  foo\t 2 \nhi\r\n", "MSG foo 1 2\r\nhi\r\n", false),
    (
        "hpub",
        b"SUB foo 1\r\nHPUB foo 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nOK\r\n",
        "HMSG foo 1 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nOK\r\n",
        false,
    ),
    (
        "hpub_reply",
        b"SUB foo 1\r\nHPUB foo r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nOK\r\n",
        "HMSG foo 1 r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nOK\r\n",
        false,
    ),
    ("hpub_hdr_0", b"SUB foo 1\r\nHPUB foo 0 2\r\nOK\r\n", "MSG foo 1 2\r\nOK\r\n", false),
    ("hpub_garbage_header", b"SUB foo 1\r\nHPUB foo 5 7\r\nhelloOK\r\n", "HMSG foo 1 5 7\r\nhelloOK\r\n", false),
    (
        "hpub_bare_cr",
        b"SUB foo 1\r\nHPUB foo 20 22\r\nNATS/1.0\r\nK: a\rb\r\n\r\nOK\r\n",
        "HMSG foo 1 20 22\r\nNATS/1.0\r\nK: a\rb\r\n\r\nOK\r\n",
        false,
    ),
    (
        "unsub_max",
        b"SUB foo 1\r\nUNSUB 1 2\r\nPUB foo 1\r\nx\r\nPUB foo 1\r\nx\r\nPUB foo 1\r\nx\r\n",
        "MSG foo 1 1\r\nx\r\nMSG foo 1 1\r\nx\r\n",
        false,
    ),
    ("unsub_unknown", b"UNSUB 99\r\nUNSUB 99 5\r\n", "", false),
    ("unsub_max_junk", b"SUB foo 1\r\nUNSUB 1 xyz\r\nPUB foo 1\r\nx\r\n", "", false),
    ("unsub_max_0", b"SUB foo 1\r\nUNSUB 1 0\r\nPUB foo 1\r\nx\r\n", "", false),
    (
        "sub_reuse_sid_after_unsub",
        b"SUB foo 1\r\nUNSUB 1\r\nSUB bar 1\r\nPUB foo 1\r\nA\r\nPUB bar 1\r\nB\r\n",
        "MSG bar 1 1\r\nB\r\n",
        false,
    ),
    (
        "no_responders",
        b"SUB i 1\r\nPUB nobody i 1\r\nx\r\n",
        "HMSG i 1 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n",
        false,
    ),
    ("ping_junk", b"PING xyz \r\n", "PONG\r\n", false),
    ("pong_unsolicited", b"PONG\r\nPONG\r\n", "", false),
    ("plus_ok", b"+OK\r\n", "", false),
    ("minus_err", b"-ERR 'x'\r\n", "", true),
    ("msg_from_client", b"MSG foo 1 2\r\nhi\r\n", "-ERR 'Unknown Protocol Operation'\r\n", true),
    ("pub_no_size", b"PUB foo\r\n", "", true),
    ("pub_4_args", b"PUB foo a b 2\r\n", "", true),
    ("pub_negative", b"PUB foo -1\r\n", "", true),
    ("pub_over_max", b"PUB foo 1048577\r\n", "-ERR 'Maximum Payload Violation'\r\n", true),
    ("hpub_over_max", b"HPUB foo 12 1048577\r\n", "-ERR 'Maximum Payload Violation'\r\n", true),
    ("sub_1_arg", b"SUB foo\r\n", "", true),
    ("sub_4_args", b"SUB a b c d\r\n", "", true),
    ("unknown_op", b"FOO\r\n", "-ERR 'Unknown Protocol Operation'\r\n", true),
    ("empty_line", b"\r\n", "-ERR 'Unknown Protocol Operation'\r\n", true),
    ("http", b"GET / HTTP/1.1\r\n\r\n", "-ERR 'Unknown Protocol Operation'\r\n", true),
];

#[tokio::test]
async fn the_broker_answers_as_the_server_did() -> std::io::Result<()> {
    let broker = Broker::start().await?;
    for (name, input, reply, closed) in SEEN {
        check(&broker, name, input, reply, *closed).await?;
    }
    let line = |args: usize| format!("SUB {} 1\r\n", "a".repeat(args - 2));
    check(&broker, "line_4096", line(4096).as_bytes(), "", false).await?;
    let error = "-ERR 'maximum control line exceeded'\r\n";
    check(&broker, "line_4097", line(4097).as_bytes(), error, true).await
}

/// In one piece, and byte by byte.
async fn check(broker: &Broker, name: &str, input: &[u8], reply: &str, closed: bool) -> std::io::Result<()> {
    for piece in [input.len(), 1] {
        let mut client = Raw::connected(broker).await?;
        for bytes in input.chunks(piece) {
            // It may be closed already.
            let sent = client.send_bytes(bytes).await;
            assert!(sent.is_ok() || closed, "{name}");
            tokio::task::yield_now().await;
        }
        if closed {
            assert_eq!(read_until_closed(&mut client).await?, reply, "{name}");
        } else {
            client.send("PING\r\n").await?;
            // Two, if the input had a PING itself.
            let mut got = client.until("PONG\r\n").await?;
            while got.len() < reply.len() + 6 {
                got += &client.until("PONG\r\n").await?;
            }
            assert_eq!(got, format!("{reply}PONG\r\n"), "{name}");
        }
    }
    Ok(())
}
