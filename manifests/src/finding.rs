//! What is wrong with a document, where, and what to do next.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

/// A place in a document. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// The document as its reader knows it, e.g. `fleet.yaml`.
    pub file: String,
    /// Line, from 1; 0 when the finding is about the document as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 when unknown.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(&self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// One thing wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Where.
    pub location: Location,
    /// What, in lower case and without a full stop.
    pub message: String,
    /// The next act of the person who reads this.
    pub hint: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  hint: {}", self.location, self.message, self.hint)
    }
}

/// Everything wrong with a document, in the order of the document; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Gives the findings sorted by place, or `Ok` with `value` when there are none.
    ///
    /// # Errors
    /// The findings, when there is at least one.
    pub fn none_or<T>(mut findings: Vec<Finding>, value: T) -> Result<T, Self> {
        if findings.is_empty() {
            return Ok(value);
        }
        findings.sort();
        findings.dedup();
        Err(Self(findings))
    }

    /// A single finding.
    #[must_use]
    pub fn one(finding: Finding) -> Self {
        Self(alloc::vec![finding])
    }

    /// The findings, in the order of the document.
    #[must_use]
    pub fn as_slice(&self) -> &[Finding] {
        &self.0
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for Findings {}

/// A value that does not have the form it must have. Its `Display` says what the form is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{value}` {problem}")]
pub struct Malformed {
    /// What the value was meant to be, e.g. `digest`.
    pub what: &'static str,
    /// The value as given.
    pub value: String,
    /// What is wrong with it, as the end of a sentence.
    pub problem: &'static str,
    /// What a right value looks like.
    pub hint: &'static str,
}
