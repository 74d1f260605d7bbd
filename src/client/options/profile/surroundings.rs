//! What surrounds the program: environment variables, the program's name, files.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::ProfileError;
use crate::driver::{Blocking, Thread, shown_path};
use crate::engine::Config;

type Content = Arc<Zeroizing<Vec<u8>>>;
type Lookup = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;
type Read = Result<Content, Arc<io::Error>>;

static READING: Blocking<PathBuf, Read> = Blocking::new("nats-settings");

/// Variables, by name, and the program's file.
pub(super) struct Surroundings {
    vars: Lookup,
    program: Option<OsString>,
}

/// A value, and the setting that it comes from.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) setting: String,
    pub(super) text: String,
}

impl Value {
    /// # Errors
    ///
    /// If it ends with a line end.
    pub(super) fn new(setting: String, text: String) -> Result<Value, ProfileError> {
        if text.ends_with(['\n', '\r']) {
            // It comes from a file, and would be a part of a password.
            return Err(ProfileError::new(setting, "must not end with a line end"));
        }
        Ok(Value { setting, text })
    }

    pub(super) fn refused(&self, rule: impl Into<String>) -> ProfileError {
        ProfileError::new(self.setting.clone(), rule)
    }
}

impl Surroundings {
    /// Those of this process.
    pub(super) fn real() -> Surroundings {
        Surroundings { vars: Box::new(|name| std::env::var_os(name)), program: std::env::args_os().next() }
    }

    #[cfg(test)]
    pub(super) fn of(vars: impl IntoIterator<Item = (&'static str, OsString)>, program: &str) -> Surroundings {
        let vars: std::collections::BTreeMap<&str, OsString> = vars.into_iter().collect();
        Surroundings { vars: Box::new(move |name| vars.get(name).cloned()), program: Some(program.into()) }
    }

    /// The variable; `None` if it is unset or empty.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8, or ends with a line end.
    pub(super) fn var(&self, name: &str) -> Result<Option<Value>, ProfileError> {
        let Some(value) = (self.vars)(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let text = value.into_string().map_err(|_| ProfileError::new(name, "must be UTF-8"))?;
        Value::new(name.to_owned(), text).map(Some)
    }

    /// The user's folder.
    pub(super) fn home(&self) -> Result<Option<Value>, ProfileError> {
        match self.var("HOME")? {
            None => self.var("USERPROFILE"),
            home => Ok(home),
        }
    }

    /// A name for the connection: the program's, and the host's if that is known.
    pub(super) fn name(&self) -> Result<Option<String>, ProfileError> {
        let program = self.program.as_deref().and_then(|path| Path::new(path).file_stem());
        let program = program.map(|name| name.to_string_lossy().into_owned());
        let host = self.var("HOSTNAME")?.map(|host| host.text);
        Ok(match (program, host) {
            (Some(program), Some(host)) => Some(format!("{program}@{host}")),
            (program, host) => program.or(host),
        })
    }
}

/// The content of a file, which is read on its own thread.
///
/// # Errors
///
/// If it cannot be read within the default timeout of a connection. The error does not show the path, in whose place there may
/// be a secret.
pub(super) async fn read(path: &Path) -> io::Result<Content> {
    #[allow(clippy::ptr_arg, reason = "the key as it is")]
    fn work(thread: &Thread, path: &PathBuf) -> Read {
        thread.read(path).map(Arc::new).map_err(Arc::new)
    }
    let mut reading = READING.start(path.to_owned(), work)?;
    let read = reading.outcome_within(Config::default().connect_timeout).await?;
    read.map_err(|error| io::Error::new(error.kind(), error))
}

/// The same for a file whose path is not a setting's value: the error shows it.
pub(super) async fn read_named(path: &Path) -> io::Result<Content> {
    read(path).await.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", shown_path(path))))
}
