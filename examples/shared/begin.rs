//! The start of a program with arguments: help, an error, or the arguments.

use std::process::ExitCode;

use super::out::{self, say};

/// The arguments that were `read` (`None`: help was asked for), or the exit code: 0 after the help, 2
/// after an error.
pub(crate) fn arguments<A>(program: &str, help: &str, read: Result<Option<A>, String>) -> Result<A, ExitCode> {
    match read {
        Ok(Some(args)) => Ok(args),
        Ok(None) => {
            say!("{}", help.trim_end());
            Err(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{program}: {error}\n`{program} --help` lists the options");
            Err(ExitCode::from(2))
        }
    }
}
