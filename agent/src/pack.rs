//! Makes an artifact of a file, in the exact form that falcoctl publishes.
//!
//! The form is that of falcoctl 0.13's `registry push` (`cmd/registry/push/push.go`, `pkg/oci/pusher/pusher.go`,
//! `internal/utils/compress.go`). A leaf that rooms use; it knows no room. The same input gives the same bytes.

mod archive;
mod platforms;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use falconer_manifests::artifact::{ArtifactConfig, ArtifactType, Dependency, Requirement};
use falconer_manifests::digest::Digest;
use falconer_manifests::finding::Malformed;
use falconer_manifests::name::ArtifactName;
use falconer_manifests::oci::{self, Descriptor, Manifest, Platform};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::tags::PublishedVersion;

pub use self::archive::{DirectoryFile, of_directory};
pub use self::platforms::{PackedIndex, PlatformInput, pack_platforms};

/// One file, and what is to be said about it.
#[derive(Debug, Clone)]
pub struct PackInput<'a> {
    /// The file's base name, e.g. `acme_rules.yaml`.
    pub file_name: &'a str,
    /// The file's content. A gzipped tar is published byte for byte, anything else is put into one.
    pub bytes: &'a [u8],
    /// The file's permission bits, e.g. `0o644`; the archive keeps them.
    pub mode: u32,
    /// What it is. A plugin is published for platforms: see [`pack_platforms`].
    pub kind: ArtifactType,
    /// The artifact's name.
    pub name: ArtifactName,
    /// Its version, as [`PublishedVersion`] has it.
    pub version: &'a str,
    /// Artifacts that must be there too, in the order in which they are to be published.
    pub dependencies: Vec<Dependency>,
    /// What the host's Falco must offer, in the order in which it is to be published.
    pub requirements: Vec<Requirement>,
    /// When the artifact was made: RFC 3339, UTC, whole seconds, e.g. `2026-01-31T08:00:00Z`.
    pub created: &'a str,
    /// The repository that the file comes from, for the `org.opencontainers.image.source` annotation.
    pub source: Option<&'a str>,
}

/// Content and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The content.
    pub bytes: Vec<u8>,
}

/// An artifact, complete, as a registry or an OCI layout stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// What it is.
    pub kind: ArtifactType,
    /// The config blob.
    pub config: Blob,
    /// The layer: a gzipped tar.
    pub layer: Blob,
    /// The manifest; tags point to its digest. Its media type is [`oci::MANIFEST`].
    pub manifest: Blob,
}

/// All that is stored of an artifact, in the order in which it must come: what names something comes after it.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// Configs and layers.
    pub blobs: Vec<&'a Blob>,
    /// The manifests that an index names; their media type is [`oci::MANIFEST`]. None where there is no index.
    pub manifests: Vec<&'a Blob>,
    /// The document that tags name.
    pub root: &'a Blob,
    /// The media type of `root`.
    pub root_media_type: &'static str,
}

impl<'a> From<&'a Packed> for Contents<'a> {
    fn from(packed: &'a Packed) -> Self {
        Self {
            blobs: vec![&packed.config, &packed.layer],
            manifests: Vec::new(),
            root: &packed.manifest,
            root_media_type: oci::MANIFEST,
        }
    }
}

