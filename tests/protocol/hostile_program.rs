//! Whatever text a program passes in, the bytes sent are one operation for each accepted call, made of that text and
//! nothing else.

use crate::generated::{any_text, laws};
use crate::wire::{Body, Op};
use bytes::Bytes;
use nats_lifeline::protocol::{
    ClientOp, Decoded, Decoder, HeaderMap, HeaderName, HeaderValue, check_publish_subject, check_queue_name,
    check_subscribe_subject, matches, message,
};
use nats_lifeline::{Client, ConnectOptions, Request};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// The value of a future that must be ready soon, even on a loaded machine; a hang becomes a named failure.
async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let done = tokio::time::timeout(Duration::from_secs(20), future).await;
    done.unwrap_or_else(|_| panic!("no end within 20 s: {what}"))
}

#[derive(Clone, Debug)]
enum Call {
    Publish { subject: String, reply: Option<String>, headers: Vec<(String, String)>, payload: Vec<u8> },
    Request { subject: String, inbox: Option<String>, payload: Vec<u8> },
    Subscribe { subject: String, queue: Option<String> },
}

/// Names that are valid more often than arbitrary text.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![1 => any_text(), 1 => "[a-z*>]{1,3}(\\.[a-z*>]{1,3}){0,2}"]
}

fn call() -> impl Strategy<Value = Call> {
    let payload = || prop_oneof![vec(any::<u8>(), 0..20), any_text().prop_map(String::into_bytes)];
    prop_oneof![
        3 => (name(), option::of(name()), vec((name(), any_text()), 0..3), payload())
            .prop_map(|(subject, reply, headers, payload)| Call::Publish { subject, reply, headers, payload }),
        1 => (name(), option::of(name()), payload())
            .prop_map(|(subject, inbox, payload)| Call::Request { subject, inbox, payload }),
        2 => (name(), option::of(name())).prop_map(|(subject, queue)| Call::Subscribe { subject, queue }),
    ]
}

/// The operations that the server has read.
#[derive(Default)]
struct Heard {
    ops: Vec<Op>,
    error: Option<String>,
}

/// A server that records what it receives, and answers PINGs and messages with a reply subject if there is a
/// subscription.
async fn serve(mut stream: DuplexStream, heard: Arc<Mutex<Heard>>) {
    let greeting = b"INFO {\"server_id\":\"N\",\"version\":\"2.15.1\",\"headers\":true,\"max_payload\":1048576}\r\n";
    let _ = stream.write_all(greeting).await;
    let (mut decoder, mut unread) = (Decoder::default(), Vec::new());
    while let Ok(1..) = stream.read_buf(&mut unread).await {
        let mut answer = Vec::new();
        let mut at = 0;
        while at < unread.len() {
            let heard = &mut *heard.lock().unwrap();
            match decoder.decode_client(&unread[at..]) {
                Ok(Decoded::Op { op, len }) => {
                    match op {
                        ClientOp::Ping => answer.extend_from_slice(b"PONG\r\n"),
                        ClientOp::Pub(op) => {
                            for sid in op.reply.map(|reply| listeners(&heard.ops, reply)).unwrap_or_default() {
                                message(&mut answer, op.reply.unwrap(), sid, None, None, b"answer");
                            }
                        }
                        _ => {}
                    }
                    heard.ops.push(op.into());
                    at += len;
                }
                Ok(Decoded::NeedMore(_)) => break,
                Err(error) => return heard.error = Some(error.to_string()),
            }
        }
        unread.drain(..at);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn listeners(ops: &[Op], subject: &[u8]) -> Vec<u64> {
    let subscribed = ops.iter().filter_map(|op| match op {
        Op::Sub(pattern, _, sid) => matches(pattern, subject).then_some(*sid),
        _ => None,
    });
    subscribed.collect()
}

/// Makes the call, and returns the operations that must have been sent: none if it was refused, and then there must be
/// a reason. A reply subject of the client's own is empty here.
async fn make(client: &Client, call: Call, kept: &mut Vec<nats_lifeline::Subscriber>) -> Vec<Op> {
    let good = |subject: &str| check_publish_subject(subject.as_bytes()).is_ok();
    match call {
        Call::Publish { subject, reply, headers, payload } => {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                    map.append(name, value);
                }
            }
            let block = (!map.is_empty()).then(|| map.wire().to_vec());
            let bytes = Bytes::from(payload.clone());
            let made = match (reply.clone(), block.is_some()) {
                (None, false) => client.publish(subject.clone(), bytes).await,
                (None, true) => client.publish_with_headers(subject.clone(), map, bytes).await,
                (Some(reply), false) => client.publish_with_reply(subject.clone(), reply, bytes).await,
                (Some(reply), true) => client.publish_with_reply_and_headers(subject.clone(), reply, map, bytes).await,
            };
            assert_eq!(made.is_ok(), good(&subject) && reply.as_deref().is_none_or(good), "{made:?}");
            let reply = reply.map(String::into_bytes);
            let op = Op::Pub(Body { subject: subject.into_bytes(), reply, headers: block, payload });
            made.map(|()| vec![op]).unwrap_or_default()
        }
        Call::Request { subject, inbox, payload } => {
            let mut request = Request::new().payload(payload.clone().into());
            if let Some(inbox) = inbox.clone() {
                request = request.inbox(inbox);
            }
            let answer = soon("an answer", client.send_request(subject.clone(), request)).await;
            let may_listen = inbox.as_deref().is_none_or(|inbox| check_subscribe_subject(inbox.as_bytes()).is_ok());
            assert_eq!(answer.is_ok(), good(&subject) && may_listen, "{answer:?}");
            let mut ops = Vec::new();
            if let Some(inbox) = inbox.as_ref().filter(|_| may_listen) {
                ops.push(Op::Sub(inbox.clone().into_bytes(), None, 0));
            }
            if answer.is_ok() {
                let reply = Some(inbox.unwrap_or_default().into_bytes());
                ops.push(Op::Pub(Body { subject: subject.into_bytes(), reply, headers: None, payload }));
            }
            ops
        }
        Call::Subscribe { subject, queue } => {
            let made = match queue.clone() {
                None => client.subscribe(subject.clone()).await,
                Some(queue) => client.queue_subscribe(subject.clone(), queue).await,
            };
            let may = check_subscribe_subject(subject.as_bytes()).is_ok()
                && queue.as_ref().is_none_or(|queue| check_queue_name(queue.as_bytes()).is_ok());
            assert_eq!(made.is_ok(), may);
            let Ok(subscriber) = made else { return Vec::new() };
            let op = Op::Sub(subject.into_bytes(), queue.map(String::into_bytes), subscriber.sid());
            kept.push(subscriber);
            vec![op]
        }
    }
}

