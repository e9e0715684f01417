//! Which version of an artifact is wanted.

use core::fmt;

use crate::digest::Digest;
use crate::finding::Malformed;
use crate::reference::Tag;
use crate::version::Range;

/// The version of an artifact that is wanted. Its `Display` gives the text of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRequest {
    /// What stands under this tag, e.g. `5`, `5.1`, `latest`, `main`.
    Tag(Tag),
    /// The highest version that fits, e.g. `^1.2`, `~1.4`, `1.x`, `>=1, <2`.
    Range(Range),
    /// Exactly this content.
    Digest(Digest),
    /// Exactly this content; the tag is there for people, and decides nothing.
    Pinned {
        /// What people know it by.
        tag: Tag,
        /// The content.
        digest: Digest,
    },
}

impl VersionRequest {
    /// Reads a digest (`sha256:…`), a tag and a digest (`5@sha256:…`), a range (anything with an operator or a wildcard),
    /// else a tag.
    ///
    /// # Errors
    /// [`Malformed`] when the text has the looks of one of them, but not its form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.starts_with("sha256:") {
            return Digest::parse(text).map(Self::Digest);
        }
        if let Some((tag, digest)) = text.split_once('@') {
            return Ok(Self::Pinned { tag: parse_tag(tag)?, digest: Digest::parse(digest)? });
        }
        if is_range(text) { Range::parse(text).map(Self::Range) } else { parse_tag(text).map(Self::Tag) }
    }
}

fn parse_tag(text: &str) -> Result<Tag, Malformed> {
    Tag::parse(text).map_err(|wrong| Malformed {
        what: "version",
        problem: "is neither a tag nor a requirement nor a digest",
        hint: "write a tag like \"5\" or latest, a requirement like ^5.1, or sha256: and 64 hex digits",
        ..wrong
    })
}

impl fmt::Display for VersionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Range(range) => range.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
            Self::Pinned { tag, digest } => write!(f, "{tag}@{digest}"),
        }
    }
}

/// Whether the text has an operator, or numbers with a wildcard after them (`1.x`, `1.2.*`).
fn is_range(text: &str) -> bool {
    let numbered = text.starts_with(|first: char| first.is_ascii_digit());
    text.contains(|c: char| "^~<>=*,|".contains(c) || c.is_whitespace())
        || (numbered && text.split('.').skip(1).any(|part| matches!(part, "x" | "X")))
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn each_form_is_known_by_its_looks() {
        let digest = Digest::of(b"").to_string();
        for text in ["5", "5.1", "5.10", "latest", "1.0.0-rc1", "main", "v1.0.0", "x", "1.0.0-x"] {
            assert!(matches!(VersionRequest::parse(text), Ok(VersionRequest::Tag(_))), "{text}");
        }
        for text in ["^1.2", "~1.4", ">=1, <2", "1.x", "1.2.X", "1.*", "*", "=5.1.0", "> 1", ">=1 <2", "^v1"] {
            assert!(matches!(VersionRequest::parse(text), Ok(VersionRequest::Range(_))), "{text}");
        }
        assert!(matches!(VersionRequest::parse(&digest), Ok(VersionRequest::Digest(_))));
        let both = format!("5@{digest}");
        assert!(matches!(VersionRequest::parse(&both), Ok(VersionRequest::Pinned { .. })));
        for text in ["5", ">=1, <2", "1.x", digest.as_str(), both.as_str()] {
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
            ("5@", "digest"),
            ("@sha256:12", "version"),
            ("^5@sha256:12", "version"),
            ("^1 || ^2", "version requirement"),
            ("1.x.y", "version requirement"),
            ("sha256:12", "digest"),
        ] {
            assert_eq!(VersionRequest::parse(text).map_err(|wrong| wrong.what), Err(what), "{text}");
        }
    }
}
