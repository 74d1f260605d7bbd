//! The numbers in README and in the guide are the defaults of the options.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ConnectOptions;

const README: &str = include_str!("../../../../README.md");

macro_rules! guide {
    ($($page:literal)*) => { [$(($page, include_str!(concat!("../../../guide/", $page, ".md")))),*] };
}

const GUIDE: [(&str, &str); 14] = guide! {
    "backoff" "buffering" "delivery" "events" "failover" "first_steps" "health" "migrating" "outage" "pitfalls"
    "production" "states" "testing" "tuning"
};

/// As the pages write it: `20 s`, `10 ms`.
fn time(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

/// As the pages write it: `8 MiB`, `4 KiB`.
fn bytes(bytes: usize) -> String {
    if bytes % (1 << 20) == 0 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// `65536` as `65,536`.
fn grouped(number: usize) -> String {
    format!("{},{:03}", number / 1000, number % 1000)
}

/// A default of `None`, in the words of the pages.
fn none<T>(value: Option<T>, words: &str) -> String {
    assert!(value.is_none(), "the default is a number: say it in the guide");
    words.to_owned()
}

/// What the tables say of each option's default.
fn defaults() -> BTreeMap<&'static str, String> {
    let ConnectOptions { config, driver, flush_timeout, publish_timeout, request_timeout, .. } = ConnectOptions::new();
    let ConnectOptions { subscription_messages, subscription_bytes, .. } = ConnectOptions::new();
    assert!(config.reconnect);
    BTreeMap::from([
        ("ping_interval", config.ping_interval.map(time).unwrap()),
        ("max_pings_out", config.max_pings_out.to_string()),
        ("write_timeout", time(config.write_timeout)),
        ("connection_timeout", time(config.connect_timeout)),
        ("publish_timeout", time(publish_timeout)),
        ("flush_timeout", time(flush_timeout)),
        ("request_timeout", request_timeout.map(time).unwrap()),
        ("reconnect_buffer_size", bytes(config.outbox.cap)),
        ("reconnect_buffer_messages", none(config.outbox.messages, "no limit")),
        ("max_message_age", none(config.outbox.max_age, "no limit")),
        ("subscription_capacity", format!("{} messages", grouped(subscription_messages))),
        ("subscription_byte_capacity", bytes(subscription_bytes)),
        ("slow_consumer_grace", time(driver.slow_consumer_grace)),
        ("read_buffer_capacity", bytes(driver.read_buffer)),
        ("connect_attempts", none(config.first_attempts, "each server once")),
        ("max_reconnects", none(config.max_reconnects, "never")),
        ("max_reconnects_per_server", none(config.policy.max_per_server, "never")),
        ("give_up_on_auth_error_after", none(config.policy.give_up_on_auth_after, "never")),
        ("no_reconnect", "off".to_owned()),
    ])
}

/// The rows of tables with a column `default` whose first cell is an option: its name, and that cell.
fn rows(page: &str) -> Vec<(&str, &str)> {
    let (mut column, mut rows) = (None, Vec::new());
    for line in page.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if !line.starts_with('|') {
            column = None;
        } else if cells.first() == Some(&"option") {
            column = cells.iter().position(|cell| *cell == "default");
        } else if let Some(column) = column {
            let name = cells[0].strip_prefix("[`").and_then(|rest| rest.split_once("`]"));
            rows.extend(name.map(|(name, _)| (name, cells[column])));
        }
    }
    rows
}

#[test]
fn tables_of_defaults_are_true() {
    let defaults = defaults();
    let mut seen = Vec::new();
    for (page, text) in GUIDE {
        for (option, said) in rows(text) {
            let default = defaults.get(option).unwrap_or_else(|| panic!("{page}: add `{option}` to this test"));
            assert_eq!(said, default, "{page}: {option}");
            seen.push(option);
        }
    }
    let unseen: Vec<_> = defaults.keys().filter(|option| !seen.contains(option)).collect();
    assert!(unseen.is_empty(), "no table names {unseen:?}");
}

