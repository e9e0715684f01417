//! YAML as a tree in which every node knows its place.
//!
//! Two ways of reading. [`parse`] is for falconer's own documents: one document, plain YAML 1.2, nothing that two programs
//! could read differently. [`parse_lenient`] is for Falco's documents: whatever Falco's YAML reader (yaml-cpp) takes, as
//! far as two parsers of different strictness can tell.
//!
//! [`Problems`] then turns a tree into values and collects everything that is wrong with it in one go.

use alloc::string::String;
use alloc::vec::Vec;

use crate::finding::{Finding, Findings};

mod admission;
mod builder;
mod decode;
mod mend;
mod second_reader;
mod typed;
mod words;

pub use decode::{Fields, Problems};
pub use typed::Meaning;
pub(crate) use words::{nearest, shown};

/// How deep sequences and mappings may lie in each other.
pub const DEPTH_CAP: usize = 64;

/// How many values and keys a text may hold: a bound on memory.
pub const NODES_CAP: usize = 1_000_000;

/// A place in the text: line and column, both from 1, columns in characters. Both are 0 where the place is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A value and the place where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it starts.
    pub at: Mark,
    /// What it is.
    pub value: Value,
}

/// The three kinds of YAML values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// One text; what it means is for [`Node::meaning`] to say.
    Scalar {
        /// The text, with quotes, escapes and line folding resolved.
        text: String,
        /// Whether it was written without quotes, block indicator and tag. Only such text can be a number, a boolean or
        /// nothing.
        plain: bool,
    },
    /// Values in order.
    Sequence(Vec<Node>),
    /// Keys and values, in the order of the document.
    Mapping(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key starts.
    pub key_at: Mark,
    /// The value.
    pub value: Node,
}

/// What a text holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The roots of its documents; none when there is nothing but comments.
    pub documents: Vec<Node>,
    /// What was noticed on the way. From [`parse`]: errors, to be reported along with those of the decoding. From
    /// [`parse_lenient`]: what Falco takes, but its author may not have meant: duplicate keys, of which the first counts, and
    /// lines without a colon, which become keys without a value.
    pub findings: Vec<Finding>,
}

impl Node {
    /// The value under `key` of a mapping; the first one where the key stands twice.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }
}

/// Reads one document of falconer's own.
///
/// Duplicate keys, anchors, aliases, merge keys, tags, a second document and keys that are not text are findings; so that
/// the rest can still be checked they come with the tree, as if the first key counted and the others were not there. `cap`
/// is the size in bytes that `text` may have.
///
/// # Errors
/// The findings, when the text is too large, nested deeper than [`DEPTH_CAP`], of more than [`NODES_CAP`]
/// values, or no YAML at all.
pub fn parse(file: &str, text: &str, cap: usize) -> Result<Parsed, Findings> {
    let text = admission::admitted(file, text, cap)?;
    builder::build(file, text, builder::Mode::Strict).map_err(|unread| unread.findings)
}

/// Reads a file of Falco's: any number of documents, with anchors, tags and duplicate keys.
///
/// Text that YAML 1.2 does not allow, but older readers do (a closing bracket at the start of a line, say), is read a
/// second time by a parser like Falco's; its nodes do not know their places. Keys that are not text are left out. A few
/// texts that yaml-cpp takes are still refused, because neither parser does: `\'` in double quotes, an empty place in a
/// bracketed list, a quote that is never closed.
///
/// `cap` is the size in bytes that `text` may have.
///
/// # Errors
/// The findings, when the text is too large, nested deeper than [`DEPTH_CAP`], of more than [`NODES_CAP`]
/// values or long texts repeated through aliases, or no YAML for either parser.
pub fn parse_lenient(file: &str, text: &str, cap: usize) -> Result<Parsed, Findings> {
    let text = admission::admitted(file, text, cap)?;
    mend::read(file, text)
}

impl Mark {
    fn new(line: usize, column: usize) -> Self {
        let small = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: small(line), column: small(column) }
    }
}

#[cfg(test)]
mod tests;
