//! The system calls of a run, seen and tampered with by strace.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::host::{Run, run};

/// The calls by which a program changes a disk. The question marks let strace pass over what this architecture lacks.
pub const CHANGES: &str = "?open,openat,?creat,write,pwrite64,?writev,?rename,renameat,?renameat2,?unlink,unlinkat,\
    ?mkdir,mkdirat,?rmdir,?symlink,symlinkat,?link,linkat,?chmod,fchmod,fchmodat,truncate,ftruncate,fsync,fdatasync,flock";
/// The calls by which a program sends a signal.
pub const SIGNALS: &str = "kill,tkill,tgkill,pidfd_send_signal";

/// One system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// All that strace says of it, descriptors with their paths.
    pub line: String,
}

impl Call {
    /// Whether it changes, or would make durable, something below `root`.
    #[must_use]
    pub fn changes(&self, root: &Path) -> bool {
        let root = root.display().to_string();
        let concerns = || self.line.contains(&root);
        match self.name.as_str() {
            // What is written may speak of any path.
            "write" | "pwrite64" | "writev" => {
                self.line.split_once('>').is_some_and(|(descriptor, _)| descriptor.contains(&root))
            }
            "open" | "openat" => {
                concerns() && ["O_CREAT", "O_TRUNC", "O_WRONLY", "O_RDWR"].iter().any(|flag| self.line.contains(flag))
            }
            _ => concerns(),
        }
    }

    /// Where files are opened or written, the place that narrows the calls down: how often programs look into /proc, or
    /// wake themselves up, differs from run to run.
    fn place(&self) -> Option<&str> {
        let (_, arguments) = self.line.split_once('(')?;
        match self.name.as_str() {
            "openat" if arguments.starts_with("AT_FDCWD") => arguments.split('"').nth(1),
            "openat" | "write" | "pwrite64" | "writev" => Some(arguments.split_once('<')?.1.split_once('>')?.0),
            _ => None,
        }
    }

    /// Whether another run makes this call too: some temporary files have random names.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        let random = ["_git2_", "falconer-dry-run-", "/blobs/sha256/."];
        self.place().is_none_or(|place| !random.iter().any(|part| place.contains(part)))
    }

    /// Whether `other` is in the same place, or this call has none.
    #[must_use]
    pub fn place_matches(&self, other: &Self) -> bool {
        self.place().is_none_or(|place| other.place() == Some(place))
    }
}

/// Whether strace is here and may trace; says so once when it may not.
pub fn is_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        let tried = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).stderr(Stdio::null()).status();
        let permitted = tried.is_ok_and(|status| status.success());
        if !permitted {
            crate::say("strace is missing or may not trace here: what needs it is skipped");
        }
        permitted
    })
}

/// Runs `command` and gives the calls of `set` that it and its children made.
#[must_use]
pub fn record(command: &Command, set: &str, children: bool) -> (Run, Vec<Call>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = strace(log.path(), set);
    if children {
        strace.arg("-f");
    }
    let run = run(&mut with(strace, command));
    let text = String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned();
    (run, text.lines().filter_map(call).collect())
}

/// Runs `command` and gives all that strace says of the calls of `set` that it and its children made, in the order in which
/// they ended, with every string and path in hexadecimal. `tampering` are further arguments for strace.
#[must_use]
pub fn log(command: &Command, set: &str, tampering: &[String]) -> (Run, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "-xx", "-s", "100000000", "-e", "signal=none", "-e", &format!("trace={set}")]);
    strace.args(tampering).arg("-o").arg(log.path());
    let run = run(&mut with(strace, command));
    (run, String::from_utf8_lossy(&std::fs::read(log.path()).unwrap()).into_owned())
}

/// Runs `command` with calls like `call` tampered with, e.g. by `signal=KILL:when=3`. Calls of children are left alone.
#[must_use]
pub fn inject(command: &Command, call: &Call, tampering: &str) -> Run {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = strace(log.path(), &call.name);
    if let Some(place) = call.place() {
        strace.args(["-P", place]);
    }
    strace.args(["-e", &format!("inject={}:{tampering}", call.name)]);
    run(&mut with(strace, command))
}

fn strace(log: &Path, set: &str) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-y", "-s", "4096", "-e", "signal=none", "-e", &format!("trace={set}"), "-o"]).arg(log);
    strace
}

/// `command` with everything it was given, as the argument of `outer`.
fn with(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args()).env_clear();
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = command.get_current_dir() {
        outer.current_dir(directory);
    }
    outer
}

fn call(line: &str) -> Option<Call> {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
    let (name, _) = line.split_once('(')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| Call { name: name.to_owned(), line: line.to_owned() })
}
