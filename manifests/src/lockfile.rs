//! `falconer.lock`: every artifact by digest, every file by sha256.
//!
//! The text is TOML, the same for the same content: sorted, without timestamps, with the content for every platform.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::artifact::{ArtifactType, Dependency, Requirement};
use crate::digest::Digest;
use crate::finding::{Finding, Findings, Location};
use crate::fleet::DesiredState;
use crate::name::{ArtifactName, IndexName, RelativePath};
use crate::reference::{Source, Tag};

/// The name of the lockfile, beside `fleet.yaml`.
pub const FILE_NAME: &str = "falconer.lock";

/// The version of the document that this program writes and the only one that it reads.
const VERSION: u32 = 1;

const HEADER: &str = "# Written by `falconer lock`; a change of it is made by running that again.\n";

/// The lockfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockfile {
    /// The version of the document.
    version: u32,
    /// The digest of the inputs that this lockfile answers ([`crate::fleet::inputs_digest`]).
    pub inputs: Digest,
    /// The indexes that named the artifacts, in the order of the desired state.
    #[serde(default, rename = "index", skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<LockedIndex>,
    /// The artifacts, sorted by name.
    #[serde(default, rename = "artifact", skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<LockedArtifact>,
}

/// An index as it was when the lockfile was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedIndex {
    /// Its name in the desired state.
    pub name: IndexName,
    /// Where it was read.
    pub url: String,
    /// The digest of the bytes that were read.
    pub digest: Digest,
}

/// One artifact, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedArtifact {
    /// Its name in the desired state.
    pub name: ArtifactName,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ArtifactType,
    /// Where it lives.
    pub source: Source,
    /// The version as the desired state asks for it.
    pub requested: String,
    /// The tag that answered the request; absent where a digest was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// The version that the artifact gives itself; empty in old artifacts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The digest of what the tag names: a manifest or an image index.
    pub digest: Digest,
    /// The artifacts that need it, sorted; empty for one that the desired state itself asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed_by: Vec<ArtifactName>,
    /// What the host's Falco must offer.
    #[serde(default, rename = "requirement", skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Requirement>,
    /// Artifacts that must be there too.
    #[serde(default, rename = "dependency", skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// What it holds, once for each platform; rules have one content for all platforms.
    #[serde(rename = "content")]
    pub contents: Vec<LockedContent>,
}

/// What an artifact holds for a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedContent {
    /// `os/architecture`; absent when the content serves all platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The digest of the manifest.
    pub manifest: Digest,
    /// The digest of the archive.
    pub layer: Digest,
    /// The archive's size in bytes.
    pub layer_size: u64,
    /// The files in the archive, sorted by path.
    #[serde(rename = "file")]
    pub files: Vec<LockedFile>,
}

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// Its path in the archive.
    pub path: RelativePath,
    /// The digest of its bytes, written as 64 hex digits.
    #[serde(with = "hex")]
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Lockfile {
    /// A lockfile that answers `inputs`; sorts the artifacts.
    #[must_use]
    pub fn new(inputs: Digest, indexes: Vec<LockedIndex>, mut artifacts: Vec<LockedArtifact>) -> Self {
        artifacts.sort_by(|a, b| a.name.cmp(&b.name));
        Self { version: VERSION, inputs, indexes, artifacts }
    }

    /// Parses the text of a lockfile.
    ///
    /// # Errors
    /// One finding: the first thing that is wrong, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Findings> {
        let hint = "run `falconer lock` in the repository and commit what it writes";
        let lockfile: Self = toml::from_str(text).map_err(|error| toml_finding(file, text, &error, hint))?;
        if lockfile.version != VERSION {
            return Err(Findings::one(Finding {
                location: Location { file: file.to_string(), line: 0, column: 0 },
                message: alloc::format!("has version {}, and this falconer reads version {VERSION}", lockfile.version),
                hint: hint.to_string(),
            }));
        }
        Ok(lockfile)
    }

    /// The text: the same bytes for the same lockfile.
    ///
    /// # Errors
    /// When a value cannot be written as TOML, which no value made by this crate does.
    pub fn render(&self) -> Result<String, toml::ser::Error> {
        let mut text = String::from(HEADER);
        text.push_str(&toml::to_string(self)?);
        Ok(text)
    }

    /// The artifact of that name.
    #[must_use]
    pub fn artifact(&self, name: &ArtifactName) -> Option<&LockedArtifact> {
        self.artifacts.iter().find(|artifact| &artifact.name == name)
    }
}

