//! Keys and JWTs of an operator, its accounts and their users, like those of `nsc`.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::{Value, json};

use super::{Server, ServerBuilder};

/// The kind of a key: the first letter of its public form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Operator = 14 << 3,
    Account = 0,
    User = 20 << 3,
}

/// A key pair.
pub(crate) struct Key {
    kind: Kind,
    secret: [u8; 32],
    pair: Ed25519KeyPair,
}

impl Key {
    pub(crate) fn new(kind: Kind) -> Key {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&secret).unwrap();
        Key { kind, secret, pair }
    }

    /// A copy of the key.
    pub(crate) fn from_seed_of(other: &Key) -> Key {
        let pair = Ed25519KeyPair::from_seed_unchecked(&other.secret).unwrap();
        Key { kind: other.kind, secret: other.secret, pair }
    }

    pub(crate) fn seed(&self) -> String {
        let kind = self.kind as u8;
        let mut raw = vec![18 << 3 | kind >> 5, (kind & 31) << 3];
        raw.extend_from_slice(&self.secret);
        checked(raw)
    }

    pub(crate) fn public(&self) -> String {
        let mut raw = vec![self.kind as u8];
        raw.extend_from_slice(self.pair.public_key().as_ref());
        checked(raw)
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }

    /// A JWT about `subject`, signed with this key.
    fn jwt(&self, subject: &str, name: &str, lives: Option<i64>, nats: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let mut claims = json!({ "jti": format!("{name}-{now}"), "iat": now, "iss": self.public(), "name": name, "sub": subject, "nats": nats });
        if let Some(lives) = lives {
            claims["exp"] = json!(now + lives);
        }
        let header = base64(json!({ "typ": "JWT", "alg": "ed25519-nkey" }).to_string().as_bytes());
        let text = format!("{header}.{}", base64(claims.to_string().as_bytes()));
        format!("{text}.{}", base64(&self.sign(text.as_bytes())))
    }
}

fn checked(mut raw: Vec<u8>) -> String {
    let mut crc = 0_u16;
    for byte in &raw {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
        }
    }
    raw.extend_from_slice(&crc.to_le_bytes());
    digits(&raw, 5, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
}

fn base64(bytes: &[u8]) -> String {
    digits(bytes, 6, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}

fn digits(bytes: &[u8], size: usize, alphabet: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let digit =
        |bits: &[u8]| (0..size).fold(0, |value, at| value << 1 | bits.get(at).map_or(0, |bit| usize::from(*bit)));
    bits.chunks(size).map(|bits| char::from(alphabet[digit(bits)])).collect()
}

/// An operator with one account, and a server that knows both.
pub(crate) struct Operator {
    key: Key,
    account: Key,
}

/// A user of the account.
pub(crate) struct User {
    pub(crate) key: Key,
    pub(crate) jwt: String,
}

impl Operator {
    pub(crate) fn new() -> Operator {
        Operator { key: Key::new(Kind::Operator), account: Key::new(Kind::Account) }
    }

    /// A server in operator mode. `revoked`: public keys of users that it no longer accepts.
    pub(crate) fn server(&self, revoked: &[String]) -> ServerBuilder {
        let own = json!({ "type": "operator", "version": 2 });
        let operator = self.key.jwt(&self.key.public(), "operator", None, &own);
        let limits = json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1 });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 60;
        let revocations: serde_json::Map<_, _> = revoked.iter().map(|key| (key.clone(), json!(now))).collect();
        let about = json!({ "limits": limits, "default_permissions": { "pub": {}, "sub": {} }, "revocations": revocations, "type": "account", "version": 2 });
        let account = self.key.jwt(&self.account.public(), "account", None, &about);
        let public = self.account.public();
        Server::builder().line(format!(
            "operator: \"{operator}\"\nresolver: MEMORY\nresolver_preload: {{ {public}: \"{account}\" }}"
        ))
    }

    /// The public key of the account.
    pub(crate) fn account(&self) -> String {
        self.account.public()
    }

    /// A user whose JWT expires in this many seconds.
    pub(crate) fn user(&self, lives: Option<i64>) -> User {
        self.user_with(Key::new(Kind::User), lives)
    }

    pub(crate) fn user_with(&self, key: Key, lives: Option<i64>) -> User {
        let nats = json!({ "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
        let jwt = self.account.jwt(&key.public(), "user", lives, &nats);
        User { key, jwt }
    }
}

impl User {
    /// The text of a credentials file.
    pub(crate) fn creds(&self) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.jwt,
            self.key.seed()
        )
    }
}
