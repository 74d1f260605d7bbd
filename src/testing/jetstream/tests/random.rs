//! Random scripts, from seeds: whatever happens, the model's counts are right, and it always has something to wait for.

use super::*;
use crate::testing::jetstream::{NewPulls, WaitingPulls};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, end: u64) -> u64 {
        // xorshift
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap()].clone()
    }
}

fn stream(dice: &mut Dice) -> Value {
    let mut config = json!({ "retention": dice.pick(&["limits", "limits", "interest", "workqueue"]) });
    let limits = [("max_msgs", 6), ("max_msgs_per_subject", 2), ("max_bytes", 300), ("max_age", 3_000_000_000_u64)];
    for (name, value) in limits {
        if dice.roll(4) == 0 {
            config[name] = value.into();
        }
    }
    config["discard"] = dice.pick(&["old", "new"]).into();
    config["allow_msg_ttl"] = true.into();
    config["allow_rollup_hdrs"] = true.into();
    config
}

fn consumer(dice: &mut Dice) -> Value {
    let mut config = json!({
        "ack_policy": dice.pick(&["explicit", "explicit", "all", "none"]),
        "ack_wait": dice.pick(&[300_000_000, 2_000_000_000_u64]),
        "max_deliver": dice.pick(&[-1, 1, 3]),
        "max_ack_pending": dice.pick(&[1, 3, 1_000]),
        "deliver_policy": dice.pick(&["all", "new", "last", "last_per_subject"]),
        "filter_subject": dice.pick(&["s.>", "s.1"]),
    });
    config[dice.pick(&["durable_name", "name"])] = "c".into();
    if dice.roll(3) == 0 {
        config["deliver_subject"] = "push.c".into();
        config["idle_heartbeat"] = 200_000_000.into();
        config["flow_control"] = true.into();
    }
    config
}

/// One step. What was delivered goes to `delivered`, and is answered later.
fn step(world: &mut World, dice: &mut Dice, delivered: &mut Vec<Out>) {
    let mut came = match dice.roll(16) {
        0..=4 => {
            let header = dice.pick(&["", "", "Nats-TTL: 1", "Nats-Rollup: sub", "Nats-Msg-Id: a"]);
            let block = if header.is_empty() { String::new() } else { format!("NATS/1.0\r\n{header}\r\n\r\n") };
            let subject = format!("s.{}", dice.roll(3));
            world.say(&subject, Some("inbox.pub"), &block, b"some text").1
        }
        5..=6 => {
            let body = json!({
                "batch": 1 + dice.roll(4),
                "expires": dice.pick(&[0, 500_000_000_u64]),
                "no_wait": dice.roll(3) == 0,
                "max_bytes": dice.pick(&[0, 0, 20, 200]),
            });
            let reply = dice.pick(&["inbox.1", "away.1"]);
            world.say("$JS.API.CONSUMER.MSG.NEXT.S.c", Some(reply), "", body.to_string().as_bytes()).1
        }
        7..=9 if !delivered.is_empty() => {
            let at = usize::try_from(dice.roll(delivered.len() as u64)).unwrap();
            let to = delivered[at].reply.clone().unwrap_or_default();
            let kind = dice.pick(&["", "+ACK", "-NAK", r#"-NAK {"delay":100000000}"#, "+WPI", "+TERM", "+NXT", "?"]);
            world.say(&to, Some("inbox.ack"), "", kind.as_bytes()).1
        }
        10 => {
            let away = ["away.>".to_owned(), "push.c".to_owned(), "inbox.>".to_owned()];
            world.subjects = vec![dice.pick(&away), dice.pick(&away)];
            let mut out = Vec::new();
            world.tick(&mut out);
            out
        }
        11 => {
            let seq = 1 + dice.roll(20);
            let (verb, body) = match dice.roll(3) {
                0 => ("STREAM.PURGE.S", json!({ "seq": seq })),
                1 => ("CONSUMER.RESET.S.c", json!({ "seq": seq })),
                _ => ("STREAM.MSG.DELETE.S", json!({ "seq": seq })),
            };
            world.say(&format!("$JS.API.{verb}"), Some("inbox.api"), "", body.to_string().as_bytes()).1
        }
        12 => fault(world, dice),
        _ => {
            let millis = dice.roll(800);
            world.pass(millis)
        }
    };
    came.retain(|out| out.reply.is_some());
    delivered.extend(came);
}

fn fault(world: &mut World, dice: &mut Dice) -> Vec<Out> {
    let (mut out, now) = (Vec::new(), world.now);
    let lasts = Duration::from_millis(dice.roll(1_000));
    let model = &mut world.model;
    match dice.roll(8) {
        0 => model.swallow_pulls(1),
        1 => model.lose_acks(1),
        2 => model.lose_deliveries(1),
        3 => model.double_deliveries(1),
        4 => model.delay_deliveries(1, lasts),
        5 => drop(model.elect("S", "c", lasts, NewPulls::Swallowed, WaitingPulls::Told, now, &mut out)),
        6 => drop(model.take_offline("S", lasts, now)),
        _ => model.restart(now),
    }
    out
}

fn run(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut world = World::with_stream(stream(&mut dice));
    let mut delivered = Vec::new();
    for _ in 0..300 {
        if world.model.consumer("S", "c").is_none() {
            // It may be refused, by a work queue for instance.
            let body = json!({ "stream_name": "S", "config": consumer(&mut dice) });
            world.say("$JS.API.CONSUMER.CREATE.S.c", Some("inbox.api"), "", body.to_string().as_bytes());
        }
        step(&mut world, &mut dice, &mut delivered);
        let mut out = Vec::new();
        world.tick(&mut out);
        delivered.extend(out.into_iter().filter(|out| out.reply.is_some()));
        let now = world.model.clock.read(world.now);
        let stream = &world.model.streams["S"];
        if !stream.is_offline(now) {
            stream.consumers.values().for_each(|consumer| consumer.check(&stream.log, now));
        }
        let next = world.model.next_deadline(world.now);
        assert!(next.is_none_or(|next| next > world.now), "it would spin");
    }
}

#[test]
fn counts_and_deadlines_are_right_in_every_world() {
    let seeds = std::env::var("SEEDS").map_or(300, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        // The seed of a world that fails is in the output of the test.
        println!("seed {seed}");
        run(seed);
    }
}

#[test]
fn the_same_script_has_the_same_end() {
    let end = |seed| {
        let mut dice = Dice(seed);
        let mut world = World::with_stream(json!({}));
        world.consumer(json!({ "durable_name": "c", "ack_policy": "explicit" }));
        let mut delivered = Vec::new();
        (0..200).for_each(|_| step(&mut world, &mut dice, &mut delivered));
        let texts: Vec<_> = delivered.iter().map(|out| (out.to.clone(), out.reply.clone())).collect();
        texts
    };
    assert_eq!(end(77), end(77));
}
