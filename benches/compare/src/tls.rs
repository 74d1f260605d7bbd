//! rustls over a blocking socket, for the far end and for the bound, and a certificate for both.

use crate::Failure;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// rustls reads 4 KiB at a time; a read of the socket fetches more.
const READ: usize = 256 << 10;

/// A certificate for 127.0.0.1, made when compare starts; its file is deleted when it ends.
pub(crate) struct Certificate {
    /// PEM; the clients trust it.
    pub(crate) file: PathBuf,
    server: Arc<ServerConfig>,
}

impl Certificate {
    pub(crate) fn new() -> Result<Self, Failure> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let server = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let file = std::env::temp_dir().join(format!("compare-{}.pem", std::process::id()));
        std::fs::write(&file, made.cert.pem())?;
        Ok(Self { file, server: Arc::new(server) })
    }

    pub(crate) fn accept(config: &Arc<ServerConfig>, socket: TcpStream) -> Result<Secure, Failure> {
        Secure::over(ServerConnection::new(Arc::clone(config))?.into(), socket)
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The client's side, which trusts this file.
pub(crate) fn connect(ca: &Path, socket: TcpStream) -> Result<Secure, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    Secure::over(ClientConnection::new(Arc::new(config), name)?.into(), socket)
}

/// A blocking TLS connection.
pub(crate) struct Secure {
    connection: Connection,
    reading: BufReader<TcpStream>,
    writing: TcpStream,
}

impl Secure {
    /// Does the handshake.
    fn over(mut connection: Connection, socket: TcpStream) -> Result<Self, Failure> {
        // Who writes decides how much is encrypted at a time.
        connection.set_buffer_limit(None);
        let mut secure =
            Self { connection, reading: BufReader::with_capacity(READ, socket.try_clone()?), writing: socket };
        while secure.connection.is_handshaking() {
            secure.flush()?;
            if secure.connection.wants_read() && !secure.fetch()? {
                return Err("the connection ended in the handshake".into());
            }
        }
        secure.flush()?;
        Ok(secure)
    }

    /// False at the end of the stream.
    fn fetch(&mut self) -> io::Result<bool> {
        if self.connection.read_tls(&mut self.reading)? == 0 {
            return Ok(false);
        }
        self.connection.process_new_packets().map_err(io::Error::other)?;
        Ok(true)
    }
}

impl Read for Secure {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Peers that close without a close_notify end the stream as well as others.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if !self.fetch()? {
                return Ok(0);
            }
        }
    }
}

impl Write for Secure {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let taken = self.connection.writer().write(buf)?;
        self.flush()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.writing)?;
        }
        Ok(())
    }
}
