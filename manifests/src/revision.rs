//! Commits of the desired-state repository.

use crate::newtype::checked_text;

checked_text!(
    /// A commit of the desired-state repository: the 40 lower-case hex digits of its SHA-1 object id.
    Revision, "revision", revision
);

impl Revision {
    /// The first 12 digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.as_str().get(..12).unwrap_or_default()
    }
}

fn revision(text: &str) -> Result<(), (&'static str, &'static str)> {
    let hint = "a revision is the full 40 lower-case hex digits of a commit";
    if text.len() != 40 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(("does not have 40 lower-case hex digits", hint));
    }
    Ok(())
}
