//! Versions of the documents that we keep: one that a newer falconer has written is refused, not guessed at.

use alloc::string::{String, ToString};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A document that a newer falconer has written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{document} is of version {found}, and this falconer knows versions up to {known}")]
pub struct NewerDocument {
    /// The document.
    pub document: String,
    /// The version that it says.
    pub found: u64,
    /// The newest version that we know.
    pub known: u32,
}

/// What to do about it.
pub const NEWER_HINT: &str = "install the falconer that wrote it, or a newer one";

/// The version of a document of which there is only one so far. It is written, and no other is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VersionOne;

impl VersionOne {
    /// The number.
    pub const NUMBER: u32 = 1;
}

impl Serialize for VersionOne {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for VersionOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            Self::NUMBER => Ok(Self),
            other => Err(D::Error::custom(alloc::format!("version {other} is not known"))),
        }
    }
}

/// The part of a document that says its version; whatever else there is may have any shape.
#[derive(Deserialize)]
struct Head {
    version: Option<u64>,
}

/// Refuses TOML that says a version above `known`. What is no TOML is for its own reader to refuse.
///
/// # Errors
/// [`NewerDocument`].
pub fn newer_toml(document: &str, text: &str, known: u32) -> Result<(), NewerDocument> {
    newer(document, toml::from_str::<Head>(text).ok(), known)
}

/// Refuses JSON that says a version above `known`. What is no JSON is for its own reader to refuse.
///
/// # Errors
/// [`NewerDocument`].
pub fn newer_json(document: &str, bytes: &[u8], known: u32) -> Result<(), NewerDocument> {
    newer(document, serde_json::from_slice::<Head>(bytes).ok(), known)
}

fn newer(document: &str, head: Option<Head>, known: u32) -> Result<(), NewerDocument> {
    match head.and_then(|head| head.version) {
        Some(found) if found > u64::from(known) => Err(NewerDocument { document: document.to_string(), found, known }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_a_higher_version_is_newer() {
        for text in ["", "version = 1", "version = \"2\"", "garbage", "version = 1\n[new]\nkey = {}"] {
            assert_eq!(newer_toml("ledger", text, 1), Ok(()), "{text}");
        }
        let newer = newer_toml("ledger", "version = 2\nunknown = []\n[more]\nversion = 1", 1).unwrap_err();
        assert_eq!(newer.to_string(), "ledger is of version 2, and this falconer knows versions up to 1");
        assert!(newer_json("MANIFEST", b"{\"a\": [], \"version\": 3}", 1).is_err());
        assert_eq!(newer_json("MANIFEST", b"{\"a\": []}", 1), Ok(()));
        assert!(serde_json::from_str::<VersionOne>("2").is_err());
        assert_eq!(serde_json::to_string(&VersionOne).unwrap(), "1");
    }
}
