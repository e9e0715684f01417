//! Our keys in falco.yaml itself, for releases without includes or by choice.
//!
//! Each key stands in a block of its own, with the lines that the owner had there as comments in it. Everything else in the
//! file stays to the byte, and is the owner's to change.

mod blocks;
mod scan;

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::document::{Document, Unreadable};
use super::evaluate::{EvaluateError, Evaluated, Sources, evaluate};
use super::include::{Include, key_value};
use super::includes::Era;
use super::plugins::loads_same;
use crate::falco_answers::FalcoVersion;
use crate::name::AbsolutePath;
use crate::remedy::Remedy;

/// Why a falco.yaml is not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not a YAML map.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Falco would not start with it.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// It has something that cannot be edited without a doubt.
    #[error("{file}:{line}:{column}: {problem}")]
    Refused {
        /// The file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is in the way.
        problem: String,
    },
    /// An included file has the last word on a key.
    #[error("{by} is included by falco.yaml and sets `{key}` after it")]
    Shadowed {
        /// The key.
        key: String,
        /// The included file.
        by: AbsolutePath,
    },
    /// A path of ours would be read as something else.
    #[error("the path {path} has what Falco takes for a variable")]
    Variable {
        /// The path.
        path: String,
    },
    /// The edited text is not what it must be.
    #[error("{file}: `{key}` cannot be set without changing something else")]
    NotKept {
        /// The file.
        file: String,
        /// The key.
        key: String,
    },
}

impl EditError {
    fn at(file: &str, line: usize, column: usize, problem: &str) -> Self {
        Self::Refused { file: file.into(), line, column, problem: problem.into() }
    }

    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        Remedy::Operator
    }

    /// The next act of the person.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "Falco does not start with this file: correct it",
            Self::Evaluate(error) => error.hint(),
            Self::Refused { .. } | Self::NotKept { .. } => {
                "write that place in a plain way; where it is in a block of falconer, take the whole block out"
            }
            Self::Shadowed { .. } => {
                "take the key out of the included file, or set `config = \"include\"` under [falco] in agent.toml"
            }
            Self::Variable { .. } => "choose a state directory without `${` in its path",
        }
    }
}

/// The owner's falco.yaml: `text` without anything of ours, to the byte.
///
/// # Errors
/// [`EditError::Refused`] when a block of ours is torn, or holds what is not ours.
pub fn owner_text(file: &str, text: &str) -> Result<String, EditError> {
    let (mark, body) = split_mark(text);
    let lines: Vec<&str> = body.split('\n').collect();
    let (owner, found) = blocks::without_blocks(file, &lines)?;
    Ok(if found { format!("{mark}{}", owner.join("\n")) } else { text.into() })
}

/// Whether `text` has blocks of ours, torn ones too.
#[must_use]
pub fn has_blocks(text: &str) -> bool {
    blocks::without_blocks("", &split_mark(text).1.split('\n').collect::<Vec<_>>()).map_or(true, |(_, found)| found)
}

/// The falco.yaml of `sources`, whose text may have blocks of ours already, with which Falco has the settings of `include`
/// and otherwise those of its owner.
///
/// # Errors
/// [`EditError`] when the text cannot be edited without a doubt, or a file that it includes overrules it. Nothing of it is
/// to be written then.
pub fn with_keys(sources: &Sources<'_>, include: &Include) -> Result<String, EditError> {
    if let Some(path) = include.rules_files.iter().find(|path| path.contains("${")) {
        return Err(EditError::Variable { path: path.clone() });
    }
    let owner = owner_text(sources.path.as_str(), sources.text)?;
    let wanted = wanted(include, sources.version, &owner, sources.path.as_str())?;
    let mut main = wanted.clone();
    // Once with the values themselves; where an include appends to one, once more without what it appends.
    for attempt in [false, true] {
        let text = with_values(sources.path.as_str(), &owner, &main)?;
        let got = evaluate(&Sources { text: &text, ..*sources })?;
        let shadowed =
            wanted.iter().find(|(key, value)| !is_had(key, value.as_ref(), &got.settings, &include.settings));
        let Some((key, _)) = shadowed else { return Ok(text) };
        if attempt {
            let by = got.origins.get(key).and_then(|files| files.last()).unwrap_or(sources.path);
            return Err(EditError::Shadowed { key: key.clone(), by: by.clone() });
        }
        for (key, value) in &mut main {
            if let (Some(Value::Array(items)), Some(Value::Array(all))) = (value, got.settings.get(key)) {
                let appended = all.get(items.len()..).unwrap_or_default();
                items.retain(|item| !appended.contains(item));
            }
        }
    }
    Ok(owner)
}

