//! Finds the running Falco.

use std::io;
use std::path::{Path, PathBuf};

use falconer_manifests::falco_answers::catches_sighup;

use super::supervision::unit_of;
use super::{FalcoError, FalcoSettings};

/// Arguments with which the program gives one answer and ends.
const ONE_ANSWER: &[&str] = &[
    "--dry-run",
    "--version",
    "-V",
    "--validate",
    "-L",
    "-l",
    "--list",
    "--list-events",
    "--list-plugins",
    "--support",
    "--help",
    "-h",
    "--config-schema",
    "--rule-schema",
    "--page-size",
    "-i",
    "--markdown",
    "--plugin-info",
];

/// The rank of a process that runs the very file, whoever else there is.
const SURE: u8 = 3;

/// A running Falco.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Falco {
    /// The process.
    pub pid: u32,
    /// When it was started, in clock ticks since boot: with the pid it names one process for ever.
    pub start_time_ticks: u64,
    /// Its arguments, without the program.
    pub arguments: Vec<String>,
    /// Whether it could take SIGHUP when it was looked at.
    pub catches_sighup: bool,
}

/// Looks for the process that runs the configured program: by its file, its file's path, its first argument, or the script
/// that an interpreter runs, and that was started with our falco.yaml. The one that was found before is looked at first: while
/// it surely is Falco, no other process would be chosen.
///
/// # Errors
/// [`FalcoError::Processes`] when the list of processes cannot be read.
pub fn running(settings: &FalcoSettings) -> Result<Option<Falco>, FalcoError> {
    let mut best: Option<(u8, Falco)> = None;
    let program = Program::new(&settings.binary);
    if let Some(file) = &settings.supervision.pid_file {
        // One that is missing or old names no Falco: none runs.
        let pid = fs_err::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        return Ok(pid.and_then(|pid| named(pid, &program)));
    }
    if let Some((pid, started)) = settings.memory.process()
        && let Some((SURE, falco)) = candidate(pid, &program, settings)
        && falco.start_time_ticks == started
    {
        return Ok(Some(falco));
    }
    for entry in fs_err::read_dir("/proc").map_err(FalcoError::Processes)? {
        let name = entry.map_err(FalcoError::Processes)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some((rank, falco)) = candidate(pid, &program, settings) else { continue };
        // Of equals the older one, which has the lower pid most of the time: a child of it looks the same until it executes.
        let better = best.as_ref().is_none_or(|(best_rank, best)| {
            (rank, std::cmp::Reverse(falco.start_time_ticks)) > (*best_rank, std::cmp::Reverse(best.start_time_ticks))
        });
        if better {
            best = Some((rank, falco));
        }
    }
    let sure = best.as_ref().filter(|(rank, _)| *rank == SURE);
    settings.memory.runs(sure.map(|(_, falco)| (falco.pid, falco.start_time_ticks)));
    Ok(best.map(|(_, falco)| falco))
}

impl Falco {
    /// Whether it is the same process.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.pid, self.start_time_ticks) == (other.pid, other.start_time_ticks)
    }

    /// Whether this very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.start_time_ticks)
    }

    /// Whether SIGHUP is safe now. `None` when the process is gone.
    pub(super) fn takes_sighup(&self) -> Option<bool> {
        catches_sighup(&proc_text(self.pid, "status").ok()?).filter(|_| self.is_alive())
    }
}

/// The program to look for. Its file is looked at once, not once for every process.
struct Program<'a> {
    path: &'a Path,
    file: Option<FileId>,
}

impl<'a> Program<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, file: file_id(path) }
    }

    /// Whether the process of `directory` in /proc runs this very file.
    fn is_run_by(&self, directory: &Path) -> bool {
        self.file.is_some_and(|file| file_id(&directory.join("exe")) == Some(file))
    }
}

fn candidate(pid: u32, program: &Program<'_>, settings: &FalcoSettings) -> Option<(u8, Falco)> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let mut words = command_line(pid)?;
    if words.is_empty() && program.is_run_by(&directory) {
        // It is just being executed: its file is known already, its arguments in a moment.
        words = (0..1000).find_map(|_| {
            std::thread::yield_now();
            command_line(pid).filter(|words| !words.is_empty())
        })?;
    }
    let (strength, program_words) = matches(&directory, &words, program)?;
    let arguments = words.split_off(program_words.min(words.len()));
    if arguments.iter().any(|argument| ONE_ANSWER.contains(&argument.as_str())) {
        return None;
    }
    // Another Falco on this host is not ours to signal, whatever program it runs.
    if !reads(&directory, config_file(&arguments), &settings.config_file) {
        return None;
    }
    if settings.supervision.unit.as_ref().is_some_and(|unit| unit_of(pid).is_some_and(|of| of != *unit)) {
        return None;
    }
    Some((strength, falco(pid, arguments)?))
}

