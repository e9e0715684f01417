//! What Falco's program says when it is run for one answer: its release, and whether it would start.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use std::io::Write as _;

use falconer_manifests::falco_answers::{FalcoFinding, FalcoVersions, Rejection, rejection, versions};

use super::child::{Ended, Rights, run};
use super::memory::ProgramFile;
use super::rights::Account;
use super::{FalcoError, FalcoSettings};

/// Whether Falco is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// There is no such program.
    Absent,
    /// There is, and it says this.
    Present(FalcoVersions),
}

/// What Falco says to a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum DryRun {
    /// It would start with it.
    Accepted,
    /// It would not.
    Rejected(Rejection),
    /// It did not come to an answer.
    CannotRun(String),
}

/// Asks the program which release it is, unless the same file has said so not long before.
///
/// # Errors
/// [`FalcoError`] when there is a program that cannot be run or does not answer before the deadline.
pub async fn version(settings: &FalcoSettings) -> Result<Presence, FalcoError> {
    let (program, now) = (ProgramFile::at(&settings.binary), Instant::now());
    if let Some(known) = program.and_then(|program| settings.memory.versions(program, now)) {
        return Ok(Presence::Present(known));
    }
    let presence = version_of(&settings.binary, &settings.config_file, settings.deadlines.version).await?;
    if let (Some(program), Presence::Present(versions)) = (program, &presence) {
        settings.memory.said(&settings.binary, program, versions, now);
    }
    Ok(presence)
}

/// The same of any program, with any falco.yaml.
///
/// # Errors
/// As [`version`].
pub async fn version_of(binary: &Path, config_file: &Path, deadline: Duration) -> Result<Presence, FalcoError> {
    if !binary.exists() {
        return Ok(Presence::Absent);
    }
    let mut said = String::new();
    // Falco reads its configuration even for this, so a bare call comes second, for when the configuration is broken.
    let config_file = config_file.as_os_str();
    let with_config: [&std::ffi::OsStr; 5] =
        ["-c".as_ref(), config_file, "-o".as_ref(), "json_output=true".as_ref(), "--version".as_ref()];
    let attempts: [&[&std::ffi::OsStr]; 2] = [&with_config, &["--version".as_ref()]];
    for arguments in attempts {
        let ended = run(binary, arguments, deadline, &Rights::OWN).await;
        let ended = ended.map_err(|source| FalcoError::Run { binary: binary.to_path_buf(), source })?;
        if let Some(versions) = versions(&ended.stdout).or_else(|| versions(&ended.stderr)) {
            return Ok(Presence::Present(versions));
        }
        said = if ended.status.is_none() { "no answer in time".into() } else { tail(&ended) };
    }
    Err(FalcoError::NoVersion { binary: binary.to_path_buf(), said })
}

/// Asks Falco whether it would start with `candidate`, the text of a falco.yaml. The text is put in a file in `directory`
/// for as long as that takes. `arguments` are those of the running Falco, so that the options of its unit count too; its
/// own `-c` is replaced.
///
/// When we are root it is asked as the user of [`FalcoSettings::validate_as`], who has no rights: the candidate may bring
/// libraries. Where that user may not read what Falco needs, it is asked as ourselves.
pub async fn dry_run(settings: &FalcoSettings, candidate: &str, directory: &Path, arguments: &[String]) -> DryRun {
    if !settings.binary.exists() {
        return DryRun::CannotRun(format!("there is no {}", settings.binary.display()));
    }
    let readable = [directory, &settings.config_file, &settings.binary];
    let nobody = settings
        .validate_as
        .filter(|account| rustix::process::geteuid().is_root() && readable.iter().all(|path| account.may_read(path)));
    if let Some(nobody) = nobody {
        match dry_run_as(settings, candidate, directory, arguments, Some(nobody)).await {
            // Not a word about the rules: it may lack a right that Falco has.
            DryRun::Rejected(said) if !said.findings.iter().any(is_about_rules) => {}
            DryRun::CannotRun(why) => tracing::debug!(%why, "the dry run is made again with our own rights"),
            answer => return answer,
        }
    }
    dry_run_as(settings, candidate, directory, arguments, None).await
}

