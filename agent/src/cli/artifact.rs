//! `falconer artifact`: publishes artifacts.
#![expect(
    clippy::disallowed_methods,
    reason = "the file to publish and the time of publishing come from the publisher's machine"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use falconer_manifests::artifact::{ArtifactType, Requirement};
use falconer_manifests::finding::Malformed;
use falconer_manifests::name::ArtifactName;
use falconer_manifests::oci;
use falconer_manifests::reference::{Reference, Source, Tag};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::rules::{self, RulesSummary};
use serde_json::json;

use super::Failure;
use super::arguments::{Arguments, ArtifactCommand, Push};
use super::lock::settings_for_lock;
use super::print::Printer;
use crate::layout::{Descriptor, Layout};
use crate::pack::{PackInput, Packed, pack};
use crate::pass::{PassError, Sources};
use crate::registry::Repository;
use crate::settings::Settings;
use crate::transfer;

pub(super) async fn run(arguments: &Arguments, printer: Printer, command: &ArtifactCommand) -> Result<u8, Failure> {
    match command {
        ArtifactCommand::Push(push_arguments) => push(arguments, printer, push_arguments).await,
    }
}

async fn push(arguments: &Arguments, printer: Printer, push: &Push) -> Result<u8, Failure> {
    let reference = Reference::parse(&push.reference).map_err(malformed)?;
    if reference.digest.is_some() {
        let error = format!("{} names a digest, and what is published has its own", push.reference);
        return Err(Failure::of(error, Remedy::Operator, Some("name a tag instead".to_string())));
    }
    let tags = tags(&reference, &push.tag)?;
    let unreadable =
        |error| Failure::of(error, Remedy::Operator, Some("name a rules file that can be read".to_string()));
    let bytes = fs_err::read(&push.file).map_err(unreadable)?;
    let mode = fs_err::metadata(&push.file).map_err(unreadable)?.permissions().mode() & 0o777;
    let file_name = push.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let summary = summary(&push.file, &bytes)?;
    if let Some(summary) = &summary {
        for warning in &summary.warnings {
            tracing::warn!("{warning}");
        }
        if summary.required_engine_version.is_none() {
            tracing::warn!(file = %push.file.display(), "no required_engine_version: hosts cannot tell whether their Falco is new enough");
        }
    }
    let summary = summary.unwrap_or_default();
    let engine = summary
        .required_engine_version
        .map(|version| Requirement { name: "engine_version_semver".to_string(), version: version.to_string() });
    let created = created();
    let packed = pack(&PackInput {
        file_name: &file_name,
        bytes: &bytes,
        mode,
        kind: ArtifactType::Rulesfile,
        name: name(push, &reference)?,
        version: &push.version,
        dependencies: summary.required_plugin_versions,
        requirements: engine.into_iter().collect(),
        created: &created,
        source: push.annotation_source.as_deref(),
    })
    .map_err(|error| {
        let (remedy, hint) = (error.remedy(), error.hint());
        Failure::of(error, remedy, Some(hint.to_string()))
    })?;
    publish(arguments, push, &reference.source, &packed, &tags).await?;
    let names: Vec<_> = tags.iter().map(Tag::as_str).collect();
    let digest = &packed.manifest.digest;
    let text = format!("{}:{}\ndigest {digest}\nlayer  {}", reference.source, names.join(", "), packed.layer.digest);
    let answer = json!({
        "source": reference.source,
        "tags": names,
        "digest": digest,
        "config": packed.config.digest,
        "layer": packed.layer.digest,
    });
    printer.answer(&text, &answer);
    Ok(0)
}

async fn publish(
    arguments: &Arguments,
    push: &Push,
    source: &Source,
    packed: &Packed,
    tags: &[Tag],
) -> Result<(), PassError> {
    match Repository::of(source) {
        Some(repository) => {
            let mut settings = settings_for_lock(arguments)?;
            if push.plain_http {
                speak_plain_http(&mut settings, &repository.registry);
            }
            let sources = Sources::new(&settings, transfer::client()?, &settings.base)?;
            sources.push(&repository, packed, tags).await
        }
        None => {
            let Source::Layout { directory } = source else { return Ok(()) };
            let layout = Layout::create(Path::new(directory))?;
            for blob in [&packed.config, &packed.layer, &packed.manifest] {
                layout.write_blob(&blob.bytes)?;
            }
            let descriptor = Descriptor {
                media_type: oci::MANIFEST.to_string(),
                digest: packed.manifest.digest.clone(),
                size: packed.manifest.bytes.len() as u64,
            };
            for tag in tags {
                layout.tag(tag.as_str(), &descriptor)?;
            }
            Ok(())
        }
    }
}

fn speak_plain_http(settings: &mut Settings, registry: &str) {
    let entry = settings.registries.entry(registry.to_string()).or_default();
    entry.plain_http = true;
}

/// The tag of the reference and the further ones; `latest` where there is none, as falcoctl has it.
fn tags(reference: &Reference, further: &[String]) -> Result<Vec<Tag>, Failure> {
    let mut tags: Vec<_> = reference.tag.iter().cloned().collect();
    for tag in further {
        tags.push(Tag::parse(tag).map_err(malformed)?);
    }
    if tags.is_empty() {
        tags.push(Tag::parse("latest").map_err(malformed)?);
    }
    tags.dedup();
    Ok(tags)
}

/// What the rules file says of itself; nothing for an archive, which falcoctl does not look into either.
fn summary(file: &Path, bytes: &[u8]) -> Result<Option<RulesSummary>, Failure> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(bytes);
    Ok(Some(rules::check(&file.display().to_string(), &text).map_err(PassError::from)?))
}

/// The name that was given, else the last part of the repository or directory, as falcoctl has it.
fn name(push: &Push, reference: &Reference) -> Result<ArtifactName, Failure> {
    let place = match &reference.source {
        Source::Registry { repository, .. } => repository.clone(),
        Source::Layout { directory } => directory.clone(),
    };
    let last = place.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_string();
    let given = push.name.clone();
    ArtifactName::parse(given.as_deref().unwrap_or(&last)).map_err(|error| {
        let hint = format!("{}; say it with --name", error.hint);
        Failure::of(error, Remedy::Operator, Some(hint))
    })
}

/// The time that the artifact states, RFC 3339: `SOURCE_DATE_EPOCH` where it is set (reproducible-builds.org), else now.
fn created() -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let time = epoch.map_or_else(SystemTime::now, |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    humantime::format_rfc3339_seconds(time).to_string()
}

fn malformed(error: Malformed) -> Failure {
    let hint = error.hint.to_string();
    Failure::of(error, Remedy::Operator, Some(hint))
}
