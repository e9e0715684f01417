//! What the artifacts of the desired state need, looked up and pinned like them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use semver::Version;

use super::artifact::{Asked, Pending, Pinned, pin, source_by_name};
use super::note::{alternatives, left_to_hosts};
use super::{Note, Terms};
use crate::artifact::{ArtifactType, Dependency};
use crate::catalog::{At, Catalog, Lookup, ManifestAnswer};
use crate::dependencies::{AskedBy, Chosen, Need, Settled, settle};
use crate::finding::Findings;
use crate::fleet::{DesiredState, VersionRequest};
use crate::lockfile::LockedArtifact;
use crate::name::ArtifactName;
use crate::reference::{Source, Tag};
use crate::version;

/// What settling the dependencies came to.
pub(super) enum Brought {
    /// All is known: these come too.
    All {
        came: Vec<LockedArtifact>,
        /// The questions for their files that are open.
        archives: Vec<Lookup>,
        notes: Vec<Note>,
    },
    /// These questions are open.
    Unknown(BTreeSet<Lookup>),
}

/// Brings what `asked`, the pinned artifacts of the desired state, need; or only tells what that is.
///
/// # Errors
/// The needs that contradict each other or cannot be had, each at the entry of the desired state that it begins with.
pub(super) fn bring(
    desired: &DesiredState,
    asked: &[LockedArtifact],
    catalog: &Catalog,
    terms: &Terms<'_>,
) -> Result<Brought, Findings> {
    let mut chosen: Vec<Chosen> = asked.iter().filter_map(|artifact| root(desired, artifact)).collect();
    let mut pinned: Vec<(Need, Pinned)> = Vec::new();
    let floor = floor(terms);
    loop {
        let needs = match settle(&chosen, desired.dependencies, &floor) {
            Err(conflicts) => {
                return Findings::none_or(conflicts.iter().map(|conflict| conflict.finding()).collect(), nothing());
            }
            Ok(Settled::Needs(needs)) => needs,
            Ok(Settled::Complete { order, left_to_host, instead }) => {
                let answer = |chosen: &&Chosen| match &chosen.asked_by {
                    AskedBy::DesiredState(_) | AskedBy::Nowhere { .. } => None,
                    AskedBy::Dependency(need) => pinned.iter().find(|(pinned, _)| pinned == need).cloned(),
                };
                let came: Vec<_> = order.iter().filter_map(answer).collect();
                let left = left_to_host.iter().map(|(dependency, needer)| left_to_hosts(needer, dependency));
                let notes = left.chain(instead.first().and_then(|why| alternatives(&order, why))).collect();
                let (came, archives): (Vec<_>, Vec<_>) =
                    came.into_iter().map(|(_, pinned)| (pinned.artifact, pinned.archives)).unzip();
                let archives = archives.into_iter().flatten().collect();
                return Ok(Brought::All { came: with_needers(asked, came), archives, notes });
            }
        };
        let mut open = BTreeSet::new();
        for need in needs {
            match look_up(desired, &need, catalog, terms) {
                Ok(found) => {
                    chosen.push(Chosen {
                        name: found.artifact.name.clone(),
                        version: version::tolerant(&found.artifact.version),
                        dependencies: found.artifact.dependencies.clone(),
                        asked_by: AskedBy::Dependency(need.clone()),
                    });
                    pinned.push((need, found));
                }
                Err(Pending::Lookups(lookups)) => open.extend(lookups),
                // Something else may do.
                Err(Pending::Impossible(why)) => chosen.push(Chosen {
                    name: need.name.clone(),
                    version: None,
                    dependencies: Vec::new(),
                    asked_by: AskedBy::Nowhere { need, why },
                }),
            }
        }
        if !open.is_empty() {
            return Ok(Brought::Unknown(open));
        }
    }
}

fn nothing() -> Brought {
    Brought::All { came: Vec::new(), archives: Vec::new(), notes: Vec::new() }
}

/// An artifact that the desired state asks for, as dependencies are settled with it.
fn root(desired: &DesiredState, artifact: &LockedArtifact) -> Option<Chosen> {
    let request = desired.artifacts.iter().find(|request| request.name == artifact.name)?;
    Some(Chosen {
        name: artifact.name.clone(),
        version: version::tolerant(&artifact.version),
        dependencies: artifact.dependencies.clone(),
        asked_by: AskedBy::DesiredState(request.at.clone()),
    })
}

