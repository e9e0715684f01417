//! What the repository asks for: from a revision to a composition.

use std::collections::BTreeMap;

use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::composition::{Composition, Place, RepositoryFile, compose};
use falconer_manifests::dependencies::Mode;
use falconer_manifests::digest::Digest;
use falconer_manifests::finding::{Finding, Findings};
use falconer_manifests::fleet::{self, DesiredState, RulesEntry};
use falconer_manifests::ledger::Ledger;
use falconer_manifests::lockfile::{self, Lockfile};
use falconer_manifests::name::{ArtifactName, RelativePath};
use falconer_manifests::resolve::{Platforms, Previous, Terms, Update, staleness};
use falconer_manifests::revision::Revision;

use super::admitted::{admitted, facts};
use super::gate::Gates;
use super::lookup::Resolved;
use super::observe::Host;
use super::request::{Reach, Refresh};
use super::{Agent, PassError};
use crate::git::{Lineage, Repository};
use crate::store::{Document, Locked};

/// The longest document of the desired state, in bytes.
const DOCUMENT_CAP: u64 = 1 << 20;
/// The longest rules file of the repository, in bytes.
pub(super) const RULES_CAP: u64 = 8 << 20;
/// A repository with more packs than this is fetched anew.
const PACKS_AT_MOST: usize = 30;

/// Asks for the tip of the branch and brings it here; gives the revision to follow.
///
/// # Errors
/// When the remote cannot be asked, or the branch does not continue the revision that was accepted last.
pub(super) async fn revision(
    agent: &mut Agent,
    repository: &mut Repository,
    ledger: &Ledger,
) -> Result<Revision, PassError> {
    let branch = agent.settings.repository.branch.clone();
    let tip = agent.remote.poll(&branch).await?;
    if !repository.has(&tip) {
        if repository.packs()? > PACKS_AT_MOST {
            *repository = Repository::create_anew(repository.path())?;
        }
        agent.remote.fetch(repository, &tip, ledger.revision.as_ref()).await?;
    }
    match &ledger.revision {
        Some(from) if agent.remote.lineage(repository, &tip, from)? == Lineage::Rewritten => {
            Err(PassError::Rewritten { branch: branch.to_string(), from: from.clone(), to: tip })
        }
        _ => Ok(tip),
    }
}

/// What `revision` asks of this host; `gates` then tells what of it is held back.
///
/// # Errors
/// What is wrong with the desired state, or what keeps it from being resolved.
pub(super) async fn composition(
    agent: &Agent,
    state: &Locked,
    repository: &Repository,
    host: &mut Host,
    revision: &Revision,
    gates: &mut Gates,
) -> Result<Composition, PassError> {
    let read = |path: &RelativePath| document(agent, repository, revision, path);
    let missing = || PassError::NoDocument { revision: revision.clone(), path: at(agent, &fleet::path()) };
    let text = read(&fleet::path())?.ok_or_else(missing)?;
    let desired = fleet::parse(at(agent, &fleet::path()).as_str(), &text)?;
    gates.add(agent, &desired)?;
    may_set(agent, &desired)?;
    let lockfile = match read(&lockfile::path())? {
        Some(text) => committed(agent, &desired, revision, &text)?,
        None if agent.settings.repository.lock_required => {
            return Err(PassError::NoLock { revision: revision.clone(), path: at(agent, &lockfile::path()) });
        }
        None => resolved(agent, state, host, &desired, revision, gates).await?,
    };
    let files = repository_files(agent, repository, revision, &desired)?;
    may_place(agent, &desired, &lockfile)?;
    admitted(agent, host, revision, &lockfile, &platform()).await?;
    let place = Place { state: &agent.settings.state, platform: &platform(), host: &host.settings };
    Ok(compose(revision, &desired, &lockfile, &files, &place)?)
}

/// The bytes of a file that the desired state names, and its path in the repository.
pub(super) fn repository_file(
    agent: &Agent,
    repository: &Repository,
    revision: &Revision,
    path: &RelativePath,
) -> Result<Option<Vec<u8>>, PassError> {
    Ok(repository.read_file(revision, &at(agent, path), RULES_CAP)?)
}

/// The path in the repository of what `fleet.yaml` calls `path`.
pub(super) fn at(agent: &Agent, path: &RelativePath) -> RelativePath {
    match &agent.settings.repository.path {
        Some(directory) => directory.join(path),
        None => path.clone(),
    }
}

pub(super) fn document(
    agent: &Agent,
    repository: &Repository,
    revision: &Revision,
    path: &RelativePath,
) -> Result<Option<String>, PassError> {
    let path = at(agent, path);
    let Some(bytes) = repository.read_file(revision, &path, DOCUMENT_CAP)? else { return Ok(None) };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(PassError::NotText { revision: revision.clone(), path }),
    }
}

/// Git may not widen what it may set: the keys are the host's own policy.
fn may_set(agent: &Agent, desired: &DesiredState) -> Result<(), Findings> {
    let allowed = &agent.settings.config_keys;
    let refused = desired.config.iter().filter(|setting| !allowed.contains(&setting.key));
    let findings = refused.map(|setting| Finding {
        location: setting.at.clone(),
        message: format!("this host does not let the repository set `{}`", setting.key),
        hint: "take it out, or add it to `config_keys` in policy.toml on the host".to_string(),
    });
    Findings::none_or(findings.collect(), ())
}