/// The falco.yaml of `sources`, adopted: a block around the owner's own list of rules files, which stays as it is.
///
/// # Errors
/// As of [`with_keys`], and where that would fail for any list of ours.
pub fn with_marks(sources: &Sources<'_>) -> Result<String, EditError> {
    let file = sources.path.as_str();
    let owner = owner_text(file, sources.text)?;
    let _possible =
        with_keys(sources, &Include { rules_files: alloc::vec!["/any.yaml".into()], ..Include::default() })?;
    let document = Document::parse(file, &owner)?;
    let own = Evaluated { settings: document.settings(), ..Evaluated::default() }.rules_files();
    let values = wanted(&Include { rules_files: own, ..Include::default() }, sources.version, &owner, file)?;
    with_values(file, &owner, &values)
}

/// The keys in which Falco's settings differ from those of `right`, which [`with_keys`] has given; empty when `sources` has its
/// very text.
///
/// # Errors
/// When one of the two cannot be read.
pub fn astray(sources: &Sources<'_>, right: &str) -> Result<Vec<String>, EditError> {
    if right == sources.text {
        return Ok(Vec::new());
    }
    let there = Document::parse(sources.path.as_str(), sources.text)?;
    let right = Document::parse(sources.path.as_str(), right)?;
    let differing = right.entries.iter().filter(|(key, value)| there.get(key) != Some(value));
    let mut keys: Vec<String> = differing.map(|(key, _)| key.clone()).collect();
    if keys.is_empty() {
        keys.push("the marks of falconer".to_owned());
    }
    Ok(keys)
}

/// [`with_keys`] for a falco.yaml that is to be its owner's alone again: plain keys, and what stood there as comments.
///
/// # Errors
/// As of [`with_keys`].
pub fn with_plain_keys(sources: &Sources<'_>, include: &Include) -> Result<String, EditError> {
    let text = with_keys(sources, include)?;
    let plain = blocks::as_plain(&text.split('\n').collect::<Vec<_>>()).join("\n");
    let file = sources.path.as_str();
    let settings = |text: &str| Document::parse(file, text).map(|document| document.settings());
    if settings(&plain)? == settings(&text)? && !has_blocks(&plain) {
        Ok(plain)
    } else {
        Err(EditError::NotKept { file: file.into(), key: rules_key(sources.version).into() })
    }
}

/// The name of the list of rules files in this release.
pub(super) fn rules_key(version: Option<&FalcoVersion>) -> &'static str {
    if Era::of(version) == Era::Before { "rules_file" } else { "rules_files" }
}

/// Every key that is ours; `None` for one that must not be there.
fn wanted(
    include: &Include,
    version: Option<&FalcoVersion>,
    owner: &str,
    file: &str,
) -> Result<BTreeMap<String, Option<Value>>, EditError> {
    let settings = include.settings.iter().filter(|(key, _)| !matches!(key.as_str(), "rules_files" | "rules_file"));
    let mut wanted: BTreeMap<_, _> = settings.map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    let key = rules_key(version);
    wanted.insert(key.into(), Some(include.rules_files.iter().cloned().map(Value::String).collect()));
    // Falco does not start with both names.
    if key == "rules_files" && Document::parse(file, owner)?.get("rules_file").is_some() {
        wanted.insert("rules_file".into(), None);
    }
    Ok(wanted)
}

