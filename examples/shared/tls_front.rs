//! A TLS server in front of a broker: it requires a client certificate of its own authority, and passes everything on.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, process};

use nats_lifeline::rustls::pki_types::PrivatePkcs8KeyDer;
use nats_lifeline::rustls::server::WebPkiClientVerifier;
use nats_lifeline::rustls::{RootCertStore, ServerConfig, crypto};
use nats_lifeline::testing::Broker;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::small::Error;

#[path = "tls_relay.rs"]
mod tls_relay;

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
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(tls_relay::accept(listener, acceptor, front._broker.addr()));
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
