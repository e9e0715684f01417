//! From one artifact that is asked for to what exactly that is.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Platforms;
use crate::catalog::{At, Catalog, Lookup, ManifestAnswer, Published};
use crate::digest::Digest;
use crate::finding::{Finding, Location};
use crate::fleet::{DesiredState, IndexEntry, VersionRequest};
use crate::index;
use crate::lockfile::{LockedArtifact, LockedContent};
use crate::name::ArtifactName;
use crate::reference::{Source, Tag};
use crate::version::{self, Range};

/// An artifact that is asked for, by the desired state or by another artifact.
pub(super) struct Asked<'a> {
    pub(super) name: &'a ArtifactName,
    pub(super) version: &'a VersionRequest,
    pub(super) at: &'a Location,
}

/// Why an artifact is not pinned yet.
pub(super) enum Pending {
    Lookups(Vec<Lookup>),
    Impossible(Finding),
}

impl Pending {
    pub(super) fn lookup(lookup: Lookup) -> Self {
        Self::Lookups(alloc::vec![lookup])
    }

    pub(super) fn impossible(at: &Location, message: String, hint: impl Into<String>) -> Self {
        Self::Impossible(Finding { location: at.clone(), message, hint: hint.into() })
    }
}

/// An artifact that is pinned, but for the files of those of its archives that nobody has looked into yet.
#[derive(Clone)]
pub(super) struct Pinned {
    pub(super) artifact: LockedArtifact,
    /// The questions for these files.
    pub(super) archives: Vec<Lookup>,
}

/// Pins what is asked for at `source`.
pub(super) fn pin(
    asked: &Asked<'_>,
    source: &Source,
    catalog: &Catalog,
    platforms: Platforms<'_>,
) -> Result<Pinned, Pending> {
    let (tag, at) = match asked.version {
        VersionRequest::Tag(tag) => (Some(tag.clone()), At::Tag(tag.clone())),
        VersionRequest::Digest(digest) | VersionRequest::Pinned { digest, .. } => (None, At::Digest(digest.clone())),
        VersionRequest::Range(range) => {
            let tag = newest_tag(asked, range, source, catalog)?;
            (Some(tag.clone()), At::Tag(tag))
        }
    };
    let (digest, published) = published(asked, source, at, catalog, platforms)?;
    let kinds: BTreeSet<_> = published.iter().map(|(_, published)| published.kind).collect();
    let (Some(kind), Some((_, first)), 1) = (kinds.first(), published.first(), kinds.len()) else {
        let message = format!("{source} holds artifacts of several types under one name");
        return Err(Pending::impossible(asked.at, message, "publish one artifact under one name"));
    };
    let Some(config) = catalog.configs.get(&first.config.digest) else {
        return Err(Pending::lookup(Lookup::Config { source: source.clone(), published: first.clone() }));
    };
    let (contents, archives) = contents(source, &published, catalog);
    let artifact = LockedArtifact {
        name: asked.name.clone(),
        kind: *kind,
        source: source.clone(),
        requested: asked.version.to_string(),
        tag,
        version: config.version.clone(),
        digest,
        needed_by: Vec::new(),
        requirements: config.requirements.clone(),
        dependencies: config.dependencies.clone(),
        contents,
    };
    Ok(Pinned { artifact, archives })
}

/// Looks the name up in all indexes; a later index overrides an earlier one, as in falcoctl (`pkg/index/cache`).
pub(super) fn source_by_name(
    desired: &DesiredState,
    name: &ArtifactName,
    at: &Location,
    catalog: &Catalog,
) -> Result<Source, Pending> {
    let open: Vec<_> = (desired.indexes.iter())
        .filter(|index| !catalog.indexes.contains_key(&index.url))
        .map(|index| Lookup::Index { name: index.name.clone(), url: index.url.clone() })
        .collect();
    if !open.is_empty() {
        return Err(Pending::Lookups(open));
    }
    if let Some((_, source)) = known_as(desired, name, catalog).last() {
        return Ok(source.clone());
    }
    let names: Vec<_> = desired.indexes.iter().map(|index| index.name.as_str()).collect();
    let message = match names.is_empty() {
        true => format!("artifact `{name}` has no `ref`, and there are no indexes to look it up in"),
        false => format!("artifact `{name}` is in none of the indexes ({})", names.join(", ")),
    };
    let entries = desired.indexes.iter().filter_map(|index| catalog.indexes.get(&index.url));
    let entries = entries.flat_map(|answer| answer.index.entries());
    let meant = nearest(name.as_str(), entries.map(|entry| entry.name.as_str()));
    let meant = meant.map(|meant| format!("`{meant}` is; ")).unwrap_or_default();
    Err(Pending::impossible(
        at,
        message,
        format!("{meant}correct the name, or say where it is with `ref: host/repository`"),
    ))
}

/// What the indexes know under a name, in the order of the indexes: the last one counts.
pub(super) fn known_as<'a>(
    desired: &'a DesiredState,
    name: &ArtifactName,
    catalog: &'a Catalog,
) -> impl Iterator<Item = (&'a IndexEntry, &'a Source)> {
    let found = |index: &'a IndexEntry| Some((index, &catalog.indexes.get(&index.url)?.index.find(name)?.source));
    desired.indexes.iter().filter_map(found)
}

