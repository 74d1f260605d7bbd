//! The two encodings of keys and signatures: base64 for URLs without padding, and base32 (RFC 4648).

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bytes as text of a JWT or a signature.
pub(super) fn base64_url(bytes: &[u8]) -> String {
    encode(bytes, BASE64, 6)
}

/// Decodes a part of a JWT; `None` if the text is not valid base64.
pub(super) fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    decode(text, BASE64, 6)
}

#[cfg(feature = "nkeys")]
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Bytes as text of an NKey.
#[cfg(feature = "nkeys")]
pub(super) fn base32(bytes: &[u8]) -> String {
    encode(bytes, BASE32, 5)
}

/// Decodes an NKey; `None` if the text is not valid base32.
#[cfg(feature = "nkeys")]
pub(super) fn from_base32(text: &str) -> Option<Vec<u8>> {
    decode(text, BASE32, 5)
}

fn encode(bytes: &[u8], alphabet: &[u8], bits: u32) -> String {
    let (mut pending, mut count) = (0_u32, 0);
    let mut text = String::with_capacity(bytes.len() * 8 / bits as usize + 1);
    let mut put = |digit: u32| {
        let mask = (1 << bits) - 1;
        text.extend(alphabet.get((digit & mask) as usize).map(|byte| char::from(*byte)));
    };
    for byte in bytes {
        pending = pending << 8 | u32::from(*byte);
        count += 8;
        while count >= bits {
            count -= bits;
            put(pending >> count);
        }
        pending &= (1 << count) - 1;
    }
    if count > 0 {
        put(pending << (bits - count));
    }
    text
}

fn decode(text: &str, alphabet: &[u8], bits: u32) -> Option<Vec<u8>> {
    let (mut pending, mut count) = (0_u32, 0);
    let mut bytes = Vec::with_capacity(text.len() * bits as usize / 8);
    for byte in text.bytes() {
        let digit = alphabet.iter().position(|known| *known == byte)?;
        pending = pending << bits | u32::try_from(digit).ok()?;
        count += bits;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(pending >> count).ok()?);
            pending &= (1 << count) - 1;
        }
    }
    // The remaining bits can only be the zeros that pad the last digit.
    (count < bits && pending == 0).then_some(bytes)
}

#[cfg(test)]
#[cfg(feature = "nkeys")]
mod tests {
    use super::*;

    // RFC 4648 §10, without the padding.
    #[test]
    fn the_test_vectors_of_the_rfc() {
        let cases = [
            ("", "", ""),
            ("f", "Zg", "MY"),
            ("fo", "Zm8", "MZXQ"),
            ("foo", "Zm9v", "MZXW6"),
            ("foob", "Zm9vYg", "MZXW6YQ"),
            ("fooba", "Zm9vYmE", "MZXW6YTB"),
            ("foobar", "Zm9vYmFy", "MZXW6YTBOI"),
        ];
        for (plain, base64, thirty_two) in cases {
            assert_eq!(base64_url(plain.as_bytes()), base64);
            assert_eq!(base32(plain.as_bytes()), thirty_two);
            assert_eq!(from_base64_url(base64).as_deref(), Some(plain.as_bytes()));
            assert_eq!(from_base32(thirty_two).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(base64_url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn invalid_texts_are_refused() {
        for text in ["M", "MY=", "my", "MZ", "M1", "MZXW6YTBO\u{e9}"] {
            assert_eq!(from_base32(text), None, "{text:?}");
        }
        for text in ["Z", "Zh", "Z+8", "Zg=="] {
            assert_eq!(from_base64_url(text), None, "{text:?}");
        }
    }
}
