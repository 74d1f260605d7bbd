//! Opens a byte stream: looks up a name, races its addresses, and sets socket options.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rand::seq::SliceRandom;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Sleep, sleep};

use super::dialer::{Dialer, Resolver};
use super::resolve::resolve;
use super::transport::{Lower, Transport};
use crate::engine::Cause;
use crate::protocol::ServerAddr;

/// The delay before the next address of a name is tried, while the earlier ones are still being tried.
/// RFC 8305 §5 recommends 250 ms.
const HEAD_START: Duration = Duration::from_millis(250);

/// The kernel probes an idle connection after this time, which finds a dead path if PINGs are off.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How to dial.
#[derive(Clone, Debug)]
pub(super) struct DialOptions {
    pub(super) local: Option<SocketAddr>,
    /// For TCP_USER_TIMEOUT: unacknowledged bytes fail the connection after this time.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android")),
        allow(dead_code, reason = "they have no such option")
    )]
    pub(super) write_timeout: Duration,
    /// Finds addresses instead of the system's resolver.
    pub(super) resolver: Option<Resolver>,
    /// Opens byte streams instead of this module.
    pub(super) dialer: Option<Dialer>,
}

/// Looks up `addr`, unless its addresses are already `found`, and connects to the first one that answers, or lets the
/// user's dialer open the stream. Also returns the remaining addresses, since the one that answered need not be a
/// server. Cancelled by dropping it; the caller has the deadline.
pub(super) async fn dial(
    addr: ServerAddr,
    found: Option<Vec<SocketAddr>>,
    options: DialOptions,
) -> Result<(Transport, Vec<SocketAddr>), Cause> {
    if addr.is_websocket() {
        return Err(Cause::Unsupported("this version cannot dial WebSocket addresses".into()));
    }
    if let Some(dialer) = &options.dialer {
        return Ok((Transport::plain(Lower::custom(dialer.dial(addr).await?)), Vec::new()));
    }
    let found = match found {
        Some(found) => found,
        None => {
            let mut found = resolve(&addr, options.resolver.as_ref()).await.map_err(Cause::Dns)?;
            found.shuffle(&mut rand::rng());
            found
        }
    };
    let (stream, others) = race(found, &options).await.map_err(|failed| refused(&addr, failed))?;
    Ok((Transport::plain(Lower::tcp(stream)), others))
}

/// An error names at most this many addresses of a name.
const NAMED: usize = 5;

/// Why none of the addresses was connected. If they are those of a name, the error shows them.
fn refused(addr: &ServerAddr, mut failed: Vec<(SocketAddr, io::Error)>) -> Cause {
    let kind = failed.last().map_or(io::ErrorKind::AddrNotAvailable, |(_, error)| error.kind());
    if addr.host().parse::<IpAddr>().is_ok() {
        if let Some((_, error)) = failed.pop() {
            return Cause::from(error);
        }
    }
    let mut texts: Vec<String> =
        failed.iter().take(NAMED).map(|(address, error)| format!("{address}: {error}")).collect();
    match failed.len().saturating_sub(NAMED) {
        0 if texts.is_empty() => texts.push("no address to connect to".to_owned()),
        0 => {}
        more => texts.push(format!("and {more} more")),
    }
    Cause::from(io::Error::new(kind, texts.join(", ")))
}

type Racing = (SocketAddr, Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>);

/// The first connection, and the addresses that had not answered by then; or the error of each address.
async fn race(
    addresses: Vec<SocketAddr>,
    options: &DialOptions,
) -> Result<(TcpStream, Vec<SocketAddr>), Vec<(SocketAddr, io::Error)>> {
    let mut waiting = addresses.into_iter();
    let mut racing: Vec<Racing> = Vec::new();
    // `None`: the next address is due, if there is one. Not a timer of zero: tokio rounds up to the next millisecond.
    let mut head_start: Option<Pin<Box<Sleep>>> = None;
    let mut errors = Vec::new();
    std::future::poll_fn(move |cx| {
        loop {
            let mut failed = false;
            let mut at = 0;
            while let Some((address, attempt)) = racing.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => {
                        let won = *address;
                        let losing = racing.drain(..).map(|(address, _)| address).filter(|address| *address != won);
                        return Poll::Ready(Ok((stream, losing.chain(&mut waiting).collect())));
                    }
                    Poll::Ready(Err(error)) => {
                        errors.push((*address, error));
                        failed = true;
                        drop(racing.swap_remove(at));
                    }
                    Poll::Pending => at += 1,
                }
            }
            let due = head_start.as_mut().is_none_or(|head_start| head_start.as_mut().poll(cx).is_ready());
            if !due && !failed {
                return Poll::Pending;
            }
            match waiting.next() {
                Some(address) => {
                    racing.push((address, Box::pin(connect(address, options.clone()))));
                    head_start = (waiting.len() > 0).then(|| Box::pin(sleep(HEAD_START)));
                }
                None if racing.is_empty() => return Poll::Ready(Err(std::mem::take(&mut errors))),
                None => return Poll::Pending,
            }
        }
    })
    .await
}

/// The kernel accepts no more bytes while this many are unsent. Without the limit, a socket accepts megabytes and then
/// nothing until a third of them has been sent. On a slow line that takes longer than
/// [`write_timeout`](crate::ConnectOptions::write_timeout), and a PING waits until all of them are sent. Lower limits
/// cost more: in twelve rounds each, 64 KiB messages to a fast reader took 1.1 times the CPU with 512 KiB and 1.4 times
/// with 128 KiB; with 1 MiB they took no more than without a limit.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 1024 * 1024;

async fn connect(address: SocketAddr, options: DialOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(local) = options.local {
        socket.bind(local)?;
    }
    let stream = socket.connect(address).await?;
    let socket = SockRef::from(&stream);
    if stream.local_addr()? == stream.peer_addr()? {
        // Nothing listens on this port, and the system chose the very same local port: while we keep it, no server can
        // bind it.
        let _ = socket.set_linger(Some(Duration::ZERO));
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "the dial connected to itself"));
    }
    stream.set_nodelay(true)?;
    // If these fail, the engine's own timers still find a dead peer.
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let _ = socket.set_tcp_user_timeout(Some(options.write_timeout));
        let _ = socket.set_tcp_notsent_lowat(UNSENT);
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A timer fires a millisecond late or two, so the usual dial must not wait for one.
    #[test]
    fn a_dial_of_a_single_address_needs_no_timer() {
        let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let options = DialOptions { local: None, write_timeout: Duration::from_secs(10), resolver: None, dialer: None };
        // Without timers, making one panics.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let (stream, others) = runtime.block_on(race(vec![address], &options)).unwrap();
        assert_eq!((stream.peer_addr().unwrap(), others), (address, Vec::new()));
    }
}
