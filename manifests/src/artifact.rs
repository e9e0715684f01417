//! Falco artifacts as falcoctl publishes them: types, media types and the config blob.
//!
//! The format is that of falcoctl 0.13 (`pkg/oci/constants.go`, `pkg/oci/types.go`).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

mod flags;

pub use self::flags::{dependencies, requirements};

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactType {
    /// Rules that Falco loads.
    Rulesfile,
    /// A shared library that Falco loads.
    Plugin,
    /// A file that neither Falco nor falconer looks into.
    Asset,
}

impl ArtifactType {
    /// All types.
    pub const ALL: [Self; 3] = [Self::Rulesfile, Self::Plugin, Self::Asset];

    /// The word for it in falcoctl's command line and indexes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rulesfile => "rulesfile",
            Self::Plugin => "plugin",
            Self::Asset => "asset",
        }
    }

    /// The type that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The media type of the config blob.
    #[must_use]
    pub const fn config_media_type(self) -> &'static str {
        match self {
            Self::Rulesfile => "application/vnd.cncf.falco.rulesfile.config.v1+json",
            Self::Plugin => "application/vnd.cncf.falco.plugin.config.v1+json",
            Self::Asset => "application/vnd.cncf.falco.asset.config.v1+json",
        }
    }

    /// The media type of the one layer. It alone decides the type of an artifact.
    #[must_use]
    pub const fn layer_media_type(self) -> &'static str {
        match self {
            Self::Rulesfile => "application/vnd.cncf.falco.rulesfile.layer.v1+tar.gz",
            Self::Plugin => "application/vnd.cncf.falco.plugin.layer.v1+tar.gz",
            Self::Asset => "application/vnd.cncf.falco.asset.layer.v1+tar.gz",
        }
    }

    /// The type whose layer has this media type.
    #[must_use]
    pub fn from_layer_media_type(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.layer_media_type() == media_type)
    }
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The config blob. Old artifacts have an empty one (`{}`). Keys that are not known are passed over, as falcoctl does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactConfig {
    /// The artifact's own name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its version; usually semver, in old artifacts any text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Artifacts that must be there too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// What the host's Falco must offer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Requirement>,
}

/// An artifact that must be there too, in this version or a later one of the same major.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The artifact's name.
    pub name: String,
    /// The lowest version that will do.
    pub version: String,
    /// Artifacts that will do instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Requirement>,
}

impl Dependency {
    /// Its names with their versions, in the order in which they count: the first of them that is there decides.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let alternatives = self.alternatives.iter().map(|other| (other.name.as_str(), other.version.as_str()));
        core::iter::once((self.name.as_str(), self.version.as_str())).chain(alternatives)
    }
}

/// A name and the lowest version of it that will do, e.g. `engine_version_semver` `0.57.0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What is required.
    pub name: String,
    /// The lowest version that will do.
    pub version: String,
}

impl ArtifactConfig {
    /// Parses a config blob.
    ///
    /// # Errors
    /// When the blob is not JSON of the documented shape.
    pub fn parse(blob: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(blob)
    }
}
