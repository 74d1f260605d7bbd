//! A build without the feature `tls`: requests for TLS fail with a specific error, and nothing is sent unencrypted.

use nats_lifeline::{ConnectErrorKind, ConnectOptions};

use crate::support::{Authority, Proxy, Server, soon};

#[tokio::test]
async fn requests_for_tls_are_refused_with_a_specific_error() {
    let authority = Authority::new();
    let plain = Server::start().await;
    let secure = Server::builder().line(authority.server(&["localhost"]).tls("")).start().await;
    for (server, scheme, required, first, why) in [
        (&secure, "nats", false, false, "the server requires TLS"),
        (&secure, "tls", false, false, "requires TLS"),
        (&plain, "tls", false, false, "the address asks for TLS"),
        (&plain, "nats", true, false, "the options ask for TLS"),
        (&plain, "nats", false, true, "tls_first asks for TLS"),
    ] {
        let proxy = Proxy::start(server.port()).await;
        let mut options = ConnectOptions::new().require_tls(required).user_and_password("u".into(), "hunter2".into());
        if first {
            options = options.tls_first();
        }
        let error =
            soon("a refusal", options.connect(format!("{scheme}://localhost:{}", proxy.port()))).await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Tls, "{error}");
        let text = error.to_string();
        assert!(text.contains(why) && text.contains("without the feature `tls`"), "{text}");
        assert!(proxy.passages().iter().all(|passage| passage.sent.is_empty()), "in clear");
    }
}

#[tokio::test]
async fn a_plain_server_works() {
    let server = Server::builder().user_and_password("u", "p").start().await;
    let options = ConnectOptions::new().user_and_password("u".into(), "p".into());
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
}
