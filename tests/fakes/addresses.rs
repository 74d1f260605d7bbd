//! Names and their addresses: dead ones do not prevent a connection to live ones, and look-ups stay within their
//! deadline.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nats_lifeline::connection::{Cause, ConnectionEvent};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectErrorKind, ConnectOptions};
use socket2::{Domain, Socket, Type};

use crate::support::black_hole::BlackHole;
use crate::support::{Timeline, soon};

/// An address where nothing listens; it is bound, so that no other process uses it.
struct Dead {
    addr: SocketAddr,
    _taken: Socket,
}

impl Dead {
    fn new() -> Dead {
        let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        taken.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        Dead { addr: taken.local_addr().unwrap().as_socket().unwrap(), _taken: taken }
    }
}

async fn works(client: &Client) {
    let inbox = client.new_inbox();
    let mut own = soon("a subscription", client.subscribe(inbox.clone())).await.unwrap();
    soon("a publish", client.publish(inbox, "x".into())).await.unwrap();
    assert_eq!(soon("a message", own.next()).await.unwrap().payload, "x");
}

// Scenario 25, P5
#[tokio::test]
async fn a_live_address_is_found_among_dead_and_silent_ones() {
    let (broker, dead, hole) = (Broker::start().await.unwrap(), Dead::new(), BlackHole::new());
    let addresses = vec![dead.addr, hole.addr, broker.addr()];
    // They are tried in random order: often enough that each comes first.
    for _ in 0..8 {
        let found = addresses.clone();
        let options = ConnectOptions::new().resolver(move |host, port| {
            assert_eq!((host.as_str(), port), ("three.example", 4222));
            let found = found.clone();
            async move { Ok(found) }
        });
        let client = soon("a connection", options.connect("three.example")).await.unwrap();
        works(&client).await;
    }
}

// Scenario 25
#[tokio::test]
async fn the_error_of_a_name_shows_each_of_its_addresses() {
    let dead = [Dead::new(), Dead::new()];
    let found: Vec<SocketAddr> = dead.iter().map(|dead| dead.addr).collect();
    let (answer, none) = (found.clone(), "none.example");
    let options = ConnectOptions::new().resolver(move |host, _| {
        let answer = if host == none { Vec::new() } else { answer.clone() };
        async move { Ok(answer) }
    });
    let error = soon("a refusal", options.clone().connect("two.example")).await.unwrap_err();
    let text = error.to_string();
    assert!(found.iter().all(|address| text.contains(&format!("{address}: Connection refused"))), "{text}");
    assert!(text.contains("two.example:4222: ") && text.contains("is the server running"), "{text}");
    let refused = |cause: &Cause| matches!(cause, Cause::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused);
    assert!(error.source_as().is_some_and(refused), "{text}");

    let error = soon("a refusal", options.connect(none)).await.unwrap_err();
    assert!(error.to_string().contains("none.example"), "{error}");
}

// Scenarios 7, 25: one deadline applies to all of them.
#[tokio::test]
async fn a_name_without_an_answering_address_fails_within_the_deadline() {
    let hole = BlackHole::new();
    let addr = hole.addr;
    let options = ConnectOptions::new()
        .connection_timeout(Duration::from_millis(700))
        .resolver(move |_, _| async move { Ok(vec![addr; 5]) });
    let error = soon("a refusal", options.connect("silent.example")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut, "{error}");
}

// Scenario 26
#[tokio::test]
async fn a_hung_look_up_ends_at_the_deadline_and_the_next_server_is_tried() {
    let broker = Broker::start().await.unwrap();
    let addr = broker.addr();
    let options = ConnectOptions::new().retain_servers_order().connection_timeout(Duration::from_millis(300)).resolver(
        move |host, _| async move {
            if host == "hangs.example" {
                std::future::pending::<()>().await;
            }
            Ok(vec![addr])
        },
    );
    let client = soon("a connection", options.connect(vec!["hangs.example", "works.example"])).await.unwrap();
    works(&client).await;
    let pool = client.server_pool().await.unwrap();
    let hanging = pool.iter().find(|server| server.addr.host() == "hangs.example").unwrap();
    assert_eq!(hanging.failed_attempts, 1, "{:?}", hanging.last_error);
}

// Scenario 26
#[tokio::test]
async fn a_temporarily_unknown_name_is_looked_up_again() {
    let broker = Broker::start().await.unwrap();
    let addr = broker.addr();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let options = ConnectOptions::new().retry_on_initial_connect().resolver(move |_, _| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match number {
                0 => Err(io::Error::new(io::ErrorKind::NotFound, "no such host")),
                1 => Ok(Vec::new()),
                2 => panic!("a panic that this test wants"),
                _ => Ok(vec![addr]),
            }
        }
    });
    let client = soon("a handle", options.connect("later.example")).await.unwrap();
    let timeline = Timeline::of(&client);
    works(&client).await;
    assert!(asked.load(Ordering::Relaxed) >= 4);
    // The first failure may have come before the listener existed.
    for event in timeline.all() {
        if let ConnectionEvent::AttemptFailed { cause, .. } = event {
            assert!(matches!(cause, Cause::Dns(_)), "{cause}");
        }
    }
}

// Scenario 27
#[tokio::test]
async fn a_name_with_new_addresses_is_looked_up_again() {
    let (old, new) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let place = Arc::new(Mutex::new(old.addr()));
    let now = Arc::clone(&place);
    let options = ConnectOptions::new().resolver(move |_, _| {
        let found = *now.lock().unwrap();
        async move { Ok(vec![found]) }
    });
    let client = soon("a connection", options.connect("moves.example")).await.unwrap();
    works(&client).await;
    let timeline = Timeline::of(&client);
    *place.lock().unwrap() = new.addr();
    old.kill();
    timeline.reconnected(0).await;
    works(&client).await;
    assert_eq!(new.connections(), 1);
}

// P5: an IP address needs no look-up.
#[tokio::test]
async fn an_ip_address_is_not_looked_up() {
    let broker = Broker::start().await.unwrap();
    let options = ConnectOptions::new().resolver(|_, _| async { panic!("asked for an address") as io::Result<_> });
    works(&soon("a connection", options.connect(broker.url())).await.unwrap()).await;
}

// P5: if an address refuses immediately, the next one is tried without the delay of 250 ms.
#[tokio::test]
async fn refusals_are_not_waited_for() {
    let broker = Broker::start().await.unwrap();
    let dead: Vec<Dead> = (0..100).map(|_| Dead::new()).collect();
    let found: Vec<SocketAddr> = dead.iter().map(|dead| dead.addr).chain([broker.addr()]).collect();
    let began = Instant::now();
    for _ in 0..3 {
        let found = found.clone();
        let options = ConnectOptions::new().resolver(move |_, _| {
            let found = found.clone();
            async move { Ok(found) }
        });
        soon("a connection", options.connect("many.example")).await.unwrap();
    }
    // With these delays, the live one, at a random place, would be reached after 12 s on average, three times.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
