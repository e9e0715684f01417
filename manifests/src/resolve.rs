//! From what is asked for to what exactly that is: a lockfile.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use semver::Version;

use crate::catalog::{At, Catalog, Content, Lookup, ManifestAnswer, Published};
use crate::digest::Digest;
use crate::finding::{Finding, Findings};
use crate::fleet::{self, ArtifactRequest, DesiredState, VersionRequest};
use crate::lockfile::{LockedArtifact, LockedContent, LockedIndex, Lockfile};
use crate::name::ArtifactName;
use crate::reference::{Source, Tag};

/// What [`resolve`] can say with the answers that it has.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution {
    /// All is known.
    Locked(Lockfile),
    /// These questions are open; add their answers to the catalog and resolve again.
    Unknown(Vec<Lookup>),
}

/// The platforms for which contents are pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platforms<'a> {
    /// All that are published: for a lockfile that every host obeys.
    All,
    /// This one, e.g. `linux/amd64`: for a host that resolves for itself.
    Only(&'a str),
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

/// Pins every artifact of `desired`. Asks nobody: what `catalog` does not say yet comes back as [`Resolution::Unknown`].
///
/// # Errors
/// One finding for every artifact that cannot be what the desired state asks for, at its place in the desired state.
pub fn resolve(
    desired: &DesiredState,
    catalog: &Catalog,
    platforms: Platforms<'_>,
    previous: Option<Previous<'_>>,
) -> Result<Resolution, Findings> {
    let mut open = BTreeSet::new();
    let mut findings = Vec::new();
    let mut artifacts = Vec::new();
    for request in &desired.artifacts {
        let before = previous.as_ref().and_then(|previous| previous.answer(request));
        if let (Some(before), Some(previous)) = (before, &previous)
            && previous.keeps(&request.name)
        {
            artifacts.push(before.clone());
            continue;
        }
        let lowest = before.filter(|_| previous.as_ref().is_some_and(|previous| !previous.may_lower));
        let resolved = resolve_one(desired, request, catalog, platforms);
        match resolved.and_then(|artifact| not_lower(request, artifact, lowest)) {
            Ok(artifact) => artifacts.push(artifact),
            Err(Pending::Lookups(lookups)) => open.extend(lookups),
            Err(Pending::Impossible(finding)) => findings.push(finding),
        }
    }
    let open = Findings::none_or(findings, open)?;
    if !open.is_empty() {
        return Ok(Resolution::Unknown(open.into_iter().collect()));
    }
    let asked = desired.artifacts.iter().any(|request| request.source.is_none());
    let indexes = desired.indexes.iter().filter(|_| asked).filter_map(|index| {
        let answer = catalog.indexes.get(&index.url).map(|answer| &answer.digest);
        let before = previous.iter().flat_map(|previous| &previous.lockfile.indexes);
        let before = before.filter(|before| before.name == index.name && before.url == index.url);
        let digest = answer.or(before.map(|before| &before.digest).next())?.clone();
        Some(LockedIndex { name: index.name.clone(), url: index.url.clone(), digest })
    });
    Ok(Resolution::Locked(Lockfile::new(fleet::inputs_digest(desired), indexes.collect(), artifacts)))
}

/// The same request never leads to a lower version than before: a registry that is rolled back, or that shows an old
/// artifact under a tag, does not take hosts with it.
fn not_lower(
    request: &ArtifactRequest,
    artifact: LockedArtifact,
    before: Option<&LockedArtifact>,
) -> Result<LockedArtifact, Pending> {
    let version = |artifact: &LockedArtifact| Version::parse(artifact.version.trim_start_matches('v')).ok();
    match before.map(|before| (before, version(before), version(&artifact))) {
        Some((before, Some(old), Some(new))) if new < old => {
            let message = format!(
                "{} `{}` is version {} now, lower than {}, which is locked",
                artifact.source, request.version, artifact.version, before.version
            );
            let hint =
                format!("ask for {} itself, or run `falconer lock --update --allow-downgrade`", artifact.version);
            Err(Pending::impossible(request, message, hint))
        }
        _ => Ok(artifact),
    }
}

/// Why an artifact is not pinned yet.
enum Pending {
    Lookups(Vec<Lookup>),
    Impossible(Finding),
}

impl Pending {
    fn lookup(lookup: Lookup) -> Self {
        Self::Lookups(alloc::vec![lookup])
    }

    fn impossible(request: &ArtifactRequest, message: String, hint: String) -> Self {
        Self::Impossible(Finding { location: request.at.clone(), message, hint })
    }
}

fn resolve_one(
    desired: &DesiredState,
    request: &ArtifactRequest,
    catalog: &Catalog,
    platforms: Platforms<'_>,
) -> Result<LockedArtifact, Pending> {
    let source = match &request.source {
        Some(source) => source.clone(),
        None => source_by_name(desired, request, catalog)?,
    };
    let (tag, at) = match &request.version {
        VersionRequest::Tag(tag) => (Some(tag.clone()), At::Tag(tag.clone())),
        VersionRequest::Digest(digest) => (None, At::Digest(digest.clone())),
        VersionRequest::Requirement { .. } => {
            let tag = newest_tag(&source, request, catalog)?;
            (Some(tag.clone()), At::Tag(tag))
        }
    };
    let (digest, published) = published(request, &source, at, catalog, platforms)?;
    let contents = contents(&source, &published, catalog)?;
    let kinds: BTreeSet<_> = published.iter().map(|(_, published)| published.kind).collect();
    let (Some(kind), Some((_, first)), 1) = (kinds.first(), contents.first(), kinds.len()) else {
        let message = format!("{source} holds artifacts of several types under one name");
        return Err(Pending::impossible(request, message, "publish one artifact under one name".to_string()));
    };
    Ok(LockedArtifact {
        name: request.name.clone(),
        kind: *kind,
        source,
        requested: request.version.to_string(),
        tag,
        version: first.config.version.clone(),
        digest,
        requirements: first.config.requirements.clone(),
        dependencies: first.config.dependencies.clone(),
        contents: contents.iter().map(|(locked, _)| locked.clone()).collect(),
    })
}

/// What is published under a tag or digest: its digest, and the artifact for each platform that is asked for.
type PublishedFor = (Digest, Vec<(Option<String>, Published)>);

fn published(
    request: &ArtifactRequest,
    source: &Source,
    at: At,
    catalog: &Catalog,
    platforms: Platforms<'_>,
) -> Result<PublishedFor, Pending> {
    let manifests = match manifest(request, source, at, catalog)? {
        ManifestAnswer::Artifact(artifact) => {
            return Ok((artifact.manifest.clone(), alloc::vec![(None, artifact.clone())]));
        }
        ManifestAnswer::Platforms { digest, manifests } => (digest, manifests),
        ManifestAnswer::Missing | ManifestAnswer::Unsupported { .. } => {
            return Err(Pending::impossible(request, format!("{source} holds no artifact"), String::new()));
        }
    };
    let (digest, all) = manifests;
    let asked = |platform: &str| platforms == Platforms::All || platforms == Platforms::Only(platform);
    let chosen: Vec<_> = all.iter().filter(|(platform, _)| asked(platform)).collect();
    if chosen.is_empty() {
        let there: Vec<_> = all.iter().map(|(platform, _)| platform.as_str()).collect();
        let message =
            format!("{source} `{}` is not published for this host; it is for {}", request.version, there.join(", "));
        return Err(Pending::impossible(request, message, "ask for a version that is published for it".to_string()));
    }
    let mut lookups = Vec::new();
    let mut found = Vec::new();
    for (platform, manifest_digest) in chosen {
        match manifest(request, source, At::Digest(manifest_digest.clone()), catalog) {
            Ok(ManifestAnswer::Artifact(artifact)) => found.push((Some(platform.clone()), artifact.clone())),
            Ok(_) => {
                let message = format!("{source}@{manifest_digest}, for {platform}, is no artifact");
                return Err(Pending::impossible(request, message, "publish the artifact again".to_string()));
            }
            Err(Pending::Lookups(open)) => lookups.extend(open),
            Err(impossible) => return Err(impossible),
        }
    }
    if lookups.is_empty() { Ok((digest.clone(), found)) } else { Err(Pending::Lookups(lookups)) }
}

fn manifest<'c>(
    request: &ArtifactRequest,
    source: &Source,
    at: At,
    catalog: &'c Catalog,
) -> Result<&'c ManifestAnswer, Pending> {
    match catalog.manifests.get(&(source.clone(), at.clone())) {
        None => Err(Pending::lookup(Lookup::Manifest { source: source.clone(), at })),
        Some(ManifestAnswer::Missing) => {
            let message = format!("{source} has no `{}`", request.version);
            let hint = format!(
                "ask for a version that is published there, or publish this one with `falconer artifact push {source}:… FILE`"
            );
            Err(Pending::impossible(request, message, hint))
        }
        Some(ManifestAnswer::Unsupported { what }) => {
            let message = format!("{source}{at} is {what}");
            Err(Pending::impossible(request, message, "name an artifact in falcoctl's format".to_string()))
        }
        Some(answer) => Ok(answer),
    }
}

