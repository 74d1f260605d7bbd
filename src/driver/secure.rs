//! Secures a link: the TLS configuration, read again for each connection, and the handshake.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::dial::{DialOptions, dial};
use super::transport::Transport;
use crate::engine::Cause;
use crate::protocol::ServerAddr;

/// TLS settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsSettings {
    /// TLS is required, whatever the addresses say.
    pub(crate) required: bool,
    /// Files with trusted certificates. If there are none, the system's certificates are trusted.
    pub(crate) roots: Vec<PathBuf>,
    /// Files with the client's certificate and key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    /// The name in the server's certificate, if it differs from the address.
    pub(crate) server_name: Option<String>,
    /// The last good configuration.
    #[cfg(feature = "tls")]
    pub(crate) last_good: Arc<with_tls::Configuration>,
    /// The user's own configuration, which replaces everything above except the name.
    #[cfg(feature = "tls")]
    pub(crate) config: Option<Arc<rustls::ClientConfig>>,
}

/// What a handshake needs, if it was prepared before.
#[derive(Default)]
pub(super) struct Prepared {
    #[cfg(feature = "tls")]
    config: Option<Arc<rustls::ClientConfig>>,
    /// Addresses of the server's name that were not tried yet.
    pub(super) others: Vec<SocketAddr>,
}

/// Dials. If TLS will be needed, the configuration is read first: a server may wait only 50 ms for the first byte, and
/// then treats a silent client as one that does not want TLS. `found`: the remaining addresses of a name that was
/// looked up before.
pub(super) async fn dial_prepared(
    addr: ServerAddr,
    found: Option<Vec<SocketAddr>>,
    options: DialOptions,
    settings: Arc<TlsSettings>,
) -> Result<(Transport, Prepared), Cause> {
    let required = settings.required || addr.tls_required();
    let mut prepared = if required { prepare(settings).await? } else { Prepared::default() };
    let (transport, others) = dial(addr, found, options).await?;
    prepared.others = others;
    Ok((transport, prepared))
}

#[cfg(not(feature = "tls"))]
async fn prepare(_: Arc<TlsSettings>) -> Result<Prepared, Cause> {
    Ok(Prepared::default())
}

#[cfg(not(feature = "tls"))]
pub(super) async fn secure(
    _: Transport,
    _: ServerAddr,
    _: Arc<TlsSettings>,
    _: Prepared,
) -> Result<(Transport, Prepared), Cause> {
    Err(Cause::Tls("this is a build without the feature `tls`".into()))
}

#[cfg(feature = "tls")]
use with_tls::prepare;
#[cfg(feature = "tls")]
pub(super) use with_tls::secure;
#[cfg(feature = "tls")]
pub(crate) use with_tls::{check_certificate, check_key, check_roots};

#[cfg(feature = "tls")]
mod with_tls {
    use std::path::{Path, PathBuf};

    use rustls::client::WebPkiServerVerifier;
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use zeroize::Zeroizing;

    use super::{Arc, Cause, Prepared, ServerAddr, TlsSettings, Transport};
    use crate::driver::blocking::{Blocking, Thread};
    use crate::driver::guard::observed;
    use crate::driver::last_good::LastGood;
    use crate::driver::pem;
    use crate::driver::pinned::Pinned;
    use crate::driver::shown_path;
    use crate::driver::tls::handshake;
    use crate::protocol::shown;

