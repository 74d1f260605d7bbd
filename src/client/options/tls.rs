//! Options that say when a link is secured, and whom we trust.

use std::path::PathBuf;

use super::ConnectOptions;

impl ConnectOptions {
    /// Trusts the certificates in the file at `path`, in PEM, **instead of** the system's. Default: the system's.
    ///
    /// Several calls add several files. They are read again for each connection, on a thread of their own. One that can't be
    /// read fails the attempt, with kind [`Tls`](crate::ConnectErrorKind::Tls) and the file's name; once all were read, what
    /// was read last is used instead, with a warning in the log, also where reading takes longer than a second. A damaged
    /// certificate among good ones is ignored, with a warning too. A server may show one of these certificates itself, also if
    /// it is a CA's, as `openssl req -x509` makes them: for a name that stands in it, and while it is valid. By itself this does
    /// not ask for TLS: see
    /// [`require_tls`](ConnectOptions::require_tls).
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new()
    ///     .add_root_certificates("/etc/nats/ca.pem".into())
    ///     .require_tls(true);
    /// # drop(options);
    /// ```
    pub fn add_root_certificates(mut self, path: PathBuf) -> ConnectOptions {
        self.tls.roots.push(path);
        self
    }

    /// Shows the server the certificate in the file `cert`, with its chain behind it, whose private key is in the file
    /// `key`; both in PEM. Default: none.
    ///
    /// They are read again for each connection, so that a renewed certificate is used by the next one. Files that can't be
    /// read, or that do not belong together, fail the attempt with kind [`Tls`](crate::ConnectErrorKind::Tls); once they were
    /// read, what was read last is used instead, with a warning in the log.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new()
    ///     .add_client_certificate("/etc/nats/client.pem".into(), "/etc/nats/client-key.pem".into());
    /// # drop(options);
    /// ```
    pub fn add_client_certificate(mut self, cert: PathBuf, key: PathBuf) -> ConnectOptions {
        self.tls.client = Some((cert, key));
        self
    }

    /// Refuses servers without TLS. Default: only addresses with the scheme `tls` ask for it, and then for the whole pool.
    ///
    /// Nothing but the server's INFO is read before the link is secured, and nothing is sent. A server that requires TLS
    /// gets it whatever is set here. Where TLS was asked for, by this, by an address or by
    /// [`tls_first`](ConnectOptions::tls_first), no server is ever spoken to in clear; where only servers asked for it, none
    /// is afterwards while there are credentials.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().require_tls(true);
    /// # drop(options);
    /// ```
    pub fn require_tls(mut self, is_required: bool) -> ConnectOptions {
        self.require_tls = is_required;
        self
    }

    /// Begins TLS before the server has said anything, for servers with `handshake_first`; implies
    /// [`require_tls`](ConnectOptions::require_tls). Default: the server's INFO comes first, in clear.
    ///
    /// A server that is not configured so answers in clear, and the attempt fails with kind
    /// [`Tls`](crate::ConnectErrorKind::Tls).
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().tls_first();
    /// # drop(options);
    /// ```
    pub fn tls_first(mut self) -> ConnectOptions {
        self.tls_first = true;
        self.require_tls = true;
        self
    }

    /// Expects the server's certificate to be for this name (or IP address), whatever host is dialled. Default: the host
    /// of the address; for an IP address that the cluster told about, the host that the user named.
    ///
    /// ```
    /// let options = nats_lifeline::ConnectOptions::new().tls_server_name("nats.example");
    /// # drop(options);
    /// ```
    pub fn tls_server_name<T: ToString>(mut self, name: T) -> ConnectOptions {
        self.tls.server_name = Some(name.to_string());
        self
    }

    /// Uses this configuration of rustls instead of one made from
    /// [`add_root_certificates`](ConnectOptions::add_root_certificates) and
    /// [`add_client_certificate`](ConnectOptions::add_client_certificate), which have no effect then. Default: none.
    ///
    /// By itself it does not ask for TLS: see [`require_tls`](ConnectOptions::require_tls).
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
        self.tls.config = Some(std::sync::Arc::new(config));
        self
    }
}
