//! `artifact push`: publishes an artifact in the form of falcoctl.

mod created;
mod floating;
mod input;

use falconer_manifests::artifact::{self, ArtifactType, Dependency, Requirement};
use falconer_manifests::name::ArtifactName;
use falconer_manifests::oci::Platform;
use falconer_manifests::reference::{Reference, Source, Tag};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::tags::{self, PublishedVersion};
use serde_json::{Value, json};

use super::arguments::Push;
use super::{locate, malformed};
use crate::cli::Failure;
use crate::cli::arguments::Arguments;
use crate::cli::print::Printer;
use crate::pack::{Contents, PackError, PackInput, Packed, PackedIndex, PlatformInput, pack, pack_platforms};
use created::created;
use floating::Floating;
use input::Input;

pub(super) async fn push(arguments: &Arguments, printer: Printer, push: &Push) -> Result<u8, Failure> {
    let kind = ArtifactType::from(push.kind);
    let reference = Reference::parse(&push.reference).map_err(malformed)?;
    if reference.digest.is_some() {
        let error = format!("{} names a digest, and what is published has its own", push.reference);
        return Err(wrong(error, "name a tag instead"));
    }
    let version = PublishedVersion::parse(&push.version).map_err(malformed)?;
    let platforms = platforms(push, kind)?;
    let mut notes = Vec::new();
    if let PublishedVersion::Branch(branch) = &version {
        notes.push(format!("`{branch}` is no version: `falcoctl artifact install` refuses it"));
    }
    let inputs = input::read(&push.files, kind, &mut notes)?;
    let (dependencies, requirements) = needs(push, kind, &inputs, &mut notes)?;
    let created = created(&push.files)?;
    let described = PackInput {
        file_name: "",
        bytes: &[],
        mode: 0,
        kind,
        name: name(push, &reference)?,
        version: &push.version,
        dependencies,
        requirements,
        created: &created.time,
        source: push.annotation_source.as_deref(),
    };
    let published = Published::of(&described, &inputs, platforms)?;
    let sources = locate::sources(arguments, std::iter::once(&reference).filter(|_| push.plain_http))?;
    let floating = floating::decide(&sources, &reference, push, &version, &mut notes).await?;
    let tags = tags(&reference, push, &version, &floating)?;
    for note in &notes {
        tracing::warn!("{note}");
    }
    sources.push(&reference.source, published.contents(), &tags).await?;
    let text = text(&reference.source, &tags, &published, &floating);
    printer.answer(&text, &value(&reference.source, &tags, &published, &floating, &created, &notes));
    Ok(0)
}

/// What was made of the files.
enum Published {
    One(Packed),
    Platforms(PackedIndex),
}

impl Published {
    /// Packs each file with what is `described` of all of them.
    fn of(described: &PackInput<'_>, files: &[Input], platforms: Vec<Platform>) -> Result<Self, Failure> {
        let mut inputs = files.iter().map(|file| PackInput {
            file_name: &file.name,
            bytes: &file.bytes,
            mode: file.mode,
            ..described.clone()
        });
        if described.kind != ArtifactType::Plugin {
            let input = inputs.next().ok_or_else(|| wrong("there is no file".to_string(), "name one"))?;
            return Ok(Self::One(pack(&input).map_err(unpackable)?));
        }
        let inputs = platforms.into_iter().zip(inputs).map(|(platform, input)| PlatformInput { platform, input });
        Ok(Self::Platforms(pack_platforms(&inputs.collect::<Vec<_>>()).map_err(unpackable)?))
    }

    fn contents(&self) -> Contents<'_> {
        match self {
            Self::One(packed) => packed.into(),
            Self::Platforms(packed) => packed.into(),
        }
    }
}

/// One platform for each file of a plugin, and none for anything else.
fn platforms(push: &Push, kind: ArtifactType) -> Result<Vec<Platform>, Failure> {
    let (files, platforms) = (push.files.len(), push.platform.len());
    match kind {
        ArtifactType::Plugin if files != platforms => {
            let error = format!("{files} files and {platforms} platforms: a plugin has one file for each platform");
            Err(wrong(error, "give --platform once for each file, in the order of the files"))
        }
        ArtifactType::Rulesfile | ArtifactType::Asset if platforms > 0 => {
            Err(wrong(format!("a {kind} has no platforms"), "leave --platform out"))
        }
        ArtifactType::Rulesfile | ArtifactType::Asset if files != 1 => {
            Err(wrong(format!("a {kind} is one file, and {files} are given"), "put them into one .tar.gz"))
        }
        _ => push.platform.iter().map(|text| Platform::parse(text).map_err(malformed)).collect(),
    }
}

