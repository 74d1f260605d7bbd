//! The cases: operations by kind and size, each decoded and encoded in batches. `benches/instructions` counts them too.

use nats_lifeline::protocol::{
    self, ClientOp, ConnectInfo, Decoded, Decoder, HeaderMap, ServerOp, publish, subscribe, unsubscribe,
};

/// Operations of one kind, to be decoded or encoded.
pub struct Case {
    /// `decode/MSG/16`, for example.
    pub name: String,
    /// Bytes of one operation.
    pub bytes: usize,
    run: Box<dyn FnMut(usize)>,
}

impl Case {
    /// Does `count` operations.
    pub fn run(&mut self, count: usize) {
        (self.run)(count);
    }
}

const SUBJECT: &[u8] = b"orders.eu.new";
const REPLY: &[u8] = b"_INBOX.7RuHhgDOIEYg7Y5LTdqYGI.1";
const SIZES: [usize; 4] = [16, 128, 1024, 64 * 1024];

/// Buffers are about as large as the driver's reads and writes.
const BUFFER: usize = 256 * 1024;

/// All of them.
pub fn cases() -> Vec<Case> {
    let block = block();
    let mut cases = Vec::new();
    for size in SIZES {
        let payload = vec![b'x'; size];
        let mut frame = Vec::new();
        protocol::message(&mut frame, SUBJECT, 7, None, None, &payload);
        cases.push(decode_server(format!("MSG/{size}"), frame));
    }
    let payload = [b'x'; 16];
    for (name, reply, headers) in [
        ("MSG reply/16", Some(REPLY), None),
        ("HMSG/16", None, Some(&block[..])),
        ("HMSG reply/16", Some(REPLY), Some(&block[..])),
    ] {
        let mut frame = Vec::new();
        protocol::message(&mut frame, SUBJECT, 1_234_567, reply, headers, &payload);
        cases.push(decode_server(name.to_owned(), frame));
    }
    for (name, frame) in [
        ("PING", &b"PING\r\n"[..]),
        ("+OK", b"+OK\r\n"),
        ("-ERR", b"-ERR 'Permissions Violation for Publish to \"orders.eu.new\"'\r\n"),
        ("INFO", b"INFO {\"server_id\":\"N\",\"version\":\"2.15.1\",\"headers\":true,\"max_payload\":1048576} \r\n"),
        ("msg, odd/16", b"msg  orders.eu.new\t7 0016 \nxxxxxxxxxxxxxxxx\r\n"),
    ] {
        cases.push(decode_server(name.to_owned(), frame.to_vec()));
    }
    for (name, reply, headers) in [("PUB/16", None, None), ("HPUB reply/16", Some(REPLY), Some(&block[..]))] {
        let mut frame = Vec::new();
        publish(&mut frame, SUBJECT, reply, headers, &payload);
        cases.push(decode_client(name.to_owned(), frame));
    }
    cases.push(decode_client("SUB".to_owned(), b"SUB orders.* workers 7\r\n".to_vec()));
    encoders(&mut cases, &block);
    cases
}

fn block() -> Vec<u8> {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "a1b2c3");
    headers.insert("Trace", "4bf92f3577b34da6a3ce929d0e0e4736");
    headers.wire().to_vec()
}

/// The same frame repeated.
fn repeated(frame: &[u8]) -> Vec<u8> {
    frame.repeat((BUFFER / frame.len()).max(1))
}

macro_rules! decode_case {
    ($fn:ident, $decode:ident, $op:ident) => {
        fn $fn(name: String, frame: Vec<u8>) -> Case {
            let buffer = repeated(&frame);
            let run = move |count| {
                let mut left = count;
                while left > 0 {
                    // A new buffer begins with every read.
                    let mut decoder = Decoder::default();
                    let mut rest = &buffer[..];
                    while left > 0 && !rest.is_empty() {
                        let Ok(Decoded::Op { op, len }) = decoder.$decode(rest) else { panic!("whole frames") };
                        std::hint::black_box::<&$op<'_>>(&op);
                        rest = &rest[len..];
                        left -= 1;
                    }
                }
            };
            Case { name: format!("decode/{name}"), bytes: frame.len(), run: Box::new(run) }
        }
    };
}

decode_case!(decode_server, decode_server, ServerOp);
decode_case!(decode_client, decode_client, ClientOp);

fn encoders(cases: &mut Vec<Case>, block: &[u8]) {
    for size in SIZES {
        let payload = vec![b'x'; size];
        cases.push(encode(&format!("PUB/{size}"), move |out, subject| publish(out, subject, None, None, &payload)));
    }
    let block = block.to_vec();
    cases.push(encode("PUB reply/16", |out, subject| publish(out, subject, Some(REPLY), None, &[b'x'; 16])));
    let of_hpub = block.clone();
    cases.push(encode("HPUB/16", move |out, subject| publish(out, subject, None, Some(&of_hpub), &[b'x'; 16])));
    cases.push(encode("SUB", |out, subject| subscribe(out, subject, Some(b"workers"), 1_234_567)));
    cases.push(encode("UNSUB", |out, _| unsubscribe(out, 1_234_567, Some(10))));
    cases.push(encode("PING", |out, _| protocol::ping(out)));
    let connect = ConnectInfo { name: Some("bench".to_owned()), ..ConnectInfo::default() };
    cases.push(encode("CONNECT", move |out, _| protocol::connect(out, &connect)));
    cases.push(encode("MSG/16", |out, subject| protocol::message(out, subject, 7, None, None, &[b'x'; 16])));
    cases.push(encode("HMSG/16", move |out, subject| {
        protocol::message(out, subject, 7, None, Some(&block), &[b'x'; 16]);
    }));
}

fn encode(name: &str, one: impl Fn(&mut Vec<u8>, &[u8]) + 'static) -> Case {
    let mut out = Vec::with_capacity(2 * BUFFER);
    one(&mut out, SUBJECT);
    let bytes = out.len();
    let run = move |count| {
        for _ in 0..count {
            if out.len() >= BUFFER {
                out.clear();
            }
            one(&mut out, std::hint::black_box(SUBJECT));
        }
        std::hint::black_box(&mut out);
    };
    Case { name: format!("encode/{name}"), bytes, run: Box::new(run) }
}