/// What nothing is lowered below: what is installed, and what was pinned before, unless it may get lower.
fn floor(terms: &Terms<'_>) -> BTreeMap<ArtifactName, Version> {
    let installed = terms.installed.iter().copied().flatten();
    let installed = installed.filter_map(|(name, version)| Some((ArtifactName::parse(name).ok()?, version.clone())));
    let pinned = terms.previous.iter().flat_map(|previous| {
        let stays = |artifact: &&LockedArtifact| !previous.may_lower || previous.keeps(&artifact.name);
        previous.lockfile.artifacts.iter().filter(stays)
    });
    let pinned = pinned.filter_map(|artifact| Some((artifact.name.clone(), version::tolerant(&artifact.version)?)));
    let mut floor: BTreeMap<ArtifactName, Version> = BTreeMap::new();
    for (name, version) in installed.chain(pinned) {
        // Of several majors the highest.
        let lowest = floor.entry(name).or_insert_with(|| version.clone());
        *lowest = version::higher(lowest, &version).clone();
    }
    floor
}

/// Pins what answers the need: as before, else under the tag of exactly the version, as with falcoctl, else under the tag
/// of the lowest version that will do.
fn look_up(desired: &DesiredState, need: &Need, catalog: &Catalog, terms: &Terms<'_>) -> Result<Pinned, Pending> {
    let before = terms.previous.filter(|previous| previous.keeps(&need.name)).and_then(|previous| {
        let artifact = previous.lockfile.artifact(&need.name).filter(|artifact| !artifact.needed_by.is_empty())?;
        version::tolerant(&artifact.version).filter(|version| version::meets(version, &need.at_least)).map(|_| artifact)
    });
    if let Some(before) = before {
        return Ok(Pinned { artifact: before.clone(), archives: Vec::new() });
    }
    let at = &need.needed_by.at;
    let source = source_by_name(desired, &need.name, at, catalog)?;
    let tag = tag_for(need, &source, catalog)?;
    let asked = Asked { name: &need.name, version: &VersionRequest::Tag(tag), at };
    let pinned = pin(&asked, &source, catalog, terms.platforms)?;
    if pinned.artifact.kind == ArtifactType::Rulesfile {
        let needer = need.needed_by.links.last().map_or("what needs them", |link| link.needer.as_str());
        let message =
            format!("`{}` are rules, and only the desired state says in which order Falco loads them", need.name);
        let hint = format!(
            "add `{0}: \"{1}\"` to `artifacts`, and `- artifact: {0}` before {needer} to `rules_files`",
            need.name, need.at_least
        );
        return Err(Pending::impossible(at, message, hint));
    }
    Ok(pinned)
}

fn tag_for(need: &Need, source: &Source, catalog: &Catalog) -> Result<Tag, Pending> {
    // A tag has no build metadata, which says nothing of what will do either.
    let exact = Version { build: semver::BuildMetadata::EMPTY, ..need.at_least.clone() };
    let exact = Tag::parse(&exact.to_string());
    let exact = exact.map_err(|wrong| Pending::impossible(&need.needed_by.at, wrong.to_string(), wrong.hint))?;
    match catalog.manifests.get(&(source.clone(), At::Tag(exact.clone()))) {
        Some(ManifestAnswer::Missing) => {}
        Some(_) => return Ok(exact),
        None => return Err(Pending::lookup(Lookup::Manifest { source: source.clone(), at: At::Tag(exact) })),
    }
    let tags = catalog.tags.get(source).ok_or_else(|| Pending::lookup(Lookup::Tags { source: source.clone() }))?;
    version::lowest(tags, &need.at_least).ok_or_else(|| {
        let message = format!("{source} has no version {}.x that is {exact} or later", need.at_least.major);
        let hint = format!(
            "add `{}` to `artifacts` with a `ref` that has one, or ask for other versions of what needs it",
            need.name
        );
        Pending::impossible(&need.needed_by.at, message, hint)
    })
}

/// Notes with each artifact that came who needs it.
fn with_needers(asked: &[LockedArtifact], all: Vec<LockedArtifact>) -> Vec<LockedArtifact> {
    let needers: Vec<Vec<ArtifactName>> =
        all.iter().map(|artifact| needers(artifact, asked.iter().chain(&all))).collect();
    all.into_iter().zip(needers).map(|(artifact, needed_by)| LockedArtifact { needed_by, ..artifact }).collect()
}

/// Those of `others` that name the artifact among their dependencies, sorted.
pub(super) fn needers<'a>(
    artifact: &LockedArtifact,
    others: impl Iterator<Item = &'a LockedArtifact>,
) -> Vec<ArtifactName> {
    let needs = |other: &&LockedArtifact| {
        other.dependencies.iter().flat_map(Dependency::names).any(|(name, _)| name == artifact.name.as_str())
    };
    let names: BTreeSet<ArtifactName> = others.filter(needs).map(|other| other.name.clone()).collect();
    names.into_iter().collect()
}
