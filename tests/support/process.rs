//! One nats-server process under a watchdog that outlives this process and leaves nothing behind.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The watchdog has the server as its child and reads commands. When its input ends, because the
/// `Process` was dropped or because this whole process was killed, it kills the server and removes the
/// folder. It reserves the server's pid (does not wait for it) until `wait`, so no signal can hit another process.
const WATCHDOG: &str = r#"
dir=$1; shift
"$@" </dev/null >>"$dir/stdout" 2>>"$dir/stderr" &
pid=$!
echo "$pid"
while read -r word arg; do
    case $word in
        signal) kill -s "$arg" "$pid" 2>/dev/null; echo "$?" ;;
        wait) wait "$pid" 2>/dev/null; echo "$?"; pid= ;;
        leave) dir=; break ;;
    esac
done
if [ -n "$pid" ]; then kill -s KILL "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; fi
if [ -n "$dir" ]; then rm -rf "$dir"; fi
"#;

/// While this is locked, no child of this process is between its fork and its exec. There it has a copy of every
/// descriptor, including listeners that another test closes: such a port would still accept, and could not be bound
/// again.
pub(crate) fn no_fork() -> MutexGuard<'static, ()> {
    static FORKING: Mutex<()> = Mutex::new(());
    FORKING.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Process {
    watchdog: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pid: u32,
    running: bool,
}

impl Process {
    /// Starts `program args…`. Its output goes to `dir`, which is removed at the end, unless [`Process::leave`] is
    /// called.
    pub(crate) fn start(dir: &Path, program: &Path, args: &[&OsStr]) -> Process {
        let forking = no_fork();
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(dir)
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its own group: the terminal's Ctrl-C ends the tests, and the watchdog notices that and cleans up.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        drop(forking);
        let commands = watchdog.stdin.take();
        let answers = BufReader::new(watchdog.stdout.take().expect("stdout is piped"));
        let mut process = Process { watchdog, commands, answers, pid: 0, running: true };
        process.pid = process.answer().parse().expect("the watchdog says the pid first");
        process
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn running(&self) -> bool {
        self.running
    }

    /// Sends a signal by its name without SIG: KILL, TERM, STOP, CONT, USR2.
    pub(crate) fn signal(&mut self, name: &str) {
        assert!(self.running, "the server is down already");
        self.command(&format!("signal {name}"));
    }

    /// Returns when SIGSTOP has reached every thread: until then they keep running.
    pub(crate) fn stopped(&self) {
        let tasks = format!("/proc/{}/task", self.pid);
        let Ok(tasks) = fs::read_dir(tasks).map(|tasks| tasks.flatten().collect::<Vec<_>>()) else {
            // Without /proc: a running thread handles its signal within a scheduler's tick.
            return std::thread::sleep(Duration::from_millis(100));
        };
        let runs = |task: &fs::DirEntry| {
            let state = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            !state.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with(['T', 't']))
        };
        while tasks.iter().any(runs) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The process's state as the system shows it, such as `S (sleeping)` or `Z (zombie)`.
    pub(crate) fn state(&self) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or("unknown").trim().to_owned()
    }

    /// Returns when the server has ended: this blocks, so end it first.
    pub(crate) fn wait(&mut self) {
        if self.running {
            self.command("wait");
            self.running = false;
        }
    }

    /// Ends the watchdog and keeps the folder.
    pub(crate) fn leave(mut self) {
        if let Some(commands) = &mut self.commands {
            let _ = writeln!(commands, "leave");
        }
    }

    fn command(&mut self, line: &str) -> String {
        let commands = self.commands.as_mut().expect("open until dropped");
        writeln!(commands, "{line}").expect("the watchdog lives");
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the watchdog answers");
        line.trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.watchdog.wait();
    }
}
