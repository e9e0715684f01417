//! Platforms as text.

use alloc::string::{String, ToString};
use core::fmt;

use super::Platform;
use crate::finding::Malformed;

impl Platform {
    /// Parses `os/architecture` in Go's words, as falcoctl takes it (`pkg/options/artifact.go`); it knows no variants.
    ///
    /// # Errors
    /// [`Malformed`] when the text has another form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed {
            what: "platform",
            value: text.to_string(),
            problem: "is not of the form os/architecture",
            hint: "write e.g. linux/amd64 or linux/arm64",
        };
        let (os, architecture) = text.split_once('/').ok_or_else(malformed)?;
        let os_is_good = !os.is_empty() && os.bytes().all(|b| b.is_ascii_lowercase());
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !os_is_good || architecture.is_empty() || !architecture.bytes().all(word) {
            return Err(malformed());
        }
        Ok(Self { os: os.to_string(), architecture: architecture.to_string(), variant: None })
    }

    /// The platform that Rust calls `os` and `architecture` (`std::env::consts`), in Go's words.
    #[must_use]
    pub fn from_rust(os: &str, architecture: &str) -> Self {
        let os = if os == "macos" { "darwin" } else { os };
        let architecture = match architecture {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "loongarch64" => "loong64",
            other => other,
        };
        Self { os: os.to_string(), architecture: architecture.to_string(), variant: None }
    }

    /// Whether content for this platform is meant where `wanted` is asked for: the same system and architecture, as
    /// falcoctl compares them; variants do not count.
    #[must_use]
    pub fn serves(&self, wanted: &Self) -> bool {
        self.os == wanted.os && self.architecture == wanted.architecture
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = self.variant.as_deref().map_or_else(String::new, |variant| alloc::format!("/{variant}"));
        write!(f, "{}/{}{variant}", self.os, self.architecture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_as_text() {
        for text in ["linux/amd64", "linux/x86_64", "linux/386"] {
            assert_eq!(Platform::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "linux", "linux/", "/amd64", "Linux/amd64", "linux/arm/v7", "linux/AMD64", "linux2/arm64"] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Platform::from_rust("linux", "x86_64").to_string(), "linux/amd64");
        assert_eq!(Platform::from_rust("linux", "aarch64").to_string(), "linux/arm64");
        let v8 = Platform { variant: Some("v8".into()), ..Platform::from_rust("linux", "aarch64") };
        assert!(v8.serves(&Platform::parse("linux/arm64").unwrap()));
        assert!(!v8.serves(&Platform::parse("linux/amd64").unwrap()));
    }
}
