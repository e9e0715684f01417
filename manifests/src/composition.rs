//! What a generation is made of: the desired state, pinned, in the shape in which Falco loads it.

mod compose;
mod plugins;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::falco_config::Include;
use crate::generation::GenerationNumber;
use crate::lockfile::{LockedArtifact, LockedFile, Lockfile};
use crate::name::{AbsolutePath, ArtifactName, RelativePath};
use crate::revision::Revision;

pub use compose::{Place, check, compose};

/// The file that Falco's falco.yaml includes. Falco's metric for configuration files has base names only, so it is
/// told from falco.yaml by its name.
pub const INCLUDE: &str = "falconer.yaml";

/// The include as falco.yaml names it, for a state directory at `state`: through `current`, so that making another
/// generation live leaves falco.yaml alone.
#[must_use]
pub fn include_path(state: &AbsolutePath) -> AbsolutePath {
    state.join(&RelativePath::known(format!("current/{INCLUDE}")))
}

/// The directory by which whatever is live is reached, for a state directory at `state`.
#[must_use]
pub fn current_path(state: &AbsolutePath) -> AbsolutePath {
    state.join(&RelativePath::known("current"))
}

/// The include of one generation.
#[must_use]
pub fn generation_include_path(state: &AbsolutePath, generation: GenerationNumber) -> AbsolutePath {
    state.join(&generation.directory()).join(&RelativePath::known(INCLUDE))
}

/// What a generation is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// The revision that asked for it.
    pub revision: Revision,
    /// Its artifacts, pinned.
    pub lockfile: Lockfile,
    /// All rules files, in the order in which Falco loads them.
    pub rules_files: Vec<RulesFile>,
    /// The plugins that we place, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<PlacedPlugin>,
    /// Files that neither Falco nor falconer looks into, below `assets` in the generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<PlacedFile>,
    /// Top-level keys of Falco's configuration that the desired state touches, with their whole values.
    pub settings: BTreeMap<String, Value>,
}

/// One entry of the list of rules files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RulesFile {
    /// A file in the generation.
    Placed(PlacedFile),
    /// A file or directory that the host's owner keeps.
    Host(AbsolutePath),
}

/// A file in a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedFile {
    /// Its path in the generation. The base name of a rules file is unique among all of them, because Falco's metrics give
    /// no more.
    pub path: RelativePath,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Where its bytes come from.
    pub origin: Origin,
}

/// A plugin in a directory of its own outside all generations, which is never written twice: a library that changes at
/// the same path is not loaded anew, and may end a Falco that has it in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedPlugin {
    /// The artifact.
    pub name: ArtifactName,
    /// The digest of its archive.
    pub layer: Digest,
    /// Its directory in the state directory; the digest is a part of it.
    pub directory: RelativePath,
    /// The library that Falco loads, in that directory.
    pub library: RelativePath,
    /// All its files, in that directory, sorted by path.
    pub files: Vec<LockedFile>,
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A file in the archive of an artifact.
    Artifact {
        /// The artifact.
        name: ArtifactName,
        /// The path in its archive.
        entry: RelativePath,
        /// The digest of the archive.
        layer: Digest,
    },
    /// A file of the desired-state repository.
    Repository {
        /// The path as the desired state names it.
        path: RelativePath,
    },
}

/// A file of the desired-state repository, as read at the revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFile {
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Origin {
    /// What changes are reported under: the name of the artifact, or the path in the repository.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Artifact { name, .. } => name.as_str(),
            Self::Repository { path } => path.as_str(),
        }
    }
}

impl Composition {
    /// The files in the generation that Falco loads as rules.
    pub fn placed(&self) -> impl Iterator<Item = &PlacedFile> {
        self.rules_files.iter().filter_map(|file| match file {
            RulesFile::Placed(placed) => Some(placed),
            RulesFile::Host(_) => None,
        })
    }

    /// All files in the generation that are taken from archives or the repository.
    pub fn files(&self) -> impl Iterator<Item = &PlacedFile> {
        self.placed().chain(&self.assets)
    }

    /// The plugin of that artifact.
    #[must_use]
    pub fn plugin(&self, name: &ArtifactName) -> Option<&PlacedPlugin> {
        self.plugins.iter().find(|plugin| plugin.name == *name)
    }

    /// The files and directories that the host's owner keeps.
    pub fn kept_by_host(&self) -> impl Iterator<Item = &AbsolutePath> {
        self.rules_files.iter().filter_map(|file| match file {
            RulesFile::Host(path) => Some(path),
            RulesFile::Placed(_) => None,
        })
    }

    /// Whether Falco would load the same from both, whatever revision asked for them.
    #[must_use]
    pub fn loads_same_as(&self, other: &Self) -> bool {
        self.content() == other.content()
    }

    /// Whether a generation of the one can stand for the other: Falco would load the same, from artifacts of the same
    /// version. What is published again with the same content, so that only its manifest's digest differs, is the same.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let artifact =
            |artifact: &LockedArtifact| (artifact.name.clone(), artifact.source.clone(), artifact.version.clone());
        let artifacts = |composition: &Self| composition.lockfile.artifacts.iter().map(artifact).collect::<Vec<_>>();
        self.loads_same_as(other) && artifacts(self) == artifacts(other)
    }

    /// The digest of what Falco would load: equal exactly when [`Self::loads_same_as`] says so.
    #[must_use]
    pub fn content_digest(&self) -> Digest {
        Digest::of(self.content().as_bytes())
    }

    /// What Falco would load, a line for each thing. Settings name the libraries of plugins, and these their digests.
    fn content(&self) -> String {
        let mut text = String::new();
        for file in &self.rules_files {
            match file {
                RulesFile::Placed(placed) => text.push_str(&format!("placed {} {}\n", placed.path, placed.sha256)),
                RulesFile::Host(path) => text.push_str(&format!("host {path}\n")),
            }
        }
        for asset in &self.assets {
            text.push_str(&format!("asset {} {}\n", asset.path, asset.sha256));
        }
        for (key, value) in &self.settings {
            text.push_str(&format!("setting {key} {value}\n"));
        }
        text
    }

    /// The text of the include for a generation whose directory is `root`.
    ///
    /// It names the rules files by the generation's real path, so that what a Falco has loaded does not change under it.
    #[must_use]
    pub fn include(&self, root: &AbsolutePath) -> String {
        let path = |file: &RulesFile| match file {
            RulesFile::Placed(placed) => root.join(&placed.path).to_string(),
            RulesFile::Host(path) => path.to_string(),
        };
        let include =
            Include { rules_files: self.rules_files.iter().map(path).collect(), settings: self.settings.clone() };
        include.render("Written by falconer from the desired state; a change here is drift and does not last.")
    }
}
