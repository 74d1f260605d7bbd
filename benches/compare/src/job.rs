//! What a child process is asked to do, as words: `compare --child NAME work=publish payload=16 …`.
//!
//! The programs in other languages are started with the same words.

use crate::Failure;
use crate::workload::Work;
use std::path::PathBuf;

/// The first argument of a child.
pub(crate) const FLAG: &str = "--child";

#[derive(Clone, Debug, Default)]
pub(crate) struct Job {
    pub(crate) work: Option<Work>,
    pub(crate) tasks: u64,
    /// Bytes.
    pub(crate) payload: usize,
    pub(crate) messages: u64,
    /// Subscriptions to replay.
    pub(crate) subscriptions: u64,
    /// Requests per second of a fixed schedule.
    pub(crate) rate: u64,
    /// Whether a message after all others goes to `LAST`.
    pub(crate) last: bool,
    /// Each `host:port`.
    pub(crate) servers: Vec<String>,
    /// The certificate to trust, if the far end wants TLS.
    pub(crate) ca: Option<PathBuf>,
}

impl Job {
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec![
            format!("work={}", self.work.map_or("", Work::word)),
            format!("tasks={}", self.tasks),
            format!("payload={}", self.payload),
            format!("messages={}", self.messages),
            format!("subscriptions={}", self.subscriptions),
            format!("rate={}", self.rate),
            format!("last={}", u8::from(self.last)),
            format!("servers={}", self.servers.join(",")),
        ];
        words.extend(self.ca.iter().map(|ca| format!("ca={}", ca.display())));
        words
    }

    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut job = Self::default();
        for word in words {
            let (key, value) = word.split_once('=').ok_or("a child is started by compare itself")?;
            match key {
                "work" => job.work = Work::parse(value),
                "tasks" => job.tasks = value.parse()?,
                "payload" => job.payload = value.parse()?,
                "messages" => job.messages = value.parse()?,
                "subscriptions" => job.subscriptions = value.parse()?,
                "rate" => job.rate = value.parse()?,
                "last" => job.last = value == "1",
                "servers" => job.servers = value.split(',').map(str::to_owned).collect(),
                "ca" => job.ca = Some(value.into()),
                _ => return Err(format!("no such part of a job: {key}").into()),
            }
        }
        Ok(job)
    }

    pub(crate) fn server(&self) -> Result<&str, Failure> {
        Ok(self.servers.first().ok_or("a job without a server")?)
    }

    pub(crate) fn work(&self) -> Result<Work, Failure> {
        self.work.ok_or_else(|| "a job without work".into())
    }
}
