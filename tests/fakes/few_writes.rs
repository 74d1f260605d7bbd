//! What several tasks send together goes out together.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::StreamExt;
use nats_lifeline::ConnectOptions;
use nats_lifeline::testing::Broker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::support::soon;

/// A socket that counts its writes.
struct Counted {
    socket: TcpStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

// N1, D36: every requester that a read woke cost a write of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requesters_that_one_read_wakes_share_a_write() {
    const TASKS: usize = 64;
    const EACH: usize = 20;
    let broker = Broker::start().await.unwrap();
    let responder = soon("a connection", nats_lifeline::connect(broker.url())).await.unwrap();
    let mut requests = responder.subscribe("echo").await.unwrap();
    soon("a flush", responder.flush()).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            responder.publish(request.reply.unwrap(), request.payload).await.unwrap();
        }
    });
    let (addr, writes) = (broker.addr(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&writes);
    let options = ConnectOptions::new().dialer(move |_| {
        let writes = Arc::clone(&count);
        async move { Ok::<_, io::Error>(Counted { socket: TcpStream::connect(addr).await?, writes }) }
    });
    let client = soon("a connection", options.connect("counted")).await.unwrap();
    let tasks = (0..TASKS).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                client.request("echo", "x".into()).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        soon("replies", task).await.unwrap();
    }
    let writes = writes.load(Ordering::Relaxed);
    assert!(writes < TASKS * EACH / 2, "{writes} writes for {} requests", TASKS * EACH);
}
