//! A TLS server in front of a broker: it requires a client certificate of its own authority, and passes everything on.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io, process};

use nats_lifeline::rustls::pki_types::PrivatePkcs8KeyDer;
use nats_lifeline::rustls::server::WebPkiClientVerifier;
use nats_lifeline::rustls::{RootCertStore, ServerConfig, crypto};
use nats_lifeline::testing::Broker;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::small::Error;

/// The client's files.
pub(crate) struct Files {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

pub(crate) struct TlsFront {
    port: u16,
    /// For the client's files; removed at the end.
    folder: PathBuf,
    _broker: Broker,
}

impl TlsFront {
    pub(crate) async fn start() -> Result<TlsFront, Error> {
        let folder = std::env::temp_dir().join(format!("nats-lifeline-tls-{}", process::id()));
        fs::create_dir_all(&folder)?;
        let broker = Broker::start().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let front = TlsFront { port: listener.local_addr()?.port(), folder, _broker: broker };

        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let ca = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        let (client, client_key) = signed(&issuer, "client")?;
        let Files { ca: ca_file, cert, key } = front.files();
        fs::write(ca_file, ca.pem())?;
        fs::write(cert, client.pem())?;
        fs::write(key, client_key.serialize_pem())?;

        let (server, server_key) = signed(&issuer, "localhost")?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone())?;
        let provider = Arc::new(crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![server.der().clone()],
                PrivatePkcs8KeyDer::from(server_key.serialize_der()).into(),
            )?;
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), front._broker.addr().port()));
        Ok(front)
    }

    pub(crate) fn url(&self) -> String {
        format!("tls://localhost:{}", self.port)
    }

    pub(crate) fn files(&self) -> Files {
        let file = |name| self.folder.join(name);
        Files { ca: file("ca.pem"), cert: file("client.pem"), key: file("client-key.pem") }
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn signed(issuer: &Issuer<'_, KeyPair>, name: &str) -> Result<(Certificate, KeyPair), rcgen::Error> {
    let key = KeyPair::generate()?;
    Ok((CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, issuer)?, key))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, broker: u16) {
    while let Ok((client, _)) = listener.accept().await {
        // A client that is refused has the error.
        tokio::spawn(serve(client, acceptor.clone(), broker));
    }
}

/// Passes INFO on in clear, with the demand for TLS, and everything after it encrypted, as nats-server does.
async fn serve(mut client: TcpStream, acceptor: TlsAcceptor, broker: u16) -> io::Result<()> {
    let mut broker = BufReader::new(TcpStream::connect(("127.0.0.1", broker)).await?);
    let mut info = String::new();
    broker.read_line(&mut info).await?;
    let info = info.replacen('{', r#"{"tls_required":true,"tls_verify":true,"#, 1);
    client.write_all(info.as_bytes()).await?;
    let mut client = acceptor.accept(client).await?;
    copy_bidirectional(&mut client, &mut broker).await.map(drop)
}
