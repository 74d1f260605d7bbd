//! Header blocks: any bytes are a map, which a slow parser confirms; encoded maps are well-formed.

use bytes::Bytes;
use nats_lifeline::protocol::{HeaderMap, HeaderName, HeaderValue, parse_status};

use super::choices::Choices;

/// Whether to check storage, a name, a value, and then a block.
pub fn headers(input: &[u8]) {
    let mut choices = Choices::new(input);
    // This costs more than everything else together.
    let stored = choices.below(8) == 1;
    let name = String::from_utf8_lossy(choices.some_bytes()).into_owned();
    let value = String::from_utf8_lossy(choices.some_bytes()).into_owned();
    let block = choices.rest();

    let map = HeaderMap::from_wire(Bytes::copy_from_slice(block));
    check_read(&map, block);
    check_views(&map);
    check_written(&map);
    if stored {
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(serde_json::from_str::<HeaderMap>(&json).unwrap(), map, "stored and read back");
    }
    check_changes(map, name, value);
}

/// The content of a block, parsed slowly.
#[derive(Default)]
struct Slow {
    entries: Vec<(String, String)>,
    fault: Option<&'static str>,
}

fn slowly(block: &[u8]) -> Slow {
    let mut slow = Slow::default();
    let mut lines: Vec<&[u8]> = block.split(|byte| *byte == b'\n').collect();
    // After the last LF there is nothing, which does not count as a line.
    if lines.last() == Some(&&b""[..]) {
        lines.pop();
    }
    let mut lines = lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).peekable();
    let Some(first) = lines.next() else { return slow };
    match first.strip_prefix(b"NATS/1.0") {
        Some([]) => {}
        Some(rest @ [b' ' | b'\t', ..]) => {
            let mut words = rest.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
            let good = |code: &[u8]| code.len() == 3 && code.iter().all(u8::is_ascii_digit) && code[0] != b'0';
            if words.next().is_some_and(|code| !good(code)) {
                slow.fault = Some("bad_status");
            }
        }
        _ => {
            slow.fault = Some("no_version");
            return slow;
        }
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            if lines.peek().is_some() {
                slow.fault.get_or_insert("trailing_bytes");
            }
            break;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_matches([' ', '\t']).to_owned();
        if matches!(line[0], b' ' | b'\t') {
            if let Some((_, value)) = slow.entries.last_mut() {
                value.push(' ');
                value.push_str(&text(line));
                continue;
            }
        }
        match line.iter().position(|byte| *byte == b':') {
            None => drop(slow.fault.get_or_insert("no_colon")),
            Some(colon) if !text(&line[..colon]).is_empty() => {
                slow.entries.push((text(&line[..colon]), text(&line[colon + 1..])));
            }
            Some(_) => {}
        }
    }
    slow
}

fn entries(map: &HeaderMap) -> Vec<(String, String)> {
    map.entries().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn check_read(map: &HeaderMap, block: &[u8]) {
    let slow = slowly(block);
    assert_eq!(entries(map), slow.entries);
    assert_eq!(map.malformed().map(|fault| fault.name()), slow.fault);
    assert_eq!(map.is_malformed(), slow.fault.is_some());
    assert_eq!(map.raw().map_or(&b""[..], |raw| raw), block, "what was received is kept");
    // The status line alone gives the same result.
    match parse_status(block) {
        Ok((_, description)) => {
            assert!(!matches!(slow.fault, Some("no_version" | "bad_status")));
            assert!(description.is_none_or(|text| !text.is_empty() && !text.contains(&b'\n')));
        }
        Err(fault) => assert_eq!(Some(fault.name()), slow.fault),
    }
}

/// All ways to read a map give the same entries.
fn check_views(map: &HeaderMap) {
    let all = entries(map);
    assert_eq!(map.is_empty(), all.is_empty());
    assert_eq!(map.iter().map(|(_, values)| values.len()).sum::<usize>(), all.len());
    assert_eq!(map.iter().count(), map.len());
    // A few are enough: each look-up scans all of them.
    for (name, _) in map.entries().take(3) {
        let same = || all.iter().filter(|(other, _)| other.as_bytes() == AsRef::<[u8]>::as_ref(name)).map(|(_, v)| v);
        let of_name: Vec<&str> = map.get_all(name.clone()).map(HeaderValue::as_str).collect();
        assert!(of_name.iter().copied().eq(same().map(String::as_str)));
        assert_eq!(map.get(name.clone()).map(HeaderValue::as_str), of_name.first().copied());
        assert_eq!(map.get_last(name.clone()).map(HeaderValue::as_str), of_name.last().copied());
    }
}

/// The encoded map has the announced length, and reads back with the same number of entries; if it was made by us, it
/// is well-formed.
fn check_written(map: &HeaderMap) {
    let wire = map.wire();
    assert_eq!(map.wire_len(), wire.len());
    let mut appended = Vec::new();
    map.write_wire(&mut appended);
    assert_eq!(appended, wire);
    assert_eq!(map.is_empty(), wire.is_empty());
    let again = HeaderMap::from_wire(wire.clone());
    assert!(!again.is_malformed());
    assert_eq!(again.entries().count(), map.entries().count());
    if map.raw() != Some(&wire) && !wire.is_empty() {
        check_lines(&wire, map.entries().count());
    }
}

/// One line for each entry, and no other line ends.
fn check_lines(wire: &[u8], entries: usize) {
    let count = |what: u8| wire.iter().filter(|byte| **byte == what).count();
    let ends = wire.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!((ends, count(b'\r'), count(b'\n')), (entries + 2, entries + 2, entries + 2));
    assert!(wire.starts_with(b"NATS/1.0\r\n") && wire.ends_with(b"\r\n\r\n"));
}

/// A program's names and values follow the rules, and change a map as expected.
fn check_changes(map: HeaderMap, name: String, value: String) {
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    assert_eq!(name.parse::<HeaderName>().is_ok(), fits);
    let one_line = !value.contains(['\r', '\n']);
    assert_eq!(value.parse::<HeaderValue>().is_ok(), one_line);
    // A look-up accepts any text.
    let present = map.get(name.as_str()).is_some();
    let (Ok(key), Ok(text)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) else { return };

    let mut more = map.clone();
    more.append(key.clone(), text.clone());
    assert_eq!(more.entries().count(), map.entries().count() + 1);
    assert_eq!(more.get_last(key.clone()), Some(&text));
    check_lines(&more.wire(), more.entries().count());
    check_written(&more);

    let mut set = map.clone();
    set.insert(key.clone(), text.clone());
    assert_eq!(set.get_all(key.clone()).collect::<Vec<_>>(), [&text]);
    check_written(&set);

    let mut less = map.clone();
    assert_eq!(less.remove(key.clone()), present);
    assert_eq!(less.get(key), None);
    check_written(&less);
}
