//! The session without a server: what it says, and the facts that it reports. That a server says the same is in
//! `tests/servers/sessions.rs`.

use super::*;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"protocol\":1,\"headers\":true,\"no_responders\":true}\r\n";

/// A client whose CONNECT was accepted, and what it is sent.
fn connected(settings: Settings) -> (Session, Output) {
    let (mut session, mut output) = (Session::new(settings), Output::default());
    assert_eq!(hear(&mut session, &mut output, CONNECT), Ok(Fact::Connected(Vec::new())));
    assert_eq!(output.bytes, b"");
    (session, output)
}

/// The fact of one operation.
fn hear<'a>(session: &mut Session, output: &mut Output, bytes: &'a [u8]) -> Result<Fact<'a>, Ending> {
    match session.read(bytes)? {
        Read::Op { op, len } => {
            assert_eq!(len, bytes.len());
            session.act(&op, output)
        }
        other => panic!("{other:?}"),
    }
}

fn message(subject: &[u8]) -> PubOp<'_> {
    PubOp { subject, reply: None, headers: None, payload: b"x" }
}

fn subscribed(session: &mut Session, output: &mut Output, bytes: &[u8]) -> Key {
    match hear(session, output, bytes) {
        Ok(Fact::Subscribed { key, .. }) => key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_greeting_is_reported_once_and_after_connect() {
    let (mut session, mut output) = (Session::new(Settings::default()), Output::default());
    assert_eq!(hear(&mut session, &mut output, b"PING\r\n"), Ok(Fact::Nothing));
    assert!(session.login().is_none());
    assert_eq!(hear(&mut session, &mut output, CONNECT), Ok(Fact::Connected(Vec::new())));
    assert_eq!(session.login().map(|login| login.protocol), Some(1));
    assert_eq!(hear(&mut session, &mut output, b"PING\r\n"), Ok(Fact::Greeted));
    assert_eq!(hear(&mut session, &mut output, b"PING\r\n"), Ok(Fact::Nothing));
    assert_eq!(hear(&mut session, &mut output, b"PONG\r\n"), Ok(Fact::Pong));
    assert_eq!(output.bytes, b"PONG\r\nPONG\r\nPONG\r\n");
}

#[test]
fn a_subscription_is_counted_by_its_own_name() {
    let (mut session, mut output) = connected(Settings::default());
    let first = subscribed(&mut session, &mut output, b"SUB a 1\r\n");
    assert_eq!(hear(&mut session, &mut output, b"SUB b 1\r\n"), Ok(Fact::Nothing), "a live sid");
    assert_eq!(hear(&mut session, &mut output, b"UNSUB 1 2\r\n"), Ok(Fact::Nothing));
    assert_eq!(output.subscriptions.by_sid(1).unwrap().remaining(), Some(2));
    assert_eq!(output.deliver(first, &message(b"a")), Delivery::Sent);
    assert_eq!(output.subscriptions.get(first).unwrap().remaining(), Some(1));
    let last = output.deliver(first, &message(b"a"));
    assert!(matches!(&last, Delivery::Last(ended) if (ended.key, &*ended.subject) == (first, b"a")), "{last:?}");
    // The sid and its place are used again, and the old name finds nothing.
    let second = subscribed(&mut session, &mut output, b"SUB b 1\r\n");
    assert_ne!(first, second);
    assert_eq!(output.deliver(first, &message(b"a")), Delivery::Refused);
    assert_eq!(output.deliver(second, &message(b"b")), Delivery::Sent);
    assert_eq!(output.bytes, b"MSG a 1 1\r\nx\r\nMSG a 1 1\r\nx\r\nMSG b 1 1\r\nx\r\n");
}

#[test]
fn an_unsub_ends_what_has_had_enough() {
    let (mut session, mut output) = connected(Settings::default());
    for (limit, ends) in
        [("", true), (" 0", true), (" 1", true), (" 2", false), (" 999999999", false), (" 1000000000", true)]
    {
        let key = subscribed(&mut session, &mut output, b"SUB a 1\r\n");
        output.deliver(key, &message(b"a"));
        let unsub = format!("UNSUB 1{limit}\r\n");
        let fact = hear(&mut session, &mut output, unsub.as_bytes()).unwrap();
        assert_eq!(matches!(fact, Fact::Unsubscribed(_)), ends, "{unsub:?}");
        assert_eq!(output.subscriptions.get(key).is_none(), ends, "{unsub:?}");
        output.subscriptions.clear();
    }
    assert_eq!(hear(&mut session, &mut output, b"UNSUB 7\r\n"), Ok(Fact::Nothing), "nobody knows it");
}

#[test]
fn the_table_goes_by_sid_and_uses_its_room_again() {
    let mut table = Subscriptions::default();
    for round in 0..3 {
        for sid in [9, 2, 5] {
            assert!(table.subscribe(sid, b"a", Some(b"g")).is_some(), "{round}");
        }
        assert_eq!(table.iter().map(|it| it.sid).collect::<Vec<_>>(), [2, 5, 9]);
        assert_eq!(table.unsubscribe(5, None).unwrap().sid, 5);
        assert!(table.by_sid(5).is_none());
        assert_eq!(table.len(), 2);
        assert!(table.subscribe(5, b"b", None).is_some());
        let ended = table.clear();
        assert_eq!(ended.iter().map(|it| it.sid).collect::<Vec<_>>(), [2, 5, 9]);
        assert!(table.is_empty() && ended.iter().all(|it| table.get(it.key).is_none()));
    }
}

#[test]
fn a_second_connect_ends_all_subscriptions_and_says_which() {
    let (mut session, mut output) = connected(Settings::default());
    let key = subscribed(&mut session, &mut output, b"SUB a 1\r\n");
    let fact = hear(&mut session, &mut output, CONNECT).unwrap();
    assert!(matches!(&fact, Fact::Connected(dropped) if dropped.len() == 1 && dropped[0].key == key), "{fact:?}");
    assert!(output.subscriptions.is_empty());
}

#[test]
fn limits_of_the_settings_are_kept() {
    let settings = Settings { max_payload: 4, max_control_line: 90, max_subscriptions: Some(1), ..Settings::default() };
    let (mut session, mut output) = connected(settings);
    subscribed(&mut session, &mut output, b"SUB a 1\r\n");
    let refused = Ok(Fact::Refused("maximum subscriptions exceeded"));
    assert_eq!(hear(&mut session, &mut output, b"SUB b 2\r\n"), refused);
    assert_eq!(hear(&mut session, &mut output, b"SUB a 1\r\n"), refused, "it is counted before it is looked up");
    assert_eq!(output.bytes, b"-ERR 'maximum subscriptions exceeded'\r\n-ERR 'maximum subscriptions exceeded'\r\n");
    session.set_max_subscriptions(None);
    assert_eq!(hear(&mut session, &mut output, b"SUB a..b 2\r\n"), Ok(Fact::Refused("Invalid Subject")));
    assert!(matches!(hear(&mut session, &mut output, b"PUB a 4\r\n1234\r\n"), Ok(Fact::Published(_))));
    assert_eq!(session.read(b"PUB a 5\r\n"), Err(Ending::Says("Maximum Payload Violation")));
    session.set_max_payload(5);
    assert!(matches!(hear(&mut session, &mut output, b"PUB a 5\r\n12345\r\n"), Ok(Fact::Published(_))));
    let long = [b"SUB ", &[b'a'; 89][..], b" 1\r\n"].concat();
    assert_eq!(session.read(&long), Err(Ending::Says("maximum control line exceeded")));
}

#[test]
fn headers_are_for_those_who_asked() {
    let hpub = b"HPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\n";
    for (server, client, known) in [(true, true, true), (true, false, false), (false, true, false)] {
        let settings = Settings { headers: server, ..Settings::default() };
        let (mut session, mut output) = (Session::new(settings), Output::default());
        let connect = format!("CONNECT {{\"verbose\":false,\"headers\":{client}}}\r\n");
        hear(&mut session, &mut output, connect.as_bytes()).unwrap();
        let fact = hear(&mut session, &mut output, hpub);
        assert_eq!(matches!(fact, Ok(Fact::Published(_))), known, "{fact:?}");
        assert_eq!(matches!(fact, Err(Ending::Silent)), !known);
        // From somebody else.
        let key = subscribed(&mut session, &mut output, b"SUB a 1\r\n");
        output.deliver(key, &PubOp { headers: Some(b"NATS/1.0\r\nA: b\r\n\r\n"), ..message(b"a") });
        assert_eq!(output.bytes.starts_with(b"HMSG"), known);
    }
}

#[test]
fn a_session_that_was_ended_from_outside_says_no_more() {
    struct Gone;
    impl Desk for Gone {
        fn open<R>(&mut self, _: impl FnOnce(&mut Output) -> R) -> Option<R> {
            None
        }
    }
    let (mut session, _) = connected(Settings::default());
    let Ok(Read::Op { op, .. }) = session.read(b"PING\r\n") else { panic!("a PING") };
    assert_eq!(session.act(&op, &mut Gone), Err(Ending::Silent));
}

#[test]
fn lines_that_are_ignored_are_bounded() {
    let (mut session, _) = connected(Settings::default());
    assert_eq!(session.read(b"+OK\r\nPING\r\n"), Ok(Read::Ignored(5)));
    assert_eq!(session.read(b"+O"), Ok(Read::NeedMore(1)));
    assert_eq!(session.read(&[b'+'; 5000]), Err(Ending::Silent));
    assert_eq!(session.read(b""), Ok(Read::NeedMore(1)));
}

#[test]
fn credentials_are_not_shown() {
    let mut settings = Settings::default();
    settings.credentials.users.push(("ada".to_owned(), "secret".to_owned()));
    settings.credentials.tokens.push("hidden".to_owned());
    let connect = b"CONNECT {\"user\":\"ada\",\"pass\":\"secret\"}\r\n";
    let (mut session, mut output) = (Session::new(settings), Output::default());
    assert_eq!(hear(&mut session, &mut output, connect), Ok(Fact::Connected(Vec::new())));
    let shown = format!("{session:?}");
    assert!(!shown.contains("secret") && !shown.contains("hidden") && !shown.contains("ada"), "{shown}");
}

/// Wherever the bytes are cut.
#[test]
fn pieces_make_no_difference() {
    let script = b"PING\r\n+OK\r\nCONNECT {\"verbose\":false,\"headers\":true}\r\nSUB a 1\r\nUNSUB 1 3\r\nPING\r\n\
        HPUB a 12 13\r\nNATS/1.0\r\n\r\nx\r\nPUB a b 2\r\nhi\r\npub a 0\r\n\r\nSUB c..d 2\r\nPONG\r\nUNSUB 9\r\nPING\r\nBAD\r\n";
    let whole = in_pieces(&[script]);
    assert!(whole.ends_with("PONG\r\n-ERR 'Unknown Protocol Operation'\r\n"), "{whole}");
    assert!(whole.contains("HMSG a 1 12 13\r\n") && whole.contains("Invalid Subject"), "{whole}");
    for cut in 0..script.len() {
        let (first, second) = script.split_at(cut);
        assert_eq!(in_pieces(&[first, second]), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = script.chunks(1).collect();
    assert_eq!(in_pieces(&bytes), whole);
}

/// What a session says, whose messages go to its own subscriptions.
fn in_pieces(pieces: &[&[u8]]) -> String {
    let (mut session, mut output) = (Session::new(Settings::default()), Output::default());
    let mut unread = Vec::new();
    'pieces: for piece in pieces {
        unread.extend_from_slice(piece);
        let mut used = 0;
        let ending = loop {
            let (fact, len) = match session.read(&unread[used..]) {
                Ok(Read::NeedMore(_)) => break None,
                Ok(Read::Ignored(len)) => (Ok(Fact::Nothing), len),
                Ok(Read::Op { op, len }) => (session.act(&op, &mut output), len),
                Err(ending) => break Some(ending),
            };
            used += len;
            match fact {
                Ok(Fact::Published(message)) => {
                    let wants = |it: &&Subscription| it.wants(message.subject);
                    let keys: Vec<Key> = output.subscriptions.iter().filter(wants).map(|it| it.key).collect();
                    keys.into_iter().for_each(|key| drop(output.deliver(key, &message)));
                }
                Ok(_) => {}
                Err(ending) => break Some(ending),
            }
        };
        if let Some(ending) = ending {
            output.end(ending);
            break 'pieces;
        }
        unread.drain(..used);
    }
    String::from_utf8(output.bytes).unwrap()
}
