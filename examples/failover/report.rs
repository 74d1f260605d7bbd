//! The output: a line each second, and the closing account with its verdict.

use std::sync::atomic::Ordering;

use nats_lifeline::connection::Stats;

use crate::account::Account;
use crate::args::Args;
use crate::attack::Attack;
use crate::client_log::{ClientLog, News};
use crate::load::{Flushes, Load, lock};
use crate::shared::figures::{Terminal, grouped, reasons, short};
use crate::shared::out::{self, say};

pub(crate) fn begin(attack: &Attack, args: &Args) {
    let [exposed, sheltered] = [&attack.exposed, &attack.sheltered]
        .map(|servers| servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    if attack.is_ours() {
        say!("publisher, plain subscription, queue member 1, requests: A and B  {exposed}");
        say!("queue member 2, responder:                               C        {sheltered}");
        say!("Every second the publisher's broker is killed, and restarted a second later; now and then both are.\n");
    } else {
        say!("all clients: {exposed}");
        say!("Kill and restart servers as you like, for {} seconds.\n", args.seconds);
    }
    say!(
        "{:>4} {:>11} {:>11} {:>11} {:>11} {:>9} {:>8} {:>10}  server and news",
        "s",
        "published",
        "confirmed",
        "plain",
        "queue",
        "in doubt",
        "held",
        "reconnects"
    );
}

/// The state so far, and the news of this second.
pub(crate) fn line(second: u64, load: &Load, log: &mut ClientLog, attack: &mut Attack) {
    let stats = load.publisher.stats();
    let (plain, queue) = load.received();
    let server = load.publisher.connected_server();
    let mut text = server.map_or_else(|| "-".to_owned(), |server| attack.name(&server));
    let mut news = Vec::from_iter(attack.news.take());
    news.extend(log.news.drain(..).map(|news| match news {
        News::Lost { in_doubt } => format!("{} in doubt", grouped(in_doubt)),
        News::Back { server, downtime } => format!("{} after {}", attack.name(&server), short(downtime)),
    }));
    if !news.is_empty() {
        text += &format!("  {}", news.join(", "));
    }
    say!(
        "{second:>4} {:>11} {:>11} {:>11} {:>11} {:>9} {:>8} {:>10}  {text}",
        grouped(load.published.load(Ordering::Relaxed)),
        grouped(stats.confirmed),
        grouped(plain),
        grouped(queue),
        grouped(stats.in_doubt),
        grouped(if load.publisher.connected_server().is_some() { 0 } else { stats.waiting }),
        stats.reconnects,
    );
}

/// The closing account.
pub(crate) struct Report<'a> {
    load: &'a Load,
    log: &'a ClientLog,
    attack: &'a Attack,
    stats: Stats,
    published: u64,
}

