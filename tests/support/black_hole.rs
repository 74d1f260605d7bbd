//! Addresses that never answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// An address that neither accepts nor refuses: its accept queue is full, so the kernel answers no further connection.
pub(crate) struct BlackHole {
    pub(crate) addr: SocketAddr,
    _kept: Vec<Socket>,
}

impl BlackHole {
    pub(crate) fn new() -> BlackHole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let mut kept = vec![listener];
        // Until one is not accepted any more.
        for _ in 0..64 {
            let one = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let let_in = one.connect_timeout(&addr.into(), Duration::from_millis(100)).is_ok();
            kept.push(one);
            if !let_in {
                return BlackHole { addr, _kept: kept };
            }
        }
        panic!("{addr} lets everybody in");
    }
}
