//! Server addresses: what is read, what is refused, and that no secret is shown.

use super::*;
use crate::protocol::ToServerAddrs;
use std::collections::HashSet;

fn addr(text: &str) -> ServerAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn parts_and_defaults() {
    for (text, scheme, host, port) in [
        ("localhost", "nats", "localhost", 4222),
        ("localhost:4223", "nats", "localhost", 4223),
        ("nats://demo.nats.io", "nats", "demo.nats.io", 4222),
        ("tls://demo.nats.io:443/", "tls", "demo.nats.io", 443),
        ("TLS://Demo", "tls", "Demo", 4222),
        ("ws://a", "ws", "a", 80),
        ("wss://a", "wss", "a", 443),
        ("wss://a:4444", "wss", "a", 4444),
        ("127.0.0.1:1", "nats", "127.0.0.1", 1),
        ("[::1]", "nats", "::1", 4222),
        ("nats://[fe80::1]:65535", "nats", "fe80::1", 65535),
        ("  nats://a:1 \n", "nats", "a", 1),
        ("under_score", "nats", "under_score", 4222),
        ("bücher.example", "nats", "bücher.example", 4222),
    ] {
        let addr = addr(text);
        assert_eq!((addr.scheme(), addr.host(), addr.port()), (scheme, host, port), "{text}");
        assert_eq!(addr.tls_required(), scheme == "tls");
        assert_eq!(addr.is_websocket(), scheme.starts_with("ws"));
        assert!(!addr.has_user_pass() && addr.token().is_none());
        assert_eq!(addr.as_url_str().parse::<ServerAddr>().unwrap(), addr);
    }
    assert_eq!(addr("localhost:4222").as_url_str(), "nats://localhost:4222");
}

#[test]
fn credentials_are_decoded() {
    for (text, user, password, token) in [
        ("nats://u:p@h", Some("u"), Some("p"), None),
        ("nats://t@h", Some("t"), None, Some("t")),
        ("u:p@h", Some("u"), Some("p"), None),
        ("nats://u:@h", Some("u"), Some(""), None),
        ("nats://:p@h", None, Some("p"), None),
        ("nats://@h", None, None, None),
        ("nats://a%40b:c%3Ad%2F@h", Some("a@b"), Some("c:d/"), None),
        ("nats://u:100%@h", Some("u"), Some("100%"), None),
        ("nats://u:%zz@h", Some("u"), Some("%zz"), None),
        ("nats://u:p:q@h", Some("u"), Some("p:q"), None),
        ("nats://u:p@q@h", Some("u"), Some("p@q"), None),
        ("nats://%C3%A9@h", Some("é"), None, Some("é")),
    ] {
        let addr = addr(text);
        assert_eq!((addr.username(), addr.password()), (user, password), "{text}");
        assert_eq!(addr.token(), token, "{text}");
        assert_eq!(addr.host(), "h");
    }
}

#[test]
fn what_is_refused_is_named_with_its_rule() {
    for (text, rule) in [
        ("", "the host is missing"),
        ("nats://", "the host is missing"),
        (":4222", "the host is missing"),
        ("http://a", "the scheme must be"),
        ("://a", "the scheme must be"),
        ("a:b", "the port must be a number"),
        ("a:", "the port must be a number"),
        ("a:+1", "the port must be a number"),
        ("a:0", "within 1 and 65535"),
        ("a:65536", "within 1 and 65535"),
        ("a:99999999999999999999", "within 1 and 65535"),
        ("::1", "must be in brackets"),
        ("nats://fe80::1:4222", "must be in brackets"),
        ("[::1", "the bracket is not closed"),
        ("[::1]4222", "only a port may follow"),
        ("[127.0.0.1]", "must be an IPv6 address"),
        ("[]", "must be an IPv6 address"),
        ("a/b", "nothing may follow"),
        ("a?b", "nothing may follow"),
        ("nats://a//", "nothing may follow"),
        ("a b", "no host name has"),
        ("a\r\nb", "no host name has"),
        ("a\0", "no host name has"),
        ("a,b", "not a list"),
        ("a:1,b:2", "not a list"),
        ("1.2.3", "looks like an IPv4 address"),
        ("1.2.3.256", "looks like an IPv4 address"),
        ("nats://%ff:x@h", "must be UTF-8"),
    ] {
        let error = text.parse::<ServerAddr>().expect_err(text);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let shown = error.to_string();
        assert!(shown.contains(rule), "{text:?}: {shown}");
        assert!(shown.contains("invalid server address"), "{shown}");
    }
}

