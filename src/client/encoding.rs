//! The two encodings of keys and signatures: base64 for URLs and base32, both without padding (RFC 4648).

use data_encoding::BASE64URL_NOPAD;
#[cfg(feature = "nkeys")]
use {data_encoding::BASE32_NOPAD, zeroize::Zeroizing};

/// Bytes as text of a JWT or a signature.
pub(super) fn base64_url(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// Decodes a part of a JWT; `None` if the text is not valid base64.
pub(super) fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

/// Bytes as text of an NKey.
#[cfg(feature = "nkeys")]
pub(super) fn base32(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes)
}

/// Decodes an NKey, into memory that is wiped even if a later character is wrong; `None` if the text is not valid base32.
#[cfg(feature = "nkeys")]
pub(super) fn from_base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; BASE32_NOPAD.decode_len(text.len()).ok()?]);
    let len = BASE32_NOPAD.decode_mut(text.as_bytes(), &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
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
            assert_eq!(from_base32(thirty_two).as_deref().map(Vec::as_slice), Some(plain.as_bytes()));
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