/// The name that is most like the one that was written.
fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.map(|name| (index::likeness(name, written), name));
    let best = scored.filter(|(score, _)| *score >= index::MIN_SCORE).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, name)| name)
}

/// The tag of the highest version in the range.
fn newest_tag(asked: &Asked<'_>, range: &Range, source: &Source, catalog: &Catalog) -> Result<Tag, Pending> {
    let Some(tags) = catalog.tags.get(source) else {
        return Err(Pending::lookup(Lookup::Tags { source: source.clone() }));
    };
    version::newest(tags, range).ok_or_else(|| {
        let message = format!("no tag of {source} meets `{range}`");
        let hint = match version::highest(tags) {
            Some(newest) => {
                format!("the newest version there is {newest}; pre-releases are taken only when they are named")
            }
            None => format!("no tag there is a version; `falconer artifact info {source}` lists them"),
        };
        Pending::impossible(asked.at, message, hint)
    })
}

/// What is published under a tag or digest: its digest, and the artifact for each platform that is asked for.
type PublishedFor = (Digest, Vec<(Option<String>, Published)>);

fn published(
    asked: &Asked<'_>,
    source: &Source,
    at: At,
    catalog: &Catalog,
    platforms: Platforms<'_>,
) -> Result<PublishedFor, Pending> {
    let manifests = match manifest(asked, source, at, catalog)? {
        ManifestAnswer::Artifact(artifact) => {
            return Ok((artifact.manifest.clone(), alloc::vec![(None, artifact.clone())]));
        }
        ManifestAnswer::Platforms { digest, manifests } => (digest, manifests),
        ManifestAnswer::Missing | ManifestAnswer::Unsupported { .. } => {
            return Err(Pending::impossible(
                asked.at,
                format!("{source} holds no artifact"),
                "name the tag or digest of one",
            ));
        }
    };
    let (digest, all) = manifests;
    let is_asked = |platform: &str| platforms == Platforms::All || platforms == Platforms::Only(platform);
    let chosen: Vec<_> = all.iter().filter(|(platform, _)| is_asked(platform)).collect();
    if chosen.is_empty() {
        let there: Vec<_> = all.iter().map(|(platform, _)| platform.as_str()).collect();
        let message =
            format!("{source} `{}` is not published for this host; it is for {}", asked.version, there.join(", "));
        return Err(Pending::impossible(asked.at, message, "ask for a version that is published for it"));
    }
    let mut lookups = Vec::new();
    let mut found = Vec::new();
    for (platform, manifest_digest) in chosen {
        match manifest(asked, source, At::Digest(manifest_digest.clone()), catalog) {
            Ok(ManifestAnswer::Artifact(artifact)) => found.push((Some(platform.clone()), artifact.clone())),
            Ok(_) => {
                let message = format!("{source}@{manifest_digest}, for {platform}, is no artifact");
                return Err(Pending::impossible(asked.at, message, "publish the artifact again"));
            }
            Err(Pending::Lookups(open)) => lookups.extend(open),
            Err(impossible) => return Err(impossible),
        }
    }
    // The first one speaks for all, so it must not hang on the order in which they are published.
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    if lookups.is_empty() { Ok((digest.clone(), found)) } else { Err(Pending::Lookups(lookups)) }
}

fn manifest<'c>(
    asked: &Asked<'_>,
    source: &Source,
    at: At,
    catalog: &'c Catalog,
) -> Result<&'c ManifestAnswer, Pending> {
    match catalog.manifests.get(&(source.clone(), at.clone())) {
        None => Err(Pending::lookup(Lookup::Manifest { source: source.clone(), at })),
        Some(ManifestAnswer::Missing) => {
            let message = format!("{source} has no `{}`", asked.version);
            let hint = format!(
                "`falconer artifact info {source}` lists what is published there; ask for that, or publish this one with `falconer artifact push`"
            );
            Err(Pending::impossible(asked.at, message, hint))
        }
        Some(ManifestAnswer::Unsupported { what }) => {
            let message = format!("{source}{at} is {what}");
            Err(Pending::impossible(asked.at, message, "name an artifact in falcoctl's format"))
        }
        Some(answer) => Ok(answer),
    }
}

/// What there is for each platform, with the questions for the archives that nobody has looked into yet.
fn contents(
    source: &Source,
    published: &[(Option<String>, Published)],
    catalog: &Catalog,
) -> (Vec<LockedContent>, Vec<Lookup>) {
    let mut lookups = Vec::new();
    let mut contents = Vec::new();
    for (platform, published) in published {
        let files = catalog.files.get(&published.layer.digest);
        if files.is_none() {
            lookups.push(Lookup::Files { source: source.clone(), published: published.clone() });
        }
        contents.push(LockedContent {
            platform: platform.clone(),
            manifest: published.manifest.clone(),
            layer: published.layer.digest.clone(),
            layer_size: published.layer.size,
            files: files.cloned().unwrap_or_default(),
        });
    }
    (contents, lookups)
}