/// The process of a pid file. It must look like Falco, because a number is used again after its process has ended.
fn named(pid: u32, program: &Program<'_>) -> Option<Falco> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let mut words = command_line(pid)?;
    let own_name = |path: &Path| path.file_name().map(ToOwned::to_owned);
    let wanted = own_name(program.path);
    let by_name = || words.iter().take(2).position(|word| own_name(Path::new(word)) == wanted).map(|at| at + 1);
    let program_words = matches(&directory, &words, program).map(|(_, count)| count).or_else(by_name)?;
    let arguments = words.split_off(program_words.min(words.len()));
    falco(pid, arguments)
}

fn falco(pid: u32, arguments: Vec<String>) -> Option<Falco> {
    let start_time_ticks = start_time(pid)?;
    let catches_sighup = catches_sighup(&proc_text(pid, "status").ok()?)?;
    Some(Falco { pid, start_time_ticks, arguments, catches_sighup })
}

/// Whether the process of `directory` in /proc reads `ours` when it opens `named`: in a container it has another root than we.
fn reads(directory: &Path, named: &str, ours: &Path) -> bool {
    let relative = named.strip_prefix('/');
    let theirs = relative.map_or_else(|| directory.join("cwd").join(named), |path| directory.join("root").join(path));
    match (file_id(&theirs), file_id(ours)) {
        (Some(theirs), Some(ours)) => theirs == ours,
        // Not to be seen from here: then the name must do.
        _ => fs_err::read_link(directory.join("cwd")).unwrap_or_else(|_| "/".into()).join(named) == ours,
    }
}

fn command_line(pid: u32) -> Option<Vec<String>> {
    Some(proc_text(pid, "cmdline").ok()?.split_terminator('\0').map(String::from).collect())
}

/// How surely the process runs `program`, and how many words of its command line name the program.
fn matches(directory: &Path, words: &[String], program: &Program<'_>) -> Option<(u8, usize)> {
    let exe = fs_err::read_link(directory.join("exe")).ok();
    let binary = program.path;
    // After an update of the program the process still runs the old file.
    let deleted_text = format!("{} (deleted)", binary.display());
    let deleted = exe.as_ref().is_some_and(|exe| exe.as_os_str() == deleted_text.as_str());
    let is_binary = |word: Option<&String>| word.is_some_and(|word| Path::new(word) == binary);
    if deleted || program.is_run_by(directory) {
        Some((SURE, 1))
    } else if is_binary(words.get(1)) {
        Some((2, 2))
    } else if exe.as_deref() == Some(binary) || is_binary(words.first()) {
        // The same path and another file: most likely in a container.
        Some((1, 1))
    } else {
        None
    }
}

fn config_file(arguments: &[String]) -> &str {
    let mut rest = arguments.iter();
    let mut found = "/etc/falco/falco.yaml";
    while let Some(argument) = rest.next() {
        if argument == "-c" {
            found = rest.next().map_or(found, String::as_str);
        } else if argument == "-o" || argument == "-r" {
            rest.next();
        } else if let Some(path) = argument.strip_prefix("-c").filter(|path| !path.is_empty()) {
            found = path;
        }
    }
    found
}

/// Device and inode.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    fs_err::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Field 22 of /proc/PID/stat (proc(5)); the second field is in parentheses and may hold anything. `None` for a zombie.
fn start_time(pid: u32) -> Option<u64> {
    let stat = proc_text(pid, "stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

pub(super) fn proc_text(pid: u32, name: &str) -> io::Result<String> {
    fs_err::read(format!("/proc/{pid}/{name}")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_that_arguments_name() {
        let of =
            |arguments: &[&str]| config_file(&arguments.iter().map(|a| (*a).into()).collect::<Vec<_>>()).to_owned();
        assert_eq!(of(&[]), "/etc/falco/falco.yaml");
        assert_eq!(of(&["-o", "-c", "-c", "/a"]), "/a");
        assert_eq!(of(&["-c/b"]), "/b");
    }

    #[test]
    fn this_process_is_found_by_its_file_and_has_a_start_time() {
        let binary = std::env::current_exe().unwrap();
        let directory = PathBuf::from(format!("/proc/{}", std::process::id()));
        assert_eq!(matches(&directory, &[], &Program::new(&binary)), Some((3, 1)));
        assert_eq!(matches(&directory, &[], &Program::new(Path::new("/nowhere"))), None);
        let words = ["sh".to_owned(), "/opt/falco".to_owned()];
        assert_eq!(matches(&directory, &words, &Program::new(Path::new("/opt/falco"))), Some((2, 2)));
        assert!(start_time(std::process::id()).unwrap() > 0);
        assert_eq!(start_time(u32::MAX), None);
    }
}
