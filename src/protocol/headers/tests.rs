//! The header map: order, sharing, caches, what it makes of bad blocks.

use super::*;
use crate::protocol::{HeaderName, HeaderValue};

fn received(block: &'static str) -> HeaderMap {
    HeaderMap::from_wire(Bytes::from_static(block.as_bytes()))
}

fn texts(map: &HeaderMap) -> Vec<(&str, &str)> {
    map.entries().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn a_map_is_one_word_and_can_cross_threads() {
    fn crosses<T: Send + Sync + Unpin + Clone>() {}
    crosses::<HeaderMap>();
    crosses::<HeaderName>();
    crosses::<HeaderValue>();
    assert_eq!(size_of::<HeaderMap>(), size_of::<usize>());
    assert_eq!(size_of::<HeaderValue>(), 40);
}

#[test]
fn order_and_repeats_are_kept_and_case_matters() {
    let mut map = HeaderMap::new();
    map.append("b", "1");
    map.append("a", "2");
    map.append("B", "3");
    map.append("b", "4");
    assert_eq!(texts(&map), [("b", "1"), ("a", "2"), ("B", "3"), ("b", "4")]);
    assert_eq!(map.len(), 3);
    assert_eq!(map.get("b").map(HeaderValue::as_str), Some("1"));
    assert_eq!(map.get_last("b").map(HeaderValue::as_str), Some("4"));
    let all: Vec<_> = map.get_all("b").map(HeaderValue::as_str).collect();
    assert_eq!(all, ["1", "4"]);
    assert_eq!(map.get_all("c").count(), 0);
    assert_eq!(map.get("c d\n"), None);
    assert_eq!(map.wire(), "NATS/1.0\r\nb: 1\r\na: 2\r\nB: 3\r\nb: 4\r\n\r\n");
}

#[test]
fn insert_replaces_all_values_in_the_place_of_the_first() {
    let mut map = received("NATS/1.0\r\na: 1\r\nb: 2\r\na: 3\r\n\r\n");
    map.insert("a", 7_u64.to_string());
    assert_eq!(texts(&map), [("a", "7"), ("b", "2")]);
    map.insert("c", HeaderValue::from(-1));
    assert_eq!(texts(&map), [("a", "7"), ("b", "2"), ("c", "-1")]);
    assert!(map.remove("a") && !map.remove("a"));
    assert_eq!(texts(&map), [("b", "2"), ("c", "-1")]);
}

#[test]
fn a_change_does_not_reach_a_clone() {
    let mut map = received("NATS/1.0\r\na: 1\r\n\r\n");
    let before = map.clone();
    let wire = map.wire();
    map.append("b", "2");
    assert_eq!(texts(&before), [("a", "1")]);
    assert_eq!(before.wire(), wire);
    assert!(before.raw().is_some() && map.raw().is_none());
    assert_eq!(map.wire(), "NATS/1.0\r\na: 1\r\nb: 2\r\n\r\n");
    assert_eq!(map.iter().count(), 2);
    map.remove("a");
    assert_eq!(map.iter().count(), 1);
    assert_eq!(map.wire(), "NATS/1.0\r\nb: 2\r\n\r\n");
    assert_eq!(map.wire().len(), map.wire_len());
}

#[test]
fn the_wire_block_is_made_once_and_shared_with_clones() {
    let mut map = HeaderMap::new();
    map.append("a", "1");
    let wire = map.wire();
    assert_eq!(wire.as_ptr(), map.clone().wire().as_ptr());
    let mut out = Vec::new();
    map.write_wire(&mut out);
    assert_eq!(out, wire);
}

#[test]
fn an_empty_map_has_no_block() {
    for map in [
        HeaderMap::new(),
        HeaderMap::from_wire(Bytes::new()),
        received("NATS/1.0\r\n\r\n"),
        received("NATS/1.0 503\r\n\r\n"),
    ] {
        assert!(map.is_empty() && map.iter().next().is_none());
        let lens = (map.len(), map.wire().len(), map.wire_len());
        assert_eq!(lens, (0, 0, 0));
        let mut out = Vec::new();
        map.write_wire(&mut out);
        assert_eq!(out, b"");
        assert_eq!(map, HeaderMap::new());
    }
}

#[test]
fn a_status_is_not_sent_on() {
    let map = received("NATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n");
    assert_eq!(map.wire(), "NATS/1.0\r\nNats-Subject: nobody\r\n\r\n");
    assert_eq!(map.wire().len(), map.wire_len());
    assert_eq!(map.raw().unwrap().len(), 38);
}

#[test]
fn a_good_block_goes_on_as_it_came_and_a_bad_one_is_written_anew() {
    let map = HeaderMap::from_wire(Bytes::from_static(b"NATS/1.0\r\nA:\xe9\r\n\r\n"));
    assert!(!map.is_malformed());
    assert_eq!(map.get("A").map(HeaderValue::as_str), Some("\u{fffd}"));
    assert_eq!(map.wire(), &b"NATS/1.0\r\nA:\xe9\r\n\r\n"[..]);

    let map = received("NATS/1.0\r\nA: b\rc\r\nnone\r\n\r\n");
    assert_eq!(map.malformed(), Some(HeaderError::NoColon { at: 18 }));
    assert_eq!(map.wire(), "NATS/1.0\r\nA: b c\r\n\r\n");
}

#[test]
fn a_bare_cr_is_no_line_end_for_anybody_else() {
    let mut map = received("NATS/1.0\r\n\rn\r: \rv\r\n\r\n");
    assert_eq!(texts(&map), [("\rn\r", "\rv")]);
    map.append("a", "1");
    assert_eq!(map.wire(), "NATS/1.0\r\n_n_:  v\r\na: 1\r\n\r\n");
}

#[test]
fn long_and_short_values_read_the_same() {
    for len in 0..100 {
        let text = "é".repeat(len);
        let block = format!("NATS/1.0\r\nName: {text}\r\n\r\n");
        let map = HeaderMap::from_wire(Bytes::from(block));
        assert_eq!(map.get("Name").map(HeaderValue::as_str), Some(&*text));
        let mut made = HeaderMap::new();
        made.insert("Name", text);
        assert_eq!(made, map);
        assert_eq!(made.wire(), map.wire());
    }
}

#[test]
fn continued_lines_belong_to_the_value_before_them() {
    let map = received("NATS/1.0\r\na: 1\r\n 2\r\n\t 3 \r\nb: 4\r\n 5\r\n\r\n");
    assert_eq!(texts(&map), [("a", "1 2 3"), ("b", "4 5")]);
    let map = received("NATS/1.0\r\n a: 1\r\n 2\r\n");
    assert_eq!(texts(&map), [("a", "1 2")]);
    let map = received("NATS/1.0\r\n nothing before\r\n\r\n");
    assert_eq!(map.malformed(), Some(HeaderError::NoColon { at: 10 }));
}

#[test]
fn a_large_block_of_the_worst_lines_is_read_in_linear_time() {
    for line in [" \n", " x\n", "x\n", "a:\n", ":\n", "a:\n \n", "é:\n"] {
        let block = ["NATS/1.0\na:\n", &line.repeat((1 << 18) / line.len())].concat();
        let map = HeaderMap::from_wire(Bytes::from(block));
        assert!((1..3).contains(&map.len()));
        assert_eq!(map.wire().len(), map.wire_len());
        assert_eq!(map, map.clone());
    }
}

#[test]
fn equality_counts_values_of_a_name_in_order_and_names_in_any() {
    let map = received("NATS/1.0\r\na: 1\r\nb: 2\r\na: 3\r\n\r\n");
    assert_eq!(map, received("NATS/1.0\r\nb:2\r\na:1\r\na:3\r\n\r\n"));
    assert_ne!(map, received("NATS/1.0\r\na: 3\r\nb: 2\r\na: 1\r\n\r\n"));
    assert_ne!(map, received("NATS/1.0\r\na: 1\r\nb: 2\r\n\r\n"));
}

#[test]
fn json_is_a_plain_map_and_the_older_form_is_read() {
    let map = received("NATS/1.0\r\nb: 1\r\na: 2\r\nb: 3\r\n\r\n");
    let json = serde_json::to_string(&map).unwrap();
    assert_eq!(json, r#"{"b":["1","3"],"a":["2"]}"#);
    assert_eq!(serde_json::from_str::<HeaderMap>(&json).unwrap(), map);
    let older = format!(r#"{{"inner":{json}}}"#);
    assert_eq!(serde_json::from_str::<HeaderMap>(&older).unwrap(), map);
    let named: HeaderMap = serde_json::from_str(r#"{"inner":["x"]}"#).unwrap();
    assert_eq!(texts(&named), [("inner", "x")]);
    assert_eq!(serde_json::to_string(&HeaderMap::new()).unwrap(), "{}");
    for bad in [r#"{"a:b":["1"]}"#, r#"{"a":["1\n2"]}"#, r#"{"":["1"]}"#, r#"{"a":1}"#, "[]"] {
        assert!(serde_json::from_str::<HeaderMap>(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_was_received_can_be_stored_and_read_back() {
    let map = received("NATS/1.0\r\nA B: c\rd\r\n\r\n");
    let json = serde_json::to_string(&map).unwrap();
    assert_eq!(serde_json::from_str::<HeaderMap>(&json).unwrap(), map);
}

#[test]
fn collecting_keeps_the_last_value_of_a_name() {
    let name = |text: &str| text.parse::<HeaderName>().unwrap();
    let map: HeaderMap =
        [("a", "1"), ("b", "2"), ("a", "3")].into_iter().map(|(n, v)| (name(n), HeaderValue::from(v))).collect();
    assert_eq!(texts(&map), [("a", "3"), ("b", "2")]);
}

#[test]
#[should_panic(expected = "invalid character found in header value")]
fn a_value_with_a_line_end_panics_like_everywhere() {
    HeaderMap::new().insert("a", "b\r\nc: d");
}

#[test]
#[should_panic(expected = "invalid header name")]
fn a_bad_name_panics_like_everywhere() {
    HeaderMap::new().insert("a b", "c");
}

#[test]
fn names_in_constants_are_names() {
    use crate::protocol::{NATS_MESSAGE_ID, NATS_PIN_ID};
    let mut map = HeaderMap::new();
    map.insert(NATS_MESSAGE_ID, "1");
    assert_eq!(map.get("Nats-Msg-Id").map(HeaderValue::as_str), Some("1"));
    assert!(map.get(NATS_PIN_ID).is_none());
    assert_eq!(format!("{map:?}"), r#"{"Nats-Msg-Id": "1"}"#);
}

// A map is kept in its wire form, as entries, or both: nobody may notice which.
#[test]
fn a_map_is_the_same_in_every_form() {
    let long = "x".repeat(400);
    let names = ["A", "a", "AB", "A-Long-Name", "B"];
    let values = ["", " ", "1", " blanks ", ": colon: ", "a:b", "é", &long];
    let mut state = 17_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for _ in 0..2_000 {
        let (mut map, mut model) = (HeaderMap::new(), Vec::<(String, String)>::new());
        for _ in 0..random(12) {
            let (name, value) = (names[random(names.len())], values[random(values.len())]);
            match random(8) {
                0..=2 => {
                    map.insert(name, value);
                    let first = model.iter().position(|(present, _)| present == name).unwrap_or(model.len());
                    model.retain(|(present, _)| present != name);
                    model.insert(first, (name.to_owned(), value.to_owned()));
                }
                3 | 4 => {
                    map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from(value));
                    model.push((name.to_owned(), value.to_owned()));
                }
                5 => {
                    let other = map.clone();
                    map.append(name, value);
                    assert_eq!(other.entries().count(), model.len(), "a clone does not change");
                    model.push((name.to_owned(), value.to_owned()));
                }
                6 => {
                    assert_eq!(map.remove(name), model.iter().any(|(present, _)| present == name));
                    model.retain(|(present, _)| present != name);
                }
                _ => {
                    let first = model.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str());
                    assert_eq!(map.get(name).map(HeaderValue::as_str), first);
                }
            }
            let lines: String = model.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let block = if model.is_empty() { String::new() } else { format!("NATS/1.0\r\n{lines}\r\n") };
            assert_eq!((map.is_empty(), map.wire_len()), (model.is_empty(), block.len()));
            assert_eq!(map.block().unwrap_or_default(), block.as_bytes());
            if random(3) == 0 {
                assert_eq!(map.wire(), block);
                let entries: Vec<_> =
                    map.entries().map(|(name, value)| (name.to_string(), value.to_string())).collect();
                assert_eq!(entries, model);
            }
        }
    }
}

#[test]
fn a_received_name_or_value_that_is_not_legal_to_send_is_kept_and_written_without_line_ends() {
    let received = HeaderMap::from_wire(b"NATS/1.0\r\nA B: x\ry\r\n\r\n".as_slice().into());
    let (name, value) = received.entries().next().unwrap();
    let mut map = HeaderMap::new();
    map.insert("First", "1");
    map.append(name.clone(), value.clone());
    assert_eq!(map.get("A B").map(HeaderValue::as_str), Some("x\ry"));
    assert_eq!(map.wire(), "NATS/1.0\r\nFirst: 1\r\nA B: x y\r\n\r\n");
}