/// Why a file cannot be made an artifact.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A plugin.
    #[error("a {0} is published for each platform, not as one file")]
    Kind(ArtifactType),
    /// The version is none.
    #[error(transparent)]
    Version(Malformed),
    /// No platform at all.
    #[error("a {0} is published for at least one platform")]
    NoPlatform(ArtifactType),
    /// A platform that is given twice.
    #[error("the platform {0} is given twice")]
    PlatformTwice(Platform),
    /// Two files of a directory with one name.
    #[error("the directory has two files of the name `{0}`")]
    NameTwice(String),
    /// The time of making has another form.
    #[error("the time `{0}` is not RFC 3339 in UTC and whole seconds")]
    Created(String),
    /// The file's name cannot stand in an archive.
    #[error("the file name `{0}` cannot stand in an archive")]
    FileName(String),
    /// It begins like a gzip file, or is called one, and is no gzipped tar.
    #[error("`{file_name}` is not a gzipped tar")]
    Archive {
        /// The file's name.
        file_name: String,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The archive could not be made.
    #[error("cannot put `{file_name}` into an archive")]
    Compress {
        /// The file's name.
        file_name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A document could not be written as JSON.
    #[error("cannot write the artifact's description")]
    Json(#[from] serde_json::Error),
}

impl PackError {
    /// Who can end the error.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Kind(_)
            | Self::Version(_)
            | Self::NoPlatform(_)
            | Self::PlatformTwice(_)
            | Self::NameTwice(_)
            | Self::FileName(_)
            | Self::Archive { .. } => Remedy::Author,
            Self::Created(_) | Self::Compress { .. } | Self::Json(_) => Remedy::Us,
        }
    }

    /// The next act.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Kind(_) | Self::NoPlatform(_) => "give --platform for each file, e.g. --platform linux/amd64",
            Self::Version(malformed) => malformed.hint,
            Self::PlatformTwice(_) => "give each platform one file",
            Self::NameTwice(_) => "rename one of them: falcoctl's archives of a directory have no sub-directories",
            Self::FileName(_) => "rename it: at most 100 characters, ASCII, with something before the first dot",
            Self::Archive { .. } => "push the rules file itself, or make the archive anew with tar -czf",
            Self::Created(_) | Self::Compress { .. } | Self::Json(_) => "report this as a bug of falconer",
        }
    }
}

/// Makes the artifact.
///
/// # Errors
/// [`PackError`] when something in the input cannot be published.
pub fn pack(input: &PackInput<'_>) -> Result<Packed, PackError> {
    if input.kind == ArtifactType::Plugin {
        return Err(PackError::Kind(input.kind));
    }
    pack_any(input)
}

fn pack_any(input: &PackInput<'_>) -> Result<Packed, PackError> {
    PublishedVersion::parse(input.version).map_err(PackError::Version)?;
    if !is_utc_second(input.created) {
        return Err(PackError::Created(input.created.to_owned()));
    }
    let (title, layer) = archive::layer(input)?;
    let config = Blob::of(oci::go_json(&ArtifactConfig {
        name: input.name.as_str().to_owned(),
        version: input.version.to_owned(),
        dependencies: input.dependencies.clone(),
        requirements: input.requirements.clone(),
    })?);
    let layer = Blob::of(layer);
    let manifest = Blob::of(oci::go_json(&Manifest {
        schema_version: 2,
        media_type: oci::MANIFEST.to_owned(),
        config: config.descriptor(input.kind.config_media_type()),
        layers: vec![Descriptor {
            annotations: BTreeMap::from([(oci::TITLE.to_owned(), title)]),
            ..layer.descriptor(input.kind.layer_media_type())
        }],
        annotations: platforms::annotations(&[(oci::CREATED, Some(input.created)), (oci::SOURCE, input.source)]),
    })?);
    Ok(Packed { kind: input.kind, config, layer, manifest })
}

impl Blob {
    /// Content with its digest computed.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of(&bytes), bytes }
    }

    /// Names the content in a manifest.
    #[must_use]
    pub fn descriptor(&self, media_type: &str) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest: self.digest.clone(),
            size: self.bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
}

/// The form `YYYY-MM-DDTHH:MM:SSZ`, each part in its range.
fn is_utc_second(text: &str) -> bool {
    let shape = text.len() == 20
        && text.bytes().zip(b"0000-00-00T00:00:00Z").all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            other => byte == *other,
        });
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u8>().ok()).unwrap_or(u8::MAX);
    shape
        && (1..=12).contains(&part(5, 7))
        && (1..=31).contains(&part(8, 10))
        && part(11, 13) < 24
        && part(14, 16) < 60
        && part(17, 19) < 60
}
