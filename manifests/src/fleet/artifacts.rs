//! The key `artifacts`.

use alloc::format;
use alloc::vec::Vec;

use super::{ArtifactRequest, PluginSettings, VersionRequest};
use crate::name::ArtifactName;
use crate::reference::{Reference, Source, Tag};
use crate::yaml::{Mark, Node, Problems, Value, shown};

const FORMS: &str = "write a version (\"5\", ^5.1), a reference (ghcr.io/acme/rules:1) or {ref: …, version: …}";

pub(super) fn decode(problems: &mut Problems<'_>, node: &Node) -> Vec<ArtifactRequest> {
    let hint = "write `NAME: VERSION` for each artifact; leave the key out when there is none";
    let mut artifacts: Vec<ArtifactRequest> = Vec::new();
    for entry in problems.mapping(node, "a map of artifacts", hint).unwrap_or_default() {
        let name = problems.accepted(entry.key_at, ArtifactName::parse(&entry.key));
        let (wanted, plugin) = match &entry.value.value {
            Value::Mapping(_) => (from_map(problems, &entry.value), plugin_settings(problems, &entry.value)),
            _ => (from_text(problems, &entry.value), PluginSettings::default()),
        };
        if let (Some(name), Some((source, version))) = (name, wanted) {
            artifacts.push(ArtifactRequest { name, source, version, plugin, at: problems.location(entry.key_at) });
        }
    }
    artifacts
}

type Wanted = (Option<Source>, VersionRequest);

/// How Falco is to start the artifact, should it be a plugin.
fn plugin_settings(problems: &mut Problems<'_>, node: &Node) -> PluginSettings {
    let open_params = node.get("open_params").and_then(|node| {
        problems.text(node, "the open_params of a plugin", "write them as one text, as in falco.yaml").map(Into::into)
    });
    PluginSettings { init_config: node.get("init_config").map(|node| problems.json(node)), open_params }
}

fn from_text(problems: &mut Problems<'_>, node: &Node) -> Option<Wanted> {
    let text = problems.text(node, "the version of an artifact", FORMS)?;
    if text.contains('/') || text.starts_with("oci:") {
        let (source, version) = reference(problems, node.at, text)?;
        return Some((Some(source), version.or_else(latest)?));
    }
    let version = problems.accepted(node.at, VersionRequest::parse(text))?;
    Some((None, version))
}

fn from_map(problems: &mut Problems<'_>, node: &Node) -> Option<Wanted> {
    let fields =
        problems.fields(node, "an artifact as a map", &["ref", "version", "init_config", "open_params"], &[])?;
    let version = fields.get("version").map(|node| {
        let text = problems.text(node, "a version", FORMS)?;
        problems.accepted(node.at, VersionRequest::parse(text))
    });
    let Some(ref_node) = fields.get("ref") else {
        if version.is_none() {
            problems.report(node.at, "the artifact has neither `ref` nor `version`", FORMS);
        }
        return version.flatten().map(|version| (None, version));
    };
    let text = problems.text(ref_node, "a reference", FORMS)?;
    if !text.contains('/') && !text.starts_with("oci:") {
        let message = format!("reference `{}` names no registry", shown(text));
        let hint = "write host/repository; for a name of an index leave `ref` out and give `version` alone";
        problems.report(ref_node.at, message, hint);
        return None;
    }
    let (source, own) = reference(problems, ref_node.at, text)?;
    match (own, version) {
        (Some(_), Some(_)) => {
            let hint = "take one out: either the tag or digest in `ref`, or `version`";
            problems.report(ref_node.at, "the artifact has a version both in `ref` and in `version`", hint);
            None
        }
        (Some(own), None) => Some((Some(source), own)),
        (None, Some(version)) => Some((Some(source), version?)),
        (None, None) => Some((Some(source), latest()?)),
    }
}

/// A source and the version that stands in the reference itself.
fn reference(problems: &mut Problems<'_>, at: Mark, text: &str) -> Option<(Source, Option<VersionRequest>)> {
    let reference = problems.accepted(at, Reference::parse(text))?;
    let version = match (reference.digest, reference.tag) {
        (Some(digest), Some(tag)) => Some(VersionRequest::Pinned { tag, digest }),
        (Some(digest), None) => Some(VersionRequest::Digest(digest)),
        (None, Some(tag)) => Some(VersionRequest::Tag(tag)),
        (None, None) => None,
    };
    Some((reference.source, version))
}

/// What a reference without a version means to falcoctl (`pkg/oci/constants.go`).
fn latest() -> Option<VersionRequest> {
    Tag::parse("latest").ok().map(VersionRequest::Tag)
}
