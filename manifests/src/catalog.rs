//! What indexes and registries have said so far, and the questions that are still open.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::artifact::{ArtifactConfig, ArtifactType};
use crate::digest::Digest;
use crate::index::Index;
use crate::lockfile::LockedFile;
use crate::name::IndexName;
use crate::reference::{Source, Tag};

/// One question that is not answered yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lookup {
    /// What does the index at this URL say?
    Index {
        /// Its name in the desired state.
        name: IndexName,
        /// Where it is.
        url: String,
    },
    /// Which tags are there?
    Tags {
        /// Where.
        source: Source,
    },
    /// What does this tag or digest name?
    Manifest {
        /// Where.
        source: Source,
        /// Under which tag or digest.
        at: At,
    },
    /// What does the config blob of this artifact say?
    Config {
        /// Where.
        source: Source,
        /// The artifact.
        published: Published,
    },
    /// Which files does the archive of this artifact hold?
    Files {
        /// Where.
        source: Source,
        /// The artifact.
        published: Published,
    },
}

/// A tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// A tag, which may name something else tomorrow.
    Tag(Tag),
    /// A digest.
    Digest(Digest),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

/// An artifact as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// The digest of the manifest.
    pub manifest: Digest,
    /// What the layer's media type says it is.
    pub kind: ArtifactType,
    /// The config blob.
    pub config: Blob,
    /// The archive.
    pub layer: Blob,
}

/// A blob that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The answer to [`Lookup::Manifest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestAnswer {
    /// An artifact.
    Artifact(Published),
    /// An image index: an artifact for each platform, as plugins are published.
    Platforms {
        /// The digest of the index.
        digest: Digest,
        /// `os/architecture` and the digest of the manifest for it, in the order of the index.
        manifests: Vec<(String, Digest)>,
    },
    /// Something else.
    Unsupported {
        /// What it is, as the end of the sentence "is …".
        what: String,
    },
    /// There is no such tag or digest.
    Missing,
}

/// The answer to [`Lookup::Index`].
#[derive(Debug, Clone, PartialEq)]
pub struct IndexAnswer {
    /// The digest of the bytes that were read.
    pub digest: Digest,
    /// What they say.
    pub index: Index,
}

/// The answers so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// Indexes by URL.
    pub indexes: BTreeMap<String, IndexAnswer>,
    /// Tags by source.
    pub tags: BTreeMap<Source, Vec<Tag>>,
    /// What tags and digests name.
    pub manifests: BTreeMap<(Source, At), ManifestAnswer>,
    /// Config blobs by their digest.
    pub configs: BTreeMap<Digest, ArtifactConfig>,
    /// The files of archives, sorted by path, by the digest of the archive.
    pub files: BTreeMap<Digest, Vec<LockedFile>>,
}
