//! OCI and Docker image manifests and indexes, and the manifest that falcoctl writes.
//!
//! The formats are those of the OCI image spec 1.1 (`manifest.md`, `image-index.md`, `descriptor.md`) and of Docker's image
//! manifest version 2, schema 2. A document that could be read as both a manifest and an index is refused
//! (CVE-2021-41190). Foreign `urls` are kept out of the model, so that nobody can follow them.

mod json;
mod platform;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::json::go_json;
use crate::artifact::ArtifactType;
use crate::digest::Digest;

/// The media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of a Docker image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The media type of a Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The annotation that holds the file name of a layer.
pub const TITLE: &str = "org.opencontainers.image.title";
/// The annotation that holds the time of publishing, RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// The annotation that names the source repository.
pub const SOURCE: &str = "org.opencontainers.image.source";

/// Some content: what it is, its digest and its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the content.
    pub media_type: String,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// Notes about the content, e.g. [`TITLE`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// In an index: where the content runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// In an index: what the content is, where its writer says so; for an artifact the media type of its config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// An operating system and an architecture in Go's words, e.g. `linux` and `amd64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// The architecture.
    pub architecture: String,
    /// The operating system.
    pub os: String,
    /// The variant of the architecture, e.g. `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image manifest: a config and layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The version of the format; always 2.
    pub schema_version: u8,
    /// [`MANIFEST`] or [`DOCKER_MANIFEST`].
    pub media_type: String,
    /// The config blob.
    pub config: Descriptor,
    /// The layers, in order.
    pub layers: Vec<Descriptor>,
    /// Notes about the manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An index: one manifest for each platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// The version of the format; always 2.
    pub schema_version: u8,
    /// [`INDEX`] or [`DOCKER_LIST`].
    pub media_type: String,
    /// The manifests, in order.
    pub manifests: Vec<Descriptor>,
    /// Notes about the index.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a registry gives for a tag or a manifest's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestOrIndex {
    /// An image manifest.
    Manifest(Manifest),
    /// An image index.
    Index(ImageIndex),
}

/// Why bytes are not a manifest or an index that we take.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or not of the documented shape; e.g. a digest that is not sha256.
    #[error("is not a manifest")]
    Json(#[source] serde_json::Error),
    /// Neither the document nor the server names its media type.
    #[error("does not say its media type")]
    NoMediaType,
    /// The document and the server name different media types.
    #[error("calls itself `{document}` but is served as `{served}`")]
    MediaTypes {
        /// The document's `mediaType`.
        document: String,
        /// The server's Content-Type.
        served: String,
    },
    /// A media type that is neither a manifest's nor an index's.
    #[error("has the media type `{0}`, which is neither a manifest's nor an index's")]
    OtherMediaType(String),
    /// A format version other than 2.
    #[error("has schema version {0} where only 2 is known")]
    SchemaVersion(u64),
    /// Fields of both a manifest and an index.
    #[error("has fields of both a manifest and an index")]
    Ambiguous,
    /// A field is missing that its media type asks for.
    #[error("has no `{0}`")]
    Missing(&'static str),
}

/// Why a manifest is not a Falco artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnArtifact {
    /// Not exactly one layer.
    #[error("has {0} layers where a Falco artifact has one")]
    Layers(usize),
    /// The layer's media type is none of Falco's.
    #[error("has a layer of the media type `{0}`, which is no Falco artifact's")]
    LayerType(String),
}

/// The one layer of a Falco artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactLayer<'a> {
    /// What the artifact is; the layer's media type alone decides.
    pub kind: ArtifactType,
    /// The layer.
    pub layer: &'a Descriptor,
    /// The file name that falcoctl would store the layer under; it may be any text.
    pub title: Option<&'a str>,
}

