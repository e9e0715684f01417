//! Copies of indexes, for when their servers are away, and so that what has not changed is not sent again.
//!
//! One file for each index, named by the sha256 of its URL: a line of JSON, then the index. A file that is not what it
//! must be counts as none.

use std::path::PathBuf;

use falconer_manifests::digest::Digest;
use serde::{Deserialize, Serialize};

use super::CAP;
use crate::layout::directory::{Directory, FileError};

/// The longest first line, in bytes.
const HEAD_CAP: u64 = 8 * 1024;

/// A directory of copies.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

/// What is kept of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedIndex {
    /// What its server said of this version, to ask whether it is still the newest.
    pub validator: Validator,
    /// The index.
    pub bytes: Vec<u8>,
}

/// What tells one version of an index from another (RFC 9110, section 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// The server's tag of the version; of an artifact, the digest of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The time of its last change, in the server's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    sha256: Digest,
    #[serde(flatten)]
    validator: Validator,
}

impl Cache {
    /// Copies in `directory`, which is created with the first of them.
    #[must_use]
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The copy of the index at `url`, when there is a whole one.
    #[must_use]
    pub fn read(&self, url: &str) -> Option<CachedIndex> {
        let directory = Directory::open(&self.directory).ok()?;
        let file = directory.read_file(name(url), CAP + HEAD_CAP).ok()??;
        let end = file.iter().position(|byte| *byte == b'\n')?;
        let (head, rest) = file.split_at_checked(end)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let bytes = rest.get(1..)?.to_vec();
        (Digest::of(&bytes) == head.sha256).then_some(CachedIndex { validator: head.validator, bytes })
    }

    /// Keeps a copy, in one step that a crash cannot tear.
    ///
    /// # Errors
    /// When the disk does not take it; the old copy is then still there.
    pub fn keep(&self, url: &str, copy: &CachedIndex) -> Result<(), FileError> {
        let head = Head { sha256: Digest::of(&copy.bytes), validator: copy.validator.clone() };
        let mut file = serde_json::to_vec(&head)
            .map_err(|error| FileError::new("write", &self.directory, std::io::Error::other(error)))?;
        file.push(b'\n');
        file.extend_from_slice(&copy.bytes);
        // Two processes of one user may share the directory.
        let temporary = format!(".{}-{}.tmp", name(url), std::process::id());
        Directory::open_or_create(&self.directory)?.replace_file(&name(url), &temporary, &file)
    }
}

fn name(url: &str) -> String {
    Digest::of(url.as_bytes()).hex().to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn copies_come_back_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("a/b"));
        let url = "https://h.example/index.yaml";
        assert!(cache.read(url).is_none());
        let validator = Validator { etag: Some("\"1\"".into()), last_modified: None };
        cache.keep(url, &CachedIndex { validator: validator.clone(), bytes: b"- name: a\n".to_vec() }).unwrap();
        let copy = cache.read(url).unwrap();
        assert_eq!((copy.validator, copy.bytes.as_slice()), (validator, b"- name: a\n".as_slice()));
        assert!(cache.read("https://h.example/other.yaml").is_none());
        cache.keep(url, &CachedIndex { validator: Validator::default(), bytes: Vec::new() }).unwrap();
        assert!(cache.read(url).unwrap().bytes.is_empty());

        let path = directory.path().join("a/b").join(name(url));
        let whole = fs_err::read(&path).unwrap();
        for damaged in [b"".to_vec(), b"{}\n".to_vec(), [whole.as_slice(), b"x"].concat(), vec![b'x'; 99]] {
            fs_err::File::create(&path).and_then(|mut file| file.write_all(&damaged)).unwrap();
            assert!(cache.read(url).is_none());
        }
        fs_err::File::create(&path).unwrap().set_len(CAP + HEAD_CAP + 1).unwrap();
        assert!(cache.read(url).is_none());
    }
}