#[test]
fn sentences_about_defaults_are_true() {
    let ConnectOptions { config, flush_timeout, publish_timeout, request_timeout, .. } = ConnectOptions::new();
    let ConnectOptions { subscription_messages, subscription_bytes, .. } = ConnectOptions::new();
    let (policy, preferred, pings) = (&config.policy, &config.preferred, config.max_pings_out);
    let (ping, buffer, attempt) =
        (config.ping_interval.unwrap(), bytes(config.outbox.cap), time(config.connect_timeout));
    let (idle, loaded, deaf) = (time(ping * (pings + 1)), time(ping * pings), time(ping * pings * 4));
    let (stalled, interval) = (time(config.write_timeout), time(ping));
    let (first, longest) = (time(policy.backoff.initial), time(policy.backoff.max));
    let request = time(request_timeout.unwrap());
    assert_eq!((config.poison_after, pings, policy.backoff.factor), (Some(5), 2, 2.0), "in words: five, two, doubled");
    let sentences = [
        ("README", format!("({buffer} by default)")),
        ("backoff", format!("{first} after its first failure, doubled by each further one up to {longest}")),
        ("backoff", format!("dialled again after a random time up to {}", time(policy.redial))),
        ("backoff", format!("TLS servers get up to {} more", time(policy.tls_jitter))),
        ("backoff", format!("[`ConnectOptions::tls_reconnect_jitter`], {} by default", time(policy.tls_jitter))),
        ("buffering", format!("up to {buffer} with their control lines")),
        ("buffering", format!("[`ConnectOptions::publish_timeout`] ({})", time(publish_timeout))),
        ("buffering", "has ended five connections in a row".to_owned()),
        (
            "delivery",
            format!("at {} messages or {} by default", grouped(subscription_messages), bytes(subscription_bytes)),
        ),
        ("failover", format!("attempt may take {attempt}, from the name")),
        ("failover", format!("are probed: after {}, and then", time(preferred.probe.initial))),
        ("failover", format!("its connection has lasted {}, the client moves", time(preferred.stable_for))),
        ("migrating", format!("at its deadline of {}", time(flush_timeout))),
        ("migrating", format!("{buffer} are buffered")),
        ("migrating", format!("{interval} by default; async-nats")),
        (
            "outage",
            format!("after {stalled} in which the server takes or acknowledges no byte, or after {loaded} without"),
        ),
        ("outage", format!("two intervals of {interval}; both")),
        (
            "outage",
            format!("after {interval} of silence otherwise; an idle connection that dies is noticed after {idle}"),
        ),
        ("outage", format!("given up after {deaf}")),
        ("outage", format!("({first}, doubled up to {longest}, half of it random)")),
        ("outage", format!("share one deadline ({attempt})")),
        ("production", format!("| {buffer}, then publish fails; no age limit |")),
        ("production", format!("[`request_timeout`](ConnectOptions::request_timeout) | {request} |")),
        ("testing", format!("noticed after {idle} by default when idle")),
        ("testing", format!("bounds each attempt in the meantime ({attempt})")),
        ("tuning", format!("(max_pings_out + 1) × ping_interval   = {idle}")),
        ("tuning", format!("max_pings_out × ping_interval        = {loaded}; or write_timeout = {stalled}")),
        ("tuning", format!("4 × max_pings_out × ping_interval    = {deaf}")),
        ("tuning", format!("subscriptions × {}, if", bytes(subscription_bytes))),
        ("tuning", format!("{first} to {longest} per server, half of it random")),
    ];
    for (page, sentence) in sentences {
        let text = GUIDE.iter().find(|(name, _)| *name == page).map_or(README, |(_, text)| text);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert!(lines.join(" ").contains(&sentence), "{page} does not say: {sentence}");
    }
}
