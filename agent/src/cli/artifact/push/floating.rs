//! Which floating tags a version may move.

use std::collections::BTreeMap;

use falconer_manifests::reference::{Reference, Tag};
use falconer_manifests::tags::{self, FloatingTag, LATEST, PublishedVersion};
use semver::Version;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::artifact::arguments::Push;
use crate::cli::artifact::{info, platform};
use crate::pass::Sources;

/// What becomes of each floating tag that was asked for.
#[derive(Debug, Default)]
pub(super) struct Floating(Vec<FloatingTag>);

/// Looks at the tags that there are, and decides. A floating tag that exists counts as the version that it names, also
/// where that version has no tag of its own: no tag moves back.
pub(super) async fn decide(
    sources: &Sources,
    reference: &Reference,
    push: &Push,
    version: &PublishedVersion,
    notes: &mut Vec<String>,
) -> Result<Floating, Failure> {
    if !(push.add_floating_tags || push.latest) {
        return Ok(Floating::default());
    }
    let version = match version {
        PublishedVersion::Semantic(version) if version.pre.is_empty() => version,
        _ => {
            notes.push(format!("floating tags stay where they are: `{}` is no final version", push.version));
            return Ok(Floating::default());
        }
    };
    let existing = sources.tags(&reference.source).await?.unwrap_or_default();
    let mut known: BTreeMap<Tag, Version> = tags::versions(&existing).into_iter().collect();
    for FloatingTag { tag, .. } in chosen(version, &known, push) {
        if existing.contains(&tag)
            && let Some(named) = named(sources, reference, &tag).await?
        {
            known.insert(tag, named);
        }
    }
    Ok(Floating(chosen(version, &known, push)))
}

fn chosen(version: &Version, known: &BTreeMap<Tag, Version>, push: &Push) -> Vec<FloatingTag> {
    let mut tags = tags::floating(version, known, push.latest);
    tags.retain(|tag| push.add_floating_tags || tag.tag.as_str() == LATEST);
    tags
}

/// The version that a floating tag names now.
async fn named(sources: &Sources, reference: &Reference, tag: &Tag) -> Result<Option<Version>, Failure> {
    let tagged = Reference { source: reference.source.clone(), tag: Some(tag.clone()), digest: None };
    let document = sources.document(&tagged).await?;
    let version = info::version(sources, &tagged, document, &platform(None)?).await?;
    Ok(version.and_then(|version| Version::parse(&version).ok()))
}

impl Floating {
    /// The tags that are to name the new version.
    pub(super) fn moved(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter().filter(|tag| tag.kept_by.is_none()).map(|tag| &tag.tag)
    }

    pub(super) fn text(&self) -> String {
        let line = |tag: &FloatingTag| match &tag.kept_by {
            None => format!("tag {} names it now\n", tag.tag),
            Some(newer) => format!("tag {} stays where it is: {newer} is newer\n", tag.tag),
        };
        self.0.iter().map(line).collect()
    }

    pub(super) fn value(&self) -> Value {
        let value = |tag: &FloatingTag| json!({"tag": tag.tag, "moved": tag.kept_by.is_none(), "newer": tag.kept_by.as_ref().map(ToString::to_string)});
        self.0.iter().map(value).collect()
    }
}
