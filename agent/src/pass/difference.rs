//! What would be loaded otherwise: the live generation beside another one, or beside the desired state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use falconer_manifests::composition::{Composition, INCLUDE, Origin, PlacedFile, current_path};
use falconer_manifests::diff::{Change, diff};
use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::plan::{DriftMode, Step, Target, plan};
use falconer_manifests::revision::Revision;
use falconer_manifests::status::StatusError;
use serde::Serialize;

use super::observe::{self, FoundRecord, Host};
use super::rollback::RollbackError;
use super::wanted::{RULES_CAP, repository_file};
use super::{Agent, PassError, Refresh, apply, intent, own_repository};
use crate::archive::{self, Limits};
use crate::git::Repository;
use crate::store::{Locked, StateDirectory};

/// How what is live differs from something else.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The live generation.
    pub from: Option<GenerationNumber>,
    /// The other generation; `None` for the desired state.
    pub to: Option<GenerationNumber>,
    /// The revision that asks for the other side.
    pub revision: Option<Revision>,
    /// What would change.
    pub changes: Vec<Change>,
    /// The texts that differ, in the order of their names.
    pub files: Vec<FileDifference>,
    /// What went wrong on the way to the desired state, where it is not the newest one.
    pub failure: Option<StatusError>,
}

/// A text that differs.
#[derive(Debug, Serialize)]
pub struct FileDifference {
    /// What it is: the artifact and the file in it, the path in the repository, or the include.
    pub name: String,
    /// The text that is live; `None` where it is not there.
    pub before: Option<String>,
    /// The text of the other side.
    pub after: Option<String>,
}

/// Texts by what they are called.
type Texts = BTreeMap<String, String>;

/// How the live generation differs from generation `to`, or from the desired state.
///
/// # Errors
/// When one of them cannot be had. For the desired state the store may be filled; nothing that Falco sees changes.
pub async fn difference(
    agent: &mut Agent,
    to: Option<GenerationNumber>,
    now: u64,
) -> Result<Difference, RollbackError> {
    match to {
        Some(number) => Ok(between_generations(agent, number)?),
        None => Ok(to_desired(agent, now).await?),
    }
}

fn between_generations(agent: &Agent, number: GenerationNumber) -> Result<Difference, RollbackError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str())).map_err(PassError::from)?;
    let ledger = observe::ledger(&state)?;
    let composition = |number| match observe::record(&state, &ledger, number)? {
        FoundRecord::Known(record) => Ok::<_, PassError>(Some(record.composition)),
        FoundRecord::NotKnown | FoundRecord::Nobodys => Ok(None),
    };
    if !state.generations().map_err(PassError::from)?.contains(&number) {
        return Err(RollbackError::Gone { number });
    }
    let other = composition(number)?.ok_or(RollbackError::Incomplete { number })?;
    let live = match state.current().map_err(PassError::from)? {
        falconer_manifests::observed::Pointer::Generation(live) => composition(live)?.map(|found| (live, found)),
        _ => None,
    };
    let before = match &live {
        Some((number, composition)) => placed(agent, &state, *number, composition)?,
        None => Texts::new(),
    };
    let after = placed(agent, &state, number, &other)?;
    Ok(Difference {
        from: live.as_ref().map(|(number, _)| *number),
        to: Some(number),
        revision: Some(other.revision.clone()),
        changes: diff(live.as_ref().map(|(_, composition)| composition), &other),
        files: differing(&before, &after),
        failure: None,
    })
}

async fn to_desired(agent: &mut Agent, now: u64) -> Result<Difference, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?.lock()?;
    let mut repository = own_repository(&state)?;
    let mut host = observe::observe(agent, &state).await?;
    // What is held is shown all the same: that it is not taken is for `plan` to say.
    host.observed.ledger.held.clear();
    let (intent, _) = intent(agent, &state, &mut repository, &mut host, Refresh::WhenOld.into(), now).await?;
    let live = host.observed.live().zip(host.observed.live_record());
    let from = live.map(|((number, _), _)| number);
    let before = match live {
        Some(((number, _), record)) => placed(agent, &state, number, &record.composition)?,
        None => Texts::new(),
    };
    let (Some(wanted), Target::Desired) = (&intent.wanted, intent.target) else {
        let failure = intent.failure;
        return Ok(Difference { from, to: None, revision: None, changes: Vec::new(), files: Vec::new(), failure });
    };
    let after = desired(agent, &state, &repository, &host, wanted).await?;
    Ok(Difference {
        from,
        to: None,
        revision: Some(wanted.revision.clone()),
        changes: diff(live.map(|(_, record)| &record.composition), wanted),
        files: differing(&before, &after),
        failure: intent.failure,
    })
}

/// The texts of a generation as they are on disk.
fn placed(
    agent: &Agent,
    state: &StateDirectory,
    number: GenerationNumber,
    composition: &Composition,
) -> Result<Texts, PassError> {
    let mut texts = Texts::from([(INCLUDE.to_string(), include(agent, composition))]);
    for file in composition.files() {
        // What stands there and is no such file is drift, which `status` tells of.
        if let Ok(Some(bytes)) = state.read_generation_file(number, &file.path, RULES_CAP) {
            texts.insert(name(file), text(&bytes));
        }
    }
    Ok(texts)
}

/// The texts that the desired state asks for; what the store lacks is fetched.
async fn desired(
    agent: &Agent,
    state: &Locked,
    repository: &Repository,
    host: &Host,
    wanted: &Composition,
) -> Result<Texts, PassError> {
    let plan = plan(wanted, Target::Desired, &host.observed, DriftMode::Report)?;
    if plan.steps.iter().any(|step| matches!(step, Step::Fetch(_))) {
        apply::fetch_all(agent, state, &plan).await?;
    }
    let mut texts = Texts::from([(INCLUDE.to_string(), include(agent, wanted))]);
    for file in wanted.files() {
        let bytes = match &file.origin {
            Origin::Repository { path } => repository_file(agent, repository, &wanted.revision, path)?
                .ok_or_else(|| PassError::NoDocument { revision: wanted.revision.clone(), path: path.clone() })?,
            Origin::Artifact { name, entry, layer } => {
                let mut bytes = Vec::new();
                let archive = state.store().open_blob_verified(layer, Limits::PLUGIN.compressed)?;
                archive::extract(archive, &Limits::PLUGIN, entry, Some(&file.sha256), &mut bytes)
                    .map_err(|source| PassError::Archive { artifact: name.to_string(), source })?;
                bytes
            }
        };
        texts.insert(name(file), text(&bytes));
    }
    Ok(texts)
}

/// The include as if it stood where `current` leads, so that the numbers of generations are no difference.
fn include(agent: &Agent, composition: &Composition) -> String {
    composition.include(&current_path(&agent.settings.state))
}

fn name(file: &PlacedFile) -> String {
    match &file.origin {
        Origin::Artifact { name, entry, .. } => format!("{name}/{entry}"),
        Origin::Repository { path } => path.to_string(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn differing(before: &Texts, after: &Texts) -> Vec<FileDifference> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let file = |name: &&String| FileDifference {
        name: (*name).clone(),
        before: before.get(*name).cloned(),
        after: after.get(*name).cloned(),
    };
    names.iter().map(file).filter(|file| file.before != file.after).collect()
}
