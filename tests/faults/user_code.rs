//! Rows A and I: streams, destructors and wakers of users that misbehave.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use nats_lifeline::ConnectOptions;
use nats_lifeline::connection::{ConnectionEvent, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::runtimes::{one_thread, server};
use crate::support::{Server, Timeline, soon};

/// A stream over a socket that can misbehave.
struct Odd {
    stream: TcpStream,
    /// It returns endless `+OK`, and is always ready.
    chatters: Arc<AtomicBool>,
    /// Its next call panics, once.
    panics: Arc<AtomicBool>,
}

impl Odd {
    fn maybe_panic(&self) {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "this stream panics, as the test wants it to");
    }
}

impl AsyncRead for Odd {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.maybe_panic();
        if self.chatters.load(Ordering::SeqCst) {
            while buf.remaining() >= 5 {
                buf.put_slice(b"+OK\r\n");
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Odd {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Options whose dialer makes these streams, and the switches.
fn odd() -> (ConnectOptions, Arc<AtomicBool>, Arc<AtomicBool>) {
    let (chatters, panics) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let switches = (chatters.clone(), panics.clone());
    let options = ConnectOptions::new().dialer(move |server| {
        let (chatters, panics) = switches.clone();
        async move {
            let stream = TcpStream::connect((server.host().to_owned(), server.port())).await?;
            Ok(Odd { stream, chatters, panics })
        }
    });
    (options, chatters, panics)
}

// Fault A5. In tests, peers stopped sending when they were left.
#[test]
fn a_peer_that_never_stops_sending_does_not_keep_the_client_from_closing() {
    let (_beside, server) = server();
    one_thread().block_on(leave_a_chatterer(&server));
}

async fn leave_a_chatterer(server: &Server) {
    let (options, chatters, _) = odd();
    let client = options.connect(server.url()).await.unwrap();
    client.flush().await.unwrap();
    // Other tasks run all the time.
    let turns = tokio::spawn(async {
        let mut longest = Duration::ZERO;
        for _ in 0..1000 {
            let begun = Instant::now();
            tokio::task::yield_now().await;
            longest = longest.max(begun.elapsed());
        }
        longest
    });
    chatters.store(true, Ordering::SeqCst);
    client.force_reconnect().await.unwrap();
    soon("others run", turns).await.unwrap();
    // It may report a missing PONG: this peer sends none.
    let _ = soon("close", client.close()).await;
    assert_eq!(client.status(), Status::Closed);
}

/// Bytes whose owner panics when they are dropped.
struct Cursed(Vec<u8>);

impl AsRef<[u8]> for Cursed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Cursed {
    fn drop(&mut self) {
        panic!("this owner panics, as the test wants it to");
    }
}

// Fault A11. Users' callbacks panicked in tests, their streams and destructors never.
#[tokio::test]
async fn a_panicking_stream_or_destructor_does_not_end_the_client() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.subscribe("x", "1").await;
    let (options, _, panics) = odd();
    let client = options.connect(server.url()).await.unwrap();
    let timeline = Timeline::of(&client);
    panics.store(true, Ordering::SeqCst);
    // The panic is noticed with the next byte.
    let _ = client.publish("x", "0".into()).await;
    timeline.disconnected(0).await;
    timeline.reconnected(0).await;
    client.publish("x", "1".into()).await.unwrap();
    soon("the flush", client.flush()).await.ok();
    // Large enough to be shared, so that the connection's task drops it.
    client.publish("x", Bytes::from_owner(Cursed(vec![b'c'; 200_000]))).await.unwrap();
    soon("the next flush", client.flush()).await.unwrap();
    client.publish("x", "2".into()).await.unwrap();
    soon("the last flush", client.flush()).await.unwrap();
    assert_eq!(client.status(), Status::Connected);
    let sizes: Vec<usize> = raw.received().await.iter().map(|message| message.payload.len()).collect();
    assert!(sizes.ends_with(&[1, 200_000, 1]), "{sizes:?}");
}

struct Angry;

impl std::task::Wake for Angry {
    fn wake(self: Arc<Self>) {
        panic!("this waker panics, as the test wants it to");
    }
}

// Fault A11, its sibling: wakers are user code too.
#[tokio::test]
async fn a_panicking_waker_does_not_end_the_client() {
    let server = Server::start().await;
    let client = nats_lifeline::connect(server.url()).await.unwrap();
    let angry = std::task::Waker::from(Arc::new(Angry));
    let mut cx = Context::from_waker(&angry);
    let mut events = client.events();
    let mut waiting = Box::pin(events.recv());
    let mut flushing = Box::pin(client.flush());
    let mut subscriber = client.subscribe("a").await.unwrap();
    assert!(Future::poll(waiting.as_mut(), &mut cx).is_pending());
    assert!(Future::poll(flushing.as_mut(), &mut cx).is_pending());
    assert!(subscriber.poll_next_unpin(&mut cx).is_pending());
    client.publish("a", "1".into()).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
    client.force_reconnect().await.unwrap();
    soon("a flush over another connection", client.flush()).await.unwrap();
    assert_eq!(client.status(), Status::Connected);
    soon("close", client.close()).await.unwrap();
    assert_eq!(client.status(), Status::Closed);
}

/// A stream that claims now and then to have taken more bytes than it was given.
struct Boaster {
    inner: TcpStream,
    boasts: Arc<AtomicBool>,
}

impl AsyncRead for Boaster {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Boaster {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let boasts = self.boasts.load(Ordering::Relaxed);
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        written.map_ok(|n| if boasts { n + 7 } else { n })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

// Fault I8. In tests, users' streams failed, stalled and panicked, but their counts were always right.
#[tokio::test]
async fn a_stream_that_claims_more_than_it_was_given_loses_its_connection_and_is_named() {
    let server = Server::start().await;
    let address = server.address();
    let boasts = Arc::new(AtomicBool::new(false));
    let for_dialer = Arc::clone(&boasts);
    let options = ConnectOptions::new().dialer(move |_| {
        let (address, boasts) = (address.clone(), Arc::clone(&for_dialer));
        async move { Ok::<_, io::Error>(Boaster { inner: TcpStream::connect(address).await?, boasts }) }
    });
    let client = options.connect(server.url()).await.unwrap();
    let mut events = client.events();
    boasts.store(true, Ordering::Relaxed);
    client.publish("a", "1".into()).await.unwrap();
    let cause = soon("the loss", async {
        loop {
            if let Some(ConnectionEvent::Disconnected { cause, in_doubt, .. }) = events.recv().await {
                assert_eq!(in_doubt, 1, "it may have been sent");
                break cause.to_string();
            }
        }
    });
    let cause = cause.await;
    assert!(cause.contains("the dialer's stream"), "{cause}");
    boasts.store(false, Ordering::Relaxed);
    // The first flush reports the messages in doubt.
    let _ = soon("a flush", client.flush()).await;
    soon("a flush", client.flush()).await.unwrap();
    assert!(client.stats().balances());
    client.close().await.unwrap();
}
