//! The command line.

use crate::Failure;
use crate::contender::Contender;
use crate::table::{self, ALL};
use crate::workload::Workload;
use std::path::PathBuf;

const USAGE: &str = "compare [--rounds 5] [--msgs FACTOR] [--only name,name] [--who name,name]
        [--server nats://host:port] [--peers DIR] [--out DIR]

  --rounds  how often each contender is measured; the median counts
  --msgs    scales the number of messages of every workload, such as 0.1
  --only    these workloads and no others
  --who     only these contenders, for a profiler: lifeline,async-nats,nats.go,nats.c,bound
  --server  a real server; without it one is started, from NATS_SERVER_BIN or PATH
  --peers   the folder with compare-go and compare-c, for nats.go and nats.c
  --out     where results.md and the plots are written; by default benches/results, after a run of everything";

pub(crate) struct Args {
    pub(crate) rounds: usize,
    pub(crate) factor: f64,
    pub(crate) workloads: Vec<&'static Workload>,
    pub(crate) contenders: Vec<Contender>,
    /// `host:port`.
    pub(crate) server: Option<String>,
    pub(crate) peers: Option<PathBuf>,
    /// `None`: nothing is written.
    pub(crate) out: Option<PathBuf>,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut args = Self {
            rounds: 5,
            factor: 1.0,
            workloads: ALL.iter().collect(),
            contenders: Contender::ALL.to_vec(),
            server: None,
            peers: None,
            out: None,
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
                "--peers" => args.peers = Some(value()?.into()),
                "--out" => args.out = Some(value()?.into()),
                // Added by cargo bench.
                "--bench" => {}
                _ => return Err(USAGE.into()),
            }
        }
        // Results of a trial never replace those of a whole run by accident.
        let whole = args.workloads.len() == ALL.len() && args.contenders.len() == Contender::ALL.len();
        if args.out.is_none() && whole && args.factor >= 1.0 {
            args.out = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/../results").into());
        }
        Ok(args)
    }
}

fn named(names: &str) -> Result<Vec<&'static Workload>, Failure> {
    let known = || ALL.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
    let find = |name: &str| table::named(name).ok_or_else(|| format!("no workload {name}; there are {}", known()));
    Ok(names.split(',').map(find).collect::<Result<_, _>>()?)
}
