//! Unique ids: 22 characters of base 62, more than 128 random bits.

use rand::RngExt;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(super) fn new() -> String {
    let mut rng = rand::rng();
    (0..22).map(|_| char::from(DIGITS.get(rng.random_range(0..DIGITS.len())).copied().unwrap_or(b'0'))).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_22_letters_and_digits_and_differ() {
        let (a, b) = (super::new(), super::new());
        assert_eq!(a.len(), 22);
        assert!(a.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(a, b);
    }
}
