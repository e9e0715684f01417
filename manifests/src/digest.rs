//! Content digests.

use alloc::format;
use alloc::string::String;

use sha2::{Digest as _, Sha256};

use crate::newtype::checked_text;

checked_text!(
    /// `sha256:` and 64 lower-case hex digits: the digest of some content (OCI image spec, descriptor.md). A tag is never a digest.
    Digest, "digest", digest
);

impl Digest {
    /// The digest of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Hasher::new().chain(content).finish()
    }

    /// The 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.as_str().strip_prefix("sha256:").unwrap_or_default()
    }

    /// The first 12 hex digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.hex().get(..12).unwrap_or_default()
    }
}

/// Computes a [`Digest`] of content that comes in pieces.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Takes the next piece, by value.
    #[must_use]
    pub fn chain(mut self, piece: &[u8]) -> Self {
        self.update(piece);
        self
    }

    /// The digest of all pieces in their order.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut text = String::from("sha256:");
        for byte in self.0.finalize() {
            text.push_str(&format!("{byte:02x}"));
        }
        Digest(text)
    }
}

fn digest(text: &str) -> Result<(), (&'static str, &'static str)> {
    let hint = "a digest is sha256: and 64 lower-case hex digits";
    let hex = text.strip_prefix("sha256:").ok_or(("does not start with sha256:", hint))?;
    if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(("does not have 64 lower-case hex digits", hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_known_content() {
        let empty_json = Digest::of(b"{}");
        assert_eq!(empty_json.as_str(), "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        assert_eq!(Hasher::new().chain(b"{").chain(b"}").finish(), empty_json);
        assert_eq!(empty_json.short(), "44136fa355b3");
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            "",
            "sha512:00",
            "sha256:",
            "sha256:ABC",
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        ] {
            assert!(Digest::parse(bad).is_err(), "{bad}");
        }
    }
}