fn contents<'c>(
    source: &Source,
    published: &[(Option<String>, Published)],
    catalog: &'c Catalog,
) -> Result<Vec<(LockedContent, &'c Content)>, Pending> {
    let mut lookups = Vec::new();
    let mut contents = Vec::new();
    for (platform, published) in published {
        match catalog.contents.get(&published.manifest) {
            None => lookups.push(Lookup::Content { source: source.clone(), published: published.clone() }),
            Some(content) => {
                let locked = LockedContent {
                    platform: platform.clone(),
                    manifest: published.manifest.clone(),
                    layer: published.layer.digest.clone(),
                    layer_size: published.layer.size,
                    files: content.files.clone(),
                };
                contents.push((locked, content));
            }
        }
    }
    contents.sort_by(|(a, _), (b, _)| a.platform.cmp(&b.platform));
    if lookups.is_empty() { Ok(contents) } else { Err(Pending::Lookups(lookups)) }
}

/// Looks the name up in all indexes; a later index overrides an earlier one, as in falcoctl (`pkg/index/cache`).
fn source_by_name(desired: &DesiredState, request: &ArtifactRequest, catalog: &Catalog) -> Result<Source, Pending> {
    let open: Vec<_> = (desired.indexes.iter())
        .filter(|index| !catalog.indexes.contains_key(&index.url))
        .map(|index| Lookup::Index { name: index.name.clone(), url: index.url.clone() })
        .collect();
    if !open.is_empty() {
        return Err(Pending::Lookups(open));
    }
    let found = (desired.indexes.iter().rev())
        .filter_map(|index| catalog.indexes.get(&index.url))
        .find_map(|answer| answer.index.find(&request.name));
    let Some(entry) = found else {
        let names: Vec<_> = desired.indexes.iter().map(|index| index.name.as_str()).collect();
        let message = match names.is_empty() {
            true => format!("artifact `{}` has no `ref`, and there are no indexes to look it up in", request.name),
            false => format!("artifact `{}` is in none of the indexes ({})", request.name, names.join(", ")),
        };
        let hint = "correct the name, or say where it is with `ref: host/repository`".to_string();
        return Err(Pending::impossible(request, message, hint));
    };
    Ok(entry.source.clone())
}

/// The highest tag that meets the requirement; tags are read as leniently as falcoctl reads versions (`v1.0`, `1`), and
/// of tags for the same version the longest, which is the most exact, wins.
fn newest_tag(source: &Source, request: &ArtifactRequest, catalog: &Catalog) -> Result<Tag, Pending> {
    let VersionRequest::Requirement { requirement, .. } = &request.version else {
        return Err(Pending::impossible(request, "asks for no range".to_string(), String::new()));
    };
    let Some(tags) = catalog.tags.get(source) else {
        return Err(Pending::lookup(Lookup::Tags { source: source.clone() }));
    };
    let exact = |tag: &Tag| {
        let text = tag.as_str().strip_prefix('v').unwrap_or(tag.as_str());
        Version::parse(text).ok().map(|version| (version, tag.as_str().len(), tag.clone()))
    };
    let newest = tags.iter().filter_map(exact).filter(|(version, ..)| requirement.matches(version)).max();
    newest.map(|(.., tag)| tag).ok_or_else(|| {
        let message = format!("no tag of {source} meets `{}`", request.version);
        Pending::impossible(request, message, "ask for a version that is published there".to_string())
    })
}

#[cfg(test)]
mod tests;
