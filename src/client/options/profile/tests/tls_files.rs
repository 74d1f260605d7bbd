//! Certificates and keys: which options they become, and how a file that cannot be used is refused by its setting's name.

use std::path::Path;

use super::*;

/// A certificate that signs itself, and its key.
fn pair() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

// S49
#[tokio::test]
async fn files_for_tls_are_named_required_and_must_be_readable() {
    let folder = Folder::new();
    let (certificate, secret) = pair();
    let [ca, cert] = ["ca.pem", "cert.pem"].map(|name| folder.file(name, &certificate));
    let key = folder.file("key.pem", secret);
    let profile = from_env(&[("NATS_CA", &ca), ("NATS_CERT", &cert), ("NATS_KEY", &key)]).await.unwrap();
    let settings = profile.options.checked().unwrap();
    assert_eq!(settings.driver.tls.roots, [Path::new(&ca)]);
    assert_eq!(settings.driver.tls.client, Some((cert.clone().into(), key.into())));
    assert!(settings.config.require_tls);
    assert!(!from_env(&[]).await.unwrap().options.config.require_tls);
    let absent = folder.0.join("absent.pem").to_str().unwrap().to_owned();
    for vars in [&[("NATS_CA", &*absent)][..], &[("NATS_CERT", &cert), ("NATS_KEY", &absent)]] {
        let (setting, text) = refused(from_env(vars).await, &[]);
        assert_eq!(setting, vars[vars.len() - 1].0);
        assert!(text.contains(": its file cannot be used: ") && !text.contains("absent"), "{text}");
    }
    let (_, text) = refused(from_env(&[("NATS_CA", "-----BEGIN CERTIFICATE-----\ns3cret")]).await, &["s3cret"]);
    assert_eq!(text, "NATS_CA: must be the path of a file, not its content");
}

/// A service that started would retry for ever, and its log would never name the variable.
// S49
#[tokio::test]
async fn a_file_for_tls_that_cannot_be_used_is_refused_by_the_name_of_its_setting() {
    let folder = Folder::new();
    let (certificate, secret) = pair();
    let (cert, key) = (folder.file("cert.pem", &certificate), folder.file("key.pem", secret));
    let stranger = folder.file("stranger.pem", pair().1);
    let users = folder.file("passwd", "root:x:0:0:s3cret:/root:/bin/sh\n");
    let cut = folder.file("cut.pem", &certificate[..certificate.len() / 2]);
    let encrypted = folder
        .file("encrypted.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    for (vars, setting, why) in [
        (&[("NATS_CA", &*users)][..], "NATS_CA", "the file contains no certificate in PEM"),
        (&[("NATS_CA", &key)], "NATS_CA", "the file contains no certificate in PEM"),
        (&[("NATS_CA", &cut)], "NATS_CA", "a section has no END"),
        (&[("NATS_CERT", &users), ("NATS_KEY", &key)], "NATS_CERT", "the file contains no certificate in PEM"),
        (&[("NATS_CERT", &cert), ("NATS_KEY", &users)], "NATS_KEY", "the file contains no private key in PEM"),
        (&[("NATS_CERT", &cert), ("NATS_KEY", &cert)], "NATS_KEY", "the file contains no private key in PEM"),
        (&[("NATS_CERT", &cert), ("NATS_KEY", &encrypted)], "NATS_KEY", "the key is encrypted"),
        (&[("NATS_CERT", &cert), ("NATS_KEY", &stranger)], "NATS_KEY", "it is no key for the certificate: "),
    ] {
        let (named, text) = refused(from_env(vars).await, &["s3cret", folder.text()]);
        assert_eq!(named, setting, "{text}");
        assert!(text.starts_with(&format!("{setting}: its file cannot be used: {why}")), "{text}");
    }
    let json = format!(r#"{{"ca": "{users}"}}"#);
    let (setting, text) = refused(from_context(&json).await, &["s3cret", &users]);
    assert!(setting.ends_with("orders.json: ca") && text.ends_with("no certificate in PEM"), "{text}");
}

// S49
#[tokio::test]
async fn paths_of_a_context_may_have_variables_and_the_home_folder() {
    let folder = Folder::new();
    let ca = folder.file("ca.pem", pair().0);
    let vars = [("XDG_CONFIG_HOME", folder.text()), ("HOME", folder.text()), ("ROOT", folder.text()), ("CA", "ca")];
    for path in ["~/ca.pem", "$ROOT/ca.pem", "${ROOT}/${CA}.pem", "file://~/$CA.pem", &ca] {
        folder.file("nats/context/orders.json", format!(r#"{{"ca": "{path}"}}"#));
        let profile = context::profile(Some("orders"), surroundings(&vars)).await.unwrap();
        assert_eq!(profile.options.checked().unwrap().driver.tls.roots, [Path::new(&ca)], "{path}");
    }
}
