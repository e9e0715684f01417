//! What tags say about versions: which one is a version, and which floating tag a new version may move.
//!
//! Floating tags are those that falcoctl's `registry push --add-floating-tags` sets: `X` and `X.Y` for the version `X.Y.Z`.
//! Unlike falcoctl this moves them only forward, as the workflow of the official rules does (falcosecurity/rules,
//! `build/registry/tag.go`).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use semver::Version;

use crate::finding::Malformed;
use crate::reference::Tag;

/// The tag of whatever is newest.
pub const LATEST: &str = "latest";

/// What an artifact that is published calls its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishedVersion {
    /// A semantic version.
    Semantic(Version),
    /// The name of a branch, e.g. `main`: falcoctl's `install` refuses such an artifact, its `follow` takes it.
    Branch(Tag),
}

impl PublishedVersion {
    /// Parses a semantic version to the letter, else the name of a branch that can be a tag.
    ///
    /// # Errors
    /// [`Malformed`] when it is neither, and also when it looks like a version that is short of one (`1.2`, `v1.2.3`).
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if let Ok(version) = Version::parse(text) {
            return Ok(Self::Semantic(version));
        }
        let numbered = text.strip_prefix(['v', 'V']).unwrap_or(text).starts_with(|first: char| first.is_ascii_digit());
        match Tag::parse(text) {
            Ok(branch) if !numbered => Ok(Self::Branch(branch)),
            _ => Err(Malformed {
                what: "version",
                value: text.to_string(),
                problem: "is neither a semantic version nor the name of a branch that can be a tag",
                hint: "give all three numbers, e.g. 1.2.0, or the name of a branch, e.g. main",
            }),
        }
    }
}

/// A floating tag, and whether it is to name the new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloatingTag {
    /// The tag.
    pub tag: Tag,
    /// The newer version in its range that keeps it where it is; `None` when the tag moves.
    pub kept_by: Option<Version>,
}

/// The floating tags of `version`: `X`, `X.Y` and, when asked for, `latest`. `known` are the tags that there are and whose
/// version is known, of exact and of floating tags. A pre-release has none.
#[must_use]
pub fn floating(version: &Version, known: &BTreeMap<Tag, Version>, latest: bool) -> Vec<FloatingTag> {
    if !version.pre.is_empty() {
        return Vec::new();
    }
    let (major, minor) = (version.major, version.minor);
    let same_major = move |other: &Version| other.major == major;
    let same_minor = move |other: &Version| other.major == major && other.minor == minor;
    let any = |_: &Version| true;
    let newest = |range: &dyn Fn(&Version) -> bool| {
        known.values().filter(|other| other.pre.is_empty() && range(other)).max().cloned()
    };
    let mut tags = Vec::new();
    let mut add = |text: &str, range: &dyn Fn(&Version) -> bool| {
        let newer = newest(range).filter(|newest| newest > version);
        tags.extend(Tag::parse(text).ok().map(|tag| FloatingTag { tag, kept_by: newer }));
    };
    add(&major.to_string(), &same_major);
    add(&format!("{major}.{minor}"), &same_minor);
    if latest {
        add(LATEST, &any);
    }
    tags
}

