//! The workloads, with their goals.

use crate::contender::Contender::{self, AsyncNats, NatsGo, Raw};
use crate::figures::Metric::{self, Bytes, Cpu, Median, Rate};
use crate::workload::Limit::{Least, Most};
use crate::workload::Needs::{Outages, Server, Sink, Source, Stream};
use crate::workload::{Goal, Needs, Section, Than, Work, Workload};

pub(crate) fn named(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

/// A row without goals.
const fn for_the_plot(row: Workload) -> Workload {
    Workload { rounds: 3, ..row }
}

/// Subscriptions that are sent again in `replay`.
pub(crate) const REPLAYED: u64 = 100_000;

const fn row(
    section: Section,
    name: &'static str,
    title: &'static str,
    work: Work,
    payload: usize,
    messages: u64,
    far_end: Needs,
) -> Workload {
    Workload {
        name,
        title,
        section,
        work,
        tasks: 1,
        payload,
        messages,
        far_end,
        tls: false,
        bound: true,
        rounds: usize::MAX,
        goals: &[],
    }
}

const fn publish(name: &'static str, title: &'static str, payload: usize, messages: u64) -> Workload {
    row(Section::Publish, name, title, Work::Publish, payload, messages, Sink)
}

const fn receive(name: &'static str, title: &'static str, payload: usize, messages: u64) -> Workload {
    row(Section::Receive, name, title, Work::Subscribe, payload, messages, Source)
}

const fn request(name: &'static str, title: &'static str, tasks: u64, messages: u64) -> Workload {
    let row = row(Section::Server, name, title, Work::Request, 16, messages, Server);
    Workload { tasks, bound: tasks == 1, ..row }
}

const fn secure(name: &'static str, title: &'static str, work: Work, payload: usize, messages: u64) -> Workload {
    let far_end = match work {
        Work::Subscribe => Source,
        _ => Sink,
    };
    let row = row(Section::Tls, name, title, work, payload, messages, far_end);
    Workload { tls: true, goals: if payload < 1024 { SMALL_TLS } else { LARGE_TLS }, ..row }
}

const fn stored(name: &'static str, title: &'static str, work: Work, messages: u64) -> Workload {
    let bound = matches!(work, Work::Store | Work::StoreMany | Work::Fetch);
    Workload { bound, ..row(Section::JetStream, name, title, work, 128, messages, Stream { files: false }) }
}

const SMALL_TLS: &[Goal] = &[least(3.0, AsyncNats), most(Cpu, 1.2, Raw)];
const LARGE_TLS: &[Goal] = &[least(1.0, AsyncNats), most(Cpu, 1.2, Raw)];

const fn least(times: f64, than: Contender) -> Goal {
    Goal { metric: Rate, than: Than::Contender(than), limit: Least(times) }
}

const fn most(metric: Metric, times: f64, than: Contender) -> Goal {
    Goal { metric, than: Than::Contender(than), limit: Most(times) }
}

const fn not_slower_than(row: &'static str) -> Goal {
    Goal { metric: Rate, than: Than::Row(row), limit: Least(1.0) }
}

const fn below(metric: Metric, value: f64) -> Goal {
    Goal { metric, than: Than::Nothing, limit: Most(value) }
}

#[rustfmt::skip]
pub(crate) const ALL: &[Workload] = &[
    Workload { goals: &[least(6.0, AsyncNats), most(Cpu, 1.0 / 6.0, AsyncNats), least(1.5, NatsGo)],
        ..publish("pub16", "publish 16 B, one task", 16, 3_000_000) },
    for_the_plot(publish("pub64", "publish 64 B", 64, 2_000_000)),
    for_the_plot(publish("pub256", "publish 256 B", 256, 1_500_000)),
    Workload { goals: &[least(0.9, Raw), most(Cpu, 0.5, AsyncNats)],
        ..publish("pub1k", "publish 1 KiB", 1024, 600_000) },
    for_the_plot(publish("pub4k", "publish 4 KiB", 4096, 200_000)),
    Workload { goals: &[most(Cpu, 1.0, AsyncNats), least(0.95, Raw)],
        ..publish("pub64k", "publish 64 KiB", 65_536, 15_000) },
    Workload { tasks: 4, goals: &[least(5.0, AsyncNats), least(1.5, NatsGo), not_slower_than("pub16")],
        ..publish("pub16x4", "publish 16 B, four tasks on one client", 16, 3_000_000) },
    Workload { work: Work::PublishHandle, goals: &[least(2.5, NatsGo)],
        ..publish("pubh16", "publish 16 B from a handle for the subject", 16, 3_000_000) },
    Workload { work: Work::PublishBatch, goals: &[least(0.7, Raw)],
        ..publish("pubb16", "publish 16 B from such a handle, 256 at a time", 16, 4_000_000) },
    Workload { work: Work::PublishHeaders, goals: &[least(6.0, AsyncNats)],
        ..publish("pubhdr", "publish 16 B with two headers, in a new map each", 16, 600_000) },
    Workload { work: Work::PublishCloned, goals: &[least(6.0, AsyncNats)],
        ..publish("pubhdrc", "publish 16 B with two headers, in one map cloned for each", 16, 800_000) },

    Workload { goals: &[least(8.0, AsyncNats), most(Cpu, 0.12, AsyncNats)],
        ..receive("sub16", "receive 16 B", 16, 2_000_000) },
    for_the_plot(receive("sub64", "receive 64 B", 64, 1_500_000)),
    for_the_plot(receive("sub256", "receive 256 B", 256, 1_000_000)),
    Workload { goals: &[least(0.9, Raw)],
        ..receive("sub1k", "receive 1 KiB", 1024, 400_000) },
    for_the_plot(receive("sub4k", "receive 4 KiB", 4096, 120_000)),
    for_the_plot(receive("sub64k", "receive 64 KiB", 65_536, 8_000)),
    Workload { work: Work::SubscribeBatch, goals: &[least(0.6, Raw)],
        ..receive("subb16", "receive 16 B, 256 at a time", 16, 2_000_000) },

    Workload { goals: &[least(0.95, Raw)],
        ..row(Section::Server, "pub16srv", "publish 16 B into nats-server", Work::Publish, 16, 1_500_000, Server) },
    Workload { bound: false, goals: &[least(1.25, AsyncNats), most(Cpu, 0.25, AsyncNats)],
        ..row(Section::Server, "pubsub128", "publish and receive 128 B", Work::Loop, 128, 500_000, Server) },
    Workload { goals: &[least(1.5, AsyncNats), most(Cpu, 0.6, AsyncNats)],
        ..request("req64", "request, 64 at a time", 64, 48_000) },
    request("req1024", "request, 1,024 at a time", 1024, 40_960),
    Workload { goals: &[most(Median, 1.1, Raw)],
        ..request("req1", "request, one at a time", 1, 4_000) },
    Workload { bound: false,
        ..row(Section::Server, "paced", "request on a fixed schedule", Work::Paced, 16, 50_000, Server) },

    secure("tlspub16", "publish 16 B over TLS", Work::Publish, 16, 1_500_000),
    secure("tlspub1k", "publish 1 KiB over TLS", Work::Publish, 1024, 300_000),
    secure("tlspub64k", "publish 64 KiB over TLS", Work::Publish, 65_536, 6_000),
    secure("tlssub16", "receive 16 B over TLS", Work::Subscribe, 16, 1_000_000),
    secure("tlssub1k", "receive 1 KiB over TLS", Work::Subscribe, 1024, 200_000),
    secure("tlssub64k", "receive 64 KiB over TLS", Work::Subscribe, 65_536, 4_000),

    Workload { bound: false, rounds: 2, goals: &[below(Bytes, 300.0)],
        ..row(Section::Memory, "subs100k", "each of 100,000 idle subscriptions", Work::Subscriptions, 0, 100_000, Sink) },
    Workload { bound: false, rounds: 2, goals: &[below(Bytes, 32_768.0)],
        ..row(Section::Memory, "clients1k", "each of 1,000 idle clients", Work::Clients, 0, 1_000, Sink) },

    row(Section::Connection, "connect", "connect, subscribe, first message", Work::Connect, 16, 300, Source),
    Workload { rounds: 3, goals: &[most(Median, 1.2, Raw)],
        ..row(Section::Connection, "replay", "100,000 subscriptions sent again", Work::Replay, 0, 4, Outages) },
    Workload { bound: false, rounds: 3, goals: &[below(Median, 3e6)],
        ..row(Section::Connection, "failover", "server lost, first message at the next one", Work::Failover, 16, 4, Outages) },
    Workload { bound: false, rounds: 3,
        ..row(Section::Connection, "failover0", "the same, with delays of zero", Work::FailoverEager, 16, 4, Outages) },

    Workload { goals: &[most(Median, 1.1, Raw)],
        ..stored("store1", "store 128 B, one at a time", Work::Store, 4_000) },
    Workload { goals: &[least(0.9, Raw), most(Cpu, 1.0 / 3.0, AsyncNats)],
        ..stored("store", "store 128 B, 4,000 in flight", Work::StoreMany, 100_000) },
    Workload { far_end: Stream { files: true }, goals: &[least(0.9, Raw), most(Cpu, 1.0 / 3.0, AsyncNats)],
        ..stored("storef", "the same, in files", Work::StoreMany, 100_000) },
    Workload { goals: &[least(1.2, AsyncNats), least(1.2, NatsGo), most(Cpu, 1.0 / 3.0, AsyncNats)],
        ..stored("pull", "pull 128 B, 500 at a time", Work::Pull, 200_000) },
    Workload { goals: &[least(1.2, AsyncNats), least(1.2, NatsGo), most(Cpu, 1.0 / 3.0, AsyncNats)],
        ..stored("pullack", "the same, each acknowledged", Work::PullAcked, 100_000) },
    Workload { goals: &[most(Median, 1.1, Raw)],
        ..stored("fetch1", "fetch 1 message, one after the other", Work::Fetch, 4_000) },
    Workload { tasks: 100, goals: &[most(Median, 1.1, Raw)],
        ..stored("fetch100", "fetch 100 messages, one after the other", Work::Fetch, 100_000) },
    Workload { goals: &[least(1.2, AsyncNats), least(1.2, NatsGo)],
        ..stored("ordered", "read 128 B with an ordered consumer", Work::Ordered, 200_000) },
];

#[cfg(test)]
mod tests {
    use super::{ALL, named};
    use crate::job::Job;
    use crate::workload::{Than, Work};

    #[test]
    fn names_are_unique_and_goals_lead_to_rows() {
        for (at, workload) in ALL.iter().enumerate() {
            let first = ALL.iter().position(|other| other.name == workload.name);
            assert_eq!(first, Some(at), "{}", workload.name);
            for goal in workload.goals {
                if let Than::Row(name) = goal.than {
                    assert!(named(name).is_some(), "{} is compared with {name}", workload.name);
                }
            }
        }
    }

    #[test]
    fn every_kind_of_work_reaches_the_child() {
        for workload in ALL {
            let job = Job { work: Some(workload.work), servers: vec!["a:1".into(), "b:2".into()], ..Job::default() };
            let got = Job::parse(job.words().into_iter()).expect("its own words");
            assert_eq!(got.work, Some(workload.work));
            assert_eq!(got.servers, job.servers);
        }
        assert_eq!(Work::parse("juggle"), None);
    }
}
