//! `falconer lock`: pins a working copy of a desired-state repository.
#![expect(
    clippy::disallowed_methods,
    reason = "the lockfile is written into the author's working copy, not into state"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use falconer_manifests::admit::{Misfit, Unchecked, admit};
use falconer_manifests::composition;
use falconer_manifests::finding::{Finding, Findings};
use falconer_manifests::fleet::{self, DesiredState, VersionRequest};
use falconer_manifests::lockfile::{self, LockedArtifact, Lockfile};
use falconer_manifests::name::ArtifactName;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::resolve::{Note, Platforms, Previous, Terms, Update, staleness};
use futures_util::future::join_all;
use serde_json::json;

use super::Failure;
use super::arguments::Arguments;
use super::print::Printer;
use super::progress;
use crate::layout::Layout;
use crate::pass::{PassError, Resolved, Sources};
use crate::settings::{self, DEFAULT_PATH, Settings};
use crate::transfer;

/// The lockfile does not answer the desired state.
const STALE: u8 = 2;

/// What was typed.
pub(super) struct Request<'a> {
    /// Only check.
    pub(super) check: bool,
    /// Pin these anew; all when there is none among them.
    pub(super) update: Option<&'a [String]>,
    /// Let an update lead to a lower version.
    pub(super) may_lower: bool,
}

pub(super) async fn lock(
    arguments: &Arguments,
    printer: Printer,
    directory: Option<&Path>,
    request: &Request<'_>,
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
    let old_text = fs_err::read_to_string(&target).ok();
    // One that cannot be read is written anew.
    let old = old_text.as_deref().and_then(|text| Lockfile::parse(lockfile::FILE_NAME, text).ok());
    if request.check {
        return check(printer, &desired, &target, old.as_ref());
    }
    let names = names_to_update(request, &desired, old.as_ref())?;
    let update = match request.update {
        None => Update::Nothing,
        Some(_) if names.is_empty() => Update::All,
        Some(_) => Update::Only(&names),
    };
    let previous = old.as_ref().map(|lockfile| Previous { lockfile, update, may_lower: request.may_lower });
    let settings = settings_for_lock(arguments)?;
    let http = transfer::client().map_err(PassError::from)?;
    let mut sources = Sources::new(&settings, http, &settings.base)?;
    progress::show(&mut sources, printer);
    let work = WorkDirectory::new()?;
    let blobs = Layout::create(&work.0).map_err(PassError::from)?;
    let terms = Terms { platforms: Platforms::All, previous, installed: None };
    // What the hosts cannot run is not fetched.
    let admit = async |lockfile: &Lockfile| Ok(unchecked(&desired, lockfile).map(drop)?);
    let Resolved { lockfile, notes } = sources.resolve(&desired, &terms, &blobs, admit).await?;
    let mut said = fitting(&desired, &lockfile, &notes)?;
    said.extend(moved_tags(&sources, &desired, &lockfile).await);
    let text = lockfile
        .render()
        .map_err(|error| PassError::Render { document: "falconer.lock", reason: error.to_string() })?;
    let changed = old_text.as_deref() != Some(text.as_str());
    if changed {
        fs_err::write(&target, &text).map_err(PassError::Write)?;
    }
    let moved = moved(old.as_ref(), &lockfile);
    let lines: Vec<_> = lockfile.artifacts.iter().map(|artifact| line(artifact, old.as_ref())).collect();
    let done = if changed { "written" } else { "unchanged" };
    let answer = json!({
        "file": target,
        "changed": changed,
        "moved": moved,
        "notes": said,
        "artifacts": lockfile.artifacts,
    });
    printer.answer(&format!("{}\n{} {done}", lines.join("\n"), target.display()), &answer);
    printer.aside(&said.iter().map(|note| format!("note: {note}\n")).collect::<String>());
    Ok(0)
}

/// Says whether the lockfile answers the desired state. One that does is checked against the Falco of the hosts too.
fn check(printer: Printer, desired: &DesiredState, target: &Path, old: Option<&Lockfile>) -> Result<u8, Failure> {
    let why = match old {
        None => Some("there is none, or it cannot be read".to_string()),
        Some(lockfile) => staleness(desired, lockfile),
    };
    let target = target.display();
    let Some(why) = why else {
        let said = match old {
            Some(lockfile) => fitting(desired, lockfile, &[])?,
            None => Vec::new(),
        };
        printer.answer(&format!("{target} answers fleet.yaml"), &json!({"fresh": true, "notes": said}));
        return Ok(0);
    };
    printer.answer(&format!("{target} does not answer fleet.yaml: {why}"), &json!({"fresh": false, "why": why}));
    Ok(STALE)
}