/// The version that an exact tag names: `X.Y.Z`, with a pre-release or not, a `v` before it tolerated.
#[must_use]
pub fn version_of(tag: &Tag) -> Option<Version> {
    let text = tag.as_str();
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

/// Whether the tag is cosign's and no artifact's: `sha256-<digest>` with or without an ending (cosign, "SIGNATURE_SPEC").
#[must_use]
pub fn is_attachment(tag: &Tag) -> bool {
    let digits = tag.as_str().strip_prefix("sha256-").map(|rest| rest.split('.').next().unwrap_or_default());
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        || tag.as_str().ends_with(".sig")
}

/// The exact versions among `tags`, newest last.
#[must_use]
pub fn versions(tags: &[Tag]) -> Vec<(Tag, Version)> {
    let mut versions: Vec<_> = tags.iter().filter_map(|tag| Some((tag.clone(), version_of(tag)?))).collect();
    versions.sort_by(|(a, a_version), (b, b_version)| (a_version, a).cmp(&(b_version, b)));
    versions
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    fn known(versions: &[&str]) -> BTreeMap<Tag, Version> {
        let entry = |text: &&str| (Tag::parse(&text.replace('+', "_")).unwrap(), Version::parse(text).unwrap());
        versions.iter().map(entry).collect()
    }

    fn moved(version: &str, existing: &[&str]) -> String {
        let tags = floating(&Version::parse(version).unwrap(), &known(existing), true);
        let shown = |tag: &FloatingTag| match &tag.kept_by {
            None => tag.tag.to_string(),
            Some(newer) => format!("({} {newer})", tag.tag),
        };
        tags.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn floating_tags_move_only_forward() {
        for (version, existing, expected) in [
            ("1.2.3", &[][..], "1 1.2 latest"),
            ("1.2.3", &["1.2.2", "1.1.9", "0.9.0"], "1 1.2 latest"),
            ("1.2.3", &["1.2.3"], "1 1.2 latest"),
            ("1.2.3", &["1.3.0"], "(1 1.3.0) 1.2 (latest 1.3.0)"),
            ("1.2.3", &["1.2.10"], "(1 1.2.10) (1.2 1.2.10) (latest 1.2.10)"),
            ("1.2.3", &["2.0.0"], "1 1.2 (latest 2.0.0)"),
            ("1.2.3", &["2.0.0-rc1", "1.2.4-rc1"], "1 1.2 latest"),
            ("0.1.0", &["0.10.0"], "(0 0.10.0) 0.1 (latest 0.10.0)"),
            ("1.2.3-rc1", &[], ""),
        ] {
            assert_eq!(moved(version, existing), expected, "{version} {existing:?}");
        }
        let without = floating(&Version::new(1, 2, 3), &BTreeMap::new(), false);
        assert!(without.iter().all(|tag| tag.tag.as_str() != LATEST));
    }

    #[test]
    fn versions_and_branches() {
        for text in ["1.2.3", "0.1.0-rc1", "1.0.0+build"] {
            assert!(matches!(PublishedVersion::parse(text), Ok(PublishedVersion::Semantic(_))), "{text}");
        }
        for text in ["main", "vendor", "release-1.2", "v"] {
            assert!(matches!(PublishedVersion::parse(text), Ok(PublishedVersion::Branch(_))), "{text}");
        }
        for bad in ["", "1", "1.2", "v1.2.3", "V1", "1.2.3 ", "feature/x", "01.2.3"] {
            assert!(PublishedVersion::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_in_order() {
        let tags: Vec<_> = ["1.10.0", "latest", "1.9.0", "1.10.0-rc1", "1", "v0.1.0", "main"]
            .map(|tag| Tag::parse(tag).unwrap())
            .into();
        let shown: Vec<_> = versions(&tags).iter().map(|(tag, _)| tag.to_string()).collect();
        assert_eq!(shown, ["v0.1.0", "1.9.0", "1.10.0-rc1", "1.10.0"]);
        let digest = format!("sha256-{}", "a".repeat(64));
        for text in [digest.clone(), format!("{digest}.sig"), format!("{digest}.att")] {
            assert!(is_attachment(&Tag::parse(&text).unwrap()), "{text}");
        }
        for text in ["latest", "1.0.0", "sha256-abc"] {
            assert!(!is_attachment(&Tag::parse(text).unwrap()), "{text}");
        }
    }

    proptest! {
        /// After any sequence of pushes every floating tag names the highest final version of its range so far.
        #[test]
        fn whatever_the_order_of_pushes(pushes in prop::collection::vec((0u64..3, 0u64..3, 0u64..4, any::<bool>()), 1..12)) {
            let mut tags: BTreeMap<Tag, Version> = BTreeMap::new();
            for (major, minor, patch, pre) in pushes {
                let text = format!("{major}.{minor}.{patch}{}", if pre { "-rc1" } else { "" });
                let version = Version::parse(&text).unwrap();
                for tag in floating(&version, &tags, true).into_iter().filter(|tag| tag.kept_by.is_none()) {
                    tags.insert(tag.tag, version.clone());
                }
                tags.insert(Tag::parse(&text).unwrap(), version);
            }
            let finals: Vec<_> = tags.iter().filter(|(tag, _)| version_of(tag).is_some_and(|v| v.pre.is_empty())).collect();
            for (tag, meant) in tags.iter().filter(|(tag, _)| version_of(tag).is_none()) {
                let prefix = format!("{tag}.");
                let newest = finals.iter().filter(|(exact, _)| tag.as_str() == LATEST || exact.as_str().starts_with(&prefix));
                prop_assert_eq!(newest.map(|(_, version)| *version).max(), Some(meant));
            }
        }
    }
}
