//! Defaults, redaction, and every rule that a value can break.

mod documented;

use std::time::Duration;

use super::*;
use crate::client::error::ConnectErrorKind;
use crate::engine::backoff::{Backoff, Jitter};
use crate::engine::pool::Policy;
use crate::engine::{Handover, OutboxRules, OverflowPolicy, Preferred};
use crate::protocol::Limits;

fn settings(options: ConnectOptions) -> ConnectOptions {
    options.checked().unwrap_or_else(|error| panic!("{error}"))
}

/// The option that is refused, and the whole text.
fn refused(options: ConnectOptions) -> (&'static str, String) {
    let error = match options.checked() {
        Ok(_) => panic!("must be refused"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ConnectErrorKind::Io);
    let invalid = error.source_as::<InvalidOption>().unwrap();
    (invalid.option, error.to_string())
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let settings = settings(ConnectOptions::default());
    assert_eq!(settings.config.outbox.cap, 8 * 1024 * 1024);
    assert_eq!(settings.subscription_messages, 65_536);
    assert_eq!(settings.subscription_bytes, 64 * 1024 * 1024);
    assert_eq!(settings.driver.slow_consumer_grace, Duration::from_millis(10));
    assert_eq!(settings.driver.read_buffer, 4096);
    assert_eq!(settings.inbox_prefix, "_INBOX");
    assert_eq!(settings.request_timeout, Some(Duration::from_secs(10)));
    assert_eq!(settings.flush_timeout, Duration::from_secs(10));
    assert_eq!(settings.publish_timeout, Duration::from_secs(10));
    assert_eq!(settings.driver.limits, Limits::default());
    assert_eq!(settings.driver.local_address, None);
    assert!(settings.driver.resolver.is_none() && settings.driver.dialer.is_none());
    assert!(settings.event_callback.is_none());

    let config = settings.config;
    let engine = Config { tls_possible: cfg!(feature = "tls"), ..Config::default() };
    assert_eq!(config, engine, "the engine has no default of its own that differs");
    assert_eq!(config.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.ping_interval, Some(Duration::from_secs(20)));
    assert_eq!(config.max_pings_out, 2);
    assert_eq!(config.write_timeout, Duration::from_secs(10));
    assert_eq!(config.max_reconnects, None);
    assert_eq!(config.max_control_line, 4096);
    assert!(config.reconnect && config.identity.echo);
    assert!(!config.retry_on_initial_connect && !config.ignore_discovered && !config.retain_order);
}

#[test]
fn every_option_reaches_its_setting() {
    let second = Duration::from_secs(1);
    let backoff = Backoff { initial: second, factor: 3.0, max: 9 * second, jitter: Jitter::Full };
    let limits = Limits { line: 1 << 20, ..Limits::default() };
    let address = "127.0.0.1:0".parse().unwrap();
    let settings = settings(
        ConnectOptions::new()
            .name("n")
            .user_and_password("u".to_owned(), "p".to_owned())
            .token("t".to_owned())
            .no_echo()
            .verbose()
            .pedantic()
            .custom_inbox_prefix("mine.inbox")
            .retry_on_initial_connect()
            .no_reconnect()
            .max_reconnects(7)
            .connect_attempts(15)
            .backoff(backoff)
            .tls_reconnect_jitter(8 * second)
            .tls_first()
            .tls_server_name("nats.example")
            .add_root_certificates("a.pem".into())
            .add_root_certificates("b.pem".into())
            .add_client_certificate("c.pem".into(), "k.pem".into())
            .authenticate_with(|_| async { Ok(crate::Auth::new()) })
            .max_reconnects_per_server(9)
            .preferred_servers("better")
            .unwrap()
            .preferred_timeout(11 * second)
            .no_failback()
            .failback_probe(backoff)
            .failback_stability(12 * second)
            .give_up_on_auth_error_after(14 * second)
            .reconnect_delay_callback(|_| Duration::ZERO)
            .reconnect_to_server_callback(|_, _| async { None })
            .ignore_discovered_servers()
            .retain_servers_order()
            .local_address(address)
            .resolver(|_, _| async { Ok(Vec::new()) })
            .dialer(|_| async { Ok(tokio::io::empty()) })
            .event_callback(|_| async {})
            .long_outage_callback(second, |_| async {})
            .handover(Handover::Overlap)
            .connection_timeout(2 * second)
            .ping_interval(3 * second)
            .max_pings_out(4)
            .write_timeout(5 * second)
            .flush_timeout(6 * second)
            .publish_timeout(7 * second)
            .request_timeout(None)
            .slow_consumer_grace(second)
            .client_capacity(1)
            .reconnect_buffer_size(0)
            .subscription_capacity(10)
            .subscription_byte_capacity(11)
            .read_buffer_capacity(1024)
            .max_control_line(1234)
            .poison_after(None)
            .limits(limits)
            .random_seed(13),
    );
    let config = Config {
        connect_timeout: 2 * second,
        ping_interval: Some(3 * second),
        max_pings_out: 4,
        write_timeout: 5 * second,
        reconnect: false,
        max_reconnects: Some(7),
        retry_on_initial_connect: true,
        first_attempts: Some(15),
        ignore_discovered: true,
        retain_order: true,
        policy: Policy {
            backoff,
            tls_jitter: 8 * second,
            max_per_server: Some(9),
            give_up_on_auth_after: Some(14 * second),
            ..Policy::default()
        },
        preferred: Preferred {
            servers: vec!["better".parse().unwrap()],
            timeout: 11 * second,
            failback: false,
            probe: backoff,
            stable_for: 12 * second,
        },
        handover: Handover::Overlap,
        outbox: OutboxRules { cap: 0, ..OutboxRules::default() },
        ask_delay: true,
        ask_server: true,
        require_tls: true,
        tls_first: true,
        tls_possible: cfg!(feature = "tls"),
        ask_credentials: true,
        max_control_line: 1234,
        poison_after: None,
        identity: crate::engine::Identity {
            name: Some("n".to_owned()),
            user: Some("u".to_owned()),
            password: Some("p".into()),
            token: Some("t".into()),
            echo: false,
            verbose: true,
            pedantic: true,
        },
        ..Config::default()
    };
    assert_eq!(settings.config, config);
    assert!(settings.driver.resolver.is_some() && settings.driver.dialer.is_some());
    assert_eq!(settings.driver.tls.server_name.as_deref(), Some("nats.example"));
    assert_eq!(settings.driver.tls.roots, ["a.pem", "b.pem"].map(std::path::PathBuf::from));
    assert_eq!(settings.driver.tls.client, Some(("c.pem".into(), "k.pem".into())));
    assert!(settings.driver.authenticator.is_some());
    assert_eq!(settings.subscription_messages, 10);
    assert_eq!(settings.subscription_bytes, 11);
    assert_eq!(settings.driver.slow_consumer_grace, second);
    assert_eq!(settings.driver.read_buffer, 1024);
    assert_eq!(settings.inbox_prefix, "mine.inbox");
    assert_eq!(settings.request_timeout, None);
    assert_eq!(settings.flush_timeout, 6 * second);
    assert_eq!(settings.publish_timeout, 7 * second);
    assert!(settings.event_callback.is_some() && settings.long_outage_callbacks.len() == 1);
    assert_eq!(settings.driver.local_address, Some(address));
    assert_eq!(settings.driver.limits, limits);
    assert_eq!(settings.random_seed, Some(13));
}

#[test]
fn zero_and_none_both_mean_no_limit_of_reconnects() {
    assert_eq!(settings(ConnectOptions::new().max_reconnects(0)).config.max_reconnects, None);
    assert_eq!(settings(ConnectOptions::new().max_reconnects(None)).config.max_reconnects, None);
    assert_eq!(settings(ConnectOptions::new().max_reconnects(Some(3))).config.max_reconnects, Some(3));
}

#[test]
fn extreme_values_are_bounded_not_refused() {
    let settings = settings(
        ConnectOptions::new()
            .connection_timeout(Duration::MAX)
            .ping_interval(Duration::MAX)
            .request_timeout(Some(Duration::MAX))
            .flush_timeout(Duration::MAX)
            .slow_consumer_grace(Duration::MAX)
            .backoff(Backoff {
                max: Duration::MAX,
                jitter: Jitter::Added(Duration::MAX),
                ..Config::default().policy.backoff
            })
            .max_pings_out(usize::MAX)
            .read_buffer_capacity(0),
    );
    let thirty_years = Duration::from_secs(946_080_000);
    assert_eq!(settings.config.connect_timeout, thirty_years);
    assert_eq!(settings.config.ping_interval, Some(thirty_years));
    assert_eq!(settings.config.policy.backoff.max, thirty_years);
    assert_eq!(settings.config.policy.backoff.jitter, Jitter::Added(thirty_years));
    assert_eq!(settings.config.max_pings_out, u32::MAX);
    assert_eq!(settings.request_timeout, Some(thirty_years));
    assert_eq!(settings.flush_timeout, thirty_years);
    assert_eq!(settings.driver.slow_consumer_grace, thirty_years / 2, "half a ping interval");
    assert_eq!(settings.driver.read_buffer, 0, "the driver has bounds of its own");
}

#[test]
fn a_pause_for_a_slow_consumer_cannot_look_like_a_dead_server() {
    let options = ConnectOptions::new().slow_consumer_grace(Duration::from_secs(1));
    let hasty = options.clone().ping_interval(Duration::from_millis(100));
    assert_eq!(settings(hasty).driver.slow_consumer_grace, Duration::from_millis(50));
    let no_pings = options.ping_interval(None);
    assert_eq!(settings(no_pings).driver.slow_consumer_grace, Duration::from_secs(1));
}

#[test]
fn invalid_values_are_refused_with_the_name_of_the_option() {
    let new = ConnectOptions::new;
    let zero = Duration::ZERO;
    let backoff = Config::default().policy.backoff;
    let limits = Limits::default();
    let cases = [
        ("connection_timeout", new().connection_timeout(zero)),
        ("write_timeout", new().write_timeout(zero)),
        ("flush_timeout", new().flush_timeout(zero)),
        ("publish_timeout", new().publish_timeout(zero)),
        ("request_timeout", new().request_timeout(Some(zero))),
        ("max_pings_out", new().max_pings_out(0)),
        ("ping_interval", new().ping_interval(Duration::from_nanos(999_999))),
        ("ping_interval", new().ping_interval(zero)),
        ("subscription_capacity", new().subscription_capacity(0)),
        ("subscription_byte_capacity", new().subscription_byte_capacity(0)),
        ("max_control_line", new().max_control_line(127)),
        ("poison_after", new().poison_after(Some(1))),
        ("poison_after", new().poison_after(Some(0))),
        ("max_reconnects_per_server", new().max_reconnects_per_server(0)),
        ("connect_attempts", new().connect_attempts(0)),
        ("reconnect_buffer_messages", new().reconnect_buffer_messages(0)),
        ("max_message_age", new().max_message_age(zero)),
        ("overflow_policy", new().overflow_policy(OverflowPolicy::Wait(zero))),
        ("limits.line", new().limits(Limits { line: 4095, ..limits })),
        ("limits.headers", new().limits(Limits { headers: 0, ..limits })),
        // Fault E5
        ("limits.line", new().limits(Limits { line: 1 << 31, ..limits })),
        ("limits.headers", new().limits(Limits { headers: 1 << 31, ..limits })),
        ("limits.total", new().limits(Limits { total: 0, ..limits })),
        ("limits.total", new().limits(Limits { total: 1 << 31, ..limits })),
        ("backoff.factor", new().backoff(Backoff { factor: 0.5, ..backoff })),
        ("backoff.factor", new().backoff(Backoff { factor: f64::NAN, ..backoff })),
        ("backoff.factor", new().backoff(Backoff { factor: f64::INFINITY, ..backoff })),
        ("backoff.initial", new().backoff(Backoff { max: Duration::from_millis(1), ..backoff })),
        ("backoff.jitter", new().backoff(Backoff { jitter: Jitter::Symmetric(-0.1), ..backoff })),
        ("backoff.jitter", new().backoff(Backoff { jitter: Jitter::Symmetric(f64::NAN), ..backoff })),
        ("failback_probe.factor", new().failback_probe(Backoff { factor: 0.5, ..backoff })),
        ("failback_probe.initial", new().failback_probe(Backoff { max: Duration::from_millis(1), ..backoff })),
        ("failback_probe.jitter", new().failback_probe(Backoff { jitter: Jitter::Symmetric(-0.1), ..backoff })),
        ("preferred_timeout", new().preferred_timeout(Duration::ZERO)),
    ];
    for (option, options) in cases {
        let (named, text) = refused(options);
        assert_eq!(named, option, "{text}");
    }
    for prefix in ["", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\r\nPUB x 0", "*", "a.*", "a.>"] {
        assert_eq!(refused(new().custom_inbox_prefix(prefix)).0, "custom_inbox_prefix", "{prefix:?}");
    }
    // Longer, the subscription to replies would break every connection.
    let longest = "p".repeat(4096 - 46);
    assert_eq!(settings(new().custom_inbox_prefix(&longest)).inbox_prefix, longest);
    assert_eq!(refused(new().custom_inbox_prefix(longest.clone() + "p")).0, "custom_inbox_prefix");
    assert_eq!(refused(new().max_control_line(128).custom_inbox_prefix("p".repeat(83))).0, "custom_inbox_prefix");
    for prefix in ["_INBOX", "a.b", "a*b", "é"] {
        assert_eq!(settings(new().custom_inbox_prefix(prefix)).inbox_prefix, prefix);
    }
}

#[test]
fn a_refusal_names_option_value_and_rule() {
    let (_, text) = refused(ConnectOptions::new().write_timeout(Duration::ZERO));
    assert_eq!(text, "IO error: invalid option write_timeout = 0ns: must be longer than zero");
    let (_, text) = refused(ConnectOptions::new().custom_inbox_prefix("a b"));
    assert_eq!(
        text,
        "IO error: invalid option custom_inbox_prefix = \"a b\": must be a subject without wildcards, blanks and \
         empty tokens"
    );
}

#[test]
fn debug_shows_everything_but_secrets() {
    let options = ConnectOptions::with_token("tok-secret".to_owned())
        .user_and_password("joe".to_owned(), "pass-secret".to_owned())
        .name("billing")
        .event_callback(|_| async {});
    for text in [format!("{options:?}"), format!("{options:#?}")] {
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains("joe") && text.contains("billing") && text.contains("***"), "{text}");
    }
    let nothing_set = format!("{:?}", ConnectOptions::new());
    assert!(nothing_set.contains("password: None") && nothing_set.contains("token: None"), "{nothing_set}");
}

#[test]
fn the_short_constructors_set_their_option() {
    let identity = settings(ConnectOptions::with_token("t".to_owned())).config.identity;
    assert_eq!((identity.token.as_deref(), identity.user), (Some("t"), None));
    let identity = settings(ConnectOptions::with_user_and_password("u".to_owned(), "p".to_owned())).config.identity;
    assert_eq!((identity.user.as_deref(), identity.password.as_deref()), (Some("u"), Some("p")));
}

#[test]
fn options_can_be_shared_between_tasks() {
    fn shared<T: Clone + Send + Sync + Unpin + 'static>() {}
    shared::<ConnectOptions>();
}
