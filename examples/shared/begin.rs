//! The opening of a program with arguments: help, or an error, or on with it.

use std::process::ExitCode;

use super::out::{self, say};

/// The arguments that were `read` (`None`: help was asked for), or what the program ends with at once: 0 behind its help, 2
/// behind an error in them.
pub(crate) fn arguments<A>(program: &str, help: &str, read: Result<Option<A>, String>) -> Result<A, ExitCode> {
    match read {
        Ok(Some(args)) => Ok(args),
        Ok(None) => {
            say!("{}", help.trim_end());
            Err(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{program}: {error}\n`{program} --help` tells what there is");
            Err(ExitCode::from(2))
        }
    }
}
