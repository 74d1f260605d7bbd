//! The same bytes go to a real server, to the broker of the feature `testing`, and to the session that the broker, the simulation
//! and the whole stack are built on. All must answer the same.

use nats_lifeline::protocol::PubOp;
use nats_lifeline::testing::session::{Delivery, Ending, Fact, Output, Read, Session, Settings};
use nats_lifeline::testing::{Broker, Builder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::ServerBuilder;
use crate::support::{SOON, Server, within};

/// After this a client has headers and no responders.
const CONNECT: &str =
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\n";

/// What a session says, without its INFOs (of the last one there may be half), up to the PONG for the last PING or to the end.
async fn answers(port: u16, said: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(said.as_bytes()).await.unwrap();
    let pings = said.lines().filter(|line| line.starts_with("PING")).count();
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

/// The same from a session that nobody carries bytes for.
fn bare(settings: Settings, said: &str) -> String {
    let (mut session, mut output) = (Session::new(settings), Output::default());
    let mut rest = said.as_bytes();
    let ending = loop {
        let read = match session.read(rest) {
            Ok(Read::NeedMore(_)) => break None,
            Ok(read) => read,
            Err(ending) => break Some(ending),
        };
        let len = match read {
            Read::Op { op, len } => match session.act(&op, &mut output) {
                Ok(Fact::Published(message)) => {
                    publish(&session, &mut output, &message);
                    len
                }
                Ok(_) => len,
                Err(ending) => break Some(ending),
            },
            Read::Ignored(len) => len,
            Read::NeedMore(_) => unreachable!(),
        };
        rest = &rest[len..];
    };
    ending.into_iter().for_each(|ending: Ending| drop(output.end(ending)));
    let text = String::from_utf8(output.bytes).unwrap();
    if ending.is_some() { text + "(closed)" } else { text }
}

/// To the session itself: there is no other. No script has more than one member of a group.
fn publish(session: &Session, output: &mut Output, message: &PubOp<'_>) {
    let own = output.subscriptions.iter().filter(|own| session.echo() && own.wants(message.subject));
    let keys: Vec<_> = own.map(|own| own.key).collect();
    let sent = keys.into_iter().filter(|key| output.deliver(*key, message) != Delivery::Refused).count();
    if sent == 0 {
        session.no_responders(message, output).unwrap();
    }
}

async fn alike(scripts: &[(&str, &str)]) {
    alike_with(Server::builder(), Broker::builder(), &Settings::default(), scripts).await;
}

async fn alike_with(server: ServerBuilder, broker: Builder, settings: &Settings, scripts: &[(&str, &str)]) {
    let server = server.start().await;
    let broker = broker.start().await.unwrap();
    let mut different = Vec::new();
    for (what, script) in scripts {
        let real = answers(server.port(), script).await;
        println!("{what}: {real:?}");
        let ours =
            [("broker", answers(broker.addr().port(), script).await), ("session", bare(settings.clone(), script))];
        for (who, ours) in ours {
            if real != ours {
                different.push(format!("{what}: the server {real:?}, the {who} {ours:?}"));
            }
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
        ("a live sid and a subject that can't be", "SUB a 1\r\nSUB a..b 1\r\nPUB a 1\r\nx\r\nPING\r\n"),
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
        ("nobody listens, and nor does the group", "SUB r g 1\r\nPUB q r 0\r\n\r\nPING\r\n"),
        ("nobody listens, and an empty token", "SUB e.> 1\r\nPUB e..r e.s 0\r\n\r\nPUB e..r e..t 0\r\n\r\nPING\r\n"),
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
        ("a SUB first", &format!("SUB a 1\r\n{CONNECT}PUB a 1\r\nx\r\nPING\r\n")),
        ("a PUB first", "SUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n"),
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

#[tokio::test]
async fn one_subscription_too_many_is_refused_as_by_a_server() {
    let scripts = connected(&[
        ("too many", "SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nPUB c 1\r\nx\r\nPUB a 1\r\ny\r\nPING\r\n"),
        ("a live sid in a full table", "SUB a 1\r\nSUB b 2\r\nSUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n"),
        ("a subject that can't be, in a full table", "SUB a 1\r\nSUB b 2\r\nSUB a..b 3\r\nPING\r\n"),
        ("an UNSUB makes room", "SUB a 1\r\nSUB b 2\r\nUNSUB 1\r\nSUB c 3\r\nPUB c 1\r\nx\r\nPING\r\n"),
        (
            "a limit makes room when it is reached",
            "SUB a 1\r\nSUB b 2\r\nUNSUB 1 1\r\nSUB c 3\r\nPUB a 1\r\nx\r\nSUB c 3\r\nPUB c 1\r\ny\r\nPING\r\n",
        ),
        ("a second CONNECT makes room", &format!("SUB a 1\r\nSUB b 2\r\n{CONNECT}SUB c 3\r\nPUB c 1\r\nx\r\nPING\r\n")),
    ]);
    let mut scripts: Vec<_> = scripts.iter().map(|(what, script)| (*what, script.as_str())).collect();
    scripts.push(("verbose", "CONNECT {\"protocol\":1}\r\nSUB a 1\r\nSUB b 2\r\nSUB c 3\r\nPING\r\n"));
    let settings = Settings { max_subscriptions: Some(2), ..Settings::default() };
    let server = Server::builder().line("max_subscriptions: 2");
    alike_with(server, Broker::builder().max_subscriptions(2), &settings, &scripts).await;
}

#[tokio::test]
async fn nothing_is_heard_before_a_login_where_one_is_needed() {
    let login = CONNECT.replace("\"verbose\"", "\"user\":\"ada\",\"pass\":\"lovelace\",\"verbose\"");
    let wrong = login.replace("lovelace", "byron");
    let mut settings = Settings::default();
    settings.credentials.users.push(("ada".to_owned(), "lovelace".to_owned()));
    let (server, broker) =
        (Server::builder().user_and_password("ada", "lovelace"), Broker::builder().user("ada", "lovelace"));
    let scripts = [
        ("a login", format!("{login}SUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n")),
        ("another password", format!("{wrong}PING\r\n")),
        ("no password", format!("{CONNECT}PING\r\n")),
        ("a PING first", format!("PING\r\n{login}PING\r\n")),
        ("a SUB first", "SUB a 1\r\nPING\r\n".to_owned()),
        ("+OK first", format!("+OK\r\n{login}PING\r\n")),
        ("no operation first", "HELLO\r\nPING\r\n".to_owned()),
        ("another password later", format!("{login}SUB a 1\r\n{wrong}PING\r\n")),
    ];
    let scripts = scripts.each_ref().map(|(what, script)| (*what, script.as_str()));
    alike_with(server, broker, &settings, &scripts).await;
}

#[tokio::test]
async fn limits_are_kept_to_the_byte_as_by_a_server() {
    let long = |before: &str, after: &str, len: usize| {
        let args = format!("{}{after}", "a".repeat(len - after.len()));
        format!("{CONNECT}{before}{args}\r\nPING\r\n")
    };
    let mut scripts = vec![
        ("a full payload", format!("{CONNECT}SUB a 1\r\nPUB a 20\r\n{}\r\nPING\r\n", "x".repeat(20))),
        ("one byte more", format!("{CONNECT}SUB a 1\r\nPUB a 21\r\nPING\r\n")),
        ("headers count", format!("{CONNECT}SUB a 1\r\nHPUB a 12 20\r\nNATS/1.0\r\n\r\n12345678\r\nPING\r\n")),
        ("headers count too much", format!("{CONNECT}HPUB a 12 21\r\nPING\r\n")),
        ("headers longer than all", format!("{CONNECT}HPUB a 12 11\r\nNATS/1.0\r\n\r\n\r\nPING\r\n")),
        ("nine digits", format!("{CONNECT}PUB a 999999999\r\nPING\r\n")),
        ("ten digits", format!("{CONNECT}PUB a 9999999999\r\nPING\r\n")),
        ("no digit", format!("{CONNECT}PUB a b c d\r\nPING\r\n")),
        ("a payload that does not end", format!("{CONNECT}PUB a 1\r\nxy\r\nPING\r\n")),
        ("a PING with something after it", format!("{CONNECT}PING {}\r\nPING\r\n", "x".repeat(300))),
        ("a sid that is no number", format!("{CONNECT}SUB a\r\nPING\r\n")),
        ("an error", format!("{CONNECT}-ERR 'no'\r\nPING\r\n")),
        ("CONNECT with nothing", "CONNECT \r\nPING\r\n".to_owned()),
        ("CONNECT that is no object", "CONNECT []\r\nPING\r\n".to_owned()),
    ];
    for (len, which) in [(300, "a full line"), (301, "a line with one byte more")] {
        scripts.push((which, long("SUB ", " 1", len)));
        scripts.push((which, long("PUB ", " 0\r\n", len + 2)));
        scripts.push((which, format!("{CONNECT}UNSUB 1{}\r\nPING\r\n", " ".repeat(len - 1))));
        let connect = format!("CONNECT {{\"verbose\":false,\"name\":\"{}\"}}\r\nPING\r\n", "n".repeat(len - 27));
        scripts.push((which, connect));
    }
    let scripts: Vec<_> = scripts.iter().map(|(what, script)| (*what, script.as_str())).collect();
    let settings = Settings { max_payload: 20, max_control_line: 300, ..Settings::default() };
    let server = Server::builder().max_payload(20).max_control_line(300);
    let broker = Broker::builder().max_payload(20).max_control_line(300);
    alike_with(server, broker, &settings, &scripts).await;
}
