//! NKeys and JWTs: whose they are, and whether a signature is theirs.

#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use ring::signature::{ED25519, UnparsedPublicKey};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use serde::Deserialize;

/// What is read of a JWT.
#[derive(Deserialize)]
struct Claims {
    /// The account that has signed it.
    iss: String,
    /// The user's public key.
    sub: String,
}

/// The public key of the user whose JWT this is; `None` if no account of these has signed it.
pub(super) fn user_of(jwt: &str, accounts: &[String]) -> Option<String> {
    let (signed, signature) = jwt.rsplit_once('.')?;
    let (_, claims) = signed.split_once('.')?;
    let Claims { iss, sub } = serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()?;
    (accounts.contains(&iss) && has_signed(&iss, signed, signature)).then_some(sub)
}

/// Whether the owner of this public key has signed the text.
pub(super) fn has_signed(public: &str, text: &str, signature: &str) -> bool {
    let raw = BASE32_NOPAD.decode(public.as_bytes()).unwrap_or_default();
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap_or_default();
    // The kind of the key comes first, and a checksum last.
    raw.get(1..33).is_some_and(|key| UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &signature).is_ok())
}
