//! The decoder against a slow parser that was written independently.

use nats_lifeline::protocol::{Decoded, Decoder};

use super::choices::Choices;
use super::cuts::{Client, Server, Side};
use super::naive::{NaiveParser, Verdict};
use super::owned::Owned;

/// A direction, limits, and then bytes. The decoder gets one byte more at a time, and once all of them; each
/// operation and error must occur at the byte where the slow parser has it.
pub fn differential(input: &[u8]) {
    let mut choices = Choices::new(input);
    let (from_server, limits) = (choices.flag(), choices.limits());
    // The decoder's memory of earlier calls makes it fast, so long inputs are possible; but then mostly the slow parser
    // is fuzzed.
    let bytes = choices.bytes(1 << 16);
    if from_server {
        compare::<Server>(NaiveParser::server(limits), &mut [Decoder::new(limits), Decoder::new(limits)], bytes);
    } else {
        compare::<Client>(NaiveParser::client(limits), &mut [Decoder::new(limits), Decoder::new(limits)], bytes);
    }
}

fn compare<S: Side>(mut naive: NaiveParser, [slowly, at_once]: &mut [Decoder; 2], bytes: &[u8]) {
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let verdict = naive.push(*byte);
        let step = S::decode(slowly, &bytes[start..=at]);
        match verdict {
            Verdict::NotYet => assert!(matches!(step, Ok(Decoded::NeedMore(_))), "not yet at {at}, {step:?}"),
            Verdict::Op(expected) => {
                let Ok(Decoded::Op { op, len }) = step else { panic!("{expected:?} at {at}, {step:?}") };
                assert_eq!(len, at + 1 - start);
                assert_eq!(Into::<Owned>::into(op), expected);
                if let Some(alike) = S::alike(at_once, &bytes[start..]) {
                    assert_eq!(Ok(alike), step);
                }
                assert_eq!(S::decode(at_once, &bytes[start..]), step);
                start = at + 1;
            }
            Verdict::Bad(expected) => {
                assert_eq!(step.map_err(|error| error.name()), Err(expected), "at {at}");
                assert_eq!(S::alike(at_once, &bytes[start..]), None);
                let all = S::decode(at_once, &bytes[start..]);
                return assert_eq!(all.map_err(|error| error.name()), Err(expected), "at once");
            }
        }
    }
    assert_eq!(S::alike(at_once, &bytes[start..]), None, "an operation that is not complete");
}