impl<'a> Report<'a> {
    pub(crate) fn new(load: &'a Load, log: &'a ClientLog, attack: &'a Attack) -> Report<'a> {
        let published = load.published.load(Ordering::Relaxed);
        Report { load, log, attack, stats: load.publisher.stats(), published }
    }

    /// The broken promises, as text; none if all is well.
    fn broken(&self) -> Vec<String> {
        let (plain, queue) = (lock(&self.load.plain), lock(&self.load.queue));
        let Stats { accepted, in_doubt, .. } = self.stats;
        let mut broken = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        must(self.stats.balances(), "the sum does not hold".to_owned());
        must(accepted == self.published, format!("{} were published, but {accepted} accepted", self.published));
        let unconfirmed = self.published - self.stats.confirmed.min(self.published);
        for (name, account, is_exact) in [("plain", &plain, true), ("queue", &queue, self.attack.is_ours())] {
            let Account { duplicated, corrupted, out_of_order, .. } = **account;
            let missing = account.missing(self.published);
            must(duplicated == 0, format!("{name}: {duplicated} arrived twice"));
            must(corrupted == 0, format!("{name}: {corrupted} arrived changed"));
            must(
                out_of_order <= self.late(is_exact && name == "plain"),
                format!("{name}: {out_of_order} arrived out of order, but only {in_doubt} are in doubt"),
            );
            must(
                !is_exact || missing <= unconfirmed,
                format!("{name}: {missing} are missing, but only {unconfirmed} were not confirmed"),
            );
        }
        let flushes = &self.load.flushes;
        must(
            flushes.in_doubt == in_doubt,
            format!("{in_doubt} are in doubt, but `flush` reported {}", flushes.in_doubt),
        );
        let dropped = self.load.dropped.load(Ordering::Relaxed);
        must(dropped == 0, format!("{dropped} were dropped because this program reads too slowly"));
        let wrong = lock(&self.load.answers).wrong;
        must(wrong == 0, format!("{wrong} requests got another's answer"));
        broken
    }

    /// How many may arrive after later ones. A message in doubt may arrive late, when its server processes it after the
    /// publisher has moved; a killed server cannot do that for its own clients.
    fn late(&self, same_connection: bool) -> u64 {
        if self.attack.is_ours() && same_connection { 0 } else { self.stats.in_doubt }
    }

    pub(crate) fn holds(&self) -> bool {
        self.broken().is_empty()
    }

    pub(crate) fn print(&self, terminal: &Terminal) {
        let Stats { accepted, waiting, unconfirmed, confirmed, in_doubt, lost, reconnects, .. } = self.stats;
        let refused = self.load.refused.load(Ordering::Relaxed);
        let row = |name: &str, number: u64, text: &str| say!("{name:<13}{:>11}  {text}", grouped(number));
        say!();
        row("published", self.published, "accepted by `publish`");
        row("refused", refused, "an error of `publish`: the buffer was full");
        row("confirmed", confirmed, "a PONG followed: that server has processed them");
        row("in doubt", in_doubt, "taken by a server that died before a PONG");
        row("lost", lost.total(), &reasons(&lost));
        self.print_received();
        self.print_recovery(reconnects);

        say!("\naccepted = waiting + unconfirmed + confirmed + in doubt + lost");
        let parts = [waiting, unconfirmed, confirmed, in_doubt, lost.total()].map(grouped);
        let sign = if self.stats.balances() { "=" } else { "≠" };
        say!("{} {sign} {}", grouped(accepted), parts.join(" + "));

        let broken = self.broken();
        say!();
        if broken.is_empty() {
            let text = "Every message is accounted for: received or in doubt, once, whole and in order.";
            say!("{}", terminal.verdict(true, text));
        }
        for broken in broken {
            say!("{}", terminal.verdict(false, &format!("BROKEN  {broken}")));
        }
    }

    fn print_received(&self) {
        let (plain, queue) = (lock(&self.load.plain), lock(&self.load.queue));
        say!("\n{:<13}{:>11} {:>11}", "", "plain", "queue");
        let row = |name: &str, of: &dyn Fn(&Account) -> String, text: &str| {
            say!("{name:<13}{:>11} {:>11}  {text}", of(&plain), of(&queue));
        };
        let missing = match self.attack.is_ours() {
            true => "at most those in doubt",
            false => "plain: at most those in doubt; queue: copies may have died with their server",
        };
        row("received", &|account| grouped(account.received), "");
        row("missing", &|account| grouped(account.missing(self.published)), missing);
        row("duplicated", &|account| grouped(account.duplicated), "");
        row("out of order", &|account| grouped(account.out_of_order), "");
        row("corrupted", &|account| grouped(account.corrupted), "");
        row("longest gap", &|account| short(account.gap), &self.dark());
    }

    /// The explanation of the longest gap.
    fn dark(&self) -> String {
        match self.attack.dark {
            0 => String::new(),
            times => format!("{times} times no broker was up, for {} at most", short(self.attack.longest_dark)),
        }
    }

    fn print_recovery(&self, reconnects: u64) {
        let mut downtimes = self.log.downtimes.clone();
        downtimes.sort_unstable();
        let median = downtimes.get(downtimes.len() / 2).map_or_else(|| "-".to_owned(), |median| short(*median));
        let killed = match self.attack.killed {
            0 => String::new(),
            killed => format!(", {killed} brokers killed"),
        };
        say!("\nreconnects   {:>11}  back {median} after the loss (median){killed}", grouped(reconnects));
        let Flushes { ok, failed, in_doubt } = &self.load.flushes;
        say!(
            "flushes      {:>11}  Ok, {} failed and reported {} in doubt",
            grouped(*ok),
            grouped(*failed),
            grouped(*in_doubt)
        );
        let answers = lock(&self.load.answers);
        let failed: u64 = answers.failed.values().sum();
        say!("requests     {:>11}  answered, {} failed", grouped(answers.right), grouped(failed));
        for (reason, times) in &answers.failed {
            say!("             {:>11}  {reason}", grouped(*times));
        }
    }
}
