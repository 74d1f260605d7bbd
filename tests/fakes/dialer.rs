//! User-supplied byte streams: in-process pipes, Unix sockets, streams that buffer, and streams that fail.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use nats_lifeline::connection::{Cause, ConnectionEvent};
use nats_lifeline::testing::Broker;
use nats_lifeline::{Client, ConnectErrorKind, ConnectOptions};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, DuplexStream, ReadBuf, copy_bidirectional};
use tokio::net::TcpStream;

use crate::support::{SOON, Timeline, eventually, soon};

/// One end of an in-process pipe; the other end is connected to the broker.
async fn pipe(to: SocketAddr, size: usize) -> io::Result<DuplexStream> {
    let mut server = TcpStream::connect(to).await?;
    let (ours, mut theirs) = tokio::io::duplex(size);
    tokio::spawn(async move {
        let _ = copy_bidirectional(&mut theirs, &mut server).await;
    });
    Ok(ours)
}

async fn carries(client: &Client) {
    let inbox = client.new_inbox();
    let mut own = soon("a subscription", client.subscribe(inbox.clone())).await.unwrap();
    for n in 0..100 {
        soon("a publish", client.publish(inbox.clone(), n.to_string().into())).await.unwrap();
    }
    for n in 0..100 {
        assert_eq!(soon("a message", own.next()).await.unwrap().payload, n.to_string());
    }
    soon("a flush", client.flush()).await.unwrap();
}

// P5
#[tokio::test]
async fn an_in_process_pipe_works_as_a_connection() {
    for size in [7, 64 * 1024] {
        let broker = Broker::start().await.unwrap();
        let addr = broker.addr();
        let dialled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&dialled);
        let options = ConnectOptions::new().dialer(move |server| {
            assert_eq!(server.host(), "no.such.host.anywhere");
            count.fetch_add(1, Ordering::Relaxed);
            pipe(addr, size)
        });
        let client = soon("a connection", options.connect("no.such.host.anywhere")).await.unwrap();
        carries(&client).await;
        let timeline = Timeline::of(&client);
        broker.kill();
        timeline.disconnected(0).await;
        client.publish("buffered", "x".into()).await.unwrap();
        broker.restart().await.unwrap();
        timeline.reconnected(0).await;
        carries(&client).await;
        assert!(dialled.load(Ordering::Relaxed) >= 2);
        assert!(client.stats().balances());
        soon("the end", client.close()).await.unwrap();
        eventually("the broker sees the end", SOON, async || broker.connections() == 0).await;
    }
}

// P5
#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_works_as_a_connection() {
    let broker = Broker::start().await.unwrap();
    let addr = broker.addr();
    let dir = std::env::temp_dir().join(format!("lifeline-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("nats.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let carrying = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(addr).await {
                    let _ = copy_bidirectional(&mut stream, &mut server).await;
                }
            });
        }
    });
    let socket = path.clone();
    let options = ConnectOptions::new().dialer(move |_| tokio::net::UnixStream::connect(socket.clone()));
    let client = soon("a connection", options.connect("nats://beside.me")).await.unwrap();
    carries(&client).await;
    drop(client);
    eventually("the broker sees the end", SOON, async || broker.connections() == 0).await;
    carrying.abort();
    std::fs::remove_dir_all(&dir).unwrap();
}

// D4: a stream that buffers is flushed when nothing more is to be written.
#[tokio::test]
async fn a_stream_that_buffers_is_flushed() {
    let broker = Broker::start().await.unwrap();
    let addr = broker.addr();
    let options = ConnectOptions::new()
        .dialer(move |_| async move { Ok(BufWriter::with_capacity(1 << 20, TcpStream::connect(addr).await?)) });
    let client = soon("a connection", options.connect("buffered")).await.unwrap();
    carries(&client).await;
}

/// Passes everything on, and then reports a failure.
struct Liar {
    inner: TcpStream,
    lies: Arc<AtomicBool>,
    passed: Arc<AtomicU64>,
}

impl AsyncRead for Liar {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Liar {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, buf);
        if self.lies.load(Ordering::Relaxed) && outcome.is_ready() {
            self.lies.store(false, Ordering::Relaxed);
            self.passed.store(buf.len() as u64, Ordering::Relaxed);
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        outcome
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

// D4, I3
#[tokio::test]
async fn messages_of_a_failed_write_are_in_doubt_and_never_sent_twice() {
    let broker = Broker::start().await.unwrap();
    let addr = broker.addr();
    let (lies, passed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (switch, length) = (Arc::clone(&lies), Arc::clone(&passed));
    let options = ConnectOptions::new().dialer(move |_| {
        let (lies, passed) = (Arc::clone(&switch), Arc::clone(&length));
        async move { Ok(Liar { inner: TcpStream::connect(addr).await?, lies, passed }) }
    });
    let client = soon("a connection", options.connect("liar")).await.unwrap();
    let observer = nats_lifeline::connect(broker.url()).await.unwrap();
    let mut seen = observer.subscribe("m").await.unwrap();
    observer.flush().await.unwrap();
    let timeline = Timeline::of(&client);
    lies.store(true, Ordering::Relaxed);
    // On a single thread the task sees all three together.
    for n in 0..3 {
        client.publish("m", n.to_string().into()).await.unwrap();
    }
    match timeline.disconnected(0).await {
        ConnectionEvent::Disconnected { in_doubt, buffered, cause, .. } => {
            assert!(passed.load(Ordering::Relaxed) > 0);
            assert_eq!((in_doubt, buffered), (3, 0), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    timeline.reconnected(0).await;
    client.publish("m", "last".into()).await.unwrap();
    let mut got = Vec::new();
    while got.last().is_none_or(|last: &String| last != "last") {
        got.push(String::from_utf8(soon("a message", seen.next()).await.unwrap().payload.to_vec()).unwrap());
    }
    assert_eq!(got, ["0", "1", "2", "last"], "each arrived once");
    let stats = client.stats();
    assert!(stats.balances() && stats.in_doubt == 3, "{stats:?}");
}

#[tokio::test]
async fn a_dialer_that_fails_panics_or_hangs_fails_one_attempt() {
    let options = ConnectOptions::new().dialer(|_| async { Err::<DuplexStream, _>(io::ErrorKind::NotFound.into()) });
    let error = soon("a refusal", options.connect("a")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Io);
    assert!(matches!(error.source_as::<Cause>(), Some(Cause::Io(io)) if io.kind() == io::ErrorKind::NotFound));

    let options =
        ConnectOptions::new().dialer(|_| async { panic!("a panic that this test wants") as io::Result<DuplexStream> });
    let error = soon("a refusal", options.connect("a")).await.unwrap_err();
    assert!(error.to_string().contains("the dialer panicked"), "{error}");

    let hanging = |_| std::future::pending::<io::Result<DuplexStream>>();
    let options = ConnectOptions::new().dialer(hanging).connection_timeout(Duration::from_millis(50));
    let error = soon("a refusal", options.connect("a")).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut);
}
