//! Ports for servers that will be restarted on the same port.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
};

/// Four neighbouring ports, reserved until dropped, even while nothing listens on three of them.
///
/// They are below the range of ephemeral ports (32768 and up on Linux, 49152 elsewhere). So the port of a dead server
/// is never taken by a client's socket, and a client that redials a dead port cannot connect to itself, which Linux
/// permits inside that range. A listener on the first port reserves all four, across all processes, and ends with its
/// process. That is why nats-server's own `port: -1` is not used here.
pub(crate) struct Ports {
    guard: TcpListener,
    first: u16,
}

const LOWEST: u32 = 10_000;
const SLOTS: u32 = (32_000 - LOWEST) / 4;

impl Ports {
    pub(crate) fn reserve() -> Ports {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..SLOTS {
            // Processes start at different ports, so that they seldom collide.
            let slot = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % SLOTS;
            let first = u16::try_from(LOWEST + 4 * slot).expect("below 32000");
            if let Ok(guard) = TcpListener::bind(("127.0.0.1", first)) {
                let ports = Ports { guard, first };
                if [ports.client(), ports.monitor(), ports.cluster()]
                    .iter()
                    .all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
                {
                    return ports;
                }
            }
        }
        panic!("no four free ports between {LOWEST} and 32000");
    }

    pub(crate) fn client(&self) -> u16 {
        self.first + 1
    }

    pub(crate) fn monitor(&self) -> u16 {
        self.first + 2
    }

    pub(crate) fn cluster(&self) -> u16 {
        self.first + 3
    }
}
