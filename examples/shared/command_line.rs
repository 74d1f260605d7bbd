//! Reads the command line. An error names what is wrong, and shows no password of a URL in the wrong place.

use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, Command, FromArgMatches, Parser};

/// Reads the arguments; ends the program if they are invalid, or after the help.
pub(crate) fn read<Args: Parser>() -> Args {
    Args::from_arg_matches(&matches(Args::command())).unwrap_or_else(|error| without_password(error).exit())
}

/// What is given for this command; ends the program if it is invalid, or after the help.
pub(crate) fn matches(command: Command) -> ArgMatches {
    command.try_get_matches().unwrap_or_else(|error| without_password(error).exit())
}

/// Masks the password of a URL in the wrong place, which clap would repeat.
pub(crate) fn without_password(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            if let Some((_, host)) = text.rsplit_once('@') {
                let masked = ContextValue::String(format!("***@{host}"));
                error.insert(kind, masked);
                // A suggestion may repeat it.
                error.insert(ContextKind::Suggested, ContextValue::None);
            }
        }
    }
    error
}
