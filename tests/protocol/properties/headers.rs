//! Header blocks and status lines.

use crate::generated::{any_text, config};
use bytes::Bytes;
use nats_lifeline::protocol::{HeaderError, HeaderMap, HeaderName, HeaderValue, StatusCode, parse_status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn header_map() -> impl Strategy<Value = HeaderMap> {
    let name = "[!-9;-~]{1,50}".prop_map(|text| text.parse::<HeaderName>().unwrap());
    let value = "[^\r\n]{0,50}"
        // The wire form does not keep blanks at the ends of a value.
        .prop_map(|text| text.trim_matches([' ', '\t']).parse::<HeaderValue>().unwrap());
    vec((name, value), 0..8).prop_map(|entries| {
        let mut map = HeaderMap::new();
        for (name, value) in entries {
            map.append(name, value);
        }
        map
    })
}

fn entries(map: &HeaderMap) -> Vec<(String, String)> {
    let texts = map.entries().map(|(name, value)| (name.to_string(), value.to_string()));
    texts.collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn headers_read_back_in_order(map in header_map()) {
        let wire = map.wire();
        prop_assert_eq!(wire.len(), map.wire_len());
        let mut appended = Vec::new();
        map.write_wire(&mut appended);
        prop_assert_eq!(&appended, &wire);
        let read = HeaderMap::from_wire(wire.clone());
        prop_assert!(!read.is_malformed());
        prop_assert_eq!(entries(&read), entries(&map));
        prop_assert_eq!(&read, &map);
        prop_assert_eq!(read.len(), map.iter().count());
        prop_assert_eq!(read.wire(), wire);
        let json = serde_json::to_string(&map).unwrap();
        prop_assert_eq!(serde_json::from_str::<HeaderMap>(&json).unwrap(), map);
    }

    #[test]
    fn any_block_is_a_map_that_encodes_to_a_valid_block(
        start in prop_oneof![Just("NATS/1.0\r\n"), Just("NATS/1.0 "), Just("")],
        lines in vec(prop_oneof![
            "[A-Z a:]{0,8}(\r\n|\n)".prop_map(String::into_bytes),
            vec(any::<u8>(), 0..12),
        ], 0..6),
    ) {
        let block = [start.as_bytes(), &lines.concat()].concat();
        let map = HeaderMap::from_wire(Bytes::from(block.clone()));
        prop_assert_eq!(map.raw().map_or(&[][..], |raw| raw), &block[..]);
        let _ = (parse_status(&block), map.len(), map.iter().count(), map.malformed());
        prop_assert_eq!(map.wire().len(), map.wire_len());
        // A changed map is encoded by us, and others must be able to parse it.
        let mut ours = map.clone();
        ours.append("Ours", "1");
        let again = HeaderMap::from_wire(ours.wire());
        prop_assert!(!again.is_malformed());
        prop_assert_eq!(again.get("Ours").map(HeaderValue::as_str), Some("1"));
        prop_assert_eq!(again.entries().count(), map.entries().count() + 1);
    }

    #[test]
    fn a_status_line_reads_back(code in 100..=999_u16, text in "([!-~][ -~]{0,30}[!-~])?") {
        let block = format!("NATS/1.0 {code} {text}\r\n\r\n");
        let (status, description) = parse_status(block.as_bytes()).unwrap();
        prop_assert_eq!(status, Some(StatusCode::from_u16(code).unwrap()));
        prop_assert_eq!(description.unwrap_or_default(), text.as_bytes());
    }

    #[test]
    fn a_status_line_with_a_description_reads_back_and_is_not_forwarded(
        code in any::<u16>(),
        blanks in "[ \t]{1,3}",
        text in option::of("[!-~]([ -~]{0,30}[!-~])?"),
        end in prop_oneof![Just("\r\n"), Just("\n")],
        map in header_map(),
    ) {
        let wire = map.wire();
        let lines = wire.strip_prefix(b"NATS/1.0\r\n").unwrap_or(b"\r\n");
        let text_part = text.as_ref().map(|text| format!("{blanks}{text}")).unwrap_or_default();
        let block = [format!("NATS/1.0{blanks}{code:03}{text_part}{end}").as_bytes(), lines].concat();
        let known = StatusCode::from_u16(code);
        prop_assert_eq!(StatusCode::from_bytes(format!("{code:03}").as_bytes()).ok(), known.ok());
        match parse_status(&block) {
            Ok((status, description)) => {
                prop_assert_eq!(status, known.ok());
                prop_assert_eq!(description, text.as_deref().map(str::as_bytes));
            }
            Err(fault) => prop_assert_eq!((fault, known.is_err()), (HeaderError::BadStatus, true)),
        }
        let read = HeaderMap::from_wire(Bytes::from(block));
        prop_assert_eq!(read.malformed(), known.err().map(|_| HeaderError::BadStatus));
        prop_assert_eq!(entries(&read), entries(&map));
        // Only a server sends a status.
        prop_assert_eq!(read.wire(), wire);
    }

    #[test]
    fn no_text_can_inject_a_header_line(
        pairs in vec((any_text(), any_text()), 0..6),
        replaced in any_text(),
    ) {
        let mut map = HeaderMap::new();
        let mut meant = Vec::new();
        for (name, value) in &pairs {
            let parsed = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
            let good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
            prop_assert_eq!(parsed.0.is_ok(), good);
            prop_assert_eq!(parsed.1.is_ok(), !value.contains(['\r', '\n']));
            // The same rule applies to owned text.
            prop_assert_eq!(HeaderName::try_from(name.clone()).is_ok(), good);
            if let (Ok(name), Ok(value)) = parsed {
                meant.push((name.to_string(), value.to_string()));
                map.append(name, value);
            }
        }
        if let (Some((name, _)), Ok(value)) = (meant.first().cloned(), replaced.parse::<HeaderValue>()) {
            meant.retain({
                let mut first = true;
                let name = name.clone();
                move |entry| entry.0 != name || std::mem::take(&mut first)
            });
            meant[0].1 = value.to_string();
            map.insert(name.as_str(), value);
        }
        let block = map.wire();
        let lines: Vec<&[u8]> = block.split(|byte| *byte == b'\n').collect();
        let expected = if meant.is_empty() { 1 } else { meant.len() + 3 };
        prop_assert_eq!(lines.len(), expected, "a line for each header, the version, the empty line and the rest");
        prop_assert_eq!(block.iter().filter(|byte| **byte == b'\r').count(), expected - 1);
        for (line, (name, value)) in lines.iter().skip(1).zip(&meant) {
            prop_assert_eq!(line.to_vec(), format!("{name}: {value}\r").into_bytes());
        }
    }
}
