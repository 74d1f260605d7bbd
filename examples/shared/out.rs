//! Lines on standard output, whose reader may close it: `failover | head -1`.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// The exit code that a shell shows for a program that SIGPIPE has ended: 128 and the signal's number.
const READER_GONE: i32 = 141;

/// Like `println!`, which panics if the reader has closed. It needs `out` in scope too.
macro_rules! say {
    () => { out::line(format_args!("")) };
    ($($text:tt)*) => { out::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// Writes a line. If the reader has closed, the program ends, like most programs.
pub(crate) fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
        ended(&error);
    }
}

/// Ends the program if the reader has closed.
pub(crate) fn ended(error: &std::io::Error) {
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(READER_GONE);
    }
}