/// The client's own inbox has a random name, and the sids of its own subscriptions do not matter.
fn without_own_names(op: Op, own: &[u8]) -> Option<Op> {
    let is_own = |subject: &[u8]| subject.starts_with(own);
    match op {
        Op::Ping | Op::Pong | Op::Connect(_) | Op::Unsub(..) => None,
        Op::Sub(subject, None, _) if is_own(&subject) => None,
        Op::Sub(subject, queue, _) => Some(Op::Sub(subject, queue, 0)),
        Op::Pub(body) if body.reply.as_deref().is_some_and(is_own) => {
            Some(Op::Pub(Body { reply: Some(Vec::new()), ..body }))
        }
        op => Some(op),
    }
}

async fn session(name: String, user: String, password: String, token: String, calls: Vec<Call>) {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let ears = Arc::clone(&heard);
    let options = ConnectOptions::new()
        .name(&name)
        .user_and_password(user.clone(), password.clone())
        .token(token.clone())
        .custom_inbox_prefix("_OWN")
        .dialer(move |_| {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(serve(theirs, Arc::clone(&ears)));
            async move { Ok(ours) }
        });
    let client = soon("a connection", options.connect("nowhere")).await.unwrap();
    let (mut expected, mut kept) = (Vec::new(), Vec::new());
    for call in calls {
        expected.extend(make(&client, call, &mut kept).await);
    }
    soon("a round trip", client.flush()).await.unwrap();
    let (ops, error) = {
        let heard = heard.lock().unwrap();
        (heard.ops.clone(), heard.error.clone())
    };
    assert_eq!(error, None);
    let (first, rest) = ops.split_first().unwrap();
    let Op::Connect(json) = first else { panic!("{first:?}") };
    let said: serde_json::Value = serde_json::from_slice(json).unwrap();
    for (field, text) in [("name", &name), ("user", &user), ("pass", &password), ("auth_token", &token)] {
        assert_eq!(said[field].as_str(), Some(text.as_str()), "{field}");
    }
    assert!(rest.iter().all(|op| !matches!(op, Op::Connect(_))));
    let own = |op: &Op| without_own_names(op.clone(), b"_OWN.");
    let heard: Vec<Op> = rest.iter().filter_map(own).collect();
    let expected: Vec<Op> = expected.iter().filter_map(own).collect();
    assert_eq!(heard, expected);
    soon("the end", client.close()).await.unwrap();
}

proptest! {
    #![proptest_config(laws(200))]

    #[test]
    fn the_bytes_sent_are_those_that_were_accepted(
        name in any_text(),
        user in any_text(),
        password in any_text(),
        token in any_text(),
        calls in vec(call(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(session(name, user, password, token, calls));
    }
}
