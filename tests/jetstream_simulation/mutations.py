#!/usr/bin/env python3
"""Breaks the machines of JetStream by hand, one way at a time, and shows which tests notice.

Each mutation is applied to a copy of the sources in target/mutations, never to the working tree. First its worlds of the
simulation run, with few seeds; if they notice nothing, the unit tests of the machines do. A mutation that survives both, does not
compile, or does not apply any more is a failure of this script.

    tests/jetstream_simulation/mutations.py             all of them
    tests/jetstream_simulation/mutations.py ledger      those whose name or file contains this

SEEDS (100) says how many worlds each one gets, CARGO how cargo is called. The first run builds everything in debug mode.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "mutations"
# One of its own: cargo can't tell the copy's crate from the original.
TARGET = COPY / "target"
CARGO = shlex.split(os.environ.get("CARGO", "cargo"))
SEEDS = os.environ.get("SEEDS", "100")
DECIDE = "src/jetstream/decide/"

# Tests that take longer than this never end.
PATIENCE = 300

# Worlds of the simulation.
PULL, FETCH, ORDERED, PUSH = "pulled_messages_always_come", "batches_always_end", "ordered", "push::push"

# (what is broken, worlds or None, file, old text, new text); the old text is there once.
MUTATIONS = [
    ("an outage is not followed by a pull", PULL, "pull.rs",
     "sends it directly after the subscription.\n        self.pull_if_due(now);", "sends it.\n"),
    ("silence is no loss", PULL, "pull.rs",
     "if due(self.silent_at()) {", "if due(self.silent_at().filter(|_| false)) {"),
    ("a stream that stops flowing waits for the heartbeat", PULL, "pull/flow.rs",
     "self.waiting?.checked_add(patience.max(SHORTEST))", "self.waiting?.checked_add(patience.max(SHORTEST) * 1_000)"),
    ("doubtful pulls take no room", PULL, "pull.rs",
     ".saturating_sub(expected.saturating_add(doubtful));", ".saturating_sub(expected);"),
    ("the next pull waits until the batch is empty", PULL, "pull.rs",
     "self.ledger.messages() <= batch / 2", "self.ledger.messages() == 0"),
    ("a pull is sent while another one has enough left", PULL, "pull.rs",
     "self.ledger.messages() <= batch / 2", "self.ledger.messages() <= batch"),
    ("what comes over two connections is delivered twice", PULL, "seen.rs",
     "Some((known, at)) => known != mixed || arrived.saturating_duration_since(at) > MOVE,", "Some(_) => true,"),
    ("old numbers are never used again", PULL, "seen.rs",
     "known != mixed || arrived.saturating_duration_since(at) > MOVE", "{ let _ = at; known != mixed }"),
    ("a table of deliveries outlives the connection", PULL, "seen.rs",
     "self.table.clear();", ""),
    ("a pull's time runs from when it was sent", PULL, "ledger.rs",
     "self.bound.open(Entry { sent: None, ..entry });", "self.bound.open(entry);"),
    ("more and more pulls wait on a stalled line", None, "pull.rs",
     "if messages == 0 && stalled {", "if messages == 0 && stalled && batch == 0 {"),
    ("an answered PING confirms nothing", None, "pull.rs",
     "self.ledger.received(now, through);", "let _ = (now, through);"),
    ("what a complete pull owes is expected for as long as it would have waited", None, "ledger.rs",
     "entry.has_ended(now);\n            pool.less", "let _ = now;\n            pool.less"),
    ("a late status of a settled pull takes others' messages off", None, "ledger.rs",
     "if token < pool.settled { None } else { pool.close(None, left) }", "pool.close(None, left)"),
    ("the time of a slow reader counts", PUSH, "seen.rs",
     "Arrivals::Since(then) => then,", "Arrivals::Since(_) => now,"),
    ("a push consumer is delivered twice", PUSH, "push.rs",
     "self.seen.is_new(Identity::of(place), now)", "self.seen.is_new(Identity::of(place), now) || true"),
    ("a silent push consumer is asked for once", None, "push.rs",
     "*ask = now.checked_add(INQUIRE_AGAIN);", ""),
    ("nothing that is heard ends a trouble", PULL, "pull.rs",
     "self.phase = Phase::Steady;\n            self.effects.extend(self.troubles.over",
     "self.effects.extend(self.troubles.over"),
    ("a trouble is reported each time", PULL, "pull/troubles.rs",
     "if self.list.iter().any(|(known, _)| *known == cause) {", "if false {"),
    ("a pull that nobody received is waited for", PULL, "pull/status.rs",
     "PullStatus::NoResponders => self.lost(now, token, Left::Everything, Some(Cause::NoResponders)),",
     "PullStatus::NoResponders => {}"),
    ("a leadership change is ignored", PULL, "pull/status.rs",
     "PullStatus::LeadershipChange => self.leader_left(now, token, left, Cause::LeadershipChange),",
     "PullStatus::LeadershipChange => {}"),
    ("a deleted consumer is pulled from for ever", PULL, "pull/status.rs",
     "PullStatus::ConsumerDeleted => self.end(End::Gone),", "PullStatus::ConsumerDeleted => {}"),
    ("whether the consumer is gone is never asked", PULL, "pull/troubles.rs",
     "self.effects.push_back(super::Effect::Inquire);", ""),
    ("tries follow each other without a delay", PULL, "backoff.rs",
     "now.checked_add(BACKOFF.delay(number.into(), rng)).unwrap_or(now)", "{ let _ = (number, rng); now }"),
    ("ledger: buffered pulls are never sent", PULL, "ledger.rs",
     "self.sent = self.sent.or(Some(self.made.max(since)));", "self.sent = self.sent.filter(|_| since >= self.made);"),
    ("ledger: what is doubted is forgotten", PULL, "ledger.rs",
     "self.doubtful.messages = messages.saturating_add(sure.messages);", "self.doubtful.messages = messages;"),
    ("bound: a lost pull takes with it what others may have left", PULL, "ledger/bound.rs",
     "Left::Everything | Left::Unknown => 0,", "Left::Everything | Left::Unknown => part.messages,"),
    ("bound: a pull that was made after the loss counts as sent", PULL, "ledger/bound.rs",
     "filter(|part| part.last >= token)", "filter(|part| part.last >= token && false)"),
    ("bound: pulls that were lost together count apart", PULL, "ledger/bound.rs",
     "while let Some(next) = self.parts.get(at + 1) {", "while let Some(next) = self.parts.get(usize::MAX) {"),
    ("bound: old pulls have got more than new ones", PULL, "ledger/bound.rs",
     "self.took_turns(part.turns_before.saturating_add(served))",
     "self.took_turns(part.turns_before.saturating_add(served * 100))"),
    ("bound: turns are taken twice", None, "ledger/bound.rs",
     "let more = turns.saturating_sub(self.turns);", "let more = turns;"),
    ("bound: old pulls that are one have got all turns together", None, "ledger/bound.rs",
     "self.each = self.each.max(older.each);", ""),
    ("bound: what was served is gone with the status", PULL, "ledger/bound.rs",
     "!is_told || part.messages == 0", "true || part.messages == 0"),
    ("bound: what was served may hide behind a pull that is about to expire", PULL, "ledger/bound.rs",
     "ends.saturating_duration_since(now) >= GRACE", "ends >= now"),
    ("bound: pulls that have ended are one that has not", None, "ledger/bound.rs",
     "self.two_ended().unwrap_or(0)", "0"),
    ("a far server is silent", PULL, "settings.rs",
     "heartbeat.max(LONGEST_WAY)", "heartbeat"),
    ("a late word of a leader that went shakes the stream", None, "pull/status.rs",
     "if is_news || matches!(self.phase, Phase::Shaken(_)) {", "{"),
    ("the refusal of an older pull ends the stream", None, "pull/status.rs",
     "asked(|entry| entry.messages) > limit", "{ let _ = asked; false }"),
    ("pulls trickle", None, "pull.rs",
     "if messages < least || ", "if messages == 0 || "),
    ("pulls are as quiet after a loss as before", None, "pull.rs",
     "heartbeat_within(expires, heartbeat.min(CAUTIOUS_HEARTBEAT))", "heartbeat_within(expires, heartbeat)"),
    ("a leader that goes leaves its other pulls", None, "pull/status.rs",
     "if is_news {", "if is_news && false {"),
    ("each word of a leader that goes is news", PULL, "pull/status.rs",
     "if is_news {", "if is_news || true {"),
    ("a pull is not limited in bytes", None, "pull.rs",
     "if request.max_bytes == 0 { ANY_BYTES }", "if request.max_bytes == 0 { 0 }"),
    ("the end of a batch is a rest", None, "pull/status.rs",
     "PullStatus::BatchCompleted => {", "PullStatus::BatchCompleted => {\n                self.flow.rests();"),
    ("bound: a pull may have more left than all together", PULL, "ledger/bound.rs",
     "part.messages = part.messages.min(self.messages)", "part.messages = part.messages.min(u64::MAX)"),
    ("ledger: a status settles nothing", PULL, "ledger.rs",
     "(Left::Exactly { messages, bytes }, _) => self.less(messages, bytes),", "(Left::Exactly { .. }, _) => {}"),
    ("ledger: pulls never expire", PULL, "ledger.rs",
     "let expired = |entry: &Entry| entry.ends().is_some_and(|ends| ends <= now);",
     "let expired = |entry: &Entry| entry.ends().is_some_and(|_| false);"),
    ("a second pull asks for the whole batch", FETCH, "fetch.rs",
     "batch.saturating_sub(self.got).max(1)", "batch"),
    ("the end of an earlier pull ends the batch", FETCH, "fetch.rs",
     "if !self.is_out(token) {\n            return;\n        }\n", ""),
    ("a batch has no deadline", FETCH, "fetch.rs",
     "if now >= self.deadline {", "if false {"),
    ("a batch whose pull was lost waits", FETCH, "fetch.rs",
     "PullStatus::LeadershipChange => return self.again(now, Some(Cause::LeadershipChange)),",
     "PullStatus::LeadershipChange => return,"),
    ("a batch is full one message late", FETCH, "fetch.rs",
     "if self.got >= self.settings.batch {", "if self.got > self.settings.batch {"),
    ("a batch ends before its last messages", FETCH, "fetch.rs",
     "if self.got < full => self.state", "if self.got < 0 => self.state"),
    ("a batch waits for its last messages without end", None, "fetch.rs",
     "State::Ending { until, end, .. } if until <= now => self.end(end.into()),", ""),
    ("a lost message is not missed", ORDERED, "ordered.rs",
     "if arrival.consumer == *expected {", "if arrival.consumer >= *expected {"),
    ("a heartbeat that knows one message more is believed", ORDERED, "ordered.rs",
     "sent.is_some_and(|sent| sent >= expected)", "sent.is_some_and(|sent| sent > expected)"),
    ("a consumer starts again one message late", ORDERED, "ordered/position.rs",
     "start_sequence: done.saturating_add(1)", "start_sequence: done.saturating_add(2)"),
    ("old consumers are left alone", ORDERED, "ordered.rs",
     "for old in self.oldest..incarnation {", "for old in self.oldest.max(incarnation)..incarnation {"),
    ("the last attempt is left alone", ORDERED, "ordered.rs",
     "self.oldest..=outage.incarnation(),", "self.oldest..=outage.incarnation().saturating_sub(1),"),
    ("a stream that was replaced is the same", ORDERED, "ordered/position.rs",
     "if !stream.replaced && stream.last >= self.seen {", "if stream.last >= self.seen {"),
    ("gaps before the first message are not reported", ORDERED, "ordered/position.rs",
     "Jumps::Lost => arrival.stream,", "Jumps::Lost => self.floor.min(arrival.stream),"),
    ("an attempt that was interrupted is repeated with its name", ORDERED, "ordered/outage.rs",
     "CreateFault::NameTaken | CreateFault::Interrupted) {\n            self.incarnation",
     "CreateFault::NameTaken) {\n            self.incarnation"),
    ("an attempt without an answer is repeated with its name", ORDERED, "ordered/outage.rs",
     "matches!(fault, CreateFault::Unanswered | CreateFault::NameTaken", "matches!(fault, CreateFault::NameTaken"),
    ("silence counts from before the connection", PUSH, "silence.rs",
     "self.since.max(connected_since?)", "self.since.min(connected_since?)"),
    ("silence is one heartbeat", PUSH, "silence.rs",
     "heartbeat.saturating_mul(2)", "heartbeat"),
    ("a consumer that speaks again is still silent", PUSH, "push.rs",
     "self.silence.broken(now);\n        self.watch = Watch::Alive;", "self.silence.broken(now);"),
    ("a silence is reported again and again", PUSH, "push.rs",
     "match std::mem::replace(&mut self.watch, Watch::Silent { ask: None }) {", "match self.watch {"),
    ("publish: a message is sent again after the window", None, "publish.rs",
     "window / 10 * 9", "window * 2"),
    ("publish: the window counts from the last try", None, "publish.rs",
     "self.doubt.get_or_insert(self.sent);", "self.doubt = Some(self.sent);"),
    ("publish: the last refusal counts", None, "publish.rs",
     "Heard::Refused if self.doubt.is_some() => Next::End(Fate::InDoubt),", ""),
    ("publish: a doubt is no doubt", None, "publish.rs",
     "if self.doubt.is_some() { Fate::InDoubt } else { Fate::NotSent }", "Fate::NotSent"),
]


def copy_sources():
    """Brings the copy to the state of the working tree. Files that are the same keep their time, so that cargo rebuilds little."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    names = {name for name in [*names, "Cargo.lock"] if name and (ROOT / name).is_file()}
    for path in [path for path in (COPY / "src").rglob("*.rs") if str(path.relative_to(COPY)) not in names]:
        path.unlink()
    for name in names:
        source, copy = ROOT / name, COPY / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def cargo(*arguments, patience=None):
    """Whether cargo succeeds; None if it takes longer than `patience`."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "SEEDS": SEEDS, "RUST_BACKTRACE": "0"}
    with open(COPY / "output.txt", "w", encoding="utf-8") as output:
        run = subprocess.Popen([*CARGO, *arguments], cwd=COPY, env=environment, stdout=output,
                               stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return run.wait(patience) == 0
        except subprocess.TimeoutExpired:
            return None
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()


def noticed_by(worlds):
    """What notices the mutation: the simulation, unit tests, nothing, or that it does not compile."""
    simulation = ["test", "--test", "jetstream_simulation"]
    if worlds is not None:
        if not cargo(*simulation, "--no-run"):
            return "DOES NOT COMPILE"
        passed = cargo(*simulation, "--", worlds, patience=PATIENCE)
        if not passed:
            return "simulation" if passed is False else "simulation (it never ends)"
    if not cargo("test", "--lib", "--no-run"):
        return "DOES NOT COMPILE"
    return "SURVIVED" if cargo("test", "--lib", "jetstream::decide", patience=PATIENCE) else "unit tests"


def main():
    # So that what runs is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    COPY.mkdir(parents=True, exist_ok=True)
    copy_sources()
    chosen = [mutation for mutation in MUTATIONS if wanted in mutation[0] or wanted in mutation[2]]
    counts = {(file, old): (COPY / DECIDE / file).read_text(encoding="utf-8").count(old) for _, _, file, old, _ in MUTATIONS}
    stale = [f"{file}: {old!r} is there {count} times" for (file, old), count in counts.items() if count != 1]
    if stale:
        sys.exit("mutations that do not apply any more:\n" + "\n".join(stale))
    failed = 0
    for name, worlds, file, old, new in chosen:
        path = COPY / DECIDE / file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new), encoding="utf-8")
        begun = time.monotonic()
        verdict = noticed_by(worlds)
        path.write_text(text, encoding="utf-8")
        failed += verdict.isupper()
        print(f"{verdict:26} {time.monotonic() - begun:4.0f} s  {file:20} {name}", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} mutations are caught")
    sys.exit(min(failed, 1))


if __name__ == "__main__":
    main()
