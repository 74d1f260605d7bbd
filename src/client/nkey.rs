//! A user's NKey: parses and checks its seed, gives its public key, signs.

use std::fmt;

#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::encoding::{base32, base64_url, from_base32};

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("the feature `nkeys` needs the crypto of `ring` or `aws-lc-rs`: enable one of these features as well");

/// The first byte of a key holds five bits of its kind, so that its text begins with a letter (`nkeys` of nats-server,
/// `strkey.go`).
const SEED: u8 = 18 << 3;
const USER: u8 = 20 << 3;

/// A user's key pair.
pub(super) struct UserKey {
    pair: Ed25519KeyPair,
    public: String,
}

/// Why a seed is invalid. The error never shows the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NKeyError {
    /// The text is not the base32 encoding of a key.
    #[error("the NKey seed is not 58 characters of base32 beginning with SU")]
    NotASeed,
    /// The checksum is wrong: a character was changed.
    #[error("the NKey seed has a wrong checksum")]
    Checksum,
    /// The seed belongs to an account, an operator or a server.
    #[error("the NKey seed is not a user's (SU…)")]
    NotAUser,
}

impl UserKey {
    /// Reads a seed, `SU…`.
    pub(super) fn from_seed(seed: &str) -> Result<UserKey, NKeyError> {
        // A seed from a file may begin with a byte order mark.
        let seed = seed.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        UserKey::from_raw(&from_base32(seed).ok_or(NKeyError::NotASeed)?)
    }

    fn from_raw(raw: &[u8]) -> Result<UserKey, NKeyError> {
        let (body, sum) = raw.split_last_chunk::<2>().ok_or(NKeyError::NotASeed)?;
        let ([first, second], secret) = body.split_first_chunk::<2>().ok_or(NKeyError::NotASeed)?;
        if first & 0xf8 != SEED || secret.len() != 32 {
            return Err(NKeyError::NotASeed);
        }
        if crc16(body) != u16::from_le_bytes(*sum) {
            return Err(NKeyError::Checksum);
        }
        if (first & 7) << 5 | second >> 3 != USER {
            return Err(NKeyError::NotAUser);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(secret).map_err(|_| NKeyError::NotASeed)?;
        let mut public = vec![USER];
        public.extend_from_slice(pair.public_key().as_ref());
        let sum = crc16(&public);
        public.extend_from_slice(&sum.to_le_bytes());
        Ok(UserKey { public: base32(&public), pair })
    }

    /// The public key, `U…`.
    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// The signature of a nonce, encoded for CONNECT.
    pub(super) fn sign(&self, nonce: &[u8]) -> String {
        base64_url(self.pair.sign(nonce).as_ref())
    }
}

impl fmt::Debug for UserKey {
    /// Shows the public key only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UserKey").field(&self.public).finish()
    }
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A user's seed, made by the `nk` tool.
    const USER_SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

    #[test]
    fn the_checksum_matches_the_reference_value() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    #[test]
    fn a_seed_gives_its_public_key() {
        let key = UserKey::from_seed(USER_SEED).unwrap();
        assert_eq!(key.public(), "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4");
        assert_eq!(key.sign(b"nonce").len(), 86);
        // Fault B4
        let from_a_file = UserKey::from_seed(&format!("\u{feff}{USER_SEED}\r\n")).unwrap();
        assert_eq!(from_a_file.public(), key.public());
        assert_eq!(format!("{key:?}"), format!("UserKey({:?})", key.public()));
    }

    #[test]
    fn an_invalid_seed_is_refused_with_the_violated_rule() {
        let changed = USER_SEED.replace("SSL3", "SSL4");
        for (seed, fault) in [
            ("", NKeyError::NotASeed),
            ("SU", NKeyError::NotASeed),
            ("not base32 at all", NKeyError::NotASeed),
            ("UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4", NKeyError::NotASeed),
            (&changed, NKeyError::Checksum),
        ] {
            assert_eq!(UserKey::from_seed(seed).unwrap_err(), fault, "{seed:?}");
        }
        let mut account = from_base32(USER_SEED).unwrap();
        // The kind of an account is 0, which begins with an A.
        (account[0], account[1]) = (SEED, account[1] & 7);
        let sum = crc16(&account[..34]).to_le_bytes();
        account[34..].copy_from_slice(&sum);
        assert_eq!(UserKey::from_raw(&account).unwrap_err(), NKeyError::NotAUser);
    }
}
