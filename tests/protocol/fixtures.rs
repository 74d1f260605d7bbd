//! Every case of `protocol-fixtures/`, in every cut that matters, in both directions.

use crate::fixture_format::{Case, Check, Expected, files_of, folders, read_file, read_folder};
use crate::wire::{End, Op, Outcome, Side, feed};
use bytes::Bytes;
use nats_lifeline::protocol::{
    HeaderMap, HeaderName, HeaderValue, Subject, check_publish_subject, check_queue_name, check_subscribe_subject,
    parse_status, publish_args_len,
};

/// Inputs up to this length are cut at every place; longer ones near their line ends, at both ends
/// and at some places in between.
const SMALL: usize = 2048;

/// A test for each file, and one that finds a file without a test.
macro_rules! files {
    ($($folder:ident $side:expr => $($file:ident)*;)*) => {
        $(mod $folder {
            $(#[test]
            fn $file() {
                super::run(super::read_file(concat!(stringify!($folder), "/", stringify!($file), ".txt"), $side));
            })*
        })*

        #[test]
        fn every_file_has_its_test() {
            $(assert_eq!(files_of(stringify!($folder)), [$(concat!(stringify!($file), ".txt")),*]);)*
            assert_eq!(folders(), [$(stringify!($folder)),*]);
        }
    };
}

files! {
    client super::Side::Client => frames hostile refused servers session;
    server super::Side::Server => err hmsg hostile info limits msg session simple status unknown;
}

#[test]
fn no_case_was_lost() {
    let mut names: Vec<_> = [("server", Side::Server), ("client", Side::Client)]
        .into_iter()
        .flat_map(|(folder, side)| read_folder(folder, side).into_iter().map(move |case| (folder, case.name)))
        .collect();
    let count = names.len();
    assert!(count >= 290, "{count} cases");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "two cases have the same name");
}

fn run(cases: Vec<Case>) {
    assert!(!cases.is_empty());
    for case in &cases {
        if let Some((check, expected)) = &case.check {
            assert_eq!(&outcome(check), expected, "{}", case.name);
            continue;
        }
        let whole = feed(case.side, case.limits, &case.input, []);
        compare(case, &whole);
        for sizes in cuts(case) {
            let cut = feed(case.side, case.limits, &case.input, sizes.iter().copied());
            assert_eq!(cut, whole, "{} cut into {:?}…", case.name, &sizes[..sizes.len().min(9)]);
        }
        if case.both {
            let mut out = Vec::new();
            whole.0.iter().for_each(|op| op.encode(&mut out));
            assert!(out == case.input, "{} written: {}", case.name, out.escape_ascii());
        }
    }
}

fn compare(case: &Case, (ops, end): &Outcome) {
    let name = &case.name;
    let end = match end {
        End::Clean => "clean",
        End::NeedMore => "need_more",
        End::Error(error) => error.name(),
    };
    assert_eq!(end, case.end, "{name}: {ops:?}");
    assert_eq!(ops.len(), case.ops.len(), "{name}: {ops:?}");
    for (op, expected) in ops.iter().zip(&case.ops) {
        let mut bare = op.clone();
        let mut block = None;
        if let Op::Msg(_, body) | Op::Pub(body) = &mut bare {
            block = body.headers.take();
        }
        assert_eq!(bare, expected.op, "{name}");
        assert_eq!(block.as_ref().map(Vec::len), expected.block_len, "{name}");
        if let Some(block) = block {
            compare_block(name, block, expected);
        }
    }
}

fn compare_block(name: &str, block: Vec<u8>, expected: &Expected) {
    let fault = match parse_status(&block) {
        Ok((status, description)) => {
            assert_eq!(status.map(u16::from), expected.status, "{name}");
            assert_eq!(description, expected.description.as_deref(), "{name}");
            None
        }
        Err(fault) => Some(fault),
    };
    let map = HeaderMap::from_wire(Bytes::from(block.clone()));
    let found: Vec<_> = map.entries().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let wanted: Vec<_> = expected.headers.iter().map(|(n, v)| (lossy(n), lossy(v))).collect();
    assert_eq!(found, wanted, "{name}");
    let malformed = map.malformed().map(|fault| fault.name().to_owned());
    assert_eq!(malformed, expected.malformed, "{name}");
    assert_eq!(map.is_malformed(), expected.malformed.is_some(), "{name}");
    assert!(fault.is_none() || map.malformed() == fault, "{name}");
    assert_eq!(map.raw().map_or(&[][..], |raw| raw), block, "{name}: raw bytes are kept");
    assert_eq!(map.wire().len(), map.wire_len(), "{name}");
}

/// The cuts of a case: its own, byte by byte, in two at every place, and random ones.
fn cuts(case: &Case) -> Vec<Vec<usize>> {
    let len = case.input.len();
    let mut cuts: Vec<Vec<usize>> = Vec::new();
    for chunks in &case.chunks {
        let last = chunks.last().copied().unwrap_or(1).max(1);
        let mut sizes = chunks.clone();
        // For a large input, `places` replaces a listed size of one byte.
        if len / last < 4 * SMALL {
            sizes.resize(sizes.len() + len / last, last);
        }
        cuts.push(sizes);
    }
    let places = places(&case.input);
    let mut start = 0;
    cuts.push(
        places
            .iter()
            .map(|place| {
                let size = place - start;
                start = *place;
                size
            })
            .filter(|size| *size > 0)
            .collect(),
    );
    cuts.extend(places.into_iter().map(|place| vec![place]));
    let mut seed = 0x5eed_u64 + len as u64;
    for round in 1..=8 {
        let mut sizes = Vec::new();
        let mut sum = 0;
        while sum < len {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
            let size = 1 + (seed >> 33) as usize % (1 + (len / 4).min(1 << (2 * round)));
            sizes.push(size);
            sum += size;
        }
        cuts.push(sizes);
    }
    cuts
}

/// Where to cut in two, ascending; all of them together are "byte by byte".
fn places(input: &[u8]) -> Vec<usize> {
    let len = input.len();
    if len <= SMALL {
        return (0..len).collect();
    }
    let line_ends = input.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut places: Vec<usize> = line_ends
        .flat_map(|(at, _)| at.saturating_sub(3)..at + 4)
        .chain(0..16)
        .chain(len - 16..len)
        .chain((0..len).step_by(len / 4))
        .filter(|place| *place < len)
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The result of the public checks for a program's input.
fn outcome(check: &Check) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let refused = match check {
        Check::PublishSubject(subject) => check_publish_subject(subject).err().map(|f| f.name()),
        Check::SubscribeSubject(subject) => {
            let fault = check_subscribe_subject(subject).err();
            let validated = Subject::validated(text(subject));
            assert_eq!(validated.is_err(), fault.is_some());
            assert_eq!(Subject::from(text(subject)).is_valid(), fault.is_none());
            fault.map(|fault| fault.name())
        }
        Check::Queue(name) => check_queue_name(name).err().map(|fault| fault.name()),
        Check::HeaderName(name) => {
            let parsed = text(name).parse::<HeaderName>();
            parsed.is_err().then_some("header_name")
        }
        Check::HeaderValue(value) => {
            let parsed = text(value).parse::<HeaderValue>();
            parsed.is_err().then_some("header_value")
        }
        Check::ControlLine { subject, headers, payload } => {
            let len = publish_args_len(*subject, None, *headers, *payload);
            (len > 4096).then_some("over")
        }
    };
    refused.unwrap_or("accepted").to_owned()
}