fn list(text: &str) -> Vec<ServerAddr> {
    text.to_server_addrs().unwrap_or_else(|error| panic!("{text:?}: {error}")).collect()
}

// Fault D3: the lists of our tests were slices, as async-nats has them; nobody had copied a line from a configuration.
#[test]
fn a_text_may_be_a_list() {
    for (text, parts) in [
        ("a", &["a"][..]),
        ("nats://a:4222,nats://b:4222", &["nats://a:4222", "nats://b:4222"]),
        (" a , b:1 ,tls://c ", &["a", "b:1", "tls://c"]),
        ("nats://u:p@a,nats://v:q@b", &["nats://u:p@a", "nats://v:q@b"]),
        ("u:p@a,v:q@b,s3cret@c", &["u:p@a", "v:q@b", "s3cret@c"]),
        ("nats://u:p@a,b,[::1]:7", &["nats://u:p@a", "b", "[::1]:7"]),
        ("a,nats://u:p@b", &["a", "nats://u:p@b"]),
        // Passwords with a comma, which the first programs have written as it is.
        ("nats://u:p,q@a", &["nats://u:p%2Cq@a"]),
        ("nats://u:1,q@a", &["nats://u:1%2Cq@a"]),
        ("nats://u:p,@a", &["nats://u:p%2C@a"]),
        ("nats://u:p%2Cq@a,nats://b", &["nats://u:p%2Cq@a", "nats://b"]),
    ] {
        let expected: Vec<ServerAddr> = parts.iter().map(|part| addr(part)).collect();
        assert_eq!(list(text), expected, "{text:?}");
        assert_eq!(text.to_owned().to_server_addrs().unwrap().collect::<Vec<_>>(), expected);
        let doubled: Vec<_> = [text, "z"].as_slice().to_server_addrs().unwrap().collect();
        assert_eq!(doubled.len(), expected.len() + 1);
        let doubled: Vec<_> = vec![text.to_owned(), text.to_owned()].to_server_addrs().unwrap().collect();
        assert_eq!(doubled.len(), 2 * expected.len());
    }
}

// Fault D3
#[test]
fn a_bad_part_of_a_list_is_named_and_no_secret_with_it() {
    for (text, rule) in [
        ("a,", "part 2 of the list: it is empty"),
        (",a", "part 1 of the list: it is empty"),
        ("a,,b", "part 2 of the list: it is empty"),
        ("a, ,b", "part 2 of the list: it is empty"),
        (",", "part 1 of the list: it is empty"),
        ("a,b:x", "part 2 of the list: the port must be a number"),
        ("a,http://b", "part 2 of the list: the scheme must be"),
        ("nats://u:s3cret@a,b:x", "part 2 of the list: the port"),
        ("nats://u:s3,s3cret@a:x", "part"),
        ("nats://u:s3cret,s3@a:x,b", "part"),
    ] {
        let error = text.to_server_addrs().map(|_| ()).expect_err(text);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(rule), "{text:?}: {error}");
        assert!(!error.to_string().contains("s3"), "{text:?}: {error}");
        assert!([text].as_slice().to_server_addrs().is_err());
    }
}

#[test]
fn no_secret_is_shown() {
    for text in ["nats://ada:s3cret@h:4222", "nats://s3cret@h:4222", "tls://ada:s3cret@q@h", "ada:s3cret@h"] {
        let addr = addr(text);
        let shown = format!("{addr} {addr:?} {addr:#?}");
        assert!(!shown.contains("s3cret") && !shown.contains("ada"), "{shown}");
        assert!(shown.contains("***@"), "{shown}");
        assert!(addr.as_url_str().contains("s3cret"));
    }
    for bad in [
        "nats://ada:s3cret@",
        "nats://ada:s3cret@h:x",
        "http://ada:s3cret@h",
        "nats://ada:s3/cret@h",
        "nats://ada:s3://cret@h",
        "ada:s3cret://x@h",
        "nats://ada:s3cret@h/path",
    ] {
        let shown = bad.parse::<ServerAddr>().expect_err(bad).to_string();
        assert!(!shown.contains("s3") && !shown.contains("cret"), "{bad}: {shown}");
    }
}

