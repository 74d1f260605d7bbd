//! The two JSON documents: INFO parses as its JSON, and CONNECT is one line, whatever its values.

use nats_lifeline::protocol::{ClientOp, ConnectInfo, Decoded, Decoder, Info, Limits, ServerAddr, ServerInfo, connect};
use serde_json::Value;

use super::choices::Choices;

/// INFO's text, or decisions about a CONNECT.
pub fn info(input: &[u8]) {
    let mut choices = Choices::new(input);
    if choices.flag() {
        info_is_what_the_json_says(choices.rest());
    } else {
        connect_is_one_line(&mut choices);
    }
}

fn info_is_what_the_json_says(json: &[u8]) {
    let value = serde_json::from_slice::<Value>(json).ok().filter(Value::is_object);
    let (info, value) = match (Info::parse(json), value) {
        (Ok(info), Some(value)) => (info, value),
        (Err(_), None) => return,
        (info, value) => panic!("{info:?}, and the JSON is {value:?}"),
    };
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or_default();
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    assert_eq!([text("server_id"), text("version"), text("host")], [&info.server_id, &info.version, &info.host]);
    assert_eq!(text("nonce"), info.nonce.as_deref().unwrap_or_default());
    assert_eq!([flag("headers"), flag("tls_required"), flag("ldm")], {
        [info.headers, info.tls_required, info.lame_duck_mode]
    });
    assert_eq!((number("client_id"), number("max_payload")), (info.client_id, info.max_payload));
    assert_eq!(number("port").filter(|port| *port < 1 << 16).unwrap_or(0), u64::from(info.port));
    assert!(info.max_payload() > 0, "a server that takes nothing is of no use");
    let urls = value.get("connect_urls").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    assert!(urls.iter().filter_map(Value::as_str).eq(info.connect_urls.iter().map(String::as_str)));
    let older = ServerInfo::from(&info);
    assert_eq!((older.max_payload, older.connect_urls.len()), (info.max_payload(), info.connect_urls.len()));

    let seed: ServerAddr = "tls://ada:secret@seed:4242".parse().unwrap();
    for addr in info.connect_urls.iter().filter_map(|url| ServerAddr::from_gossip(url, &seed).ok()) {
        assert!(addr.tls_required() && addr.password() == Some("secret"), "{addr} inherits");
        assert_eq!(addr.as_url_str().parse::<ServerAddr>().unwrap(), addr);
    }
}

fn connect_is_one_line(choices: &mut Choices<'_>) {
    let mut text = || choices.flag().then(|| String::from_utf8_lossy(choices.some_bytes()).into_owned());
    let document = ConnectInfo {
        name: text(),
        user: text(),
        pass: text(),
        auth_token: text(),
        user_jwt: text(),
        nkey: text(),
        signature: text(),
        lang: text().unwrap_or_default(),
        ..ConnectInfo::default()
    };
    let mut written = Vec::new();
    connect(&mut written, &document);
    let limits = Limits { line: usize::MAX, ..Limits::default() };
    let step = Decoder::new(limits).decode_client(&written);
    let Ok(Decoded::Op { op: ClientOp::Connect(json), len }) = step else { panic!("{step:?}") };
    assert_eq!(len, written.len());
    let json: Value = serde_json::from_slice(json).unwrap();
    let field = |name: &str| json.get(name).and_then(Value::as_str);
    let ConnectInfo { name, user, pass, auth_token, user_jwt, nkey, signature, lang, .. } = &document;
    for (key, value) in [("name", name), ("user", user), ("pass", pass), ("auth_token", auth_token)] {
        assert_eq!(field(key), value.as_deref());
    }
    for (key, value) in [("jwt", user_jwt), ("nkey", nkey), ("sig", signature)] {
        assert_eq!(field(key), value.as_deref());
    }
    assert_eq!(field("lang"), Some(lang.as_str()));
    // The `Debug` output does not depend on the secrets.
    let other = |secret: &Option<String>| secret.as_ref().map(|_| "another".to_owned());
    let others = ConnectInfo {
        pass: other(pass),
        auth_token: other(auth_token),
        user_jwt: other(user_jwt),
        signature: other(signature),
        ..document.clone()
    };
    assert_eq!(format!("{document:?}"), format!("{others:?}"));
}
