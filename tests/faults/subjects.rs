//! Fault H6: no subject that breaks the protocol reaches the wire, whatever validation is skipped.

use bytes::Bytes;
use futures_util::SinkExt;
use nats_lifeline::client::{PublishOutcome, Request, TryPublishErrorKind};
use nats_lifeline::message::OutboundMessage;
use nats_lifeline::options::OverflowPolicy;
use nats_lifeline::{ConnectOptions, HeaderMap, PublishErrorKind, RequestErrorKind, Subject};

use crate::support::ports::Ports;
use crate::support::soon;

// Fault H6: `skip_subject_validation` was tested with good subjects only.
#[tokio::test]
async fn blanks_and_line_ends_are_refused_even_if_validation_is_skipped() {
    let ports = Ports::reserve();
    let options = ConnectOptions::new()
        .skip_subject_validation(true)
        .reconnect_buffer_size(10_000)
        .overflow_policy(OverflowPolicy::DropOldest)
        .retry_on_initial_connect();
    let client = options.connect(format!("127.0.0.1:{}", ports.client())).await.unwrap();
    let payload = Bytes::from(vec![b'x'; 600]);
    for bad in ["", " ", "a b", "a\tb", "a b c d e", "a\rb", "a\nb", "a\r\nPUB b 0\r\n\r\n", "a ", " a"] {
        let invalid = Some(PublishErrorKind::InvalidSubject);
        let kinds = async {
            let subject = Subject::from(bad);
            let message = |subject, reply| OutboundMessage { subject, reply, payload: payload.clone(), headers: None };
            let mut headers = HeaderMap::new();
            headers.insert("A", "b");
            let mut kinds = vec![
                client.publish(bad.to_owned(), payload.clone()).await.err().map(|error| error.kind()),
                client.publish_with_reply("a", subject.clone(), payload.clone()).await.err().map(|error| error.kind()),
                client.publish_with_headers(subject.clone(), headers, payload.clone()).await.err().map(|e| e.kind()),
                client.publish_critical(subject.clone(), payload.clone()).await.err().map(|error| error.kind()),
                client.clone().send(message(subject.clone(), None)).await.err().map(|error| error.kind()),
                client.clone().send(message("a".into(), Some(subject.clone()))).await.err().map(|error| error.kind()),
            ];
            if let PublishOutcome::NotSent { error, .. } =
                client.publish_confirmed(subject.clone(), payload.clone()).await
            {
                kinds.push(Some(error.kind()));
            }
            let refused = client.try_publish(subject.clone(), payload.clone()).map_err(|error| error.kind());
            assert_eq!(refused, Err(TryPublishErrorKind::InvalidSubject), "{bad:?}");
            let request = client.request(subject.clone(), payload.clone()).await.map_err(|error| error.kind());
            assert_eq!(request.err(), Some(RequestErrorKind::InvalidSubject), "{bad:?}");
            let asked = client.send_request("a", Request::new().inbox(bad.to_owned())).await;
            assert!(asked.is_err(), "{bad:?}");
            kinds
        };
        assert_eq!(soon("answers", kinds).await, [invalid; 7], "{bad:?}");
    }
    assert_eq!(client.stats().accepted, 0);
    // With valid subjects the policy still works.
    for _ in 0..100 {
        soon("accepted", client.publish("a", payload.clone())).await.unwrap();
    }
    let stats = client.stats();
    assert!(stats.balances() && stats.pending_bytes <= 10_000 && stats.lost.overflow > 0, "{stats:?}");
}
