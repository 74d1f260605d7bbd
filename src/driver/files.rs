//! Files, read on a thread where that may block: the only place that opens one.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::blocking::Thread;
#[cfg(feature = "nkeys")]
use crate::protocol::Secret;

/// No file is larger: a path may lead to a device without an end. Arbitrary; a bundle of all public authorities has 300 kB.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// The mark of UTF-8 that some editors put in front of a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

impl Thread {
    /// The file's content.
    ///
    /// # Errors
    ///
    /// What the system says; of kind `InvalidData` if it is larger than any file that makes sense here.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
        let file = File::open(path)?;
        let expected = file.metadata().map_or(0, |metadata| metadata.len()).min(LARGEST_FILE);
        // A buffer that grew would leave copies of a secret.
        let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(expected).unwrap_or(0).max(8 * 1024) + 1));
        file.take(LARGEST_FILE + 1).read_to_end(&mut content)?;
        if content.len() as u64 > LARGEST_FILE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is larger than 16 MiB"));
        }
        without_marks(&mut content);
        Ok(content)
    }

    /// The file's content, which must be UTF-8.
    ///
    /// # Errors
    ///
    /// As [`read`](Thread::read); of kind `InvalidData` if it is something else.
    #[cfg(feature = "nkeys")]
    pub(crate) fn read_text(&self, path: &Path) -> io::Result<Secret> {
        let content = self.read(path)?;
        let text = std::str::from_utf8(&content)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8"))?;
        Ok(Secret::from(text))
    }
}

/// Takes byte order marks out where a line begins: each file of a bundle that was put together may have one.
fn without_marks(content: &mut Vec<u8>) {
    let begins = |content: &[u8], at: usize| {
        content.get(at..).is_some_and(|rest| rest.starts_with(BYTE_ORDER_MARK))
            && (at == 0 || content.get(at - 1) == Some(&b'\n'))
    };
    let (mut from, mut to) = (0, 0);
    while from < content.len() {
        if begins(content, from) {
            from += BYTE_ORDER_MARK.len();
        }
        // The next line, with its end.
        let rest = content.get(from..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        content.copy_within(from..from + length, to);
        (from, to) = (from + length, to + length);
    }
    content.truncate(to);
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fault B4
    #[test]
    fn marks_are_taken_out_where_lines_begin() {
        for (content, left) in [
            ("", ""),
            ("\u{feff}", ""),
            ("\u{feff}-----BEGIN", "-----BEGIN"),
            ("\u{feff}a\r\nb\n\u{feff}c\n\u{feff}\nd", "a\r\nb\nc\n\nd"),
            ("a\u{feff}b\n\n c", "a\u{feff}b\n\n c"),
        ] {
            let mut content = content.as_bytes().to_vec();
            without_marks(&mut content);
            assert_eq!(String::from_utf8(content).unwrap(), left);
        }
    }
}
