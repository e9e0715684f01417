//! Whether a lockfile answers a desired state.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::dependencies::needers;
use crate::dependencies::{AskedBy, Chosen, Mode, Settled, settle};
use crate::finding::Location;
use crate::fleet::{self, DesiredState};
use crate::lockfile::{LockedArtifact, Lockfile};
use crate::version;

/// Why `lockfile` does not answer `desired`; `None` when it does.
///
/// The digest of the inputs alone does not tell: a lockfile that was edited or merged by hand may have the right one and
/// yet lack an artifact, hold one that nobody asked for, or hold artifacts that do not go together.
#[must_use]
pub fn staleness(desired: &DesiredState, lockfile: &Lockfile) -> Option<String> {
    if lockfile.inputs != fleet::inputs_digest(desired) {
        return Some("it was made for other indexes or artifacts".to_string());
    }
    for request in &desired.artifacts {
        let Some(locked) = lockfile.artifact(&request.name) else {
            return Some(format!("it lacks artifact `{}`", request.name));
        };
        let same_source = request.source.as_ref().is_none_or(|source| *source == locked.source);
        if !same_source || locked.requested != request.version.to_string() || !locked.needed_by.is_empty() {
            return Some(format!("it has artifact `{}` for another request", request.name));
        }
    }
    if let Some(twice) = lockfile.artifacts.windows(2).find(|pair| matches!(pair, [a, b] if a.name == b.name)) {
        return twice.first().map(|artifact| format!("it has artifact `{}` twice", artifact.name));
    }
    let unasked = |artifact: &&LockedArtifact| !desired.artifacts.iter().any(|request| request.name == artifact.name);
    for artifact in lockfile.artifacts.iter().filter(unasked) {
        let needers = needers(artifact, lockfile.artifacts.iter());
        if desired.dependencies == Mode::Check || needers.is_empty() || needers != artifact.needed_by {
            return Some(format!("it has artifact `{}`, which nobody asks for", artifact.name));
        }
    }
    unsettled(desired, lockfile)
}

/// What the artifacts of the lockfile need and do not find among themselves, or that contradicts itself.
fn unsettled(desired: &DesiredState, lockfile: &Lockfile) -> Option<String> {
    let at = Location { file: crate::lockfile::FILE_NAME.to_string(), line: 0, column: 0 };
    let chosen = lockfile.artifacts.iter().map(|artifact| Chosen {
        name: artifact.name.clone(),
        version: version::tolerant(&artifact.version),
        dependencies: artifact.dependencies.clone(),
        asked_by: AskedBy::DesiredState(at.clone()),
    });
    let chosen: Vec<Chosen> = chosen.collect();
    match settle(&chosen, Mode::Check, &BTreeMap::new()) {
        Err(conflicts) => conflicts.first().map(ToString::to_string),
        Ok(Settled::Complete { left_to_host, .. }) if desired.dependencies == Mode::Install => {
            let (dependency, needer) = left_to_host.first()?;
            Some(format!("{needer} needs {} {}, which it lacks", dependency.name, dependency.version))
        }
        Ok(_) => None,
    }
}
