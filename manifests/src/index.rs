//! falcoctl's index: which names stand for which repositories.
//!
//! The format is falcoctl's (`pkg/index/index/index.go`): a list of entries; unknown keys are passed over. Unlike falcoctl
//! this reader checks that every entry can be used.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::finding::Findings;
use crate::name::ArtifactName;
use crate::reference::Source;

mod decode;
mod location;
mod search;

pub use location::{IndexLocation, LocationError};
pub(crate) use search::likeness;
pub use search::{MIN_SCORE, score};

/// The size in bytes that an index may have: more than 300 times that of the official one, room for 100,000 short entries.
pub const INDEX_CAP: usize = 16 << 20;

/// An index: entries sorted by name, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    entries: Vec<IndexEntry>,
}

/// What an index knows of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The artifact's name.
    pub name: ArtifactName,
    /// The type as the index has it, a label for lists and searches: the layer's media type decides what an artifact is.
    pub kind: Option<String>,
    /// Where it lives: the keys `registry` and `repository`.
    pub source: Source,
    /// What it is, in a sentence.
    pub description: String,
    /// Its page.
    pub home: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Its licence, as SPDX or not.
    pub license: String,
    /// Who keeps it.
    pub maintainers: Vec<Maintainer>,
    /// Where its sources are.
    pub sources: Vec<String>,
    /// How its signature is to be checked: the key `signature.cosign`.
    pub cosign: Option<Box<Cosign>>,
}

/// Who keeps an artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
}

/// How a cosign signature is to be checked. Empty text stands for what is not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cosign {
    /// The key `certificate-oidc-issuer`.
    pub certificate_oidc_issuer: String,
    /// The key `certificate-oidc-issuer-regexp`.
    pub certificate_oidc_issuer_regexp: String,
    /// The key `certificate-identity`.
    pub certificate_identity: String,
    /// The key `certificate-identity-regexp`.
    pub certificate_identity_regexp: String,
    /// The key `certificate-github-workflow`, which falcoctl reads and does not use.
    pub certificate_github_workflow: String,
    /// The key `key`: a public key or where it is.
    pub key: String,
    /// The key `ignore-tlog`: the transparency log is not asked.
    pub ignore_tlog: bool,
}

impl Index {
    /// The entry of this name.
    #[must_use]
    pub fn find(&self, name: &ArtifactName) -> Option<&IndexEntry> {
        self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok().and_then(|found| self.entries.get(found))
    }

    /// All entries, sorted by name.
    #[must_use]
    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }
}

/// Parses an index of at most [`INDEX_CAP`] bytes; `file` is the name that findings give. Nothing at all is an index
/// without entries.
///
/// # Errors
/// Everything that is wrong with it: no YAML, not a list of maps, a name, registry or repository that is missing or not
/// well-formed, a name that stands twice, a value of the wrong type.
pub fn parse(file: &str, text: &str) -> Result<Index, Findings> {
    decode::index(file, text).map(|entries| Index { entries })
}

#[cfg(test)]
mod tests;
