//! Serves TLS in front of a server without TLS: passes INFO on, with the demand for TLS, and everything after it encrypted.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Bytes of a buffer in each direction.
const BUFFER: usize = 64 << 10;

/// Serves each connection in a task of its own.
pub(crate) async fn accept(listener: TcpListener, acceptor: TlsAcceptor, server: SocketAddr) {
    while let Ok((client, _)) = listener.accept().await {
        // A client that is refused has the error.
        tokio::spawn(serve(client, acceptor.clone(), server));
    }
}

/// INFO in clear and then TLS, as nats-server does it.
async fn serve(mut client: TcpStream, acceptor: TlsAcceptor, server: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    // A packet that waits for an acknowledgement would delay an answer by 40 ms.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut server = BufReader::with_capacity(BUFFER, server);
    let mut info = String::new();
    server.read_line(&mut info).await?;
    let info = info.replacen('{', r#"{"tls_required":true,"#, 1);
    client.write_all(info.as_bytes()).await?;
    let mut client = acceptor.accept(client).await?;
    copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER).await.map(drop)
}
