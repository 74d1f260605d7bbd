//! TLS in front of the far end in this process, with a certificate that the clients trust.

use std::net::SocketAddr;
use std::sync::Arc;

use nats_lifeline::rustls::pki_types::PrivatePkcs8KeyDer;
use nats_lifeline::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

use crate::Error;

#[path = "../shared/tls_relay.rs"]
mod tls_relay;

pub(crate) struct Tls {
    port: u16,
    /// Trusts the certificate.
    pub(crate) client: ClientConfig,
    /// Its own runtime, so that its CPU time can be separated from the clients'. It runs as long as this value lives.
    _runtime: Runtime,
}

impl Tls {
    pub(crate) fn start(server: SocketAddr) -> Result<Tls, Error> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone())?;
        let provider = Arc::new(crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let runtime = Builder::new_multi_thread().thread_name("tls-front").enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(tls_relay::accept(listener, TlsAcceptor::from(Arc::new(config)), server));
        Ok(Tls { port, client, _runtime: runtime })
    }

    pub(crate) fn url(&self) -> String {
        format!("tls://localhost:{}", self.port)
    }
}