/// What the artifact needs: what the flags say, else what the rules file says of itself.
fn needs(
    push: &Push,
    kind: ArtifactType,
    inputs: &[Input],
    notes: &mut Vec<String>,
) -> Result<(Vec<Dependency>, Vec<Requirement>), Failure> {
    let summary = inputs.first().and_then(|input| input.summary.as_ref());
    let mut dependencies = artifact::dependencies(push.depends_on.iter().map(String::as_str)).map_err(malformed)?;
    let mut requirements = artifact::requirements(push.requires.iter().map(String::as_str)).map_err(malformed)?;
    if let Some(summary) = summary.filter(|_| dependencies.is_empty()) {
        dependencies.clone_from(&summary.required_plugin_versions);
    }
    let engine = summary.and_then(|summary| summary.required_engine_version.as_ref());
    if let Some(engine) = engine.filter(|_| requirements.is_empty()) {
        requirements.push(Requirement { name: "engine_version_semver".to_string(), version: engine.to_string() });
    }
    if kind == ArtifactType::Rulesfile && requirements.is_empty() {
        let how = if summary.is_some() { "required_engine_version in the file" } else { "--requires" };
        notes.push(format!("no {how}: hosts cannot tell whether their Falco is new enough"));
    }
    Ok((dependencies, requirements))
}

/// The tag of the reference, the further ones, and the floating ones that move; `latest` where there is none, as falcoctl
/// has it.
fn tags(
    reference: &Reference,
    push: &Push,
    version: &PublishedVersion,
    floating: &Floating,
) -> Result<Vec<Tag>, Failure> {
    let mut tags: Vec<_> = reference.tag.iter().cloned().collect();
    for tag in &push.tag {
        tags.push(Tag::parse(tag).map_err(malformed)?);
    }
    if push.add_floating_tags && matches!(version, PublishedVersion::Semantic(_)) {
        tags.push(Tag::parse(&push.version).map_err(malformed)?);
    }
    tags.extend(floating.moved().cloned());
    if tags.is_empty() {
        tags.push(Tag::parse(tags::LATEST).map_err(malformed)?);
    }
    let mut seen = std::collections::BTreeSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    let is_pre_release = matches!(version, PublishedVersion::Semantic(version) if !version.pre.is_empty());
    if is_pre_release && seen.iter().any(|tag| tag.as_str() == tags::LATEST) {
        let error = format!("{} is a pre-release, and `latest` never names one", push.version);
        return Err(wrong(error, "name another tag, e.g. the version"));
    }
    Ok(tags)
}

/// The name that was given, else the last part of the repository or directory, as falcoctl has it.
fn name(push: &Push, reference: &Reference) -> Result<ArtifactName, Failure> {
    let place = match &reference.source {
        Source::Registry { repository, .. } => repository,
        Source::Layout { directory } => directory,
    };
    let last = place.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    ArtifactName::parse(push.name.as_deref().unwrap_or(last)).map_err(|error| {
        let hint = format!("{}; say it with --name", error.hint);
        Failure::of(error, Remedy::Operator, Some(hint))
    })
}

fn text(source: &Source, tags: &[Tag], published: &Published, floating: &Floating) -> String {
    let names: Vec<_> = tags.iter().map(Tag::as_str).collect();
    let mut text = format!("{source}:{}\ndigest {}\n", names.join(", "), published.contents().root.digest);
    match published {
        Published::One(packed) => text.push_str(&format!("layer  {}\n", packed.layer.digest)),
        Published::Platforms(packed) => {
            for (platform, packed) in &packed.platforms {
                text.push_str(&format!("{platform} {}, layer {}\n", packed.manifest.digest, packed.layer.digest));
            }
        }
    }
    text.push_str(&floating.text());
    text
}

fn value(
    source: &Source,
    tags: &[Tag],
    published: &Published,
    floating: &Floating,
    created: &created::Created,
    notes: &[String],
) -> Value {
    let mut value = json!({
        "source": source,
        "tags": tags,
        "digest": published.contents().root.digest,
        "created": created.time,
        "created_from": created.from,
        "floating": floating.value(),
        "notes": notes,
    });
    match (published, value.as_object_mut()) {
        (Published::One(packed), Some(value)) => {
            value.insert("config".to_string(), json!(packed.config.digest));
            value.insert("layer".to_string(), json!(packed.layer.digest));
        }
        (Published::Platforms(packed), Some(value)) => {
            let platforms = packed.platforms.iter().map(|(platform, packed)| {
                json!({
                    "platform": platform.to_string(),
                    "digest": packed.manifest.digest,
                    "config": packed.config.digest,
                    "layer": packed.layer.digest,
                })
            });
            value.insert("platforms".to_string(), platforms.collect());
        }
        (_, None) => {}
    }
    value
}

fn unpackable(error: PackError) -> Failure {
    let (remedy, hint) = (error.remedy(), error.hint());
    Failure::of(error, remedy, Some(hint.to_string()))
}

fn wrong(error: String, hint: &str) -> Failure {
    Failure::of(error, Remedy::Operator, Some(hint.to_string()))
}
