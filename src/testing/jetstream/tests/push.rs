//! Push consumers: interest, heartbeats, flow control.

use super::*;

fn push() -> Value {
    json!({ "name": "c", "deliver_subject": "push.c", "idle_heartbeat": 1_000_000_000, "flow_control": true })
}

#[test]
fn a_push_consumer_delivers_while_somebody_listens() {
    let mut world = World::with_stream(json!({}));
    world.fill(2);
    world.consumer(push());
    assert_eq!(world.state().pending, 2);
    world.subjects.push("push.c".to_owned());
    let mut out = Vec::new();
    world.tick(&mut out);
    assert_eq!(texts(&out), ["message 1", "message 2"]);
    assert_eq!((out[0].to.as_str(), out[0].subject.as_str()), ("push.c", "s.1"));
    let beats = world.pass(2_000);
    assert_eq!(texts(&beats), ["100 Idle Heartbeat"; 2]);
    assert!(beats[0].headers.ends_with(b"\r\nNats-Last-Consumer: 2\r\nNats-Last-Stream: 2\r\n\r\n"));
    assert_eq!(world.api("CONSUMER.INFO.S.c", json!({}))["push_bound"], true);
    assert_eq!(texts(&world.pull("inbox.1", json!({}))), ["409 Consumer is push based"]);
}

#[test]
fn flow_control_stops_a_consumer_until_it_is_answered() {
    let mut world = World::with_stream(json!({}));
    world.subjects.push("push.c".to_owned());
    world.consumer(push());
    assert!(world.model.set_flow_window("S", "c", 200));
    let out = world.fill(9);
    let asked = out.iter().position(|out| texts(std::slice::from_ref(out)) == ["100 FlowControl Request"]).unwrap();
    let sent = out.len() - 1;
    assert!(asked < sent && sent < 9, "{:?}", texts(&out));
    let beat = &world.pass(1_000)[0];
    let question = out[asked].reply.clone().unwrap();
    let stalled = format!("\r\nNats-Consumer-Stalled: {question}\r\n\r\n");
    assert!(beat.headers.ends_with(stalled.as_bytes()), "{beat:?}");
    let (heard, more) = world.say(&question, None, "", b"");
    assert!(heard);
    assert!(texts(&more).contains(&format!("message {}", sent + 1)), "{:?}", texts(&more));
}

#[test]
fn an_ephemeral_consumer_goes_when_nobody_listens_any_more() {
    let mut world = World::with_stream(json!({}));
    world.subjects.push("push.c".to_owned());
    world.consumer(push());
    world.pass(20_000);
    assert!(world.model.consumer("S", "c").is_some());
    world.subjects.pop();
    world.pass(6_000);
    assert_eq!(world.model.consumer("S", "c"), None);
}
