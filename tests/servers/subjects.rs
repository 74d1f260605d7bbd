//! How real servers treat subjects, compared with the rules of this crate: which SUBs they accept, and which messages
//! arrive.

use futures_util::StreamExt;
use nats_lifeline::protocol::{SubjectFault, check_subscribe_subject, matches};
use nats_lifeline::{ConnectOptions, Event, PublishErrorKind, SubscribeErrorKind};

use crate::support::{CallbackLog, RawClient, Server, debian_server, soon};

/// Subjects to subscribe to: valid, invalid and unusual.
const PATTERNS: &[&str] = &[
    "foo",
    "foo.bar",
    "*",
    "foo.*",
    "*.bar",
    "foo.*.bar",
    ">",
    "foo.>",
    "*.>",
    // Not wildcards: they are not whole tokens.
    "foo*",
    "fo>",
    ">foo",
    "foo.>x",
    "foo.x>.bar",
    "foo.>>.bar",
    "**",
    ">>",
    // `>` is not the last token.
    "foo.>.bar",
    "foo.>.>",
    ">.foo",
    ">.>",
    "*.>.*",
    // Empty tokens.
    ".foo",
    "foo.",
    "foo..bar",
    ".",
    ">.",
    "foo.>.",
];

/// Subjects to publish to, each with itself as payload. Servers forward all of these unless a client asks them to be
/// pedantic.
const SUBJECTS: &[&str] = &[
    "foo",
    "bar",
    "foo.bar",
    "bar.bar",
    "foo.x.bar",
    "foo.x.y",
    "foo*",
    "fo>",
    ">foo",
    "foo.>x",
    "foo.x>.bar",
    "foo.>>.bar",
    "**",
    ">>",
    "foo.>.bar",
    "foo.>.>",
    ">.foo",
    "x.>.y",
];

/// The default server, and the oldest one that the client is tested against, if installed.
async fn servers() -> Vec<Server> {
    let mut servers = vec![Server::start().await];
    if let Some(binary) = debian_server() {
        servers.push(Server::builder().binary(&binary).start().await);
    }
    servers
}

#[tokio::test]
async fn a_server_accepts_exactly_the_subscriptions_that_the_rules_allow() {
    for server in servers().await {
        let mut observer = RawClient::connect(server.port()).await;
        for (sid, pattern) in PATTERNS.iter().enumerate() {
            let before = observer.errors().len();
            observer.subscribe(pattern, &sid.to_string()).await;
            let refused = &observer.errors()[before..];
            match check_subscribe_subject(pattern.as_bytes()) {
                Ok(()) => assert!(refused.is_empty(), "{pattern}: {refused:?}"),
                Err(fault) => assert_eq!(refused, ["Invalid Subject"], "{pattern}: {fault}"),
            }
        }
        for subject in SUBJECTS {
            observer.publish(subject, subject).await;
        }
        let mut received: Vec<(String, String)> =
            observer.received().await.into_iter().map(|message| (message.sid.clone(), message.text())).collect();
        received.sort();
        let taken = PATTERNS.iter().enumerate().filter(|(_, p)| check_subscribe_subject(p.as_bytes()).is_ok());
        let mut expected: Vec<(String, String)> = taken
            .flat_map(|(sid, pattern)| {
                let reached = SUBJECTS.iter().filter(|subject| matches(pattern.as_bytes(), subject.as_bytes()));
                reached.map(move |subject| (sid.to_string(), (*subject).to_owned()))
            })
            .collect();
        expected.sort();
        assert_eq!(received, expected);
    }
}

#[tokio::test]
async fn subjects_that_a_server_would_refuse_are_errors_and_not_sent() {
    let server = Server::start().await;
    let log = CallbackLog::new();
    let client = ConnectOptions::new().event_callback(log.callback()).connect(server.url()).await.unwrap();
    for pattern in PATTERNS {
        let expected = check_subscribe_subject(pattern.as_bytes()).err();
        let refused = client.subscribe(*pattern).await.err();
        assert_eq!(refused.as_ref().map(|error| error.kind()), expected.map(|_| SubscribeErrorKind::InvalidSubject));
        let fault = refused.as_ref().and_then(|error| error.source_as::<SubjectFault>());
        assert_eq!(fault, expected.as_ref(), "{pattern}");
    }
    let error = client.subscribe("foo.>.bar").await.unwrap_err();
    assert_eq!(error.source_as::<SubjectFault>(), Some(&SubjectFault::RestInside { at: 4 }));
    assert_eq!(error.to_string(), "invalid subject: \"foo.>.bar\": `>` at byte 4 is not the last token");
    // The server has processed everything without an error.
    soon("a round trip", client.flush()).await.unwrap();
    let complaints = log.count(|event| matches!(event, Event::ServerError(_)));
    assert_eq!(complaints, 0, "{:?}", log.all());
}

/// The guide's pitfalls say so: only what would break the protocol is refused, an empty token matches no subscription, and
/// wildcards in a message are ordinary characters.
#[tokio::test]
async fn a_message_may_have_a_subject_with_empty_tokens_and_wildcards_but_no_separators() {
    let server = Server::start().await;
    let client = ConnectOptions::new().connect(server.url()).await.unwrap();
    let mut all = client.subscribe(">").await.unwrap();
    for subject in ["", "a b", "a\tb", "a\r", "a\nb"] {
        let error = client.publish(subject, "x".into()).await.unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::InvalidSubject, "{subject:?}");
    }
    for subject in ["a..b", ".a", "a.", "a.*", "a.>", "a.b"] {
        client.publish(subject, "x".into()).await.unwrap();
    }
    soon("a round trip", client.flush()).await.unwrap();
    for subject in ["a.*", "a.>", "a.b"] {
        assert_eq!(soon("a message", all.next()).await.unwrap().subject.as_str(), subject);
    }
}
