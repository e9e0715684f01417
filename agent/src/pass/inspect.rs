//! Looks at single artifacts, wherever they are: their documents, configs and layers.

use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::catalog::{At, Blob};
use falconer_manifests::digest::Digest;
use falconer_manifests::oci::{self, Descriptor, DocumentError, Manifest, ManifestOrIndex, NotAnArtifact, Platform};
use falconer_manifests::reference::{Reference, Source, Tag};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::tags::LATEST;

use super::{PassError, Sources};
use crate::transfer::Output;

/// The longest config blob, in bytes.
const CONFIG_CAP: u64 = 1 << 20;
/// The longest layer, in bytes: what an archive of a plugin may have.
const LAYER_CAP: u64 = crate::archive::Limits::PLUGIN.compressed;

/// A manifest or an index, as it is stored.
#[derive(Debug, Clone)]
pub struct ManifestDocument {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The document.
    pub bytes: Vec<u8>,
    /// What it says.
    pub content: ManifestOrIndex,
}

/// Why an artifact cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// What keeps its place from answering.
    #[error(transparent)]
    Source(#[from] PassError),
    /// There is no such tag or digest.
    #[error("there is no {0}")]
    Missing(String),
    /// It is no manifest.
    #[error("{reference} cannot be understood")]
    Document {
        /// The artifact.
        reference: String,
        /// Why.
        source: DocumentError,
    },
    /// It is not there for the platform.
    #[error("{reference} is not published for {platform}, only for {}", listed(.offered))]
    NoPlatform {
        /// The artifact.
        reference: String,
        /// What was asked for.
        platform: Platform,
        /// What there is.
        offered: Vec<Platform>,
    },
    /// It is something else than an artifact of Falco.
    #[error("{reference} is no Falco artifact: it {source}")]
    NotAnArtifact {
        /// The artifact.
        reference: String,
        /// Why not.
        source: NotAnArtifact,
    },
}

impl InspectError {
    /// Who can end it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Source(error) => error.remedy(),
            Self::Missing(_) | Self::NoPlatform { .. } => Remedy::Operator,
            Self::Document { .. } | Self::NotAnArtifact { .. } => Remedy::Author,
        }
    }

    /// The next act.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Source(error) => return error.hint(),
            Self::Missing(_) => "`falconer artifact info` lists the tags that there are",
            Self::NoPlatform { .. } => "choose one of them with --platform",
            Self::Document { .. } | Self::NotAnArtifact { .. } => {
                "check the reference; the artifact may have to be published again"
            }
        };
        Some(hint.to_string())
    }
}

/// What a reference asks for: its digest, else its tag, else `latest`.
fn at(reference: &Reference) -> Option<At> {
    let digest = reference.digest.clone().map(At::Digest);
    digest.or_else(|| reference.tag.clone().or_else(|| Tag::parse(LATEST).ok()).map(At::Tag))
}

impl Sources {
    /// The document that a reference names; without tag and digest it names `latest`.
    ///
    /// # Errors
    /// [`InspectError`], also when there is none.
    pub async fn document(&self, reference: &Reference) -> Result<ManifestDocument, InspectError> {
        let at = at(reference).ok_or_else(|| InspectError::Missing(reference.to_string()))?;
        let answer = self.manifest_bytes(&reference.source, &at).await?;
        let missing = || InspectError::Missing(format!("{}{at}", reference.source));
        let (bytes, media_type, digest) = answer.ok_or_else(missing)?;
        let content = oci::parse(&bytes, media_type.as_deref())
            .map_err(|source| InspectError::Document { reference: reference.to_string(), source })?;
        Ok(ManifestDocument { digest, bytes, content })
    }

    /// The manifest below `document` for a platform; a manifest is for all platforms. `reference` is what `document` was
    /// asked for by.
    ///
    /// # Errors
    /// [`InspectError`], also when there is none for the platform.
    pub async fn for_platform(
        &self,
        reference: &Reference,
        document: ManifestDocument,
        platform: &Platform,
    ) -> Result<(ManifestDocument, Manifest), InspectError> {
        let index = match document.content.clone() {
            ManifestOrIndex::Manifest(manifest) => return Ok((document, manifest)),
            ManifestOrIndex::Index(index) => index,
        };
        let serves = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|offered| offered.serves(platform));
        let Some(entry) = index.manifests.iter().find(serves) else {
            return Err(InspectError::NoPlatform {
                reference: reference.to_string(),
                platform: platform.clone(),
                offered: index.manifests.iter().filter_map(|entry| entry.platform.clone()).collect(),
            });
        };
        let below = Reference { digest: Some(entry.digest.clone()), ..reference.clone() };
        let document = self.document(&below).await?;
        match document.content.clone() {
            ManifestOrIndex::Manifest(manifest) => Ok((document, manifest)),
            ManifestOrIndex::Index(_) => Err(InspectError::Document {
                reference: below.to_string(),
                source: DocumentError::OtherMediaType(oci::INDEX.to_string()),
            }),
        }
    }

    /// The config blob of a manifest, checked against its digest.
    ///
    /// # Errors
    /// What keeps its place from giving it.
    pub async fn config(&self, source: &Source, manifest: &Manifest) -> Result<Vec<u8>, PassError> {
        let mut bytes = Vec::new();
        self.read(source, &blob(&manifest.config), CONFIG_CAP, &mut bytes).await?;
        Ok(bytes)
    }

    /// Writes the layer of an artifact to `out`. Only after `Ok` is what was written the layer.
    ///
    /// # Errors
    /// What keeps its place from giving it.
    pub async fn layer(&self, source: &Source, layer: &Descriptor, out: &mut dyn Output) -> Result<(), PassError> {
        self.read(source, &blob(layer), LAYER_CAP, out).await
    }
}

/// The type and the layer of an artifact's manifest.
///
/// # Errors
/// [`InspectError::NotAnArtifact`]
pub fn layer_of(reference: &Reference, manifest: &Manifest) -> Result<(ArtifactType, Descriptor), InspectError> {
    match manifest.artifact() {
        Ok(artifact) => Ok((artifact.kind, artifact.layer.clone())),
        Err(source) => Err(InspectError::NotAnArtifact { reference: reference.to_string(), source }),
    }
}

fn blob(descriptor: &Descriptor) -> Blob {
    Blob { digest: descriptor.digest.clone(), size: descriptor.size }
}

fn listed(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none".to_string();
    }
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