/// Checks what is pinned for what the desired state takes it for, and for the Falco that it names; gives what a person should
/// know besides.
fn fitting(desired: &DesiredState, lockfile: &Lockfile, notes: &[Note]) -> Result<Vec<String>, PassError> {
    composition::check(desired, lockfile)?;
    let mut said: Vec<String> = notes.iter().map(ToString::to_string).collect();
    let unchecked = unchecked(desired, lockfile)?;
    // What is left to the hosts is said once.
    let is_said = |unchecked: &&Unchecked| {
        notes.iter().any(|note| {
            matches!(note, Note::LeftToHosts { name, needs } if *name == unchecked.artifact && *needs == unchecked.requirement)
        })
    };
    said.extend(unchecked.iter().filter(|unchecked| !is_said(unchecked)).map(ToString::to_string));
    Ok(said)
}

/// What the Falco that the desired state names could not be asked about; an error where it cannot run what is pinned.
fn unchecked(desired: &DesiredState, lockfile: &Lockfile) -> Result<Vec<Unchecked>, Findings> {
    let Some(facts) = &desired.falco else { return Ok(Vec::new()) };
    let finding = |misfit: Misfit| Finding {
        location: lockfile.asked_at(desired, &misfit.artifact),
        message: misfit.to_string(),
        hint: misfit.hint,
    };
    match admit(lockfile, facts, &BTreeSet::new()) {
        Ok(admitted) => Ok(admitted.unchecked().to_vec()),
        Err(misfits) => Findings::none_or(misfits.into_iter().map(finding).collect(), Vec::new()),
    }
}

/// Tags beside a digest that name something else now. Where nobody tells, nothing is said: the digest decides.
async fn moved_tags(sources: &Sources, desired: &DesiredState, lockfile: &Lockfile) -> Vec<String> {
    let pinned = desired.artifacts.iter().filter_map(|request| match &request.version {
        VersionRequest::Pinned { tag, digest } => {
            Some((&lockfile.artifact(&request.name)?.source, tag, digest, request))
        }
        _ => None,
    });
    let asked = pinned.map(async |(source, tag, digest, request)| {
        let named = sources.named(source, tag).await.ok().flatten().filter(|named| named != digest)?;
        Some(format!("{} stays at {}, and the tag {tag} names {} now", request.name, digest.short(), named.short()))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn names_to_update(
    request: &Request<'_>,
    desired: &DesiredState,
    old: Option<&Lockfile>,
) -> Result<BTreeSet<ArtifactName>, Failure> {
    let locked = old.iter().flat_map(|lockfile| &lockfile.artifacts).map(|artifact| &artifact.name);
    let all: BTreeSet<_> = desired.artifacts.iter().map(|artifact| &artifact.name).chain(locked).collect();
    let mut names = BTreeSet::new();
    for name in request.update.unwrap_or_default() {
        let Some(known) = all.iter().find(|known| known.as_str() == name) else {
            let all: Vec<_> = all.iter().map(|name| name.as_str()).collect();
            let hint = format!("the artifacts are {}", all.join(", "));
            return Err(Failure::of(format!("fleet.yaml has no artifact `{name}`"), Remedy::Operator, Some(hint)));
        };
        names.insert((*known).clone());
    }
    Ok(names)
}

/// A line for people: what is pinned, and what was before where that is something else.
fn line(artifact: &LockedArtifact, old: Option<&Lockfile>) -> String {
    let (requested, version, digest) = (&artifact.requested, &artifact.version, artifact.digest.short());
    let before = old.and_then(|old| old.artifact(&artifact.name)).filter(|before| before.digest != artifact.digest);
    let before = before.map(|before| format!(" (was {} {})", before.version, before.digest.short()));
    let needers: Vec<_> = artifact.needed_by.iter().map(ArtifactName::as_str).collect();
    let because = if needers.is_empty() { String::new() } else { format!(", needed by {}", needers.join(", ")) };
    format!("{} {requested} {version} {digest}{}{because}", artifact.name, before.unwrap_or_default())
}

/// What moved from where to where; what is new comes from nowhere, what is gone goes there.
fn moved(old: Option<&Lockfile>, new: &Lockfile) -> Vec<serde_json::Value> {
    let pin = |artifact: &LockedArtifact| json!({"version": artifact.version, "digest": artifact.digest});
    let before = |name: &ArtifactName| old.and_then(|old| old.artifact(name));
    let mut moved: Vec<_> = (new.artifacts.iter())
        .filter(|artifact| before(&artifact.name).is_none_or(|before| before.digest != artifact.digest))
        .map(|artifact| json!({"name": artifact.name, "from": before(&artifact.name).map(pin), "to": pin(artifact)}))
        .collect();
    let gone = old.iter().flat_map(|old| &old.artifacts).filter(|artifact| new.artifact(&artifact.name).is_none());
    moved.extend(gone.map(|artifact| json!({"name": artifact.name, "from": pin(artifact), "to": null})));
    moved
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
pub(super) struct WorkDirectory(PathBuf);

impl WorkDirectory {
    pub(super) fn new() -> Result<Self, PassError> {
        let path = std::env::temp_dir().join(format!("falconer-lock-{:016x}", fastrand::u64(..)));
        fs_err::create_dir(&path).map_err(PassError::Write)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        // What stays is in the directory for temporary files.
        let _stays = fs_err::remove_dir_all(&self.0);
    }
}