#[test]
fn gossip_inherits_scheme_and_credentials() {
    let seed = addr("tls://ada:p%40ss@seed:4222/");
    let told = ServerAddr::from_gossip("10.0.0.2:4333", &seed).unwrap();
    assert_eq!((told.scheme(), told.host(), told.port()), ("tls", "10.0.0.2", 4333));
    assert_eq!((told.username(), told.password()), (Some("ada"), Some("p@ss")));
    assert_eq!(told.as_url_str(), "tls://ada:p%40ss@10.0.0.2:4333");
    assert_eq!(told.as_url_str().parse::<ServerAddr>().unwrap(), told);

    let seed = addr("seed");
    let told = |entry| ServerAddr::from_gossip(entry, &seed);
    assert_eq!(told("[::1]:4333").unwrap().host(), "::1");
    assert_eq!(told("h").unwrap().port(), 4222);
    assert_eq!(told("tls://h:1").unwrap().scheme(), "nats");
    for bad in ["", ":4222", "a:0", "u:s3cret@h:1", "::1:4222", "a b:1", "a:1/x"] {
        let error = told(bad).expect_err(bad);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(!error.to_string().contains("s3cret"));
    }
}

#[test]
fn equal_is_what_means_the_same() {
    let same = ["nats://Host", "nats://host:4222", "host", "HOST:4222/"];
    let set: HashSet<_> = same.iter().map(|text| addr(text)).collect();
    assert_eq!(set.len(), 1);
    for other in ["tls://host", "host:4223", "u@host", "hosts"] {
        assert_ne!(addr(other), addr("host"), "{other}");
    }
    assert!(addr("tls://u:p@Host").same_endpoint(&addr("host:4222")));
    assert!(!addr("host").same_endpoint(&addr("host:4223")));
}

#[test]
fn everything_that_gives_addresses_does() {
    fn count<A: ToServerAddrs>(addrs: A) -> usize {
        addrs.to_server_addrs().map(Iterator::count).unwrap_or(usize::MAX)
    }
    assert_eq!(count("a"), 1);
    let (text, one) = ("a".to_owned(), addr("a"));
    assert_eq!(count(&text) + count(text), 2);
    assert_eq!(count(&one) + count(one), 2);
    assert_eq!(count(["a", "b"].as_slice()), 2);
    assert_eq!(count(vec!["a", "b"]), 2);
    assert_eq!(count(vec!["a".to_owned()]), 1);
    assert_eq!(count(vec![addr("a"), addr("b")]), 2);
    assert_eq!(count([addr("a")].as_slice()), 1);
    assert_eq!(count("a,b"), 2);
    assert_eq!(count("a,"), usize::MAX);
    assert_eq!(count(vec!["a", "b:x"]), usize::MAX);
}

#[test]
fn an_ip_address_that_came_by_gossip_keeps_the_name_for_its_certificate() {
    let seed: ServerAddr = "tls://nats.example:4443".parse().unwrap();
    let bare = ServerAddr::from_gossip("10.0.0.7:4222", &seed).unwrap();
    assert_eq!((bare.host(), bare.tls_host(), bare.tls_required()), ("10.0.0.7", "nats.example", true));
    let further = ServerAddr::from_gossip("[::1]:4222", &bare).unwrap();
    assert_eq!((further.host(), further.tls_host()), ("::1", "nats.example"), "over several steps");
    let named = ServerAddr::from_gossip("other.example:4222", &bare).unwrap();
    assert_eq!((named.host(), named.tls_host()), ("other.example", "other.example"));
    let seed: ServerAddr = "tls://10.0.0.1".parse().unwrap();
    assert_eq!(ServerAddr::from_gossip("10.0.0.7:4222", &seed).unwrap().tls_host(), "10.0.0.7");
}
