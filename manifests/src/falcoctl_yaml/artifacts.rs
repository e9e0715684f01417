//! The artifacts that falcoctl installs and follows.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Keys, texts};
use crate::artifact::ArtifactType;
use crate::fleet::VersionRequest;
use crate::name::ArtifactName;
use crate::reference::{Reference, Source, Tag, Written};
use crate::tags::LATEST;
use crate::yaml::{Mark, Problems, shown};

/// One artifact of the fleet.yaml to be.
#[derive(Debug)]
pub(super) struct Artifact {
    /// Its name in fleet.yaml.
    pub(super) name: ArtifactName,
    /// What stands behind the name: a version, or a full reference.
    pub(super) request: String,
    /// Whether it holds rules, as far as its name tells.
    pub(super) rules: bool,
    source: Option<Source>,
    at: Mark,
}

/// The union of what `install` and `follow` name. Where they disagree `follow` counts: it would have the last word.
pub(super) fn read(keys: &Keys<'_>, notes: &mut Problems<'_>) -> Vec<Artifact> {
    let only_rules = only_rules(keys, notes);
    let mut artifacts: Vec<Artifact> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for path in ["artifact.install.refs", "artifact.follow.refs"] {
        let Some((at, node)) = keys.get(path) else { continue };
        for (at, text) in texts(notes, at, path, node) {
            let Some(new) = artifact(notes, at, &text, only_rules) else { continue };
            let place = new.source.as_ref().map_or_else(|| new.name.to_string(), ToString::to_string);
            match places.get(&place).and_then(|place| artifacts.get_mut(*place)) {
                Some(known) => known.give_way_to(new, notes),
                None => {
                    places.insert(place, artifacts.len());
                    artifacts.push(new);
                }
            }
        }
    }
    name_apart(&mut artifacts, notes);
    for artifact in artifacts.iter().filter(|artifact| !artifact.rules) {
        let name = &artifact.name;
        let message = format!("`{name}` is taken for a plugin or an asset, since its name does not speak of rules");
        notes.report(artifact.at, message, format!("if it holds rules, add `- artifact: {name}` under `rules_files`"));
    }
    artifacts
}

impl Artifact {
    fn give_way_to(&mut self, new: Self, notes: &mut Problems<'_>) {
        if self.request == new.request {
            return;
        }
        let message = format!("`{}` is also asked for as `{}` in line {}", new.name, self.request, self.at.line);
        notes.report(
            new.at,
            message,
            format!("fleet.yaml asks for `{}`; change it there if the other is meant", new.request),
        );
        *self = Self { name: self.name.clone(), ..new };
    }
}

/// Whether falcoctl was allowed nothing but rules files.
fn only_rules(keys: &Keys<'_>, notes: &mut Problems<'_>) -> bool {
    let Some((at, node)) = keys.get("artifact.allowedtypes") else { return false };
    let allowed = texts(notes, at, "artifact.allowedtypes", node);
    let allowed: Vec<_> = allowed.iter().flat_map(|(_, text)| text.split(',')).map(str::trim).collect();
    if allowed.is_empty() {
        return false;
    }
    let hint = "fleet.yaml names each artifact; take out those that hosts are not to have";
    notes.report(at, "`artifact.allowedtypes` is not carried over", hint);
    allowed.iter().all(|word| ArtifactType::from_word(word) == Some(ArtifactType::Rulesfile))
}

fn artifact(notes: &mut Problems<'_>, at: Mark, text: &str, only_rules: bool) -> Option<Artifact> {
    let written = Written::parse(text).map_err(|wrong| {
        notes.report(at, format!("`{}` is not carried over: {wrong}", shown(text)), wrong.hint);
    });
    let (name, request, source) = match written.ok()? {
        Written::Name { name, tag, digest } => {
            let request = digest.map(|digest| digest.to_string());
            let request = request.or_else(|| tag.map(|tag| tag.to_string())).unwrap_or_else(|| LATEST.to_string());
            if !matches!(
                VersionRequest::parse(&request),
                Ok(VersionRequest::Tag(_) | VersionRequest::Digest(_) | VersionRequest::Pinned { .. })
            ) {
                let hint = "write the full reference with this tag into fleet.yaml";
                notes.report(
                    at,
                    format!("`{}` is not carried over: its tag reads like a requirement", shown(text)),
                    hint,
                );
                return None;
            }
            (name, request, None)
        }
        Written::Full(reference) => {
            let name = name_of(&reference.source).or_else(|| {
                let hint = "write it into fleet.yaml under a name of your choice";
                notes.report(at, format!("`{}` is not carried over: it gives no name", shown(text)), hint);
                None
            })?;
            let tag = match &reference.digest {
                Some(_) => None,
                None => reference.tag.or_else(|| Tag::parse(LATEST).ok()),
            };
            let reference = Reference { tag, ..reference };
            let request = reference.to_string();
            (name, request, Some(reference.source))
        }
    };
    let rules = only_rules || name.as_str().contains("rule");
    Some(Artifact { name, request, rules, source, at })
}

/// The last part of the repository or of the directory.
fn name_of(source: &Source) -> Option<ArtifactName> {
    let place = match source {
        Source::Registry { repository, .. } => repository,
        Source::Layout { directory } => directory,
    };
    ArtifactName::parse(place.trim_end_matches('/').rsplit('/').next().unwrap_or_default()).ok()
}

/// Gives each artifact a name of its own: two repositories may end in the same word. Names that are looked up in an index
/// have to stay.
fn name_apart(artifacts: &mut [Artifact], notes: &mut Problems<'_>) {
    let mut taken: BTreeSet<ArtifactName> =
        artifacts.iter().filter(|one| one.source.is_none()).map(|one| one.name.clone()).collect();
    let mut next: BTreeMap<ArtifactName, u32> = BTreeMap::new();
    for artifact in artifacts.iter_mut().filter(|artifact| artifact.source.is_some()) {
        if taken.insert(artifact.name.clone()) {
            continue;
        }
        let count = next.entry(artifact.name.clone()).or_insert(2);
        let free = (*count..).find_map(|number| {
            *count = number.saturating_add(1);
            let stem: String = artifact.name.as_str().chars().take(100).collect();
            ArtifactName::parse(&format!("{stem}-{number}")).ok().filter(|name| taken.insert(name.clone()))
        });
        let Some(free) = free else { continue };
        let message = format!(
            "`{}` is called `{free}` in fleet.yaml, since another artifact is called `{}`",
            shown(&artifact.request),
            artifact.name
        );
        notes.report(artifact.at, message, "give it a better name there");
        artifact.name = free;
    }
}
