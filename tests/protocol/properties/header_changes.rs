//! A header map under any sequence of changes, against a list of names with their values.

use crate::generated::laws;
use bytes::Bytes;
use nats_lifeline::protocol::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;

/// The entries in order.
type Model = Vec<(String, String)>;

/// What is done to a map, or looked up in it.
#[derive(Clone, Debug)]
enum Step {
    Insert(String, String),
    Append(String, String),
    /// The same with finished types instead of text.
    InsertReady(String, String),
    AppendReady(String, String),
    Remove(String),
    LookUp(String),
    /// Everything is read, and so cached.
    ReadAll,
    /// The block is made, and so cached.
    Wire,
    /// A clone is kept, and compared at the end.
    Keep,
    /// The map is replaced by what its receiver gets.
    Receive,
    /// The map is replaced by what is collected from its entries.
    Collect,
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "(A|a|AB|B)", 1 => "[!-9;-~]{1,60}"]
}

/// Short and long values, those of the lengths at which a map changes its form, and what looks like a line.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,6}",
        1 => "[ \t]{0,3}é{0,30}[ \t]{0,3}",
        1 => Just("A: 1".to_owned()),
        1 => (30..50_usize).prop_map(|len| "v".repeat(len)),
        1 => prop_oneof![250..260_usize, 480..520_usize, 950..1100_usize].prop_map(|len| "w".repeat(len)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (name(), value()).prop_map(|(name, value)| Step::Insert(name, value)),
        4 => (name(), value()).prop_map(|(name, value)| Step::Append(name, value)),
        1 => (name(), value()).prop_map(|(name, value)| Step::InsertReady(name, value)),
        1 => (name(), value()).prop_map(|(name, value)| Step::AppendReady(name, value)),
        2 => name().prop_map(Step::Remove),
        2 => name().prop_map(Step::LookUp),
        1 => Just(Step::ReadAll),
        1 => Just(Step::Wire),
        1 => Just(Step::Keep),
        1 => Just(Step::Receive),
        1 => Just(Step::Collect),
    ]
}

fn ready(name: &str, value: &str) -> (HeaderName, HeaderValue) {
    (name.parse().unwrap(), value.parse().unwrap())
}

fn insert(model: &mut Model, name: String, value: String) {
    let first = model.iter().position(|entry| entry.0 == name).unwrap_or(model.len());
    model.retain(|entry| entry.0 != name);
    model.insert(first, (name, value));
}

/// The values of a name.
fn values<'a>(model: &'a Model, name: &str) -> Vec<&'a str> {
    model.iter().filter(|entry| entry.0 == name).map(|entry| entry.1.as_str()).collect()
}

fn block(model: &Model) -> String {
    let lines: String = model.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    if model.is_empty() { lines } else { format!("NATS/1.0\r\n{lines}\r\n") }
}

fn entries(map: &HeaderMap) -> Model {
    map.entries().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn apply(step: Step, map: &mut HeaderMap, model: &mut Model, kept: &mut Vec<(HeaderMap, Model)>) {
    match step {
        Step::Insert(name, value) => {
            map.insert(name.as_str(), value.as_str());
            insert(model, name, value);
        }
        Step::Append(name, value) => {
            map.append(name.as_str(), value.as_str());
            model.push((name, value));
        }
        Step::InsertReady(name, value) => {
            let (ready_name, ready_value) = ready(&name, &value);
            map.insert(ready_name, ready_value);
            insert(model, name, value);
        }
        Step::AppendReady(name, value) => {
            let (ready_name, ready_value) = ready(&name, &value);
            map.append(ready_name, ready_value);
            model.push((name, value));
        }
        Step::Remove(name) => {
            assert_eq!(map.remove(name.as_str()), !values(model, &name).is_empty());
            model.retain(|entry| entry.0 != name);
        }
        Step::LookUp(name) => {
            let expected = values(model, &name);
            assert_eq!(map.get_all(name.as_str()).map(HeaderValue::as_str).collect::<Vec<_>>(), expected);
            assert_eq!(map.get(name.as_str()).map(HeaderValue::as_str), expected.first().copied());
            assert_eq!(map.get_last(name.as_str()).map(HeaderValue::as_str), expected.last().copied());
        }
        Step::ReadAll => {
            assert_eq!(entries(map), *model);
            let mut names = 0;
            for (name, found) in map.iter() {
                names += 1;
                assert_eq!(found.iter().map(HeaderValue::as_str).collect::<Vec<_>>(), values(model, name.as_ref()));
            }
            assert_eq!(map.len(), names);
        }
        Step::Wire => assert_eq!(map.wire(), block(model)),
        Step::Keep => kept.push((map.clone(), model.clone())),
        Step::Receive => {
            let sent = map.wire();
            *map = HeaderMap::from_wire(sent.clone());
            assert!(!map.is_malformed());
            assert_eq!(map.wire(), sent, "it is sent on unchanged");
            for entry in &mut *model {
                entry.1 = entry.1.trim_matches([' ', '\t']).to_owned();
            }
            // Its own text, in which blanks at the ends of values are not kept.
            let text: HeaderMap = serde_json::from_str(&serde_json::to_string(&*map).unwrap()).unwrap();
            assert_eq!(text, *map);
            *map = HeaderMap::from_wire(Bytes::from(block(model)));
        }
        Step::Collect => {
            *map = map.entries().map(|(name, value)| (name.clone(), value.clone())).collect();
            for (name, value) in std::mem::take(model) {
                insert(model, name, value);
            }
        }
    }
}

/// Everything that can be seen of a map from outside.
fn check(map: &HeaderMap, model: &Model) {
    assert_eq!((map.is_empty(), map.wire_len()), (model.is_empty(), block(model).len()));
    let mut appended = b"before".to_vec();
    map.write_wire(&mut appended);
    assert_eq!(appended, ["before", &block(model)].concat().into_bytes());
    assert_eq!(entries(map), *model);
    let mut made = HeaderMap::new();
    for (name, value) in model {
        made.append(name.as_str(), value.as_str());
    }
    assert_eq!((&made, made.wire()), (map, map.wire()));
    made.append("Other", "1");
    assert_ne!(made, *map);
}

proptest! {
    #![proptest_config(laws(600))]

    #[test]
    fn a_header_map_is_a_list_of_names_with_their_values(steps in vec(step(), 0..24)) {
        let (mut map, mut model, mut kept) = (HeaderMap::new(), Model::new(), Vec::new());
        for step in steps {
            apply(step, &mut map, &mut model, &mut kept);
            prop_assert_eq!(map.wire_len(), block(&model).len());
        }
        kept.push((map, model));
        for (map, model) in &kept {
            check(map, model);
        }
    }
}