impl Lockfile {
    /// The entry of the desired state because of which an artifact is there: its own, or that of what needs it.
    #[must_use]
    pub fn asked_at(&self, desired: &DesiredState, artifact: &ArtifactName) -> Location {
        let mut seen = BTreeSet::new();
        let mut open = alloc::vec![artifact];
        while let Some(name) = open.pop() {
            if let Some(request) = desired.artifacts.iter().find(|request| request.name == *name) {
                return request.at.clone();
            }
            if seen.insert(name) {
                open.extend(self.artifact(name).iter().flat_map(|artifact| &artifact.needed_by));
            }
        }
        Location { file: FILE_NAME.to_string(), line: 0, column: 0 }
    }
}

/// The path of the lockfile in the directory of the desired state.
#[must_use]
pub fn path() -> RelativePath {
    RelativePath::known(FILE_NAME)
}

/// The finding that a TOML error is, with its place in `text`.
#[must_use]
pub fn toml_finding(file: &str, text: &str, error: &toml::de::Error, hint: &str) -> Findings {
    let offset = error.span().map_or(0, |span| span.start).min(text.len());
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    Findings::one(Finding {
        location: Location { file: file.to_string(), line: before.matches('\n').count() + 1, column },
        message: error.message().to_string(),
        hint: hint.to_string(),
    })
}

/// Digests as bare hex digits, as `sha256sum` prints them.
pub(crate) mod hex {
    use alloc::string::String;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::digest::Digest;

    pub(crate) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(digest.hex())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let digits = String::deserialize(deserializer)?;
        Digest::parse(&alloc::format!("sha256:{digits}")).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lockfile() -> Lockfile {
        let file =
            |path: &str| LockedFile { path: RelativePath::parse(path).unwrap(), sha256: Digest::of(b"f"), size: 1 };
        let artifact = |name: &str| LockedArtifact {
            name: ArtifactName::parse(name).unwrap(),
            kind: ArtifactType::Rulesfile,
            source: Source::parse("localhost:5000/rules/x").unwrap(),
            requested: "5".into(),
            tag: Some(Tag::parse("5").unwrap()),
            version: "5.1.0".into(),
            digest: Digest::of(b"m"),
            needed_by: Vec::new(),
            requirements: alloc::vec![Requirement { name: "engine_version_semver".into(), version: "0.57.0".into() }],
            dependencies: alloc::vec![Dependency {
                name: "container".into(),
                version: "0.4.0".into(),
                alternatives: alloc::vec![Requirement { name: "other".into(), version: "1.0.0".into() }],
            }],
            contents: alloc::vec![LockedContent {
                platform: None,
                manifest: Digest::of(b"m"),
                layer: Digest::of(b"l"),
                layer_size: 7,
                files: alloc::vec![file("falco_rules.yaml")],
            }],
        };
        let index = LockedIndex {
            name: IndexName::parse("falcosecurity").unwrap(),
            url: "https://example.org/index.yaml".into(),
            digest: Digest::of(b"i"),
        };
        Lockfile::new(Digest::of(b"in"), alloc::vec![index], alloc::vec![artifact("b"), artifact("a")])
    }

    #[test]
    fn text_is_stable_and_sorted() {
        let text = lockfile().render().unwrap();
        let again = Lockfile::parse(FILE_NAME, &text).unwrap();
        assert_eq!(again, lockfile());
        assert_eq!(again.render().unwrap(), text);
        assert!(text.find("name = \"a\"").unwrap() < text.find("name = \"b\"").unwrap());
    }

    #[test]
    fn errors_name_their_place() {
        let text = lockfile().render().unwrap().replace("requested", "reqested");
        let findings = Lockfile::parse(FILE_NAME, &text).unwrap_err();
        let finding = findings.as_slice().first().unwrap();
        assert!(finding.message.contains("reqested"), "{finding}");
        assert!(finding.location.line > 1, "{finding}");
        assert!(
            Lockfile::parse(FILE_NAME, &lockfile().render().unwrap().replace("version = 1\n", "version = 2\n"))
                .is_err()
        );
    }
}
