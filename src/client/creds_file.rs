//! A credentials file, read again on every attempt.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::credentials::{self, Creds, CredsError};
use crate::driver::{Blocking, LastGood, Thread, shown_path};

/// The file and its last good content.
#[derive(Debug)]
pub(super) struct CredsFile {
    path: PathBuf,
    content: LastGood<Arc<Creds>, Fault>,
}

type Read = Result<Arc<Creds>, Fault>;

static READING: Blocking<PathBuf, Read> = Blocking::new("nats-creds-file");

/// Why a file cannot be used.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    Io(Arc<io::Error>),
    Creds(CredsError),
}

impl CredsFile {
    /// Reads the file for the first time.
    ///
    /// # Errors
    ///
    /// If it cannot be read within `limit`, with its path; of kind `InvalidData`, with a [`CredsError`], if it is not a
    /// credentials file.
    pub(super) async fn open(path: &Path, limit: Duration) -> io::Result<CredsFile> {
        CredsFile::open_unnamed(path, limit).await.map_err(|fault| match fault {
            Fault::Io(error) => io::Error::new(error.kind(), format!("{}: {error}", shown_path(path))),
            Fault::Creds(fault) => fault.into(),
        })
    }

    /// Reads the file for the first time. The error does not show the path, in whose place there may be a secret.
    pub(super) async fn open_unnamed(path: &Path, limit: Duration) -> Result<CredsFile, Fault> {
        let io = |error| Fault::Io(Arc::new(error));
        let mut reading = READING.start(path.to_owned(), read).map_err(io)?;
        let creds = reading.outcome_within(limit).await.map_err(io)??;
        Ok(CredsFile { path: path.to_owned(), content: LastGood::new(Some(creds)) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The content of the file now, or its last good content if it cannot be read.
    pub(super) async fn latest(&self) -> Result<Arc<Creds>, String> {
        let fault = |error: &dyn fmt::Display| format!("{}: {error}", shown_path(&self.path));
        let reading = READING.start(self.path.clone(), read).map_err(|error| fault(&error))?;
        let name = format!("the credentials file {}", shown_path(&self.path));
        match self.content.latest(&name, reading).await {
            Some(Ok(creds)) => Ok(creds),
            Some(Err(error)) => Err(fault(&error)),
            None => Err(fault(&"reading the file was abandoned")),
        }
    }
}

#[allow(clippy::ptr_arg, reason = "the key as it is")]
fn read(thread: &Thread, path: &PathBuf) -> Read {
    let text = thread.read_text(path).map_err(|error| Fault::Io(Arc::new(error)))?;
    credentials::parse(&text).map(Arc::new).map_err(Fault::Creds)
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> io::Error {
        match fault {
            Fault::Io(error) => io::Error::new(error.kind(), error),
            Fault::Creds(fault) => fault.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io(error) => error.fmt(f),
            Fault::Creds(fault) => fault.fmt(f),
        }
    }
}
