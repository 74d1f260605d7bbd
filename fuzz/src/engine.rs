//! The engine under any script: commands, bytes, time and faults, in any order.

use core::time::Duration;

use nats_lifeline::engine::harness::Net;
use nats_lifeline::engine::{Config, DeliveryMode, OutboxRules, OverflowPolicy, Status};

use super::choices::Choices;
use world::World;

mod server;
mod world;

/// Reads settings, and then steps until the input ends. After the last step the client is closed, and must reach its end.
pub fn engine(input: &[u8]) {
    let mut choices = Choices::new(input);
    let config = config(&mut choices);
    let servers = 1 + choices.below(3);
    let (rules, prepare_moves) = rules(&mut choices);
    let config = Config { outbox: rules, prepare_moves, ..config };
    let mut world = World::new(config, servers, choices.number());
    while !choices.is_empty() {
        // With two connections, a step first chooses which of them it is about.
        world.harness.aim = if world.harness.links.len() > 1 { choices.below(2) } else { 0 };
        step(&mut world, &mut choices);
        world.check();
    }
    world.end();
}

fn config(choices: &mut Choices<'_>) -> Config {
    let flags = choices.byte();
    let flag = |at: u8| flags >> at & 1 == 1;
    Config {
        reconnect: !flag(0),
        max_reconnects: flag(1).then_some(3),
        retry_on_initial_connect: flag(2),
        ignore_discovered: flag(3),
        retain_order: flag(4),
        ping_interval: (!flag(5)).then(|| ms(400)),
        write_timeout: ms(1500),
        ask_credentials: flag(6),
        tls_first: flag(7),
        ..Config::default()
    }
}

/// The outbox's rules, and whether moves are prepared.
fn rules(choices: &mut Choices<'_>) -> (OutboxRules, bool) {
    let byte = usize::from(choices.byte());
    let overflow = [
        OverflowPolicy::Error,
        OverflowPolicy::DropOldest,
        OverflowPolicy::DropNewest,
        // Waiting means to try again.
        OverflowPolicy::Wait(ms(100)),
    ];
    let rules = OutboxRules {
        cap: [8 << 20, 300, 0, 100_000][byte % 4],
        overflow: overflow[byte / 4 % 4],
        messages: (byte / 16 % 2 == 1).then_some(5),
        max_age: (byte / 32 % 2 == 1).then_some(ms(300)),
        delivery: if byte / 64 % 2 == 1 { DeliveryMode::AtLeastOnce } else { DeliveryMode::AtMostOnce },
    };
    (rules, byte / 128 == 1)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn step(world: &mut World, choices: &mut Choices<'_>) {
    match choices.below(24) {
        0 => world.publish(usize::from(choices.byte()), false),
        1 => world.publish(choices.below(8), true),
        // Large enough to be shared, not copied.
        2 => world.publish(33_000, false),
        3 => world.cancel(choices.number()),
        4 => world.harness.connect(),
        5 => world.subscribe(choices.flag().then_some("workers")),
        6 => world.unsubscribe(choices.byte()),
        7 => world.harness.unsubscribe_after(u64::from(choices.byte()), choices.number()),
        8 => world.drain_subscription(choices.byte()),
        9 => world.flush(choices.flag()),
        10 => world.cancel_flush(choices.byte()),
        11 => world.harness.force_reconnect(),
        12 => world.harness.set_pool(world::addresses(choices.below(5))),
        13 => world.harness.finished(u64::from(choices.byte())),
        14 => match choices.below(8) {
            0 => world.harness.drain(ms(3000)),
            1 => world.harness.close(),
            _ => {}
        },
        15 => world.harness.take(usize::from(choices.byte())),
        16 => world.harness.takes = choices.flag(),
        17 => world.harness.advance(ms([1, 30, 250, 2000][choices.below(4)] * u64::from(choices.byte()) / 16)),
        18 | 19 => proceed(world, choices),
        20 => world.harness.serve(choices.some_bytes()),
        21 => serve_something(world, choices),
        22 => world.lose(choices.flag()),
        _ => world.break_writing(),
    }
}

/// The next step of a well-behaved server.
fn proceed(world: &mut World, choices: &mut Choices<'_>) {
    match world.harness.net() {
        Net::None => {}
        Net::Dialing(_) if choices.below(4) == 1 => world.refuse(),
        Net::Dialing(_) => {
            world.harness.dialed(0);
            world.harness.serve(world::INFO);
        }
        Net::Up(_) if world.is_asked() => {
            world.answer(choices.below(4) == 1);
            world.harness.serve(world::INFO);
        }
        Net::Up(_) => {
            world.harness.take(usize::MAX);
            world.harness.serve(b"PONG\r\n");
        }
    }
}

/// Something that servers send; some of it is out of place at any moment.
fn serve_something(world: &mut World, choices: &mut Choices<'_>) {
    let sid = choices.byte();
    let bytes = match choices.below(12) {
        0 => b"PING\r\n".to_vec(),
        1 => b"PONG\r\nPONG\r\n".to_vec(),
        2 => b"INFO {\"headers\":true,\"connect_urls\":[\"d:4222\",\"e\",\"\xff\"],\"ldm\":true}\r\n".to_vec(),
        3 => b"INFO {\"max_payload\":20,\"connect_urls\":[]}\r\n".to_vec(),
        4 => b"-ERR 'Stale Connection'\r\n".to_vec(),
        5 => b"-ERR 'Authorization Violation'\r\n".to_vec(),
        6 => b"-ERR 'Permissions Violation for Subscription to \"s\"'\r\n".to_vec(),
        7 => format!("-ERR 'Permissions Violation for Subscription to \"s\" (sid \"{sid}\")'\r\n").into_bytes(),
        8 => format!("MSG s {sid} 1\r\nm\r\n").repeat(choices.below(8)).into_bytes(),
        9 => b"INFO {\"tls_required\":true,\"nonce\":\"n\"}\r\n".to_vec(),
        10 => b"INFO {\"tls_required\":true}\r\nPING\r\n".to_vec(),
        _ => format!("INFO {{\"connect_urls\":[\"a{sid}:{sid}\"]}}\r\n").into_bytes(),
    };
    world.harness.serve(&bytes);
}

/// A closed client has nothing left.
impl World {
    fn end(&mut self) {
        self.harness.takes = true;
        self.harness.close();
        self.harness.serve(b"PONG\r\n");
        self.harness.advance(ms(2000));
        self.check();
        assert_eq!(self.harness.engine.status(), Status::Closed);
        self.check_end();
    }
}