/// A plugin is code that runs with Falco's rights: which ones may come from the repository is the host's own policy.
fn may_place(agent: &Agent, desired: &DesiredState, lockfile: &Lockfile) -> Result<(), Findings> {
    let allowed = |name: &ArtifactName| agent.settings.plugins.iter().any(|plugin| plugin == name.as_str());
    let plugins = lockfile.artifacts.iter().filter(|artifact| artifact.kind == ArtifactType::Plugin);
    let findings = plugins.filter(|plugin| !allowed(&plugin.name)).map(|plugin| Finding {
        location: lockfile.asked_at(desired, &plugin.name),
        message: format!("this host does not let the repository place the plugin `{}`", plugin.name),
        hint: "take it out, or add it to `plugins` in policy.toml on the host".to_string(),
    });
    Findings::none_or(findings.collect(), ())
}

/// This machine as Go and so OCI name it.
fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{architecture}", std::env::consts::OS)
}

fn committed(agent: &Agent, desired: &DesiredState, revision: &Revision, text: &str) -> Result<Lockfile, PassError> {
    let lockfile = Lockfile::parse(lockfile::FILE_NAME, text)?;
    match staleness(desired, &lockfile) {
        Some(why) => Err(PassError::StaleLock { revision: revision.clone(), path: at(agent, &lockfile::path()), why }),
        None => Ok(lockfile),
    }
}

/// A resolution of our own: the last one while it answers the same inputs and is young enough, else a new one.
async fn resolved(
    agent: &Agent,
    state: &Locked,
    host: &mut Host,
    desired: &DesiredState,
    revision: &Revision,
    gates: &Gates,
) -> Result<Lockfile, PassError> {
    let Gates { request, now, .. } = *gates;
    let kept = state.read_document(Document::Resolution, DOCUMENT_CAP)?;
    let kept = kept.and_then(|bytes| Lockfile::parse("resolution", &String::from_utf8_lossy(&bytes)).ok());
    let good_for = agent.settings.schedule.resolve_every.as_secs();
    // A clock that was set back makes a resolution old, not young for ever.
    let is_young = |at: u64| at <= now && now - at < good_for;
    let answers = |kept: &Lockfile| staleness(desired, kept).is_none();
    // Where nobody may be asked, an old answer is better than none.
    let not_asking = match (gates.keeps_from_asking(), request.reach) {
        (Some(waiting), _) => Some(PassError::Waits(waiting)),
        (None, Reach::Host) => Some(PassError::NotResolved(revision.clone())),
        (None, Reach::Everybody) => None,
    };
    if let Some(not_asking) = not_asking {
        return kept.filter(answers).ok_or(not_asking);
    }
    let is_good = |kept: &Lockfile| {
        request.refresh == Refresh::WhenOld && answers(kept) && host.observed.ledger.resolved_at.is_some_and(is_young)
    };
    match kept.clone().filter(is_good) {
        Some(kept) if !agent.settings.repository.follow_tags || agent.sources.still_names(&kept).await? => Ok(kept),
        _ => {
            let all = |lockfile| Previous { lockfile, update: Update::All, may_lower: false };
            let platform = platform();
            let installed = match desired.dependencies {
                Mode::Check => None,
                Mode::Install => facts(agent, host, &platform).await.plugins,
            };
            let terms = Terms {
                platforms: Platforms::Only(&platform),
                previous: kept.as_ref().map(all),
                installed: installed.as_ref(),
            };
            // What this host may not have, or cannot run, is not fetched.
            let admit = async |lockfile: &Lockfile| {
                may_place(agent, desired, lockfile)?;
                admitted(agent, host, revision, lockfile, &platform).await
            };
            let resolved = agent.sources.resolve(desired, &terms, state.store(), admit).await;
            let Resolved { lockfile, notes } = resolved?;
            for note in notes {
                tracing::info!("{note}");
            }
            let text = lockfile
                .render()
                .map_err(|error| PassError::Render { document: "the resolution", reason: error.to_string() })?;
            state.replace_document(Document::Resolution, text.as_bytes())?;
            host.observed.ledger.resolved_at = Some(now);
            // Every archive was fetched and looked into, so it is in the store, and whole.
            let contents = lockfile.artifacts.iter().flat_map(|artifact| &artifact.contents);
            host.observed.blobs.extend(contents.map(|content| content.layer.clone()));
            Ok(lockfile)
        }
    }
}

fn repository_files(
    agent: &Agent,
    repository: &Repository,
    revision: &Revision,
    desired: &DesiredState,
) -> Result<BTreeMap<RelativePath, RepositoryFile>, PassError> {
    let mut files = BTreeMap::new();
    for entry in &desired.rules_files {
        let RulesEntry::File { path, .. } = entry else { continue };
        if let Some(bytes) = repository_file(agent, repository, revision, path)? {
            files.insert(path.clone(), RepositoryFile { sha256: Digest::of(&bytes), size: bytes.len() as u64 });
        }
    }
    Ok(files)
}