    /// Performs the TLS handshake with the server of `addr`. Cancelled by dropping it; the engine has the
    /// deadline.
    pub(in crate::driver) async fn secure(
        transport: Transport,
        addr: ServerAddr,
        settings: Arc<TlsSettings>,
        prepared: Prepared,
    ) -> Result<(Transport, Prepared), Cause> {
        let host = settings.server_name.as_deref().unwrap_or(addr.tls_host());
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| refused(format!("{host:?} is not a valid name in a certificate")))?;
        let config = match prepared.config {
            Some(config) => config,
            None => configuration(settings).await?,
        };
        Ok((handshake(transport, config, name).await?, Prepared::default()))
    }

    pub(super) async fn prepare(settings: Arc<TlsSettings>) -> Result<Prepared, Cause> {
        Ok(Prepared { config: Some(configuration(settings).await?), ..Prepared::default() })
    }

    async fn configuration(settings: Arc<TlsSettings>) -> Result<Arc<ClientConfig>, Cause> {
        match &settings.config {
            Some(config) => Ok(config.clone()),
            None => read(&settings).await,
        }
    }

    fn refused(text: String) -> Cause {
        Cause::Tls(text.into())
    }

    type Read = Result<Arc<ClientConfig>, Cause>;

    /// The last good TLS configuration.
    pub(crate) type Configuration = LastGood<Arc<ClientConfig>, Cause>;

    /// The files of a configuration. No other setting may be part of it, since all links with the same
    /// files wait for the same thread.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
    struct Files {
        roots: Vec<PathBuf>,
        client: Option<(PathBuf, PathBuf)>,
    }

    static READING: Blocking<Files, Read> = Blocking::new("nats-tls-files");

    /// Files are read on every attempt, on a thread of our own: they may lie on a disk that hangs.
    async fn read(settings: &TlsSettings) -> Read {
        let files = Files { roots: settings.roots.clone(), client: settings.client.clone() };
        let reading = READING.start(files, |thread, files| configure(files, thread).map(Arc::new));
        let reading =
            reading.map_err(|error| refused(format!("cannot start a thread to read certificates: {error}")))?;
        let read = settings.last_good.latest("the TLS configuration", reading).await;
        read.unwrap_or_else(|| Err(refused("reading the certificates failed".to_owned())))
    }

    fn configure(settings: &Files, thread: &Thread) -> Result<ClientConfig, Cause> {
        let provider = provider()?;
        let (mut roots, mut given) = (RootCertStore::empty(), Vec::new());
        for path in &settings.roots {
            let found = pem::add_roots(&content(path, thread)?, &mut roots, |certificate, error| {
                let file = shown_path(path);
                observed(|| tracing::warn!(%file, certificate, %error, "ignored a damaged root certificate"));
            });
            given.extend(found.map_err(in_file(path))?);
        }
        if settings.roots.is_empty() {
            add_system(&mut roots)?;
        }
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(format!("the crypto provider supports no usable TLS version: {error}")))?;
        let builder = if given.is_empty() {
            builder.with_root_certificates(roots)
        } else {
            let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let usual = usual.map_err(|error| refused(format!("the root certificates cannot be used: {error}")))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned { usual, given }))
        };
        let Some((certificate, key)) = &settings.client else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = pem::chain(&content(certificate, thread)?).map_err(in_file(certificate))?;
        let secret = pem::key(&content(key, thread)?, &shown_path(key)).map_err(in_file(key))?;
        builder.with_client_auth_cert(chain, secret).map_err(|error| {
            let (certificate, key) = (shown_path(certificate), shown_path(key));
            refused(format!("the client certificate {certificate} and the key {key} cannot be used: {error}"))
        })
    }

    fn in_file(path: &Path) -> impl FnOnce(String) -> Cause + '_ {
        |fault| refused(format!("{}: {fault}", shown_path(path)))
    }

    /// Checks the content of a file with trusted certificates.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, without its name.
    pub(crate) fn check_roots(pem: &[u8]) -> Result<(), String> {
        pem::add_roots(pem, &mut RootCertStore::empty(), |_, _| ()).map(drop)
    }

    /// Checks the content of a file with a client's certificate.
    ///
    /// # Errors
    ///
    /// As [`check_roots`].
    pub(crate) fn check_certificate(pem: &[u8]) -> Result<(), String> {
        pem::chain(pem).map(drop)
    }

    /// Checks the content of a file with a key, and that it is the key of `certificate`, as far as the crypto provider that
    /// is there by now can tell.
    ///
    /// # Errors
    ///
    /// As [`check_roots`].
    pub(crate) fn check_key(certificate: &[u8], key: &[u8]) -> Result<(), String> {
        let (chain, key) = (pem::chain(certificate)?, pem::key(key, "KEY")?);
        let Ok(provider) = provider() else { return Ok(()) };
        let Ok(builder) = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() else {
            return Ok(());
        };
        let builder = builder.with_root_certificates(RootCertStore::empty());
        let usable = builder.with_client_auth_cert(chain, key).map(drop);
        usable.map_err(|error| format!("it is no key for the certificate: {error}"))
    }

    /// The system's certificates are trusted only if the user has named none.
    fn add_system(roots: &mut RootCertStore) -> Result<(), Cause> {
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            let error = error.to_string();
            observed(|| tracing::warn!(error = %shown(&error), "cannot read a root certificate of the system"));
        }
        let (_, ignored) = roots.add_parsable_certificates(native.certs);
        if ignored > 0 {
            observed(|| tracing::warn!("ignored {ignored} invalid system root certificates"));
        }
        if roots.is_empty() {
            return Err(refused("the system has no root certificates, and no others were added".to_owned()));
        }
        Ok(())
    }

    fn content(path: &Path, thread: &Thread) -> Result<Zeroizing<Vec<u8>>, Cause> {
        thread.read(path).map_err(|error| refused(format!("{}: {error}", shown_path(path))))
    }

    /// The crypto provider. Named explicitly, because the process's default provider is the program's choice, unless
    /// this build has none.
    #[allow(unreachable_code, reason = "the features decide which one exists")]
    fn provider() -> Result<Arc<CryptoProvider>, Cause> {
        #[cfg(feature = "aws-lc-rs")]
        return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        #[cfg(feature = "ring")]
        return Ok(Arc::new(rustls::crypto::ring::default_provider()));
        CryptoProvider::get_default().cloned().ok_or_else(|| {
            refused("no crypto provider: enable the feature `ring` or `aws-lc-rs`, or install one".to_owned())
        })
    }
}
