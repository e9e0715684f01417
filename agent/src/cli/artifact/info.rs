//! `artifact info`: the tags of artifacts, and what the floating ones mean now.

use falconer_manifests::artifact::ArtifactConfig;
use falconer_manifests::digest::Digest;
use falconer_manifests::oci::{ManifestOrIndex, Platform};
use falconer_manifests::reference::{Reference, Tag};
use falconer_manifests::tags;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::arguments::Place;
use super::locate::{Located, locate};
use super::platform;
use crate::cli::Failure;
use crate::cli::arguments::Arguments;
use crate::cli::print::Printer;
use crate::cli::table::table;
use crate::error::chain;
use crate::pass::{InspectError, ManifestDocument, Sources};

/// How many tags are asked about at a time.
const AT_ONCE: usize = 8;
/// An artifact could not be told about; the others have been.
const INCOMPLETE: u8 = 1;

pub(super) async fn info(
    arguments: &Arguments,
    printer: Printer,
    references: &[String],
    place: &Place,
) -> Result<u8, Failure> {
    let (sources, located) = locate(arguments, place, references).await?;
    let mut text = String::new();
    let mut values = Vec::new();
    let mut failed = None;
    let alone = located.len() == 1;
    for located in located {
        let source = &located.reference.source;
        match tell(&sources, &located).await {
            Ok(told) => {
                text.push_str(&format!("{}\n{}\n", heading(&located), told.text()));
                values.push(told.value(&located));
            }
            Err(failure) if alone => return Err(failure),
            Err(failure) => {
                let message = chain(failure.error.as_ref());
                tracing::error!("{message}");
                values.push(json!({"reference": located.typed, "source": source, "error": message}));
                failed = Some(INCOMPLETE);
            }
        }
    }
    printer.answer(&text, &json!({"artifacts": values}));
    Ok(failed.unwrap_or(0))
}

/// What was typed, and where that is, unless that is the same.
fn heading(located: &Located) -> String {
    let source = located.reference.source.to_string();
    if located.typed == source { source } else { format!("{}  {source}", located.typed) }
}

/// What is known about an artifact.
struct Told {
    /// The exact versions, newest last.
    versions: Vec<Tag>,
    others: Vec<Meaning>,
}

/// What a tag means now.
struct Meaning {
    tag: Tag,
    digest: Digest,
    /// The version in the artifact's own config; `None` where it has none.
    version: Option<String>,
}

async fn tell(sources: &Sources, located: &Located) -> Result<Told, Failure> {
    let reference = &located.reference;
    let all = sources.tags(&reference.source).await?;
    let all = all.ok_or_else(|| InspectError::Missing(reference.source.to_string()))?;
    let chosen: Vec<Tag> = all
        .into_iter()
        .filter(|tag| reference.tag.as_ref().map_or_else(|| !tags::is_attachment(tag), |wanted| wanted == tag))
        .collect();
    if let (Some(_), true) = (&reference.tag, chosen.is_empty()) {
        return Err(InspectError::Missing(reference.to_string()).into());
    }
    let versions: Vec<_> = tags::versions(&chosen).into_iter().map(|(tag, _)| tag).collect();
    // A tag that was asked for is told in full, also when it is a version.
    let mut others: Vec<_> =
        chosen.into_iter().filter(|tag| reference.tag.is_some() || tags::version_of(tag).is_none()).collect();
    others.sort();
    let platform = platform(None)?;
    let asked = others.into_iter().map(|tag| meaning(sources, reference, tag, &platform));
    let others: Vec<_> = futures_util::stream::iter(asked).buffered(AT_ONCE).collect().await;
    Ok(Told { versions, others: others.into_iter().collect::<Result<_, _>>()? })
}

async fn meaning(
    sources: &Sources,
    reference: &Reference,
    tag: Tag,
    platform: &Platform,
) -> Result<Meaning, InspectError> {
    let tagged = Reference { source: reference.source.clone(), tag: Some(tag.clone()), digest: None };
    let document = sources.document(&tagged).await?;
    let digest = document.digest.clone();
    Ok(Meaning { tag, digest, version: version(sources, &tagged, document, platform).await? })
}

/// The version that the config of a document states. All platforms of a plugin have one version, so any of them will do.
pub(super) async fn version(
    sources: &Sources,
    reference: &Reference,
    document: ManifestDocument,
    platform: &Platform,
) -> Result<Option<String>, InspectError> {
    let offered = match &document.content {
        ManifestOrIndex::Index(index) => {
            let mut platforms = index.manifests.iter().filter_map(|entry| entry.platform.as_ref());
            let first = platforms.clone().next();
            let Some(offered) = platforms.find(|offered| offered.serves(platform)).or(first) else { return Ok(None) };
            offered.clone()
        }
        ManifestOrIndex::Manifest(_) => platform.clone(),
    };
    let (_, manifest) = sources.for_platform(reference, document, &offered).await?;
    // What is no artifact of Falco may have any config.
    if manifest.artifact().is_err() {
        return Ok(None);
    }
    let config = sources.config(&reference.source, &manifest).await?;
    Ok(ArtifactConfig::parse(&config).ok().map(|config| config.version).filter(|version| !version.is_empty()))
}

impl Told {
    fn text(&self) -> String {
        let versions: Vec<_> = self.versions.iter().map(Tag::as_str).collect();
        let mut text = format!("versions: {}\n", if versions.is_empty() { "none".into() } else { versions.join(", ") });
        if !self.others.is_empty() {
            let rows = self.others.iter().map(|meaning| {
                let version = meaning.version.clone().unwrap_or_else(|| "none".into());
                [meaning.tag.to_string(), version, meaning.digest.to_string()]
            });
            text.push_str(&table(["TAG", "VERSION", "DIGEST"], &rows.collect::<Vec<_>>()));
        }
        text
    }

    fn value(&self, located: &Located) -> Value {
        let others = self
            .others
            .iter()
            .map(|meaning| json!({"tag": meaning.tag, "version": meaning.version, "digest": meaning.digest}));
        json!({
            "reference": located.typed,
            "source": located.reference.source,
            "versions": self.versions,
            "tags": others.collect::<Vec<_>>(),
        })
    }
}
