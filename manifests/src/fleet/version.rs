//! Which version of an artifact is wanted.

use alloc::string::{String, ToString};
use core::fmt;

use semver::VersionReq;

use crate::digest::Digest;
use crate::finding::Malformed;
use crate::reference::Tag;

/// The version of an artifact that is wanted. Its `Display` gives the text of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRequest {
    /// What stands under this tag, e.g. `5`, `5.1`, `latest`, `main`.
    Tag(Tag),
    /// The highest version that fits, e.g. `^1.2`, `~1.4`, `1.x`, `>=1, <2`.
    Requirement {
        /// As written.
        text: String,
        /// What it means.
        requirement: VersionReq,
    },
    /// Exactly this content.
    Digest(Digest),
}

impl VersionRequest {
    /// Reads a digest (`sha256:…`), a requirement (anything with an operator or a wildcard), else a tag.
    ///
    /// # Errors
    /// [`Malformed`] when the text has the looks of one of the three, but not its form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.starts_with("sha256:") {
            return Digest::parse(text).map(Self::Digest);
        }
        if !is_requirement(text) {
            return Tag::parse(text).map(Self::Tag).map_err(|wrong| Malformed {
                what: "version",
                problem: "is neither a tag nor a requirement nor a digest",
                hint: "write a tag like \"5\" or latest, a requirement like ^5.1, or sha256: and 64 hex digits",
                ..wrong
            });
        }
        match VersionReq::parse(text) {
            Ok(requirement) => Ok(Self::Requirement { text: text.to_string(), requirement }),
            Err(_) => Err(Malformed {
                what: "version requirement",
                value: text.to_string(),
                problem: "is not well-formed",
                hint: "write ^1.2, ~1.4, 1.x or several conditions with commas between them: >=1, <2",
            }),
        }
    }
}

impl fmt::Display for VersionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Requirement { text, .. } => f.write_str(text),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Whether the text has an operator, or numbers with a wildcard after them (`1.x`, `1.2.*`).
fn is_requirement(text: &str) -> bool {
    let numbered = text.starts_with(|first: char| first.is_ascii_digit());
    text.contains(|c: char| "^~<>=*,|".contains(c) || c.is_whitespace())
        || (numbered && text.split('.').skip(1).any(|part| matches!(part, "x" | "X")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_known_by_its_looks() {
        let digest = Digest::of(b"").to_string();
        for text in ["5", "5.1", "5.10", "latest", "1.0.0-rc1", "main", "v1.0.0", "x", "1.0.0-x"] {
            assert!(matches!(VersionRequest::parse(text), Ok(VersionRequest::Tag(_))), "{text}");
        }
        for text in ["^1.2", "~1.4", ">=1, <2", "1.x", "1.2.X", "1.*", "*", "=5.1.0", "> 1"] {
            assert!(matches!(VersionRequest::parse(text), Ok(VersionRequest::Requirement { .. })), "{text}");
        }
        assert!(matches!(VersionRequest::parse(&digest), Ok(VersionRequest::Digest(_))));
        for text in ["5", ">=1, <2", "1.x", digest.as_str()] {
            assert_eq!(VersionRequest::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_text_is_refused() {
        for (text, what) in [
            ("", "version"),
            ("falco-rules:5", "version"),
            ("-1", "version"),
            ("1.0.0+build", "version"),
            (">=1 <2", "version requirement"),
            ("^1 || ^2", "version requirement"),
            ("^v1", "version requirement"),
            ("1.x.y", "version requirement"),
            ("sha256:12", "digest"),
        ] {
            assert_eq!(VersionRequest::parse(text).map_err(|wrong| wrong.what), Err(what), "{text}");
        }
    }
}
