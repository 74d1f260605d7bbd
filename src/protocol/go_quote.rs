//! Strings as Go's `%q` writes them, which is how servers name subjects in `-ERR`.

/// Reads a string as Go writes it with `%q`, and returns what follows it. `None` without both quotes. An escape that Go doesn't
/// have is kept as it is.
pub(super) fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = text.strip_prefix(b"\"")?;
    let mut plain = Vec::new();
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some((plain, rest)),
            [b'\\', rest @ ..] => unescape(&mut plain, rest),
            [byte, rest @ ..] => {
                plain.push(*byte);
                rest
            }
            [] => return None,
        };
    }
}

/// Reads one escape after its backslash, and returns what follows it.
fn unescape<'a>(plain: &mut Vec<u8>, text: &'a [u8]) -> &'a [u8] {
    let Some((kind, rest)) = text.split_first() else {
        plain.push(b'\\');
        return text;
    };
    let digits = match kind {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        _ => {
            match kind {
                b'a' => plain.push(0x07),
                b'b' => plain.push(0x08),
                b'f' => plain.push(0x0c),
                b'n' => plain.push(b'\n'),
                b'r' => plain.push(b'\r'),
                b't' => plain.push(b'\t'),
                b'v' => plain.push(0x0b),
                b'"' | b'\'' | b'\\' => plain.push(*kind),
                other => plain.extend([b'\\', *other]),
            }
            return rest;
        }
    };
    let code = rest.split_at_checked(digits).filter(|(hex, _)| hex.iter().all(u8::is_ascii_hexdigit)).and_then(
        |(hex, rest)| {
            let hex = core::str::from_utf8(hex).ok()?;
            Some((u32::from_str_radix(hex, 16).ok()?, rest))
        },
    );
    match code {
        // `\x` is a byte, which need not be a character.
        Some((code, behind)) if *kind == b'x' => {
            plain.extend(u8::try_from(code));
            behind
        }
        Some((code, behind)) => {
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            behind
        }
        None => {
            plain.extend([b'\\', *kind]);
            rest
        }
    }
}