fn is_about_rules(finding: &FalcoFinding) -> bool {
    finding.code.as_deref().is_some_and(|code| code != "LOAD_ERR_FILE_READ")
}

async fn dry_run_as(
    settings: &FalcoSettings,
    candidate: &str,
    directory: &Path,
    arguments: &[String],
    account: Option<Account>,
) -> DryRun {
    let file = match TemporaryFile::with(directory, candidate, account) {
        Ok(file) => file,
        Err(error) => return DryRun::CannotRun(error.to_string()),
    };
    let path = file.0.display().to_string();
    let all = ["--dry-run", "-c", &path].into_iter().chain(carried(arguments));
    let rights = Rights { account, is_bounded: true };
    let ended = match run(&settings.binary, all, settings.deadlines.dry_run, &rights).await {
        Ok(ended) => ended,
        Err(error) => return DryRun::CannotRun(format!("{}: {error}", settings.binary.display())),
    };
    let Some(status) = ended.status else {
        return DryRun::CannotRun(format!("no answer within {} s", settings.deadlines.dry_run.as_secs_f32()));
    };
    let rejected = || {
        let mut said = rejection(&ended.stdout, &ended.stderr);
        let shown = settings.config_file.display().to_string();
        for finding in said.findings.iter_mut().filter(|finding| finding.file == path) {
            finding.file.clone_from(&shown);
        }
        said.tail = said.tail.replace(&path, &shown);
        said
    };
    match (status.code(), status.signal()) {
        (Some(0), _) => DryRun::Accepted,
        (Some(_), _) => DryRun::Rejected(rejected()),
        // A crash is what the candidate (a plugin of it) did; any other signal came from outside.
        (None, Some(signal @ (4 | 6 | 7 | 8 | 11))) => {
            let mut said = rejected();
            said.tail.push_str(&format!("\nended with signal {signal}"));
            DryRun::Rejected(said)
        }
        (None, signal) => DryRun::CannotRun(format!("ended with signal {}", signal.unwrap_or_default())),
    }
}

/// The arguments that say how Falco starts, without those for the file that is being replaced, a pid file and a daemon.
fn carried(arguments: &[String]) -> Vec<&str> {
    let mut carried = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match argument {
            "-c" | "-P" | "--pidfile" => drop(rest.next()),
            "-d" | "--daemon" | "--dry-run" => {}
            _ if argument.starts_with("--pidfile=") => {}
            _ if argument.starts_with("-c") || argument.starts_with("-P") => {}
            _ => carried.push(argument),
        }
    }
    carried
}

pub(super) fn tail(ended: &Ended) -> String {
    let text = if ended.stderr.trim().is_empty() { &ended.stdout } else { &ended.stderr };
    text.trim().lines().next_back().unwrap_or("nothing").chars().take(200).collect()
}

/// A file that goes when it is dropped.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn with(directory: &Path, text: &str, reader: Option<Account>) -> io::Result<Self> {
        let name = format!("falconer-dry-run-{}-{:08x}.yaml", std::process::id(), fastrand::u32(..));
        let path = directory.join(name);
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true);
        // A configuration may hold secrets.
        options.options_mut().mode(0o600);
        let mut file = options.open(&path)?;
        let guard = Self(path);
        if let Some(account) = reader {
            std::os::unix::fs::fchown(&file, Some(account.uid), Some(account.gid))?;
        }
        file.write_all(text.as_bytes())?;
        Ok(guard)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // Nobody is left to tell; the next run uses another name.
        let _gone = fs_err::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_a_dry_run_takes_over() {
        let arguments: Vec<String> =
            ["-c", "/a", "-o", "x=1", "-P", "/p", "--pidfile=/p", "-c/b", "-d", "-U", "-r", "/r"]
                .map(String::from)
                .into();
        assert_eq!(carried(&arguments), ["-o", "x=1", "-U", "-r", "/r"]);
    }
}
