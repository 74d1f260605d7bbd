//! Formats figures and verdicts.

use std::io::IsTerminal;
use std::time::Duration;

use nats_lifeline::connection::Lost;

/// Colours, if the output is a terminal.
pub(crate) struct Terminal {
    colours: bool,
}

impl Terminal {
    pub(crate) fn find() -> Terminal {
        Terminal { colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    pub(crate) fn verdict(&self, good: bool, text: &str) -> String {
        match (self.colours, good) {
            (false, _) => text.to_owned(),
            (true, true) => format!("\x1b[1;32m{text}\x1b[0m"),
            (true, false) => format!("\x1b[1;31m{text}\x1b[0m"),
        }
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration with about three digits.
pub(crate) fn short(duration: Duration) -> String {
    let micros = duration.as_nanos() as f64 / 1e3;
    match micros {
        _ if micros < 1e2 => format!("{micros:.1} µs"),
        _ if micros < 1e3 => format!("{micros:.0} µs"),
        _ if micros < 1e4 => format!("{:.2} ms", micros / 1e3),
        _ if micros < 1e6 => format!("{:.1} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// Why messages were lost, by reason.
pub(crate) fn reasons(lost: &Lost) -> String {
    let Lost { overflow, expired, too_large, no_headers, poison, refused, closed, .. } = lost;
    format!(
        "overflow {overflow}, expired {expired}, too large {too_large}, no headers {no_headers}, poison {poison}, \
         refused {refused}, closed {closed}"
    )
}
