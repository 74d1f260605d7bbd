//! A port and one thread per connection, for the far end of a benchmark.

use super::lock;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// The INFO of the sink and the source: the largest `max_payload`, and no gossip.
pub(super) const INFO: &str = "{\"server_id\":\"LIFELINE\",\"server_name\":\"LIFELINE\",\"version\":\"2.15.1\",\
                    \"proto\":1,\"headers\":true,\"max_payload\":67108864}";

/// A port of 127.0.0.1 and one thread per connection, until dropped.
#[derive(Debug)]
pub(super) struct Threads {
    pub(super) addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Threads {
    pub(super) fn start(
        name: &str,
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let name = name.to_owned();
        let accepting = thread::Builder::new()
            .name(name.clone())
            .spawn(move || accept(&listener, &for_thread, &name, &Arc::new(serve)))?;
        Ok(Self { addr, shared, accepting: Some(accepting) })
    }
}

fn accept<F>(listener: &TcpListener, shared: &Shared, name: &str, serve: &Arc<F>)
where
    F: Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
{
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    for socket in listener.incoming() {
        if shared.over.load(Ordering::Acquire) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        let Ok(socket) = socket else { continue };
        let Ok(handle) = socket.try_clone() else {
            continue;
        };
        let mut connections = lock(&shared.connections);
        // A connection that has ended has no peer address; its descriptor must not be kept.
        connections.retain(|connection| connection.peer_addr().is_ok());
        connections.push(handle);
        drop(connections);
        let _ = socket.set_nodelay(true);
        let serve = Arc::clone(serve);
        let work = move || {
            let closing = socket.try_clone();
            // The end of a connection is no error.
            let _ = serve(socket);
            if let Ok(socket) = closing {
                let _ = socket.shutdown(Shutdown::Both);
            }
        };
        if let Ok(thread) = thread::Builder::new().name(name.to_owned()).spawn(work) {
            threads.push(thread);
        }
    }
    for connection in lock(&shared.connections).drain(..) {
        let _ = connection.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // Wakes the accepting thread, which stops the others.
        let woken = TcpStream::connect(self.addr).is_ok();
        if let (true, Some(accepting)) = (woken, self.accepting.take()) {
            let _ = accepting.join();
        }
    }
}
