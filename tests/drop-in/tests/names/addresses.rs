//! Server addresses: their parts, and the types from which they are made.

use async_nats::{ServerAddr, ToServerAddrs};

fn count<A: ToServerAddrs>(addrs: A) -> usize {
    addrs.to_server_addrs().map_or(0, Iterator::count)
}

#[test]
fn an_address_has_its_parts() {
    let addr: ServerAddr = "joe:pw@example.com".parse().unwrap();
    assert_eq!((addr.scheme(), addr.host(), addr.port()), ("nats", "example.com", 4222));
    assert_eq!((addr.username(), addr.password(), addr.has_user_pass()), (Some("joe"), Some("pw"), true));
    assert_eq!(addr.as_url_str(), "nats://joe:pw@example.com");
    assert!(!addr.tls_required() && !addr.is_websocket());
    let addr: ServerAddr = "tls://[::1]:4223".parse().unwrap();
    assert_eq!((addr.tls_required(), addr.host(), addr.port()), (true, "::1", 4223));
    let addr: ServerAddr = "wss://example.com".parse().unwrap();
    assert_eq!((addr.is_websocket(), addr.port()), (true, 443));
    let error = "http://example.com".parse::<ServerAddr>().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn addresses_are_made_from_many_types() {
    let addr: ServerAddr = "a".parse().unwrap();
    assert_eq!(count("a") + count(String::from("a")) + count(&addr) + count(addr.clone()), 4);
    assert_eq!(count(vec!["a", "b"]) + count(["a", "b"].as_slice()) + count(vec![String::from("a")]), 5);
    assert_eq!(count(vec![addr.clone()]) + count([addr.clone(), addr].as_slice()), 3);
}

#[test]
fn an_address_is_a_url() {
    let url: url::Url = "tls://ada:pw@example.com:4333".parse().unwrap();
    let addr = ServerAddr::from_url(url.clone()).unwrap();
    assert_eq!((addr.host(), addr.port(), addr.username()), ("example.com", 4333, Some("ada")));
    assert_eq!(addr.into_inner(), url);
    assert!(ServerAddr::from_url("http://example.com".parse().unwrap()).is_err());
}

#[tokio::test]
async fn an_address_is_looked_up() {
    let addr: ServerAddr = "127.0.0.1:4223".parse().unwrap();
    let found: Vec<std::net::SocketAddr> = addr.socket_addrs().await.unwrap().collect();
    assert_eq!(found, ["127.0.0.1:4223".parse().unwrap()]);
}
