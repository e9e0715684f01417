//! The host's own: files and their rights, room, the clock, the schedule.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use falconer_manifests::status::span;
use rustix::fs::{Access, access, statvfs};

use super::Check;
use crate::answers;
use crate::pass::{Agent, PassError};
use crate::store::StateDirectory;

/// Less free room than this, in bytes, is too little for a generation and its archives.
const LITTLE_ROOM: u64 = 16 << 20;
/// Less free room than this, in bytes, soon is.
const SOON_LITTLE_ROOM: u64 = 256 << 20;
/// Fewer free inodes than this are too few.
const FEW_INODES: u64 = 1000;
/// No clock that is right shows less: 2026-01-01, in seconds since 1970.
const NO_EARLIER: u64 = 1_767_225_600;
/// How far the clock may be behind what this host has written itself, in seconds.
const BEHIND: u64 = 300;

/// agent.toml, policy.toml and the files with secrets: who may change them, who may read them.
pub(super) fn files(config: &Path) -> Vec<Check> {
    let policy = config.with_file_name("policy.toml");
    let settings = [config.to_owned(), policy].into_iter().filter(|path| path.exists());
    let mut checks: Vec<_> = settings.filter_map(|path| changeable(&path)).collect();
    checks.extend(secrets(config).iter().filter_map(|path| readable(path)));
    if checks.is_empty() {
        checks.push(Check::ok("permissions", "settings and secrets have the right ones"));
    }
    checks
}

fn changeable(path: &Path) -> Option<Check> {
    let file = fs_err::metadata(path).ok()?;
    let us = rustix::process::geteuid().as_raw();
    let shown = path.display();
    if file.mode() & 0o022 != 0 {
        let detail = format!("{shown} can be changed by its group or by everybody");
        return Some(Check::failed("permissions", detail, format!("chmod 0644 {shown}")));
    }
    if file.uid() != 0 && file.uid() != us {
        let detail = format!("{shown} belongs to another user, who may change it");
        return Some(Check::warning("permissions", detail, format!("chown root {shown}")));
    }
    None
}

fn readable(path: &Path) -> Option<Check> {
    let file = fs_err::metadata(path).ok()?;
    let shown = path.display();
    let detail = format!("{shown} holds a secret and can be read by others than its owner");
    (file.mode() & 0o077 != 0).then(|| Check::warning("permissions", detail, format!("chmod 0600 {shown}")))
}

/// The files with secrets that agent.toml names.
fn secrets(config: &Path) -> Vec<PathBuf> {
    let text = fs_err::read_to_string(config).unwrap_or_default();
    let base = config.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    if let Ok(document) = text.parse::<toml::Table>() {
        collect(&toml::Value::Table(document), &mut found);
    }
    found.iter().map(|path| base.join(path)).collect()
}

fn collect(value: &toml::Value, found: &mut Vec<String>) {
    const SECRET: [&str; 5] = ["password_file", "token_file", "identity_file", "client_secret_file", "client_key_file"];
    let toml::Value::Table(table) = value else { return };
    for (key, value) in table {
        match value {
            toml::Value::String(path) if SECRET.contains(&key.as_str()) => found.push(path.clone()),
            other => collect(other, found),
        }
    }
}

/// The state directory: ours, writable, with room; and a clock that is not behind what was written there.
pub(super) fn state(agent: &Agent, now: u64) -> Vec<Check> {
    let path = Path::new(agent.settings.state.as_str());
    let name = "state directory";
    let shown = path.display();
    if let Err(error) = StateDirectory::open(path) {
        return vec![Check::of(name, &PassError::from(error)), clock(path, now)];
    }
    // One that does not exist is made by the first pass, below the nearest directory that does.
    let Some(nearest) = path.ancestors().find(|path| path.exists()) else {
        return vec![Check::failed(name, format!("{shown} is nowhere"), "name another one in agent.toml")];
    };
    let mut checks = vec![match (access(nearest, Access::WRITE_OK | Access::EXEC_OK), nearest == path) {
        (Err(_), _) => {
            let hint = "run falconer as root, or as the owner of the directory";
            Check::failed(name, format!("{} cannot be written", nearest.display()), hint)
        }
        (Ok(()), true) => Check::ok(name, format!("{shown} is ours")),
        (Ok(()), false) => Check::ok(name, format!("{shown} will be made by the first pass")),
    }];
    checks.push(room(nearest));
    checks.push(clock(path, now));
    checks
}

fn room(path: &Path) -> Check {
    let name = "room on disk";
    let status = match statvfs(path) {
        Ok(status) => status,
        Err(errno) => return Check::failed(name, format!("{}: {errno}", path.display()), "look at the file system"),
    };
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    let detail = format!("{} MiB are free at {}", free >> 20, path.display());
    let hint = "make room, or name a state directory with more of it under `[paths]` in agent.toml";
    // File systems without a table of inodes say 0 of 0.
    let few_inodes = status.f_files > 0 && status.f_favail < FEW_INODES;
    match free {
        _ if few_inodes => Check::failed(name, format!("only {} inodes are free", status.f_favail), hint),
        0..LITTLE_ROOM => Check::failed(name, detail, hint),
        LITTLE_ROOM..SOON_LITTLE_ROOM => Check::warning(name, detail, hint),
        _ => Check::ok(name, detail),
    }
}

fn clock(state: &Path, now: u64) -> Check {
    let (name, hint) = ("clock", "set the clock, e.g. by systemd-timesyncd: certificates and schedules depend on it");
    if now < NO_EARLIER {
        return Check::failed(name, "shows a time before this program was written", hint);
    }
    let written = ["ledger", "status.json"].iter().filter_map(|file| fs_err::metadata(state.join(file)).ok());
    let newest = written.filter_map(|file| u64::try_from(file.mtime()).ok()).max().unwrap_or(0);
    match newest.saturating_sub(now) {
        0..=BEHIND => Check::ok(name, "is not behind what was written before"),
        behind => Check::failed(name, format!("is {} behind what this host has written before", span(behind)), hint),
    }
}

/// Whether passes are made, and whoever wants to know can be told.
pub(super) fn schedule(agent: &Agent, now: u64) -> Vec<Check> {
    let name = "passes";
    let hint = "start it: systemctl enable --now falconer";
    let mut checks = vec![match answers::last_pass(&agent.settings) {
        None => Check::warning(name, "none is known since the start of this machine", hint),
        Some(pass) => match (pass.overdue(now), &pass.error) {
            (Some(late), _) => Check::failed(name, format!("the next one is {} late", span(late)), hint),
            (None, Some(error)) => {
                let next = error.hint.clone().unwrap_or_else(|| "falconer events shows since when".to_owned());
                Check::failed(name, format!("the last one failed: {}", error.message), next)
            }
            (None, None) => Check::ok(name, format!("the last one was {} ago", span(now.saturating_sub(pass.at)))),
        },
    }];
    if let Some(textfile) = &agent.settings.metrics.textfile {
        let parent = textfile.parent().filter(|parent| parent.is_dir());
        let (name, shown) = ("textfile", textfile.display());
        checks.push(match parent.map(|parent| access(parent, Access::WRITE_OK)) {
            Some(Ok(())) => Check::ok(name, format!("{shown} can be written")),
            Some(Err(error)) => {
                Check::warning(name, format!("{shown} cannot be written: {error}"), "correct its directory's rights")
            }
            None => Check::warning(name, format!("the directory of {shown} is not there"), "make it"),
        });
    }
    checks
}
