//! Lines on the standard output, whose reader may leave: `failover | head -1`.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// What a shell sees of a program that the end of its reader has ended: 128 and the number of SIGPIPE.
const READER_GONE: i32 = 141;

/// Like `println!`, which panics when nobody reads any more. It wants `out` in scope too.
macro_rules! say {
    () => { out::line(format_args!("")) };
    ($($text:tt)*) => { out::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// Writes a line. If nobody reads any more the program ends, as most programs do.
pub(crate) fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
        ended(&error);
    }
}

/// Ends the program if that is because nobody reads any more.
pub(crate) fn ended(error: &std::io::Error) {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(READER_GONE);
    }
}
