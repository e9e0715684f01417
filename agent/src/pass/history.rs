//! The generations on disk, and what is known of them.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use falconer_manifests::digest::Digest;
use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::ledger::{Held, Ledger};
use falconer_manifests::name::ArtifactName;
use falconer_manifests::observed::Pointer;
use falconer_manifests::revision::Revision;
use serde::Serialize;

use super::observe::{self, FoundRecord};
use super::{Agent, PassError};
use crate::store::StateDirectory;

/// The generations on disk, and what is held.
#[derive(Debug, Serialize)]
pub struct History {
    /// The generations, the newest first.
    pub generations: Vec<Generation>,
    /// What failed or was rolled back, and is not tried again until something changes; the newest first.
    pub held: Vec<Held>,
}

/// A generation on disk.
#[derive(Debug, Serialize)]
pub struct Generation {
    /// Its number.
    pub generation: GenerationNumber,
    /// The revision that asked for it; `None` where it has no record that we know.
    pub revision: Option<Revision>,
    /// When it was made (RFC 3339, in UTC).
    pub made: Option<String>,
    /// What it is now: `live`, `good`, `trial`, `held`; `unknown` without a record that we know.
    pub state: Vec<&'static str>,
    /// The digest of what it makes Falco load; two generations with the same one load the same.
    pub content: Option<Digest>,
    /// Its artifacts.
    pub artifacts: Vec<HistoryArtifact>,
    /// How many differences on the host it was made to put right.
    pub corrects: usize,
}

/// An artifact of a generation.
#[derive(Debug, Serialize)]
pub struct HistoryArtifact {
    /// Its name.
    pub name: ArtifactName,
    /// The version that it gives itself.
    pub version: String,
    /// The digest by which it is pinned.
    pub digest: Digest,
}

/// The generations on disk, and what is known of them. Needs no lock and writes nothing.
///
/// # Errors
/// When the state directory cannot be read.
pub fn history(agent: &Agent) -> Result<History, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?;
    let ledger = observe::ledger(&state)?;
    let current = state.current()?;
    let numbers = state.generations()?.into_iter().rev();
    let generations = numbers.map(|number| generation(&state, &ledger, &current, number)).collect::<Result<_, _>>()?;
    let mut held = ledger.held;
    held.reverse();
    Ok(History { generations, held })
}

fn generation(
    state: &StateDirectory,
    ledger: &Ledger,
    current: &Pointer,
    number: GenerationNumber,
) -> Result<Generation, PassError> {
    let record = match observe::record(state, ledger, number)? {
        FoundRecord::Known(record) => Some(record),
        FoundRecord::NotKnown | FoundRecord::Nobodys => None,
    };
    let content = record.as_ref().map(|record| record.composition.content_digest());
    let is_held = content.as_ref().is_some_and(|content| ledger.held.iter().any(|held| held.content == *content));
    let states = [
        (*current == Pointer::Generation(number), "live"),
        (ledger.good == Some(number), "good"),
        (ledger.trial == Some(number), "trial"),
        (is_held, "held"),
        (record.is_none(), "unknown"),
    ];
    let locked = record.as_ref().map(|record| record.composition.lockfile.artifacts.as_slice()).unwrap_or_default();
    let artifacts = locked.iter().map(|artifact| HistoryArtifact {
        name: artifact.name.clone(),
        version: artifact.version.clone(),
        digest: artifact.digest.clone(),
    });
    Ok(Generation {
        generation: number,
        revision: record.as_ref().map(|record| record.composition.revision.clone()),
        made: state.made(number)?.map(timestamp),
        state: states.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect(),
        content,
        artifacts: artifacts.collect(),
        corrects: record.as_ref().map_or(0, |record| record.corrects.len()),
    })
}

fn timestamp(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}
