//! What Falco makes of falco.yaml and its includes.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use crate::falco_answers::FalcoVersion;
use crate::name::AbsolutePath;
use crate::remedy::Remedy;

use super::document::{Document, Unreadable};
use super::includes::{CONFIG_FILES, Era, MergeStrategy, entries};

/// What lies at a path that falco.yaml includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncludeEntry {
    /// A file, with its text.
    File(String),
    /// A directory: the name and the text of each regular file directly in it, in any order. Falco reads all of them,
    /// whatever their names.
    Directory(Vec<(String, String)>),
}

/// Everything that decides what Falco's settings are.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Where the main file is.
    pub path: &'a AbsolutePath,
    /// Its text.
    pub text: &'a str,
    /// The release of Falco; `None` for the rules of the newest.
    pub version: Option<&'a FalcoVersion>,
    /// What lies at the paths of [`included_paths`]; a path that does not exist is not in it.
    pub includes: &'a BTreeMap<AbsolutePath, IncludeEntry>,
    /// A file that is passed over as if it were not included: our own, so that the host's settings are seen without us.
    pub exclude: Option<&'a AbsolutePath>,
}

/// Falco's settings after all includes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluated {
    /// Every top-level key with its value. `${VARIABLES}` are as written, because Falco's environment is Falco's.
    pub settings: Map<String, Value>,
    /// The files that a key's value comes from: one, or several where a list was joined.
    pub origins: BTreeMap<String, Vec<AbsolutePath>>,
    /// The files that were read, in Falco's order, the main file first.
    pub files: Vec<AbsolutePath>,
    /// What Falco accepts without a word and a person may not have meant.
    pub notes: Vec<Note>,
}

impl Evaluated {
    /// The entries of `rules_files`, or of `rules_file` where that is the key, in order and as written: files and directories.
    #[must_use]
    pub fn rules_files(&self) -> Vec<String> {
        let value = self.settings.get("rules_files").or_else(|| self.settings.get("rules_file"));
        match value {
            Some(Value::Array(items)) => items.iter().filter_map(super::includes::scalar).collect(),
            Some(value) => super::includes::scalar(value).into_iter().collect(),
            None => Vec::new(),
        }
    }
}

/// Something that Falco accepts without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A map has a key twice; Falco uses the first, or for a top-level key of an include the last.
    DuplicateKey {
        /// The file.
        file: AbsolutePath,
        /// The line of the second one, from 1.
        line: usize,
        /// The key with those above it, joined by dots.
        key: String,
    },
    /// A strategy that Falco does not know and takes for `append`.
    UnknownStrategy {
        /// The include's path as written.
        include: String,
        /// The word.
        strategy: String,
    },
    /// An include that does not exist.
    Missing {
        /// The include's path as written.
        include: String,
    },
    /// An include whose path depends on Falco's environment, so it was not read here.
    Variable {
        /// The include's path as written.
        include: String,
    },
    /// A file has more documents than the first, which alone is read.
    MoreDocuments {
        /// The file.
        file: AbsolutePath,
    },
    /// `rules_file` is set although this release has `rules_files`; Falco does not start when both are.
    DeprecatedRulesFile {
        /// The file.
        file: AbsolutePath,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateKey { file, line, key } => write!(f, "{file}:{line}: the key `{key}` is there twice"),
            Self::UnknownStrategy { include, strategy } => {
                write!(f, "the strategy `{strategy}` of the include {include} is unknown and taken for append")
            }
            Self::Missing { include } => write!(f, "the include {include} does not exist"),
            Self::Variable { include } => {
                write!(f, "the include {include} depends on Falco's environment and was not read")
            }
            Self::MoreDocuments { file } => write!(f, "{file}: only the first YAML document is read"),
            Self::DeprecatedRulesFile { file } => write!(f, "{file}: `rules_file` is the old name of `rules_files`"),
        }
    }
}

/// Why Falco would not start with this configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// A file is not a YAML map.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// An entry of `config_files` is not a path or, from Falco 0.41, a map with a path.
    #[error("an entry of config_files is not a path that this Falco understands")]
    BadInclude,
    /// The main file includes itself.
    #[error("{file} includes itself")]
    IncludesItself {
        /// The main file.
        file: AbsolutePath,
    },
    /// An included file has includes.
    #[error("{file} is included and has config_files itself")]
    NestedIncludes {
        /// The included file.
        file: AbsolutePath,
    },
    /// A list is to be appended to something else.
    #[error("{file} appends a list to `{key}`, which is no list")]
    AppendToScalar {
        /// The included file.
        file: AbsolutePath,
        /// The key.
        key: String,
    },
    /// Both names of the list of rules files are set.
    #[error("both rules_files and rules_file are set")]
    BothRulesKeys,
}

impl EvaluateError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        Remedy::Operator
    }

    /// The next act of the person.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "Falco does not start with this file: correct it, then try again",
            Self::BadInclude => "write each entry of config_files as a path, or from Falco 0.41 as {path, strategy}",
            Self::IncludesItself { .. } => "remove the file's own path from its config_files",
            Self::NestedIncludes { .. } => "list all includes in the config_files of the main file",
            Self::AppendToScalar { .. } => {
                "write the key as a list in both files, or include the file with strategy: override"
            }
            Self::BothRulesKeys => "keep rules_files and remove rules_file",
        }
    }
}

