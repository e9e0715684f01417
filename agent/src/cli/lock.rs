//! `falconer lock`: pins a working copy of a desired-state repository.
#![expect(
    clippy::disallowed_methods,
    reason = "the lockfile is written into the author's working copy, not into state"
)]

use std::path::{Path, PathBuf};

use falconer_manifests::fleet;
use falconer_manifests::lockfile::{self, Lockfile};
use falconer_manifests::remedy::Remedy;
use serde_json::json;

use super::Failure;
use super::arguments::Arguments;
use super::print::Printer;
use super::progress;
use crate::layout::Layout;
use crate::pass::{PassError, Sources};
use crate::settings::{self, DEFAULT_PATH, Settings};
use crate::transfer;

/// The lockfile does not answer the desired state.
const STALE: u8 = 2;

pub(super) async fn lock(
    arguments: &Arguments,
    printer: Printer,
    directory: Option<&Path>,
    check: bool,
) -> Result<u8, Failure> {
    let directory = directory.unwrap_or(Path::new("."));
    let fleet_file = directory.join(fleet::FILE_NAME);
    let text = fs_err::read_to_string(&fleet_file).map_err(|error| {
        let hint = "name the directory that holds fleet.yaml".to_string();
        Failure::of(error, Remedy::Operator, Some(hint))
    })?;
    let shown = fleet_file.display().to_string();
    let desired = fleet::parse(shown.strip_prefix("./").unwrap_or(&shown), &text).map_err(PassError::from)?;
    let target = directory.join(lockfile::FILE_NAME);
    let old = fs_err::read_to_string(&target).ok();
    if check {
        let answers = old.as_deref().and_then(|text| Lockfile::parse(lockfile::FILE_NAME, text).ok());
        let fresh = answers.is_some_and(|lockfile| lockfile.inputs == fleet::inputs_digest(&desired));
        let said = if fresh { "answers" } else { "does not answer" };
        printer.answer(&format!("{} {said} fleet.yaml", target.display()), &json!({"fresh": fresh}));
        return Ok(if fresh { 0 } else { STALE });
    }
    let settings = settings_for_lock(arguments)?;
    let http = transfer::client().map_err(PassError::from)?;
    let mut sources = Sources::new(&settings, http, &settings.base)?;
    progress::show(&mut sources, printer);
    let work = WorkDirectory::new()?;
    let blobs = Layout::create(&work.0).map_err(PassError::from)?;
    let lockfile = sources.resolve(&desired, &blobs).await?;
    let text = lockfile
        .render()
        .map_err(|error| PassError::Render { document: "falconer.lock", reason: error.to_string() })?;
    let changed = old.as_deref() != Some(text.as_str());
    if changed {
        fs_err::write(&target, &text).map_err(PassError::Write)?;
    }
    let lines: Vec<_> = lockfile
        .artifacts
        .iter()
        .map(|artifact| {
            format!("{} {} {} {}", artifact.name, artifact.requested, artifact.version, artifact.digest.short())
        })
        .collect();
    let done = if changed { "written" } else { "unchanged" };
    let answer = json!({"file": target, "changed": changed, "artifacts": lockfile.artifacts});
    printer.answer(&format!("{}\n{} {done}", lines.join("\n"), target.display()), &answer);
    Ok(0)
}

/// The settings of agent.toml, for what they say of registries. A machine that is no host has none, which is no error
/// unless one was named.
pub(super) fn settings_for_lock(arguments: &Arguments) -> Result<Settings, PassError> {
    let is_default = arguments.config == Path::new(DEFAULT_PATH);
    if is_default && !arguments.config.exists() {
        return Ok(settings::without_file()?);
    }
    Ok(settings::read(&arguments.config)?)
}

/// A directory for a moment.
struct WorkDirectory(PathBuf);

impl WorkDirectory {
    fn new() -> Result<Self, PassError> {
        let path = std::env::temp_dir().join(format!("falconer-lock-{:016x}", fastrand::u64(..)));
        fs_err::create_dir(&path).map_err(PassError::Write)?;
        Ok(Self(path))
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        // What stays is in the directory for temporary files.
        let _stays = fs_err::remove_dir_all(&self.0);
    }
}
