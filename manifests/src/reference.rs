//! Where an artifact lives: a repository of a registry, or an OCI image layout directory.

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::finding::Malformed;
use crate::newtype::checked_text;

mod named;

pub use self::named::Written;

const HINT: &str = "write host[:port]/repository[:tag][@sha256:…] or oci:DIRECTORY[:tag][@sha256:…]";

checked_text!(
    /// A tag: 1 to 128 letters, digits, `.`, `_` and `-`, not starting with `.` or `-` (OCI distribution spec, "Pulling manifests").
    Tag, "tag", tag
);

/// A place that holds artifacts under tags and digests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A repository of a registry.
    Registry {
        /// Host and optional port, e.g. `ghcr.io` or `localhost:5000`.
        registry: String,
        /// The repository's path in the registry, e.g. `falcosecurity/rules/falco-rules`.
        repository: String,
    },
    /// An OCI image layout on this machine (OCI image spec, image-layout.md).
    Layout {
        /// The directory as written; who reads it says what a relative one is relative to.
        directory: String,
    },
}

impl Source {
    /// Parses `host[:port]/repository` or `oci:DIRECTORY`.
    ///
    /// # Errors
    /// [`Malformed`] when the text is neither, or has a tag or a digest.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let reference = Reference::parse(text)?;
        if reference.tag.is_some() || reference.digest.is_some() {
            return Err(malformed(text, "has a tag or a digest where only a place is meant"));
        }
        Ok(reference.source)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry { registry, repository } => write!(f, "{registry}/{repository}"),
            Self::Layout { directory } => write!(f, "oci:{directory}"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A full reference to an artifact. Where both tag and digest stand, the digest decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Where it lives.
    pub source: Source,
    /// The tag, when one is given.
    pub tag: Option<Tag>,
    /// The digest of its manifest, when one is given.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Parses `host[:port]/repository[:tag][@digest]` or `oci:DIRECTORY[:tag][@digest]`.
    ///
    /// # Errors
    /// [`Malformed`] when the text is of neither form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (place, layout) = match rest.strip_prefix("oci:") {
            Some(place) => (place, true),
            None => (rest, false),
        };
        let last_part = place.rfind('/').map_or(0, |slash| slash + 1);
        let (place, tag) = match place.get(last_part..).and_then(|part| part.rfind(':')) {
            Some(colon) => {
                let (place, tag) = place.split_at(last_part + colon);
                (place, Some(Tag::parse(tag.trim_start_matches(':'))?))
            }
            None => (place, None),
        };
        let source = if layout { layout_source(text, place)? } else { registry_source(text, place)? };
        Ok(Self { source, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn malformed(text: &str, problem: &'static str) -> Malformed {
    Malformed { what: "reference", value: text.to_string(), problem, hint: HINT }
}

fn layout_source(text: &str, directory: &str) -> Result<Source, Malformed> {
    if directory.is_empty() || directory.contains(char::is_control) {
        return Err(malformed(text, "names no directory"));
    }
    Ok(Source::Layout { directory: directory.to_string() })
}

fn registry_source(text: &str, place: &str) -> Result<Source, Malformed> {
    let (registry, repository) = place.split_once('/').ok_or_else(|| malformed(text, "has no registry host"))?;
    if !is_authority(registry) {
        return Err(malformed(text, "has a registry host that is not well-formed"));
    }
    if !repository.split('/').all(is_repository_part) || repository.len() > 255 {
        return Err(malformed(text, "has a repository that is not lower-case or not well-formed"));
    }
    Ok(Source::Registry { registry: registry.to_string(), repository: repository.to_string() })
}

/// `host[:port]`, the host a name, an IPv4 address or an IPv6 address in brackets.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let host_is_good = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => {
            host.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        }
    };
    port_is_good && host_is_good
}

/// One path component of a repository (OCI distribution spec, "Pulling manifests").
fn is_repository_part(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = part.bytes().next().is_some_and(alphanumeric) && part.bytes().last().is_some_and(alphanumeric);
    ends && part.bytes().all(|b| alphanumeric(b) || matches!(b, b'.' | b'_' | b'-'))
}

fn tag(text: &str) -> Result<(), (&'static str, &'static str)> {
    let hint = "a tag has letters, digits, `.`, `_` and `-`, e.g. 5.1.0";
    let first = text.bytes().next().ok_or(("is empty", hint))?;
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !word(first) || text.len() > 128 || !text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-')) {
        return Err(("is not a well-formed tag", hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn references_round_trip() {
        let digest = Digest::of(b"x");
        for text in [
            "ghcr.io/falcosecurity/rules/falco-rules:5".to_string(),
            "localhost:5000/a".to_string(),
            "localhost:5000/a:latest".to_string(),
            "[::1]:5000/a/b".to_string(),
            "oci:layout".to_string(),
            "oci:/srv/my layout:1.0.0".to_string(),
            "oci:../x/layout:1.0.0".to_string(),
            format!("ghcr.io/a/b@{digest}"),
            format!("ghcr.io/a/b:1.0@{digest}"),
        ] {
            assert_eq!(Reference::parse(&text).unwrap().to_string(), text);
        }
        let layout = Reference::parse("oci:layout:1.0.0").unwrap();
        assert_eq!(layout.source, Source::Layout { directory: "layout".into() });
        assert_eq!(layout.tag, Some(Tag::parse("1.0.0").unwrap()));
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            "",
            "falco-rules",
            "ghcr.io/",
            "ghcr.io/A",
            "/a",
            "a:0/b",
            "a/b:",
            "a/b@sha256:1",
            "oci:",
            "a/b//c",
            "a_b/c",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
        assert!(Source::parse("ghcr.io/a:1").is_err());
    }
}
