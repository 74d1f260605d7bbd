//! Text of servers, files and callers that would draw on a terminal, forge a log line or reverse text: it is escaped
//! wherever people read it.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::time::Duration;

use nats_lifeline::client::{PublishOutcome, TryPublishErrorKind};
use nats_lifeline::protocol::ServerAddr;
use nats_lifeline::{
    AuthError, Client, ConnectErrorKind, ConnectOptions, HeaderMap, PublishError, PublishErrorKind, RequestError,
    RequestErrorKind, ServerInfo,
};
use tracing::Level;

use super::log::Lines;
use crate::support::fake::{Conversation, Fake, INFO};
use crate::support::{SOON, eventually, soon};

/// Colours, a bell, a line end of its own, reversed text, an invisible blank. Without CR and LF, which end a line of the
/// protocol.
const HOSTILE: &str = "\u{1b}[31m\u{7}\u{85}\u{202e}txt\u{2066}\u{200b}\u{2028}";

/// The same as a string of JSON, with line ends.
const IN_JSON: &str = r"\u001b[31m\u0007\u0085\u202etxt\u2066\u200b\u2028\r\n";

/// What people have read.
#[derive(Default)]
struct Shown(Vec<(String, String)>);

impl Shown {
    fn note(&mut self, what: &str, text: impl Into<String>) {
        self.0.push((what.to_owned(), text.into()));
    }

    /// The error, its sources, and all of them as `Debug`.
    fn error(&mut self, what: &str, error: &(impl StdError + 'static)) {
        self.value(what, error);
        let mut source = error.source();
        while let Some(cause) = source {
            self.note(what, format!("{cause} {cause:?}"));
            source = cause.source();
        }
    }

    fn value(&mut self, what: &str, value: &(impl Display + Debug)) {
        self.note(what, format!("{value} {value:?}"));
    }

    /// Nothing hidden is shown, and each kind shows what is readable of the hostile text, except for those marked with `-`.
    #[track_caller]
    fn is_clean(&self) {
        let hidden = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        for (what, text) in &self.0 {
            assert!(!text.contains(hidden), "{what}: {text:?}");
            let quoted = self.0.iter().any(|(of, text)| of == what && text.contains("txt"));
            assert!(quoted || what.starts_with('-'), "{what}: the text is not shown at all: {text}");
        }
    }
}

/// A server that says this before CONNECT.
async fn refusal(said: String) -> nats_lifeline::ConnectError {
    let fake = Fake::start(move |mut conversation: Conversation, _| {
        let said = said.clone();
        async move {
            conversation.say(said).await;
            conversation.ignore().await;
        }
    })
    .await;
    soon("an error", ConnectOptions::new().connection_timeout(Duration::from_secs(5)).connect(fake.url()))
        .await
        .unwrap_err()
}

// Fault H5
#[tokio::test]
async fn a_refused_connection_shows_no_control_characters_of_the_server() {
    let lines = Lines::default();
    let _guard = lines.keep();
    let mut shown = Shown::default();
    for (what, said) in [
        ("an unknown error", format!("{INFO}-ERR '{HOSTILE}'\r\n")),
        ("- a known error with more", format!("{INFO}-ERR 'Authorization Violation {HOSTILE}'\r\n")),
        ("a violation", format!("{INFO}-ERR 'Permissions Violation for Publish to \"{HOSTILE}\"'\r\n")),
        ("- no NATS server", format!("H{HOSTILE}\r\n")),
        ("- INFO without JSON", format!("INFO {{\"txt\":{HOSTILE}}}\r\n")),
        ("- INFO with another type", format!("INFO {{\"max_payload\":\"{IN_JSON}\"}}\r\n")),
    ] {
        let error = refusal(said).await;
        shown.error(what, &error);
    }
    shown.note("the log", lines.at(Level::TRACE).join(" "));
    shown.is_clean();
}

/// Greets with hostile names, refuses what is published, and sends a message with a hostile subject.
async fn hostile_server() -> Fake {
    Fake::start(|mut conversation: Conversation, number| async move {
        let names = format!(
            "\"server_name\":\"{IN_JSON}\",\"version\":\"2.15.1{IN_JSON}\",\"cluster\":\"{IN_JSON}\",\"domain\":\"{IN_JSON}\",\
             \"connect_urls\":[\"{IN_JSON}:4222\",\"b.example{IN_JSON}:4222\"],"
        );
        conversation.say(INFO.replace("\"server_name\":\"fake\",\"version\":\"2.15.1\",", &names)).await;
        while let Some(line) = conversation.hear().await {
            if line == "PING" {
                conversation.say("PONG\r\n").await;
            } else if let Some(sid) = line.strip_prefix("SUB work ") {
                conversation.say(format!("MSG work.{HOSTILE} {sid} 2\r\nhi\r\n")).await;
            } else if line.starts_with("SUB refused ") {
                let queue = format!("\"refused\" using queue \"{HOSTILE}\"");
                conversation.say(format!("-ERR 'Permissions Violation for Subscription to {queue}'\r\n")).await;
                conversation.say(format!("-ERR '{HOSTILE}'\r\n")).await;
            } else if line.starts_with("PUB end ") && number == 0 {
                conversation.say(format!("-ERR 'closing {HOSTILE}'\r\n")).await;
                return;
            } else if line.starts_with("PUB ") {
                conversation.say(format!("-ERR 'Permissions Violation for Publish to \"a{HOSTILE}\"'\r\n")).await;
            }
        }
    })
    .await
}

// Fault H5
#[tokio::test]
async fn events_health_and_log_show_no_control_characters_of_the_server() {
    let lines = Lines::default();
    let _guard = lines.keep();
    let mut shown = Shown::default();
    let fake = hostile_server().await;
    let (sender, mut compat) = tokio::sync::mpsc::unbounded_channel();
    let options = ConnectOptions::new().event_callback(move |event| {
        let sender = sender.clone();
        async move { drop(sender.send(event)) }
    });
    let client: Client = soon("a connection", options.connect(fake.url())).await.unwrap();
    let mut events = client.events();

    let router = client
        .router()
        .route("work", |message: nats_lifeline::Message| async move {
            Err::<(), _>(format!("{}{HOSTILE}", message.subject))
        })
        .start()
        .await
        .unwrap();
    eventually("the handler fails", SOON, async || router.report().failed == 1).await;
    // Its refusal is about somebody else's queue group.
    let _refused = client.subscribe("refused").await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    if let PublishOutcome::NotSent { error, .. } = client.publish_confirmed(format!("a{HOSTILE}"), "".into()).await {
        shown.error("a refused message", &error);
    }
    client.publish("end", "".into()).await.unwrap();
    let mut status = client.status_watch();
    soon("a reconnect", async {
        while !matches!(events.recv().await, Some(nats_lifeline::connection::ConnectionEvent::Reconnected { .. })) {}
    })
    .await;
    assert_eq!(status.status(), nats_lifeline::connection::Status::Connected);
    shown.note("health", format!("{:?}", client.health_snapshot()));
    let info: ServerInfo = client.server_info();
    shown.note("INFO", format!("{info:?}"));
    for server in client.server_pool().await.unwrap() {
        shown.note("- the pool", format!("{server} {server:?}"));
    }
    soon("the end", client.close()).await.ok();
    while status.changed().await.is_some() {}
    while let Some(event) = events.recv().await {
        shown.note("an event", format!("{event:?}"));
    }
    while let Ok(event) = compat.try_recv() {
        shown.value("an event of async-nats", &event);
    }
    for line in lines.at(Level::TRACE) {
        shown.note("the log", line);
    }
    shown.is_clean();
    assert!(shown.0.iter().any(|(what, text)| what == "the log" && text.contains("a handler failed")), "{:?}", shown.0);
}

// Fault H5: the paths of files and the texts of callbacks were shown as they are
#[tokio::test]
async fn errors_show_no_control_characters_of_callers_and_files() {
    let lines = Lines::default();
    let _guard = lines.keep();
    let mut shown = Shown::default();
    let fake = Fake::start(|mut conversation: Conversation, _| async move {
        conversation.handshake().await;
        conversation.serve().await;
    })
    .await;

    let hostile = format!("{HOSTILE}\r\n");
    let bad = format!("nats://{hostile}:4222x");
    shown.error("an address", &bad.parse::<ServerAddr>().unwrap_err());
    shown.error("a list of addresses", &nats_lifeline::connect(vec![bad.as_str()]).await.unwrap_err());
    shown.value("an error of a callback", &AuthError::new(&hostile));
    let text = hostile.clone();
    let callback = ConnectOptions::with_auth_callback(move |_| std::future::ready(Err(AuthError::new(&text))));
    let error = soon("an error", callback.connect(fake.url())).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Authentication);
    shown.error("a callback", &error);
    shown.value("the source of an error", &PublishError::with_source(PublishErrorKind::Send, hostile.clone()));
    let inner = PublishError::with_source(PublishErrorKind::Send, hostile.clone());
    shown.value("a source of a source", &RequestError::with_source(RequestErrorKind::Other, inner));
    let options = ConnectOptions::new().custom_inbox_prefix(&hostile);
    shown.error("an inbox prefix", &soon("an error", options.connect(fake.url())).await.unwrap_err());

