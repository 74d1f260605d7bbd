//! Explains TLS errors, with a hint where there is one.

use std::io;

use rustls::{AlertDescription, CertificateError};

use crate::driver::pinned::is_ca_as_server;
use crate::engine::Cause;

/// The cause of a TLS stream's error: TLS, or the stream below it.
pub(in crate::driver) fn cause(error: io::Error) -> Cause {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => Cause::Tls(explain(inner).into()),
        None => Cause::from(error),
    }
}

fn explain(error: &rustls::Error) -> String {
    use rustls::Error;
    match error {
        _ if is_ca_as_server(error) => {
            "the server shows the certificate of a CA as its own, which is only accepted if that very certificate was given to \
             add_root_certificates: sign one for the server (basicConstraints CA:FALSE) and trust the CA"
                .to_owned()
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is not signed by a trusted authority (add_root_certificates)".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. },
        ) => format!("the server's certificate is invalid: {error}"),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server requires a client certificate (add_client_certificate)".to_owned()
        }
        Error::AlertReceived(alert) => format!("the server ended the session with the alert {alert:?}"),
        _ => error.to_string(),
    }
}
