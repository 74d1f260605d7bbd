//! Credentials and TLS: user and password, token, NKey, callback, TLS; and the kinds of errors.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod server;

use async_nats::{Auth, AuthError, ConnectErrorKind, ConnectOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use server::{Server, soon};

const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

async fn accepted(server: &Server, options: ConnectOptions) {
    let client = soon("a connection", options.connect(server.url())).await.unwrap();
    soon("a flush", client.flush()).await.unwrap();
}

async fn refused(server: &Server, options: ConnectOptions, kind: ConnectErrorKind) {
    let error = soon("a refusal", options.connect(server.url())).await.expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
}

#[tokio::test]
async fn user_and_password() {
    let server = Server::start("authorization { user: ada, password: pw }");
    let with = |password: &str| ConnectOptions::with_user_and_password("ada".to_owned(), password.to_owned());
    accepted(&server, with("pw")).await;
    accepted(&server, ConnectOptions::new().user_and_password("ada".to_owned(), "pw".to_owned())).await;
    refused(&server, with("wrong"), ConnectErrorKind::AuthorizationViolation).await;
    refused(&server, ConnectOptions::new(), ConnectErrorKind::AuthorizationViolation).await;
}

#[tokio::test]
async fn token() {
    let server = Server::start("authorization { token: s3cret }");
    accepted(&server, ConnectOptions::with_token("s3cret".to_owned())).await;
    refused(&server, ConnectOptions::new().token("wrong".to_owned()), ConnectErrorKind::AuthorizationViolation).await;
}

#[tokio::test]
async fn nkey() {
    let server = Server::start(
        "authorization { users = [ { nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 } ] }",
    );
    accepted(&server, ConnectOptions::with_nkey(SEED.to_owned())).await;
    refused(&server, ConnectOptions::new(), ConnectErrorKind::AuthorizationViolation).await;
}

#[tokio::test]
async fn a_callback_provides_credentials() {
    let server = Server::start("authorization { user: ada, password: pw }");
    let answers = ConnectOptions::with_auth_callback(|_nonce| async {
        let mut auth = Auth::new();
        auth.username = Some("ada".to_owned());
        auth.password = Some("pw".to_owned());
        Ok(auth)
    });
    accepted(&server, answers).await;
    let fails = ConnectOptions::with_auth_callback(|_nonce| async { Err(AuthError::new("no idea")) });
    refused(&server, fails, ConnectErrorKind::Authentication).await;
}

#[tokio::test]
async fn tls() {
    let folder = Server::start("");
    let place = |name: &str| folder.folder().join(name);
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    for (name, text) in [("ca.pem", ca.pem()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())] {
        std::fs::write(place(name), text).unwrap();
    }
    let server = Server::start(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", timeout: 10 }}",
        place("cert.pem").display(),
        place("key.pem").display()
    ));
    accepted(&server, ConnectOptions::new().add_root_certificates(place("ca.pem"))).await;
    accepted(&server, ConnectOptions::new().add_root_certificates(place("ca.pem")).require_tls(true)).await;
    assert!(
        soon("a refusal", ConnectOptions::new().connect(server.url())).await.is_err(),
        "nobody knows that authority"
    );
}
