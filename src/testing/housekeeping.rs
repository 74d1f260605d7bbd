//! What a broker does by the clock: PINGs and deadlines.

use super::connection::{Close, Connection};
use super::node::Node;
use super::session::Ending;
use crate::protocol::ping;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// The latest time of the first PING, with which nats-server measures the round trip (seen 2.4
/// seconds after the connection was accepted).
const FIRST_PING: Duration = Duration::from_millis(2400);

/// Checks all connections periodically. Deadlines are exact to one tick.
pub(super) async fn run(node: Arc<Node>) {
    let settings = &node.shared.settings;
    let shortest = settings.ping_interval.min(settings.auth_timeout).min(settings.write_deadline);
    let tick = (shortest / 8).clamp(Duration::from_millis(5), Duration::from_millis(100));
    let mut ticks = interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if node.shared.faults.is_frozen() {
            continue;
        }
        for connection in node.connections.list() {
            look_at(&node, &connection);
        }
    }
}

fn look_at(node: &Node, connection: &Connection) {
    let settings = &node.shared.settings;
    let stuck = connection.stuck_since();
    if stuck.is_some_and(|since| since.elapsed() >= settings.write_deadline) {
        connection.close(Close::Plain);
        return;
    }
    let age = connection.age();
    if !connection.connected.load(Ordering::Acquire) {
        if !settings.session.credentials.is_empty() && age >= millis(settings.auth_timeout) {
            connection.finish(Ending::Says("Authentication Timeout"));
        }
        return;
    }
    let last_ping = connection.last_ping.load(Ordering::Relaxed);
    let interval = millis(settings.ping_interval);
    let due = if last_ping == 0 {
        interval.min(millis(FIRST_PING))
    } else {
        let heard = connection.last_heard.load(Ordering::Relaxed);
        last_ping.max(heard).saturating_add(interval)
    };
    if age < due {
        return;
    }
    if connection.pings_out.fetch_add(1, Ordering::Relaxed) >= settings.max_pings_out {
        connection.finish(Ending::Says("Stale Connection"));
        return;
    }
    connection.last_ping.store(age.max(1), Ordering::Relaxed);
    connection.say(ping);
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
