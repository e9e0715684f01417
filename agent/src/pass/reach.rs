//! Tries whether everything that a pass has to reach can be reached, and how far it gets where something cannot.

use std::collections::BTreeSet;
use std::path::Path;

use falconer_manifests::catalog::At;
use falconer_manifests::fleet::{self, DesiredState};
use falconer_manifests::lockfile::{self, Lockfile};
use falconer_manifests::reference::Source;
use falconer_manifests::revision::Revision;

use super::observe::ledger;
use super::wanted::{at, document, revision};
use super::{Agent, PassError, own_repository};
use crate::git::Repository;
use crate::store::{Document, Locked, StateDirectory};

/// The longest lockfile, in bytes.
const LOCKFILE_CAP: u64 = 1 << 20;

/// What was reached.
#[derive(Debug)]
pub struct Surroundings {
    /// The tip of the branch, or why it cannot be followed.
    pub branch: Result<Revision, PassError>,
    /// Why it is not known what the desired state needs; `None` when it is.
    pub desired: Option<PassError>,
    /// Each index and each artifact that it needs.
    pub sources: Vec<Reached>,
}

/// An index or an artifact.
#[derive(Debug)]
pub struct Reached {
    /// Its name, with what it is.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// Why it cannot be had.
    pub error: Option<PassError>,
}

/// Asks Git, the indexes and the registries as a pass does. The bare repository may be filled; nothing else is written.
///
/// # Errors
/// When the state directory cannot be used.
pub async fn reach(agent: &mut Agent) -> Result<Surroundings, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?.lock()?;
    let mut repository = own_repository(&state)?;
    let known = ledger(&state)?;
    let branch = revision(agent, &mut repository, &known).await;
    let newest = branch.as_ref().ok().or(known.revision.as_ref()).filter(|newest| repository.has(newest));
    let Some(newest) = newest else { return Ok(Surroundings { branch, desired: None, sources: Vec::new() }) };
    let (desired, sources) = match needs(agent, &state, &repository, newest) {
        Ok((desired, lockfile)) => (None, sources(agent, &desired, lockfile.as_ref()).await),
        Err(error) => (Some(error), Vec::new()),
    };
    Ok(Surroundings { branch, desired, sources })
}

/// The desired state and the lockfile that answers it: the committed one, else the last resolution.
fn needs(
    agent: &Agent,
    state: &Locked,
    repository: &Repository,
    revision: &Revision,
) -> Result<(DesiredState, Option<Lockfile>), PassError> {
    let missing = || PassError::NoDocument { revision: revision.clone(), path: at(agent, &fleet::path()) };
    let text = document(agent, repository, revision, &fleet::path())?.ok_or_else(missing)?;
    let desired = fleet::parse(at(agent, &fleet::path()).as_str(), &text)?;
    let lockfile = match document(agent, repository, revision, &lockfile::path())? {
        Some(text) => Some(Lockfile::parse(lockfile::path().as_str(), &text)?),
        None => {
            let kept = state.read_document(Document::Resolution, LOCKFILE_CAP)?;
            kept.and_then(|bytes| Lockfile::parse("resolution", &String::from_utf8_lossy(&bytes)).ok())
        }
    };
    let answers = |lockfile: &Lockfile| lockfile.inputs == fleet::inputs_digest(&desired);
    let lockfile = lockfile.filter(answers);
    Ok((desired, lockfile))
}

async fn sources(agent: &Agent, desired: &DesiredState, lockfile: Option<&Lockfile>) -> Vec<Reached> {
    let mut reached = Vec::new();
    if let Some(lockfile) = lockfile {
        for artifact in &lockfile.artifacts {
            let at = At::Digest(artifact.digest.clone());
            let found = agent.sources.manifest_bytes(&artifact.source, &at).await;
            let error = match found {
                Ok(Some(_)) => None,
                Ok(None) => Some(missing(&format!("{}@{}", artifact.source, artifact.digest))),
                Err(error) => Some(error),
            };
            reached.push(one(format!("artifact {}", artifact.name), &artifact.source, error));
        }
        return reached;
    }
    if desired.artifacts.iter().any(|artifact| artifact.source.is_none()) {
        for index in &desired.indexes {
            let error = agent.sources.index(&index.url).await.err();
            reached.push(one(format!("index {}", index.name), shown(&index.url), error));
        }
    }
    let places: BTreeSet<&Source> = desired.artifacts.iter().filter_map(|artifact| artifact.source.as_ref()).collect();
    for source in places {
        let error = match agent.sources.tags(source).await {
            Ok(Some(_)) => None,
            Ok(None) => Some(missing(&source.to_string())),
            Err(error) => Some(error),
        };
        reached.push(one("artifact".to_owned(), source, error));
    }
    reached
}

fn one(name: String, place: impl ToString, error: Option<PassError>) -> Reached {
    Reached { name, place: place.to_string(), error }
}

fn missing(what: &str) -> PassError {
    PassError::NotThere { what: what.to_owned() }
}

/// An address without what may be a secret in it.
fn shown(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut url) => {
            url.set_query(None);
            // A URL that can have no user has none.
            let _without_user = url.set_username("").and_then(|()| url.set_password(None));
            url.to_string()
        }
        Err(_) => url.to_owned(),
    }
}
