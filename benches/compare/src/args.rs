//! The command line.

use crate::Failure;
use crate::far_end::Contender;
use crate::workload::{ALL, Workload};
use std::path::PathBuf;

const USAGE: &str = "compare [--rounds 5] [--msgs FACTOR] [--only name,name] [--who name,name]
        [--server nats://host:port] [--go PROGRAM]

  --rounds  how often each contender is measured; the median counts
  --msgs    scales the number of messages of every workload, such as 0.1
  --only    these workloads and no others
  --who     only these contenders, for a profiler: lifeline,async-nats,nats.go,raw
  --server  a real server, for the workloads that want one; without it they are left out
  --go      the program built from go/main.go; without it nats.go is left out";

pub(crate) struct Args {
    pub(crate) rounds: usize,
    pub(crate) factor: f64,
    pub(crate) workloads: Vec<&'static Workload>,
    pub(crate) contenders: Vec<Contender>,
    /// `host:port`.
    pub(crate) server: Option<String>,
    /// The program that measures nats.go.
    pub(crate) go: Option<PathBuf>,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut args = Self {
            rounds: 5,
            factor: 1.0,
            workloads: ALL.iter().collect(),
            contenders: Contender::ALL.to_vec(),
            server: None,
            go: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(USAGE);
            match word.as_str() {
                "--rounds" => args.rounds = value()?.parse::<usize>()?.max(1),
                "--msgs" => args.factor = value()?.parse()?,
                "--only" => args.workloads = named(&value()?)?,
                "--who" => {
                    let who = value()?;
                    args.contenders = who.split(',').map(Contender::named).collect::<Option<_>>().ok_or(USAGE)?;
                }
                "--server" => {
                    let url = value()?;
                    args.server = Some(url.strip_prefix("nats://").unwrap_or(&url).to_owned());
                }
                "--go" => args.go = Some(value()?.into()),
                // Added by cargo bench.
                "--bench" => {}
                _ => return Err(USAGE.into()),
            }
        }
        Ok(args)
    }
}

fn named(names: &str) -> Result<Vec<&'static Workload>, Failure> {
    let known = || ALL.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
    let find = |name: &str| Workload::named(name).ok_or_else(|| format!("no workload {name}; there are {}", known()));
    Ok(names.split(',').map(find).collect::<Result<_, _>>()?)
}
