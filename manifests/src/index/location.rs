//! Where an index is.

use alloc::format;
use alloc::string::{String, ToString};

use crate::reference::{Reference, Source};
use crate::yaml::shown;

const FORMS: &str = "write https://…, http://…, file:///…, oci://registry/repository:tag or oci:DIRECTORY:tag";

/// Where an index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexLocation {
    /// On a web server: an http or https URL.
    Web(String),
    /// In a file of this machine: a file URL with an absolute path.
    File(String),
    /// In an artifact whose only layer is the index: `oci://registry/repository[:tag][@digest]`, or `oci:DIRECTORY[:tag]`
    /// for an OCI image layout.
    Artifact(Reference),
}

/// What is wrong with the location of an index. The text itself is not repeated, because it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LocationError {
    /// What is wrong.
    pub message: String,
    /// The next act.
    pub hint: &'static str,
}

impl LocationError {
    fn new(message: impl Into<String>, hint: &'static str) -> Self {
        Self { message: message.into(), hint }
    }
}

impl IndexLocation {
    /// Parses the URL of an index.
    ///
    /// # Errors
    /// [`LocationError`] when the text is of none of the forms, or holds credentials.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(LocationError::new("the URL has white space or control characters", "encode them, e.g. %20"));
        }
        if let Some(reference) = text.strip_prefix("oci://") {
            return artifact(reference, |source| matches!(source, Source::Registry { .. }));
        }
        if text.starts_with("oci:") {
            return artifact(text, |source| matches!(source, Source::Layout { .. }));
        }
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| LocationError::new("the URL has no scheme", FORMS))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match scheme {
            _ if authority.contains('@') => Err(credentials()),
            "http" | "https" if authority.is_empty() => Err(LocationError::new("the URL names no host", FORMS)),
            "http" | "https" => Ok(Self::Web(text.to_string())),
            "file" if rest.starts_with('/') => Ok(Self::File(text.to_string())),
            "file" => {
                let hint = "write three slashes: file:///srv/index.yaml";
                Err(LocationError::new("the file URL names no absolute path", hint))
            }
            other => Err(LocationError::new(format!("URLs of scheme `{}` are not read", shown(other)), FORMS)),
        }
    }
}

fn artifact(text: &str, is_meant: impl Fn(&Source) -> bool) -> Result<IndexLocation, LocationError> {
    let user = text.split('/').next().is_some_and(|authority| authority.contains('@'));
    if user && !text.starts_with("oci:") {
        return Err(credentials());
    }
    match Reference::parse(text) {
        Ok(reference) if is_meant(&reference.source) => Ok(IndexLocation::Artifact(reference)),
        _ => Err(LocationError::new("the reference of the index is not well-formed", FORMS)),
    }
}

fn credentials() -> LocationError {
    LocationError::new("the URL holds credentials", "take them out: whoever reads the repository would know them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_an_index() {
        let artifact = |text: &str| match IndexLocation::parse(text) {
            Ok(IndexLocation::Artifact(reference)) => reference.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(artifact("oci://ghcr.io/acme/index:1"), "ghcr.io/acme/index:1");
        assert_eq!(artifact("oci://localhost:5000/index"), "localhost:5000/index");
        assert_eq!(artifact("oci:artifacts:latest"), "oci:artifacts:latest");
        assert_eq!(artifact("oci:/srv/artifacts"), "oci:/srv/artifacts");
        for (text, web) in [("https://a.example/index.yaml", true), ("http://a", true), ("file:///srv/i.yaml", false)] {
            match IndexLocation::parse(text).unwrap() {
                IndexLocation::Web(url) => assert!(web && url == text),
                IndexLocation::File(url) => assert!(!web && url == text),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn other_texts() {
        for text in [
            "",
            "index.yaml",
            "ftp://a/",
            "https://",
            "file://a/b",
            "oci://",
            "oci:",
            "oci://index",
            "oci://A/B",
            "a b://c",
        ] {
            assert!(IndexLocation::parse(text).is_err(), "{text}");
        }
        for text in ["https://u:canary@a.example/", "oci://u:canary@a.example/index", "oci://canary@a/b@sha256:1"] {
            let error = IndexLocation::parse(text).unwrap_err();
            assert!(error.message.contains("credentials") && !format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}