/// Whether Falco has that value of a key. What it makes of the keys for plugins counts, not their order.
fn is_had(key: &str, value: Option<&Value>, got: &Map<String, Value>, ours: &BTreeMap<String, Value>) -> bool {
    let is_plugins = matches!(key, "plugins" | "load_plugins") && ours.contains_key("plugins");
    got.get(key) == value || is_plugins && loads_same(got, ours)
}

/// `owner` with a block for each key, checked.
fn with_values(file: &str, owner: &str, values: &BTreeMap<String, Option<Value>>) -> Result<String, EditError> {
    let (mark, body) = split_mark(owner);
    let before = Document::parse(file, body)?;
    let lines: Vec<&str> = body.split('\n').collect();
    if let Some(line) = lines.iter().position(|line| line.trim_end_matches('\r').contains('\r')) {
        return Err(EditError::at(file, line + 1, 1, "a line ends in a carriage return alone"));
    }
    let end = if body.contains("\r\n") { "\r" } else { "" };
    let (places, bottom) = scan::places(file, body, &lines)?;
    let mut blocks: BTreeMap<usize, (usize, Vec<String>)> = BTreeMap::new();
    let mut added: Vec<String> = Vec::new();
    for (key, value) in values {
        let text = value.as_ref().map_or_else(String::new, |value| key_value(key, value));
        let mut found = places.iter().filter(|place| place.key == *key);
        match (found.next(), found.next()) {
            (_, Some(second)) => {
                let problem = format!("the key `{key}` is there twice; Falco uses the first");
                return Err(EditError::at(file, second.first + 1, 1, &problem));
            }
            (Some(place), None) => {
                if let Some((line, column)) = place.linked {
                    return Err(EditError::at(
                        file,
                        line,
                        column,
                        "an anchor or an alias is in a key that is to be set",
                    ));
                }
                let own = lines.get(place.first..place.end).unwrap_or_default();
                blocks.insert(place.first, (place.end, blocks::block(key, own, &text, end)));
            }
            (None, None) if value.is_some() => added.extend(blocks::block(key, &[], &text, end)),
            (None, None) => {}
        }
    }
    let mut after: Vec<String> = Vec::new();
    let mut index = 0;
    while index <= lines.len() {
        if index == bottom {
            after.append(&mut added);
        }
        match (blocks.remove(&index), lines.get(index)) {
            (Some((end, block)), _) => {
                after.extend(block);
                index = end;
            }
            (None, Some(line)) => {
                after.push((*line).into());
                index += 1;
            }
            (None, None) => break,
        }
    }
    // A file without a last line end goes on without one.
    if let (Some(last), true) = (after.last_mut(), lines.last().is_some_and(|last| !last.is_empty())) {
        last.truncate(last.trim_end_matches('\r').len());
    }
    let after = format!("{mark}{}", after.join("\n"));
    let mut settings = before.settings();
    for (key, value) in values {
        match value {
            Some(value) => drop(settings.insert(key.clone(), value.clone())),
            None => drop(settings.remove(key)),
        }
    }
    let reads = Document::parse(file, split_mark(&after).1).is_ok_and(|after| after.settings() == settings);
    if reads && owner_text(file, &after).as_deref() == Ok(owner) {
        Ok(after)
    } else {
        let key = values.keys().next().cloned().unwrap_or_default();
        Err(EditError::NotKept { file: file.into(), key })
    }
}

/// A byte order mark, and the text after it.
fn split_mark(text: &str) -> (&str, &str) {
    text.strip_prefix('\u{feff}').map_or(("", text), |rest| ("\u{feff}", rest))
}

#[cfg(test)]
mod tests;