/// The paths that a main file includes, in order, so that somebody who may read files can read them: each is a file or a
/// directory or does not exist.
///
/// # Errors
/// [`EvaluateError`] when the main file cannot be read as YAML or has an include that is no path.
pub fn included_paths(
    path: &AbsolutePath,
    text: &str,
    version: Option<&FalcoVersion>,
) -> Result<Vec<AbsolutePath>, EvaluateError> {
    let document = Document::parse(path.as_str(), text)?;
    let entries = entries(document.get(CONFIG_FILES), Era::of(version))?;
    Ok(entries.into_iter().filter_map(|entry| entry.path).collect())
}

/// Merges the main file and its includes as Falco does (Falco's `userspace/falco/configuration.cpp` and
/// `userspace/engine/yaml_helper.h`): at the top level only, in the order of `config_files`, the files of a directory in the
/// order of their names.
///
/// # Errors
/// [`EvaluateError`] for everything with which Falco would not start.
pub fn evaluate(sources: &Sources<'_>) -> Result<Evaluated, EvaluateError> {
    let main = Document::parse(sources.path.as_str(), sources.text)?;
    let era = Era::of(sources.version);
    let mut evaluated = Evaluated { settings: main.settings(), ..Evaluated::default() };
    for key in evaluated.settings.keys() {
        evaluated.origins.insert(key.clone(), alloc::vec![sources.path.clone()]);
    }
    evaluated.read(sources.path, &main);
    for entry in entries(main.get(CONFIG_FILES), era)? {
        if let Some(strategy) = entry.unknown_strategy {
            evaluated.notes.push(Note::UnknownStrategy { include: entry.written.clone(), strategy });
        }
        let Some(path) = entry.path else {
            evaluated.notes.push(Note::Variable { include: entry.written });
            continue;
        };
        if Some(&path) == sources.exclude {
            continue;
        }
        if path == *sources.path {
            return Err(EvaluateError::IncludesItself { file: path });
        }
        match sources.includes.get(&path) {
            None => evaluated.notes.push(Note::Missing { include: entry.written }),
            Some(IncludeEntry::File(text)) => evaluated.include(&path, text, entry.strategy)?,
            Some(IncludeEntry::Directory(files)) => {
                let mut files: Vec<_> = files.iter().collect();
                files.sort();
                for (name, text) in files {
                    let file = super::includes::lexical(&alloc::format!("{path}/{name}"));
                    if let Some(file) = file.filter(|file| Some(file) != sources.exclude) {
                        evaluated.include(&file, text, entry.strategy)?;
                    }
                }
            }
        }
    }
    if era != Era::Before && evaluated.settings.contains_key("rules_file") {
        if evaluated.settings.contains_key("rules_files") {
            return Err(EvaluateError::BothRulesKeys);
        }
        let files = evaluated.origins.get("rules_file").into_iter().flatten().cloned();
        evaluated.notes.extend(files.map(|file| Note::DeprecatedRulesFile { file }));
    }
    Ok(evaluated)
}

impl Evaluated {
    fn read(&mut self, file: &AbsolutePath, document: &Document) {
        self.files.push(file.clone());
        for duplicate in &document.duplicates {
            let (line, key) = (duplicate.line, duplicate.key.clone());
            self.notes.push(Note::DuplicateKey { file: file.clone(), line, key });
        }
        if document.more_documents {
            self.notes.push(Note::MoreDocuments { file: file.clone() });
        }
    }

    /// Falco walks through the entries of an included file, so a key that is there twice is merged twice.
    fn include(&mut self, file: &AbsolutePath, text: &str, how: MergeStrategy) -> Result<(), EvaluateError> {
        let document = Document::parse(file.as_str(), text)?;
        self.read(file, &document);
        for (key, value) in document.entries {
            if key == CONFIG_FILES {
                return Err(EvaluateError::NestedIncludes { file: file.clone() });
            }
            let mut origins = self.origins.remove(&key).unwrap_or_default();
            match (how, value, self.settings.get_mut(&key)) {
                (MergeStrategy::AddOnly, _, Some(_)) => {}
                // Falco appends one item after the other: of none nothing comes, not even the key.
                (MergeStrategy::Append, Value::Array(more), _) if more.is_empty() => {}
                (MergeStrategy::Append, Value::Array(more), Some(Value::Array(items))) => {
                    items.extend(more);
                    origins.push(file.clone());
                }
                (MergeStrategy::Append, Value::Array(_), Some(there)) if !there.is_null() => {
                    return Err(EvaluateError::AppendToScalar { file: file.clone(), key });
                }
                (_, value, _) => {
                    self.settings.insert(key.clone(), value);
                    origins = alloc::vec![file.clone()];
                }
            }
            if !origins.is_empty() {
                self.origins.insert(key, origins);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