    let client = soon("a connection", nats_lifeline::connect(fake.url())).await.unwrap();
    let router = client.router().dead_letters(format!("{HOSTILE}..")).route("work", |_| async { Ok::<_, String>(()) });
    shown.error("dead letters", &router.start().await.unwrap_err());
    let error = client.publish(hostile.clone(), "".into()).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::InvalidSubject);
    shown.error("a refused subject", &error);
    shown.error("a refused subscription", &client.subscribe(hostile.clone()).await.unwrap_err());
    shown.error("a refused queue group", &client.queue_subscribe("a", hostile.clone()).await.unwrap_err());
    shown.error("a refused request", &client.request(hostile.clone(), "".into()).await.unwrap_err());
    let error = client.try_publish(hostile.clone(), "".into()).unwrap_err();
    assert_eq!(error.kind(), TryPublishErrorKind::InvalidSubject);
    shown.error("a refused subject that is returned", &error);
    let mut headers = HeaderMap::new();
    headers.insert("Reply", HOSTILE);
    shown.note("headers", format!("{headers:?}"));

    #[cfg(feature = "nkeys")]
    shown.error("a credentials file", &ConnectOptions::with_credentials_file(&hostile).await.unwrap_err());
    #[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
    for (what, options) in [
        ("root certificates", ConnectOptions::new().add_root_certificates((&hostile).into())),
        ("a client certificate", ConnectOptions::new().add_client_certificate((&hostile).into(), "key".into())),
    ] {
        shown.error(what, &soon("an error", options.require_tls(true).connect(fake.url())).await.unwrap_err());
    }
    shown.note("the log", lines.at(Level::TRACE).join(" "));
    shown.is_clean();
}
