//! Generations: complete, immutable, numbered directories of everything that Falco loads from us.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::composition::{Composition, INCLUDE, Origin, PlacedFile};
use crate::digest::Digest;
use crate::drift::Drift;
use crate::lockfile;
use crate::name::{AbsolutePath, RelativePath};
use crate::schema::VersionOne;

/// The record of a generation, in its directory.
pub const MANIFEST: &str = "MANIFEST";

/// The mode of every file in a generation.
pub const FILE_MODE: u32 = 0o644;

/// The mode of a generation's directory and of every directory in it.
pub const DIRECTORY_MODE: u32 = 0o755;

/// The number of a generation. Numbers only grow; the first is 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationNumber(pub u64);

impl GenerationNumber {
    /// Its directory, relative to the state directory.
    #[must_use]
    pub fn directory(self) -> RelativePath {
        RelativePath::known(alloc::format!("generations/{self}"))
    }
}

impl fmt::Display for GenerationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The record of a generation: what it is made of, and every file that is in it. JSON, in the file [`MANIFEST`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of the document.
    #[serde(default)]
    pub version: VersionOne,
    /// The generation.
    pub generation: GenerationNumber,
    /// What it is made of.
    pub composition: Composition,
    /// Its files but this record, sorted by path.
    pub files: Vec<RecordedFile>,
    /// The drift that it was made to correct; empty when the desired state asked for it.
    #[serde(default)]
    pub corrects: Vec<Drift>,
}

/// A file of a generation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFile {
    /// Its path in the generation.
    pub path: RelativePath,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A file to write into a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StagedFile {
    /// Where, and what the bytes must be.
    #[serde(flatten)]
    pub file: RecordedFile,
    /// Where the bytes come from.
    pub bytes: Bytes,
}

/// Where the bytes of a staged file come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bytes {
    /// A file in an archive of the store.
    Archive {
        /// The archive.
        layer: Digest,
        /// The path in it.
        entry: RelativePath,
    },
    /// A blob of the store.
    Blob,
    /// This text.
    Text(String),
}

/// A generation that is worked out to the last byte and not on disk yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// Its record.
    pub record: Record,
    /// The text of its record.
    #[serde(skip)]
    pub manifest: String,
    /// Its files, sorted by path.
    pub files: Vec<StagedFile>,
}

impl Draft {
    /// Works out generation `generation` of `composition` below `state`, the state directory.
    ///
    /// # Errors
    /// When the lockfile or the record cannot be written as text, which no value made by this crate causes.
    pub fn new(
        generation: GenerationNumber,
        composition: &Composition,
        corrects: Vec<Drift>,
        state: &AbsolutePath,
    ) -> Result<Self, DraftError> {
        let lockfile = composition.lockfile.render().map_err(|error| DraftError(error.to_string()))?;
        let root = state.join(&generation.directory());
        let mut files: Vec<_> = composition.files().map(staged).collect();
        files.push(text_file(INCLUDE, composition.include(&root)));
        files.push(text_file(lockfile::FILE_NAME, lockfile));
        files.sort_by(|a, b| a.file.cmp(&b.file));
        let record = Record {
            version: VersionOne,
            generation,
            composition: composition.clone(),
            files: files.iter().map(|staged| staged.file.clone()).collect(),
            corrects,
        };
        let manifest = serde_json::to_string(&record).map_err(|error| DraftError(error.to_string()))?;
        Ok(Self { record, manifest, files })
    }

    /// The digest of the record, by which the ledger remembers the generation.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.manifest.as_bytes())
    }
}

/// The generations below `state` whose files a text names, e.g. a falco.yaml.
#[must_use]
pub fn named_in(text: &str, state: &AbsolutePath) -> BTreeSet<GenerationNumber> {
    let directory = alloc::format!("{state}/generations/");
    let named = text.split(directory.as_str()).skip(1);
    let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    named.filter_map(number).map(GenerationNumber).collect()
}

/// The path of the record in a generation.
#[must_use]
pub fn manifest_path() -> RelativePath {
    RelativePath::known(MANIFEST)
}

/// A generation could not be worked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record of a generation cannot be written: {0}")]
pub struct DraftError(String);

fn staged(placed: &PlacedFile) -> StagedFile {
    let bytes = match &placed.origin {
        Origin::Artifact { layer, entry, .. } => Bytes::Archive { layer: layer.clone(), entry: entry.clone() },
        Origin::Repository { .. } => Bytes::Blob,
    };
    let file = RecordedFile { path: placed.path.clone(), sha256: placed.sha256.clone(), size: placed.size };
    StagedFile { file, bytes }
}

fn text_file(name: &str, text: String) -> StagedFile {
    let path = RelativePath::known(name);
    let file = RecordedFile { path, sha256: Digest::of(text.as_bytes()), size: text.len() as u64 };
    StagedFile { file, bytes: Bytes::Text(text) }
}