impl Manifest {
    /// Reads the manifest as a Falco artifact's, as falcoctl does (`pkg/oci/puller/puller.go`), but stricter: falcoctl
    /// passes over all layers but the first, here a second one is an error. The config's media type does not count.
    ///
    /// # Errors
    /// [`NotAnArtifact`] when there is not exactly one layer, or it is none of Falco's.
    pub fn artifact(&self) -> Result<ArtifactLayer<'_>, NotAnArtifact> {
        let [layer] = self.layers.as_slice() else {
            return Err(NotAnArtifact::Layers(self.layers.len()));
        };
        let kind = ArtifactType::from_layer_media_type(&layer.media_type)
            .ok_or_else(|| NotAnArtifact::LayerType(layer.media_type.clone()))?;
        Ok(ArtifactLayer { kind, layer, title: layer.annotations.get(TITLE).map(String::as_str) })
    }
}

/// A media type without its parameters, in lower case.
#[must_use]
pub fn media_type_of(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Parses a manifest or an index. `content_type` is the media type that the server or a descriptor gives for it;
/// parameters of it do not count.
///
/// # Errors
/// [`DocumentError`], e.g. when the document could be read in two ways.
pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<ManifestOrIndex, DocumentError> {
    let raw: RawDocument = serde_json::from_slice(bytes).map_err(DocumentError::Json)?;
    let media_type = agreed_media_type(raw.media_type.as_deref(), content_type)?;
    if raw.schema_version != 2 {
        return Err(DocumentError::SchemaVersion(raw.schema_version));
    }
    let of_a_manifest = raw.config.is_some() || raw.layers.is_some();
    let of_an_old_manifest = raw.fs_layers.is_some() || raw.blobs.is_some();
    if (raw.manifests.is_some() && of_a_manifest) || of_an_old_manifest {
        return Err(DocumentError::Ambiguous);
    }
    let annotations = raw.annotations.unwrap_or_default();
    match media_type.as_str() {
        MANIFEST | DOCKER_MANIFEST => Ok(ManifestOrIndex::Manifest(Manifest {
            schema_version: 2,
            media_type,
            config: raw.config.ok_or(DocumentError::Missing("config"))?.into(),
            layers: descriptors(raw.layers.ok_or(DocumentError::Missing("layers"))?),
            annotations,
        })),
        INDEX | DOCKER_LIST => Ok(ManifestOrIndex::Index(ImageIndex {
            schema_version: 2,
            media_type,
            manifests: descriptors(raw.manifests.ok_or(DocumentError::Missing("manifests"))?),
            annotations,
        })),
        _ => Err(DocumentError::OtherMediaType(media_type)),
    }
}

fn agreed_media_type(document: Option<&str>, served: Option<&str>) -> Result<String, DocumentError> {
    match (document, served.map(media_type_of)) {
        (None, None) => Err(DocumentError::NoMediaType),
        (Some(document), None) => Ok(document.into()),
        (None, Some(served)) => Ok(served),
        (Some(document), Some(served)) if document == served => Ok(served),
        (Some(document), Some(served)) => Err(DocumentError::MediaTypes { document: document.into(), served }),
    }
}

fn descriptors(raw: Vec<RawDescriptor>) -> Vec<Descriptor> {
    raw.into_iter().map(Descriptor::from).collect()
}

/// The union of all documents that a registry may give. A key that stands twice is an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    schema_version: u64,
    media_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
    blobs: Option<serde::de::IgnoredAny>,
    annotations: Option<BTreeMap<String, String>>,
}

/// A descriptor whose annotations may be `null`, as some writers have them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    media_type: String,
    digest: Digest,
    size: u64,
    annotations: Option<BTreeMap<String, String>>,
    platform: Option<Platform>,
    artifact_type: Option<String>,
}

impl From<RawDescriptor> for Descriptor {
    fn from(raw: RawDescriptor) -> Self {
        Self {
            media_type: raw.media_type,
            digest: raw.digest,
            size: raw.size,
            annotations: raw.annotations.unwrap_or_default(),
            platform: raw.platform,
            artifact_type: raw.artifact_type,
        }
    }
}
