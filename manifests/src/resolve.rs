//! From what is asked for to what exactly that is: a lockfile.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use semver::Version;

use crate::catalog::{Catalog, Lookup};
use crate::finding::Findings;
use crate::fleet::{self, ArtifactRequest, DesiredState};
use crate::lockfile::{LockedArtifact, LockedIndex, Lockfile};
use crate::name::ArtifactName;
use crate::version;
use artifact::{Asked, Pending, Pinned, pin, source_by_name};
use dependencies::{Brought, bring};

pub use answers::staleness;
pub use note::Note;

mod answers;
mod artifact;
mod dependencies;
mod note;

/// What [`resolve`] can say with the answers that it has.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution {
    /// All is known.
    Locked {
        /// The answer.
        lockfile: Lockfile,
        /// What a person should know of it.
        notes: Vec<Note>,
    },
    /// These questions are open; add their answers to the catalog and resolve again.
    Unknown(Vec<Lookup>),
    /// All is known but the files of some archives. Whether this is wanted at all can be told now, before they are fetched.
    Unlisted {
        /// The answer, without these files.
        lockfile: Lockfile,
        /// The questions for them; add their answers to the catalog and resolve again.
        archives: Vec<Lookup>,
    },
}

/// The platforms for which contents are pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platforms<'a> {
    /// All that are published: for a lockfile that every host obeys.
    All,
    /// This one, e.g. `linux/amd64`: for a host that resolves for itself.
    Only(&'a str),
}

/// On which terms is resolved.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The platforms for which contents are pinned.
    pub platforms: Platforms<'a>,
    /// What was pinned before.
    pub previous: Option<Previous<'a>>,
    /// Versions that are installed already, by name: no dependency comes in a lower one.
    pub installed: Option<&'a BTreeMap<String, Version>>,
}

/// What was pinned before, and how much of it stays.
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    /// What was pinned before.
    pub lockfile: &'a Lockfile,
    /// What is pinned anew, though it was pinned for the same request.
    pub update: Update<'a>,
    /// Whether a request that was met by a version may be met by a lower one now.
    pub may_lower: bool,
}

/// What is pinned anew.
#[derive(Debug, Clone, Copy)]
pub enum Update<'a> {
    /// Only what is asked for otherwise than before.
    Nothing,
    /// Everything.
    All,
    /// These artifacts.
    Only(&'a BTreeSet<ArtifactName>),
}

impl Previous<'_> {
    /// What was pinned for the very same request.
    fn answer(&self, request: &ArtifactRequest) -> Option<&LockedArtifact> {
        self.lockfile.artifact(&request.name).filter(|locked| {
            locked.requested == request.version.to_string()
                && request.source.as_ref().is_none_or(|source| *source == locked.source)
        })
    }

    fn keeps(&self, name: &ArtifactName) -> bool {
        match self.update {
            Update::Nothing => true,
            Update::All => false,
            Update::Only(names) => !names.contains(name),
        }
    }
}

/// Pins every artifact of `desired`, and what these need where they are to bring it. Asks nobody: what `catalog` does not
/// say yet comes back as [`Resolution::Unknown`].
///
/// # Errors
/// Findings at their place in the desired state: what cannot be what it asks for, and needs that contradict each other.
pub fn resolve(desired: &DesiredState, catalog: &Catalog, terms: &Terms<'_>) -> Result<Resolution, Findings> {
    let mut open = BTreeSet::new();
    let mut findings = Vec::new();
    let mut artifacts = Vec::new();
    let mut archives = Vec::new();
    for request in &desired.artifacts {
        match requested(desired, request, catalog, terms) {
            Ok(pinned) => {
                artifacts.push(pinned.artifact);
                archives.extend(pinned.archives);
            }
            Err(Pending::Lookups(lookups)) => open.extend(lookups),
            Err(Pending::Impossible(finding)) => findings.push(finding),
        }
    }
    let open = Findings::none_or(findings, open)?;
    if !open.is_empty() {
        return Ok(Resolution::Unknown(open.into_iter().collect()));
    }
    let (came, mut notes) = match bring(desired, &artifacts, catalog, terms)? {
        Brought::All { came, archives: more, notes } => {
            archives.extend(more);
            (came, notes)
        }
        Brought::Unknown(open) => return Ok(Resolution::Unknown(open.into_iter().collect())),
    };
    let by_name = desired.artifacts.iter().filter(|request| request.source.is_none()).map(|request| &request.name);
    let by_name: BTreeSet<_> = by_name.chain(came.iter().map(|artifact| &artifact.name)).collect();
    notes.extend(by_name.iter().flat_map(|name| note::shadowed(desired, name, catalog)));
    let indexes = if by_name.is_empty() { Vec::new() } else { indexes(desired, catalog, terms) };
    artifacts.extend(came);
    let lockfile = Lockfile::new(fleet::inputs_digest(desired), indexes, artifacts);
    Ok(match archives.is_empty() {
        true => Resolution::Locked { lockfile, notes },
        false => Resolution::Unlisted { lockfile, archives: each_once(archives) },
    })
}

