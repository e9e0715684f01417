//! From a tree to values, collecting everything that is wrong on the way.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Entry, Mark, Meaning, Node, Value, nearest, shown};
use crate::finding::{Finding, Findings, Location, Malformed};

/// How many findings one document is worth; more would bury the reader and the memory.
const FINDINGS_CAP: usize = 100;

/// Everything wrong with one document so far.
///
/// The decoding functions report what does not fit and give `None`, so that the caller goes on with the rest.
#[derive(Debug, Clone)]
pub struct Problems<'f> {
    file: &'f str,
    findings: Vec<Finding>,
}

/// The entries of a mapping whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'n> {
    /// Where the mapping starts.
    pub at: Mark,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// The entry with this key; the first one where the key stands twice.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value under this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }
}

impl<'f> Problems<'f> {
    /// No problems yet with `file`, the name that findings will give.
    #[must_use]
    pub fn new(file: &'f str) -> Self {
        Self { file, findings: Vec::new() }
    }

    /// Goes on from findings that were made earlier.
    #[must_use]
    pub fn with(file: &'f str, findings: Vec<Finding>) -> Self {
        Self { file, findings }
    }

    /// `at` as a place in this document.
    #[must_use]
    pub fn location(&self, at: Mark) -> Location {
        let wide = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Location { file: self.file.to_owned(), line: wide(at.line), column: wide(at.column) }
    }

    /// Notes a finding. After a hundred of them only the fact that there are more is kept.
    pub fn report(&mut self, at: Mark, message: impl Into<String>, hint: impl Into<String>) {
        let finding = match self.findings.len() {
            0..FINDINGS_CAP => Finding { location: self.location(at), message: message.into(), hint: hint.into() },
            FINDINGS_CAP => Finding {
                location: self.location(Mark::default()),
                message: format!("there are more than {FINDINGS_CAP} findings; the rest is not shown"),
                hint: "correct these and check again".to_owned(),
            },
            _ => return,
        };
        self.findings.push(finding);
    }

    /// Whether no further finding would be kept, so that a hint need not be worked out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.findings.len() > FINDINGS_CAP
    }

    /// Notes that `node` is not `expected`, e.g. `a list of indexes`.
    pub fn unexpected(&mut self, node: &Node, expected: &str, hint: impl Into<String>) {
        let found = match &node.value {
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a map".to_owned(),
            Value::Scalar { .. } if node.is_null() => "nothing".to_owned(),
            Value::Scalar { text, plain: true } => format!("`{}`", shown(text)),
            Value::Scalar { text, plain: false } => format!("the text `{}`", shown(text)),
        };
        self.report(node.at, format!("expected {expected}, found {found}"), hint);
    }

    /// The value, when nothing was found.
    ///
    /// # Errors
    /// The findings, in the order of the document.
    pub fn finish<T>(self, value: T) -> Result<T, Findings> {
        Findings::none_or(self.findings, value)
    }

    /// The findings so far, in the order in which they were made.
    #[must_use]
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// The entries of a mapping, whatever its keys are.
    pub fn mapping<'n>(&mut self, node: &'n Node, expected: &str, hint: &str) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Mapping(entries) => Some(entries),
            _ => {
                self.unexpected(node, expected, hint);
                None
            }
        }
    }

    /// The items of a sequence.
    pub fn sequence<'n>(&mut self, node: &'n Node, expected: &str, hint: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::Sequence(items) => Some(items),
            _ => {
                self.unexpected(node, expected, hint);
                None
            }
        }
    }

    /// The text of a scalar as written: `5.10` stays `5.10`.
    pub fn text<'n>(&mut self, node: &'n Node, expected: &str, hint: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, .. } if !node.is_null() => Some(text),
            _ => {
                self.unexpected(node, expected, hint);
                None
            }
        }
    }

    /// A whole number.
    pub fn integer(&mut self, node: &Node, expected: &str, hint: &str) -> Option<i128> {
        match node.meaning() {
            Some(Meaning::Integer(number)) => Some(number),
            _ => {
                self.unexpected(node, expected, hint);
                None
            }
        }
    }

    /// One of a few words.
    pub fn one_of<T: Copy>(&mut self, node: &Node, expected: &str, choices: &[(&str, T)]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let text = match &node.value {
            Value::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        self.unexpected(node, expected, suggestion(text, words(), "one of"));
        None
    }

    /// Text that `parse` makes a value of.
    pub fn parsed<T>(
        &mut self,
        node: &Node,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, Malformed>,
    ) -> Option<T> {
        let text = self.text(node, expected, "give it as text")?;
        self.accepted(node.at, parse(text))
    }

    /// The value of a check that was made at `at`.
    pub fn accepted<T>(&mut self, at: Mark, checked: Result<T, Malformed>) -> Option<T> {
        checked
            .map_err(|wrong| {
                let message = format!("{} `{}` {}", wrong.what, shown(&wrong.value), wrong.problem);
                self.report(at, message, wrong.hint);
            })
            .ok()
    }

    /// The entries of a mapping that has no keys but `known` ones and all `required` ones.
    pub fn fields<'n>(
        &mut self,
        node: &'n Node,
        expected: &str,
        known: &[&str],
        required: &[&str],
    ) -> Option<Fields<'n>> {
        let words = || known.iter().copied();
        let entries = self.mapping(node, expected, &suggestion("", words(), "its keys are"))?;
        // A merge key has been reported as such by the parser.
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str()) && entry.key != "<<") {
            if self.is_full() {
                break;
            }
            let message = format!("unknown key `{}`", shown(&entry.key));
            self.report(entry.key_at, message, suggestion(&entry.key, words(), "the keys here are"));
        }
        let fields = Fields { at: node.at, entries };
        for key in required {
            if fields.entry(key).is_none() {
                self.report(node.at, format!("the key `{key}` is missing"), format!("add `{key}:` to {expected}"));
            }
        }
        Some(fields)
    }
}

/// `did you mean …?`, when a word comes near, and all words.
fn suggestion<'w>(word: &str, words: impl Iterator<Item = &'w str> + Clone, lead: &str) -> String {
    let list = words.clone().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match nearest(word, words) {
        Some(meant) => format!("did you mean `{meant}`? {lead} {list}"),
        None => format!("{lead} {list}"),
    }
}
