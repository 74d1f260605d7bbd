//! Options for TLS: when it is used, and which certificates are trusted.

use std::path::PathBuf;
use std::sync::Arc;

use super::ConnectOptions;
use crate::driver::TlsSettings;

impl ConnectOptions {
    /// Trusts the certificates in the file at `path`, in PEM, **instead of** the system's. Default: the system's.
    ///
    /// Several calls add several files. They are read again for each connection, on their own thread. A file that
    /// cannot be read fails the attempt, with kind [`Tls`](crate::ConnectErrorKind::Tls) and the file's name. Once all
    /// files have been read, their last content is used instead, with a warning in the log, also if reading takes
    /// longer than a second. A damaged certificate among good ones is ignored with a warning.
    ///
    /// A server may present one of these certificates itself, even if it is a CA's, as made by `openssl req -x509`: for
    /// a name in the certificate, and while it is valid. This option does not ask for TLS: see
    /// [`require_tls`](ConnectOptions::require_tls).
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new()
    ///     .add_root_certificates("/etc/nats/ca.pem".into())
    ///     .require_tls(true);
    /// # drop(options);
    /// ```
    pub fn add_root_certificates(mut self, path: PathBuf) -> ConnectOptions {
        self.tls().roots.push(path);
        self
    }

    /// Presents the certificate in the file `cert` to the server, followed by its chain; its private key is in the
    /// file `key`; both in PEM. Default: none.
    ///
    /// The files are read again for each connection, so a renewed certificate is used by the next one. If the files
    /// cannot be read or do not belong together, the attempt fails with kind [`Tls`](crate::ConnectErrorKind::Tls);
    /// once they have been read, their last content is used instead, with a warning in the log.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new()
    ///     .add_client_certificate("/etc/nats/client.pem".into(), "/etc/nats/client-key.pem".into());
    /// # drop(options);
    /// ```
    pub fn add_client_certificate(mut self, cert: PathBuf, key: PathBuf) -> ConnectOptions {
        self.tls().client = Some((cert, key));
        self
    }

    /// Refuses servers without TLS. Default: only addresses with the scheme `tls` require it, and then for the whole
    /// pool.
    ///
    /// Before the connection is encrypted, nothing is sent, and only the server's INFO is read. If a server requires
    /// TLS, TLS is used regardless of this option.
    ///
    /// If TLS was required by this option, by an address or by [`tls_first`](ConnectOptions::tls_first), no server is
    /// ever used without it. If only servers required it, no server is used without it afterwards while there are
    /// credentials.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().require_tls(true);
    /// # drop(options);
    /// ```
    pub fn require_tls(mut self, is_required: bool) -> ConnectOptions {
        self.config.require_tls = is_required;
        self
    }

    /// Starts TLS before the server has sent anything, for servers with `handshake_first`; implies
    /// [`require_tls`](ConnectOptions::require_tls). Default: the server's INFO comes first, unencrypted.
    ///
    /// A server that is not configured for this answers unencrypted, and the attempt fails with kind
    /// [`Tls`](crate::ConnectErrorKind::Tls).
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().tls_first();
    /// # drop(options);
    /// ```
    pub fn tls_first(mut self) -> ConnectOptions {
        self.config.tls_first = true;
        self.config.require_tls = true;
        self
    }

    /// Sets the name (or IP address) that the server's certificate must have, whatever host is dialled. Default: the
    /// host of the address; for an IP address from gossip, the host that the user named.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().tls_server_name("nats.example");
    /// # drop(options);
    /// ```
    pub fn tls_server_name<T: ToString>(mut self, name: T) -> ConnectOptions {
        self.tls().server_name = Some(name.to_string());
        self
    }

    /// Uses this rustls configuration instead of one made from
    /// [`add_root_certificates`](ConnectOptions::add_root_certificates) and
    /// [`add_client_certificate`](ConnectOptions::add_client_certificate), which then have no effect. Default: none.
    ///
    /// This option does not ask for TLS: see [`require_tls`](ConnectOptions::require_tls).
    ///
    /// ```no_run
    /// use nats_lifeline::rustls::{ClientConfig, RootCertStore};
    ///
    /// # fn example(roots: RootCertStore) {
    /// let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    /// let options = nats_lifeline::ConnectOptions::new().tls_client_config(config).require_tls(true);
    /// # drop(options);
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_client_config(mut self, config: rustls::ClientConfig) -> ConnectOptions {
        self.tls().config = Some(Arc::new(config));
        self
    }

    fn tls(&mut self) -> &mut TlsSettings {
        Arc::make_mut(&mut self.driver.tls)
    }
}
