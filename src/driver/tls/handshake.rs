//! The handshake, by tokio-rustls. After it the parts are taken back: what follows needs an exact account of what was taken.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;

use super::{READ_MIN, Tls, cause};
use crate::driver::transport::{Lower, Transport};
use crate::engine::Cause;

/// Puts a byte stream through a handshake.
pub(in crate::driver) async fn handshake(
    transport: Transport,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<Transport, Cause> {
    let (lower, tls) = shake(transport.into_lower(), config, name).await?;
    Ok(Transport::secured(lower, tls))
}

pub(super) async fn shake(
    lower: Lower,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<(Lower, Tls), Cause> {
    match TlsConnector::from(config).connect(name, Shaking::new(lower)).into_fallible().await {
        Ok(stream) => {
            let (stream, session) = stream.into_inner();
            if stream.broken {
                return Err(left());
            }
            Ok((stream.lower, Tls::new(session, stream.unread)))
        }
        Err((error, stream)) => Err(stream.fault.unwrap_or_else(|| cause(error))),
    }
}

/// The stream during the handshake.
struct Shaking {
    lower: Lower,
    /// What was read and not yet asked for.
    unread: BytesMut,
    /// The server has said something.
    heard: bool,
    /// Writing has failed. It is not reported: the server's reason for closing may still be there to be read.
    broken: bool,
    /// A better reason than that of TLS.
    fault: Option<Cause>,
}

impl Shaking {
    fn new(lower: Lower) -> Shaking {
        Shaking { lower, unread: BytesMut::new(), heard: false, broken: false, fault: None }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.unread.reserve(READ_MIN);
        if ready!(self.lower.poll_read(cx, &mut self.unread)).map_err(Cause::from)? == 0 {
            return Poll::Ready(Err(left()));
        }
        // TLS begins with a record of the handshake or with an alert; a server that speaks in clear is told by its first byte.
        let first = self.unread.first().filter(|_| !std::mem::replace(&mut self.heard, true));
        if matches!(first, Some(b'I' | b'-' | b'+' | b'P')) {
            let text = "the server answered in clear where TLS was begun: it does not speak TLS, or not first";
            return Poll::Ready(Err(Cause::Tls(text.into())));
        }
        Poll::Ready(Ok(()))
    }
}

fn left() -> Cause {
    Cause::Tls("the server closed the connection during the handshake".into())
}

impl AsyncRead for Shaking {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            if let Err(fault) = ready!(self.poll_fill(cx)) {
                self.fault = Some(fault);
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        let now = self.unread.len().min(buf.remaining());
        buf.put_slice(self.unread.get(..now).unwrap_or_default());
        self.unread.advance(now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Shaking {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.broken {
            match ready!(self.lower.poll_write(cx, &[IoSlice::new(bytes)])) {
                Ok(taken) => return Poll::Ready(Ok(taken)),
                Err(_) => self.broken = true,
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.broken {
            self.broken = ready!(self.lower.poll_flush(cx)).is_err();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
