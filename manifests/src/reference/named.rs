//! References as people write them: in full, or by a name that an index knows.

use alloc::string::ToString;
use core::fmt;

use super::{Reference, Tag};
use crate::digest::Digest;
use crate::finding::Malformed;
use crate::name::ArtifactName;

/// An artifact as it is typed on a command line or written in falcoctl.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// A full reference.
    Full(Reference),
    /// A name that is to be looked up in the indexes.
    Name {
        /// The name.
        name: ArtifactName,
        /// The tag, when one is given.
        tag: Option<Tag>,
        /// The digest, when one is given; it decides.
        digest: Option<Digest>,
    },
}

impl Written {
    /// Parses what has a `/` or starts with `oci:` as a [`Reference`], anything else as `name[:tag][@digest]`.
    ///
    /// # Errors
    /// [`Malformed`] when the text is of neither form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.contains('/') || text.starts_with("oci:") {
            return Reference::parse(text).map(Self::Full);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(Tag::parse(tag)?)),
            None => (rest, None),
        };
        Ok(Self::Name { name: ArtifactName::parse(name)?, tag, digest })
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(reference) => reference.fmt(f),
            Self::Name { name, tag, digest } => {
                let tag = tag.as_ref().map(|tag| alloc::format!(":{tag}")).unwrap_or_default();
                let digest = digest.as_ref().map_or_else(Default::default, ToString::to_string);
                let at = if digest.is_empty() { "" } else { "@" };
                write!(f, "{name}{tag}{at}{digest}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn names_and_full_references() {
        let digest = Digest::of(b"x");
        let both = format!("falco-rules:5@{digest}");
        for text in ["falco-rules", "falco-rules:5.1", both.as_str()] {
            let written = Written::parse(text).unwrap();
            assert!(matches!(written, Written::Name { .. }), "{text}");
            assert_eq!(written.to_string(), text);
        }
        for text in ["ghcr.io/a/b:1", "oci:dir", "oci:dir:1"] {
            let written = Written::parse(text).unwrap();
            assert!(matches!(written, Written::Full(_)), "{text}");
            assert_eq!(written.to_string(), text);
        }
        for bad in ["", "Falco", "a:", "a@", "a:1:2", "a@sha256:1", "a b"] {
            assert!(Written::parse(bad).is_err(), "{bad}");
        }
    }
}
