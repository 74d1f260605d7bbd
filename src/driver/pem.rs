//! Parses certificates and keys in PEM, with errors that explain the problem without showing the file's content or name.

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const BEGIN: &[u8] = b"-----BEGIN ";

/// Adds the certificates of a bundle to the trusted ones, and returns them. A damaged one is skipped and given to `skipped`
/// with its number, so that it does not spoil the others. At least one must be valid.
pub(super) fn add_roots(
    pem: &[u8],
    roots: &mut RootCertStore,
    mut skipped: impl FnMut(usize, &str),
) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut good = Vec::new();
    let mut fault = None;
    for (number, read) in certificates(pem).enumerate() {
        let added = read.map_err(|error| describe(&error, "certificate")).and_then(|certificate| {
            let added = roots.add(certificate.clone());
            added.map(|()| certificate).map_err(|error| format!("not usable as a root certificate: {error}"))
        });
        match added {
            Ok(certificate) => good.push(certificate),
            Err(error) => {
                skipped(number + 1, &error);
                fault.get_or_insert(error);
            }
        }
    }
    match fault {
        Some(error) if good.is_empty() => Err(error),
        None if good.is_empty() => Err(describe(&PemError::NoItemsFound, "certificate")),
        _ => Ok(good),
    }
}

/// A certificate and its chain: at least one certificate, all of them valid.
pub(super) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = certificates(pem).collect();
    let found = read.and_then(|found| if found.is_empty() { Err(PemError::NoItemsFound) } else { Ok(found) });
    found.map_err(|error| describe(&error, "certificate"))
}

/// The private key in a file. `file`: its name in the command of an error.
pub(super) fn key(pem: &[u8], file: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        if is_encrypted(pem) {
            return format!(
                "the key is encrypted, and nats-lifeline can't decrypt it: \
                 `openssl pkey -in {file} -out FILE` writes it without a password"
            );
        }
        describe(&error, "private key")
    })
}

/// Each section is parsed by itself, so that a certificate without an END does not spoil the next one.
fn certificates(pem: &[u8]) -> impl Iterator<Item = Result<CertificateDer<'static>, PemError>> + '_ {
    sections(pem).map(CertificateDer::from_pem_slice).filter(|read| !matches!(read, Err(PemError::NoItemsFound)))
}

/// Splits `pem` into sections, each beginning with a BEGIN.
fn sections(pem: &[u8]) -> impl Iterator<Item = &[u8]> {
    let begins =
        memchr::memmem::find_iter(pem, BEGIN).filter(|at| *at == 0 || matches!(pem.get(at - 1), Some(b'\n' | b'\r')));
    let starts: Vec<usize> = begins.collect();
    let ends: Vec<usize> = starts.iter().copied().skip(1).chain([pem.len()]).collect();
    starts.into_iter().zip(ends).filter_map(|(start, end)| pem.get(start..end))
}

/// Whether a key is encrypted, by PKCS #8 or in OpenSSL's older format.
fn is_encrypted(pem: &[u8]) -> bool {
    [&b"-----BEGIN ENCRYPTED PRIVATE KEY-----"[..], b"Proc-Type: 4,ENCRYPTED"]
        .into_iter()
        .any(|mark| memchr::memmem::find(pem, mark).is_some())
}

fn describe(error: &PemError, what: &str) -> String {
    match error {
        PemError::NoItemsFound => format!("the file contains no {what} in PEM"),
        PemError::Base64Decode(_) => "the text between BEGIN and END is not base64".to_owned(),
        PemError::MissingSectionEnd { .. } => "a section has no END".to_owned(),
        _ => "the file is not in PEM".to_owned(),
    }
}
