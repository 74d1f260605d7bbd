//! The server's end of TLS, over bytes in memory. Its certificate is of a kind of which signatures have one length, so that what
//! happens at a byte happens at the same one in each run.

#[cfg(feature = "ring")]
pub(crate) use with_ring::{Session, trust};
#[cfg(not(feature = "ring"))]
pub(crate) use without::Session;

#[cfg(feature = "ring")]
mod with_ring {
    use std::io::{Read, Write};
    use std::sync::{Arc, OnceLock};

    use nats_lifeline::rustls::crypto::ring::default_provider;
    use nats_lifeline::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    use nats_lifeline::rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};
    use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};

    /// What all servers are set up from.
    struct Setting {
        certificate: CertificateDer<'static>,
        server: Arc<ServerConfig>,
    }

    fn setting() -> &'static Setting {
        static SETTING: OnceLock<Setting> = OnceLock::new();
        SETTING.get_or_init(|| {
            let names: Vec<String> = (0..3).map(|node| format!("m{node}")).collect();
            let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
            let mut params = CertificateParams::new(names).unwrap();
            params.serial_number = Some(1.into());
            let made = params.self_signed(&key).unwrap();
            let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![made.der().clone()], secret)
                .unwrap();
            Setting { certificate: made.der().clone(), server: Arc::new(server) }
        })
    }

    /// For a client that trusts the servers.
    pub(crate) fn trust() -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(setting().certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub(crate) struct Session(ServerConnection);

    impl Session {
        pub(crate) fn new() -> Session {
            let mut session = ServerConnection::new(Arc::clone(&setting().server)).unwrap();
            session.set_buffer_limit(None);
            Session(session)
        }

        /// From the wire.
        pub(crate) fn open(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
            while !bytes.is_empty() {
                if self.0.read_tls(&mut bytes).map_err(|error| error.to_string())? == 0 {
                    break;
                }
                let state = self.0.process_new_packets().map_err(|error| error.to_string())?;
                let from = plain.len();
                plain.resize(from + state.plaintext_bytes_to_read(), 0);
                self.0.reader().read_exact(&mut plain[from..]).map_err(|error| error.to_string())?;
            }
            Ok(())
        }

        /// To the wire. What is said before the handshake is over follows it.
        pub(crate) fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) {
            self.0.writer().write_all(plain).unwrap();
            while self.0.wants_write() {
                self.0.write_tls(wire).unwrap();
            }
        }
    }
}

#[cfg(not(feature = "ring"))]
mod without {
    pub(crate) enum Session {}

    impl Session {
        pub(crate) fn new() -> Session {
            panic!("this build has no TLS")
        }

        pub(crate) fn open(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), String> {
            match *self {}
        }

        pub(crate) fn seal(&mut self, _: &[u8], _: &mut Vec<u8>) {
            match *self {}
        }
    }
}