/// One question for each archive, even where several artifacts or platforms have the same.
fn each_once(archives: Vec<Lookup>) -> Vec<Lookup> {
    let mut asked = BTreeSet::new();
    let digest = |lookup: &Lookup| match lookup {
        Lookup::Files { published, .. } => Some(published.layer.digest.clone()),
        _ => None,
    };
    archives.into_iter().filter(|lookup| digest(lookup).is_none_or(|digest| asked.insert(digest))).collect()
}

/// Pins one artifact that the desired state asks for.
fn requested(
    desired: &DesiredState,
    request: &ArtifactRequest,
    catalog: &Catalog,
    terms: &Terms<'_>,
) -> Result<Pinned, Pending> {
    let previous = terms.previous.as_ref();
    let before = previous.and_then(|previous| previous.answer(request));
    if let Some(before) = before.filter(|_| previous.is_some_and(|previous| previous.keeps(&request.name))) {
        let artifact = LockedArtifact { needed_by: Vec::new(), ..before.clone() };
        return Ok(Pinned { artifact, archives: Vec::new() });
    }
    let source = match &request.source {
        Some(source) => source.clone(),
        None => source_by_name(desired, &request.name, &request.at, catalog)?,
    };
    let asked = Asked { name: &request.name, version: &request.version, at: &request.at };
    let Pinned { artifact, archives } = pin(&asked, &source, catalog, terms.platforms)?;
    let lowest = before.filter(|_| previous.is_some_and(|previous| !previous.may_lower));
    Ok(Pinned { artifact: not_lower(request, artifact, lowest)?, archives })
}

/// The indexes that answered now or before.
fn indexes(desired: &DesiredState, catalog: &Catalog, terms: &Terms<'_>) -> Vec<LockedIndex> {
    let digest = |index: &fleet::IndexEntry| {
        let answer = catalog.indexes.get(&index.url).map(|answer| &answer.digest);
        let before = terms.previous.iter().flat_map(|previous| &previous.lockfile.indexes);
        let mut before = before.filter(|before| before.name == index.name && before.url == index.url);
        answer.or_else(|| before.next().map(|before| &before.digest)).cloned()
    };
    let locked = desired.indexes.iter().filter_map(|index| {
        Some(LockedIndex { name: index.name.clone(), url: index.url.clone(), digest: digest(index)? })
    });
    locked.collect()
}

/// The same request never leads to a lower version than before: a registry that is rolled back, or that shows an old
/// artifact under a tag, does not take hosts with it.
fn not_lower(
    request: &ArtifactRequest,
    artifact: LockedArtifact,
    before: Option<&LockedArtifact>,
) -> Result<LockedArtifact, Pending> {
    let version = |artifact: &LockedArtifact| version::tolerant(&artifact.version);
    match before.map(|before| (before, version(before), version(&artifact))) {
        Some((before, Some(old), Some(new))) if new < old => {
            let message = format!(
                "{} `{}` is version {} now, lower than {}, which is locked",
                artifact.source, request.version, artifact.version, before.version
            );
            let hint =
                format!("ask for {} itself, or run `falconer lock --update --allow-downgrade`", artifact.version);
            Err(Pending::impossible(&request.at, message, hint))
        }
        _ => Ok(artifact),
    }
}

#[cfg(test)]
mod tests;
