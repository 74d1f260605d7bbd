//! The handshake, by tokio-rustls. Afterwards the parts are taken back, because writes need an exact account (D4).

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

/// Performs the handshake on a byte stream.
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
    match TlsConnector::from(config).connect(name, HandshakeStream::new(lower)).into_fallible().await {
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
struct HandshakeStream {
    lower: Lower,
    /// Received bytes that were not read yet.
    unread: BytesMut,
    /// The server has sent something.
    received: bool,
    /// Writing has failed. Not reported, because the server's reason for closing may still be readable.
    broken: bool,
    /// A more precise reason than TLS's own.
    fault: Option<Cause>,
}

impl HandshakeStream {
    fn new(lower: Lower) -> HandshakeStream {
        HandshakeStream { lower, unread: BytesMut::new(), received: false, broken: false, fault: None }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.unread.reserve(READ_MIN);
        if ready!(self.lower.poll_read(cx, &mut self.unread)).map_err(Cause::from)? == 0 {
            return Poll::Ready(Err(left()));
        }
        // TLS begins with a handshake record or an alert; a server without TLS is recognized by its first byte.
        let first = self.unread.first().filter(|_| !std::mem::replace(&mut self.received, true));
        if matches!(first, Some(b'I' | b'-' | b'+' | b'P')) {
            let text =
                "the server answered the TLS handshake in plain text: it does not support TLS, or only after INFO";
            return Poll::Ready(Err(Cause::Tls(text.into())));
        }
        Poll::Ready(Ok(()))
    }
}

fn left() -> Cause {
    Cause::Tls("the server closed the connection during the handshake".into())
}

impl AsyncRead for HandshakeStream {
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

impl AsyncWrite for HandshakeStream {
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
