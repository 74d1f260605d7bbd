//! The report, with what is included in the figures.

use std::io::{self, Write};
use std::time::Duration;

use crate::Outcome;
use crate::args::{Args, Work};
use crate::far_end::{FarEnd, Kind};
use crate::shared::figures::{grouped, short};

pub(crate) fn print(args: &Args, far_end: &FarEnd, outcome: &Outcome, to: &mut impl Write) -> io::Result<()> {
    let Outcome { published, received, dropped, missing, elapsed, cpu, latency } = outcome;
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let headers = if args.headers > 0 { format!(" and {} headers", args.headers) } else { String::new() };
    let up_to = if args.work == Work::Sub { "up to " } else { "" };
    let batches = args.batch.map_or_else(String::new, |batch| format!(" in batches of {up_to}{batch}"));
    let tls = if args.tls { ", TLS" } else { "" };
    let (work, size) = (args.work.name(), args.size);
    writeln!(to, "{work}: {size} B{headers}{batches}, {} {}{tls}", who(args), far_end.name())?;

    // The unit of the CPU time: the main work of this client's side.
    let (unit, count) = match args.work {
        Work::Pub => ("published", *published),
        Work::Sub | Work::PubSub => ("received", *received),
        Work::Request => ("answered", *published),
    };
    let mut rate = |what: &str, count: u64| {
        let per_second = count as f64 / seconds;
        let payload = per_second * args.size as f64 / 1e6;
        writeln!(to, "  {what:<10} {:>14} /s  {payload:>9.1} MB/s of payload", grouped(per_second as u64))
    };
    if matches!(args.work, Work::Pub | Work::PubSub) {
        rate("published", *published)?;
    }
    if matches!(args.work, Work::Sub | Work::PubSub) {
        rate("received", *received)?;
    }
    if args.work == Work::Request {
        rate("answered", *published)?;
    }
    writeln!(to, "  time       {seconds:>14.3} s   for {}", grouped(count))?;
    match cpu {
        Some(cpu) => {
            let (each, of) = each(*cpu, count);
            writeln!(to, "  CPU        {each:>14.1} {of}  for each {unit}: {}", counted(args, far_end))?;
        }
        None => writeln!(to, "  CPU                     ?   not available by thread on this system")?,
    }
    if let Some(latency) = latency.as_ref().filter(|latency| latency.count() > 0) {
        let at = |percent| short(latency.at(percent));
        writeln!(to, "  {}, {} measured, {}:", from_to(args), grouped(latency.count()), loops(args))?;
        writeln!(
            to,
            "             p50 {}   p90 {}   p99 {}   p99.9 {}   max {}",
            at(50.0),
            at(90.0),
            at(99.0),
            at(99.9),
            short(latency.longest())
        )?;
    }
    if args.rate.is_some_and(|rate| (*published as f64) < 0.95 * seconds * rate as f64) {
        writeln!(to, "  the rate was not reached: the latencies contain the delay before sending")?;
    }
    if let Some(far) = far_end.counted().filter(|_| args.work != Work::Request) {
        let s = if far == 1 { "" } else { "s" };
        writeln!(to, "  the far end has counted {} message{s}", grouped(far))?;
    }
    match args.work {
        Work::Pub => Ok(()),
        Work::Sub | Work::PubSub => {
            writeln!(to, "  dropped {}, missing {}", grouped(*dropped), grouped(*missing))
        }
        Work::Request => writeln!(to, "  failed {}", grouped(*missing)),
    }
}

/// The share of one of `count`, and its unit: two letters, so that the columns stay in line.
fn each(all: Duration, count: u64) -> (f64, &'static str) {
    match all.as_nanos() as f64 / count.max(1) as f64 {
        nanos if nanos < 1e4 => (nanos, "ns"),
        nanos => (nanos / 1e3, "µs"),
    }
}

fn who(args: &Args) -> String {
    let s = if args.clients == 1 { "" } else { "s" };
    let each = if args.clients == 1 || args.work == Work::PubSub { "" } else { " each" };
    let with = |what: &str| if args.tasks == 1 { String::new() } else { format!(" with {} {what}{each}", args.tasks) };
    let (tasks, subscriptions) = (with("tasks"), with("subscriptions"));
    match args.work {
        Work::Pub => format!("{} client{s}{tasks} to", args.clients),
        Work::Sub => format!("{} client{s}{subscriptions} from", args.clients),
        Work::PubSub => format!("one client{tasks} to {} other{s} through", args.clients),
        Work::Request => format!("{} client{s} with {} at a time{each} through", args.clients, args.tasks),
    }
}

/// What the latencies are.
fn from_to(args: &Args) -> &'static str {
    match (args.work, args.rate) {
        (Work::Request, None) => "from request to reply",
        (Work::Request, Some(_)) => "from when a request was due to its reply",
        (_, None) => "from publish to subscriber",
        (_, Some(_)) => "from when a message was due to its subscriber",
    }
}

/// Whether one slow operation delays others that nobody measures.
fn loops(args: &Args) -> String {
    match args.rate {
        Some(rate) => format!("open loop at {} /s", grouped(rate)),
        None => "closed loop".to_owned(),
    }
}

/// Whose CPU time is shown.
fn counted(args: &Args, far_end: &FarEnd) -> String {
    let work = match args.work {
        Work::Pub => "publishers and connections",
        Work::Sub => "connections and subscribers",
        Work::PubSub => "publisher, subscribers and connections",
        Work::Request => "requesters, responders and connections",
    };
    match far_end.kind {
        Kind::Sink(_) => format!("{work}; not the sink's threads"),
        Kind::Source(_) => format!("{work}; not the source's threads"),
        Kind::Broker { .. } => format!("{work}; not the broker's threads"),
        Kind::Server(_) => format!("{work}; all threads of this process"),
    }
}
