//! The one edit of falco.yaml: our include as the last entry of `config_files`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr as _;

use serde_json::{Value, json};
use yaml_edit::{Document as Tree, Sequence, YamlFile};

use crate::falco_answers::FalcoVersion;
use crate::name::AbsolutePath;
use crate::remedy::Remedy;

use super::document::{Document, Unreadable};
use super::includes::{CONFIG_FILES, Entry, Era, MergeStrategy, entries};

/// What [`adopt`] makes of a falco.yaml.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Adopted {
    /// The entry is there, last and with the right strategy.
    Unchanged,
    /// The new text.
    Changed(String),
}

/// How a falco.yaml stands to our include.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// It is included last and overrides.
    Adopted,
    /// It is not included.
    Absent,
    /// It is included, but something comes after it, or twice.
    NotLast,
    /// It is included last, with a strategy that does not override.
    WrongStrategy,
    /// The text cannot be read.
    Unreadable(String),
}

impl fmt::Display for Adoption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adopted => f.write_str("it is included last and overrides"),
            Self::Absent => f.write_str("it is not included"),
            Self::NotLast => f.write_str("something is included after it, or it is included twice"),
            Self::WrongStrategy => f.write_str("it is included with a strategy that does not override"),
            Self::Unreadable(why) => write!(f, "falco.yaml cannot be read: {why}"),
        }
    }
}

/// Why a falco.yaml is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// The release has no includes.
    #[error("Falco {version} does not know config_files, which came with 0.38")]
    TooOld {
        /// The release.
        version: String,
    },
    /// The text is not a YAML map.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A key is there twice, so that an edit may change a value that Falco does not use.
    #[error("line {line}: the key `{key}` is there twice")]
    DuplicateKey {
        /// The line of the second one, from 1.
        line: usize,
        /// The key with those above it, joined by dots.
        key: String,
    },
    /// Both names of the list of rules files would be set, with which Falco does not start.
    #[error("the file sets rules_file, which cannot stand beside the rules_files of the include")]
    RulesFile,
    /// The file has something that cannot be edited safely.
    #[error("{0}")]
    UnknownShape(&'static str),
}

impl AdoptError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        Remedy::Operator
    }

    /// The next act of the person.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::TooOld { .. } => {
                "set `config = \"edit\"` under [falco] in agent.toml, then adopt again; or update Falco to 0.38 or later"
            }
            Self::Unreadable(_) => "Falco does not start with this file: correct it, then adopt again",
            Self::DuplicateKey { .. } => "remove the second one (Falco uses the first), then adopt again",
            Self::RulesFile => {
                "from Falco 0.38 on rename rules_file to rules_files, before it set `config = \"edit\"` under [falco] in agent.toml; then adopt again"
            }
            Self::UnknownShape(_) => {
                "add the entry by hand, last in config_files: {path: <the include>, strategy: override}"
            }
        }
    }
}

/// How `text`, a falco.yaml, stands to the include at `include`.
#[must_use]
pub fn adoption(text: &str, include: &AbsolutePath, version: Option<&FalcoVersion>) -> Adoption {
    let listed = Document::parse("falco.yaml", text)
        .map_err(|error| error.to_string())
        .and_then(|document| entries(document.get(CONFIG_FILES), Era::of(version)).map_err(|error| error.to_string()));
    match listed {
        Ok(listed) => standing(&listed, include),
        Err(error) => Adoption::Unreadable(error),
    }
}

fn standing(listed: &[Entry], include: &AbsolutePath) -> Adoption {
    let ours = |entry: &&Entry| entry.path.as_ref() == Some(include);
    match (listed.iter().filter(ours).count(), listed.last().filter(ours)) {
        (0, _) => Adoption::Absent,
        (1, Some(Entry { strategy: MergeStrategy::Override, .. })) => Adoption::Adopted,
        (1, Some(_)) => Adoption::WrongStrategy,
        _ => Adoption::NotLast,
    }
}

/// Makes the include at `include` the last entry of `config_files`: `{path, strategy: override}`, or for Falco 0.38 to 0.40
/// the path alone, which always overrides there. An entry that is there but not last, or with another strategy, is moved.
/// Every other byte stays; the result is parsed again and compared with what it must be before it is given out.
///
/// # Errors
/// [`AdoptError`] for a release without includes and for a file that cannot be edited safely. Nothing is changed then.
pub fn adopt(text: &str, include: &AbsolutePath, version: Option<&FalcoVersion>) -> Result<Adopted, AdoptError> {
    if let (Era::Before, Some(version)) = (Era::of(version), version) {
        return Err(AdoptError::TooOld { version: version.to_string() });
    }
    if adoption(text, include, version) == Adoption::Adopted {
        return Ok(Adopted::Unchanged);
    }
    edited(text, &[include], include, version).map(Adopted::Changed)
}

/// The text of a falco.yaml that includes `candidate` where it included `current`: what Falco is to try before the change is
/// made live.
///
/// # Errors
/// As of [`adopt`].
pub fn with_include_replaced(
    text: &str,
    current: &AbsolutePath,
    candidate: &AbsolutePath,
    version: Option<&FalcoVersion>,
) -> Result<String, AdoptError> {
    match adopt(text, candidate, version)? {
        Adopted::Unchanged if adoption(text, current, version) == Adoption::Absent => Ok(text.into()),
        _ => edited(text, &[current, candidate], candidate, version),
    }
}

/// The text of a falco.yaml without the include at `include`: to the byte what it was before [`adopt`], where that can be told.
///
/// # Errors
/// As of [`adopt`].
pub fn without_include(
    text: &str,
    include: &AbsolutePath,
    version: Option<&FalcoVersion>,
) -> Result<String, AdoptError> {
    let era = Era::of(version);
    let listed = |text: &str| entries(Document::parse("falco.yaml", text).ok()?.get(CONFIG_FILES), era).ok();
    let ours = |entry: &Entry| entry.path.as_ref() == Some(include);
    if listed(text).is_some_and(|listed| !listed.iter().any(ours)) {
        return Ok(text.into());
    }
    if let Some(before) = before_adoption(text, include, version) {
        return Ok(before);
    }
    let before = editable(text, include)?;
    let unknown =
        AdoptError::UnknownShape("the entry cannot be taken out of config_files without changing something else");
    let listed = entries(before.get(CONFIG_FILES), era).map_err(|_| unknown.clone())?;
    let file = YamlFile::from_str(text).map_err(|_| unknown.clone())?;
    let list =
        file.document().and_then(|document| document.as_mapping()).and_then(|map| map.get_sequence(CONFIG_FILES));
    let list = list.ok_or(unknown.clone())?;
    for (index, _) in (0..).zip(&listed).collect::<Vec<_>>().into_iter().rev().filter(|(_, entry)| ours(entry)) {
        let _entry = list.remove(index);
    }
    let after = file.to_string();
    let mut wanted = before.settings();
    let kept = wanted.get(CONFIG_FILES).and_then(Value::as_array).into_iter().flatten().zip(&listed);
    let kept: Vec<Value> = kept.filter(|(_, entry)| !ours(entry)).map(|(item, _)| item.clone()).collect();
    wanted.insert(CONFIG_FILES.into(), Value::Array(kept));
    let is_wanted = Document::parse("falco.yaml", &after).is_ok_and(|document| document.settings() == wanted);
    if is_wanted && comments(text) == comments(&after) { Ok(after) } else { Err(unknown) }
}

/// The text from which [`adopt`] makes `text`, found by leaving lines out where they name the include.
fn before_adoption(text: &str, include: &AbsolutePath, version: Option<&FalcoVersion>) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = lines.iter().position(|line| line.contains(include.as_str()))?;
    let without = |from: usize, to: usize| {
        let kept = (0..).zip(&lines).filter(|(index, _)| *index < from || *index >= to);
        kept.map(|(_, line)| *line).collect::<String>()
    };
    let candidates = [(at.saturating_sub(1), at + 2), (at.saturating_sub(1), at + 1), (at, at + 2), (at, at + 1)];
    let mut texts = candidates.into_iter().map(|(from, to)| without(from, to));
    let leads_here = |before: &String| adopt(before, include, version) == Ok(Adopted::Changed(text.into()));
    texts.find(leads_here)
}

/// Takes the entries for `gone` out and puts one for `include` last.
fn edited(
    text: &str,
    gone: &[&AbsolutePath],
    include: &AbsolutePath,
    version: Option<&FalcoVersion>,
) -> Result<String, AdoptError> {
    let before = editable(text, include)?;
    let era = Era::of(version);
    let Ok(listed) = entries(before.get(CONFIG_FILES), era) else {
        return Err(AdoptError::UnknownShape("an entry of config_files is not a path that this Falco understands"));
    };
    let is_gone = |entry: &Entry| entry.path.as_ref().is_some_and(|path| gone.contains(&path));
    let removed: Vec<usize> = (0..).zip(&listed).filter(|(_, entry)| is_gone(entry)).map(|(index, _)| index).collect();

    let after = match before.get(CONFIG_FILES) {
        Some(Value::Array(_)) => with_entry(text, include, era, &removed)?,
        None => with_list(text, text.len(), &format!("{CONFIG_FILES}:"), include, era),
        Some(Value::Null) => {
            let head = format!("{CONFIG_FILES}:");
            let line_end =
                |at: usize| text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |n| at + n + 1);
            let start =
                if text.starts_with(&head) { Some(0) } else { text.find(&format!("\n{head}")).map(|at| at + 1) };
            let start = start.ok_or(AdoptError::UnknownShape("config_files is not a list"))?;
            with_list(text, line_end(start), "", include, era)
        }
        Some(_) => return Err(AdoptError::UnknownShape("config_files is not a list")),
    };

    let mut wanted = before.settings();
    let kept = wanted.get(CONFIG_FILES).and_then(Value::as_array).into_iter().flatten().zip(0..);
    let mut list: Vec<Value> =
        kept.filter(|(_, index)| !removed.contains(index)).map(|(item, _)| item.clone()).collect();
    list.push(if era == Era::Paths { json!(include) } else { json!({"path": include, "strategy": "override"}) });
    wanted.insert(CONFIG_FILES.into(), Value::Array(list));
    let is_wanted = Document::parse("falco.yaml", &after).is_ok_and(|document| {
        document.settings() == wanted && document.duplicates.is_empty() && !document.more_documents
    });
    let rest_is_kept = if removed.is_empty() { is_insertion(text, &after) } else { comments(text) == comments(&after) };
    if is_wanted && rest_is_kept {
        Ok(after)
    } else {
        Err(AdoptError::UnknownShape("an entry cannot be added to config_files without changing something else"))
    }
}

/// What a text must not have for an edit to be safe.
fn editable(text: &str, include: &AbsolutePath) -> Result<Document, AdoptError> {
    let document = Document::parse("falco.yaml", text)?;
    if let Some(duplicate) = document.duplicates.first() {
        return Err(AdoptError::DuplicateKey { line: duplicate.line, key: duplicate.key.clone() });
    }
    if document.aliases > 0 {
        return Err(AdoptError::UnknownShape("the file has aliases, which an edit may break"));
    }
    if document.more_documents {
        return Err(AdoptError::UnknownShape("the file has more than one YAML document"));
    }
    if document.get("rules_file").is_some() {
        return Err(AdoptError::RulesFile);
    }
    if include.as_str().contains("${") {
        return Err(AdoptError::UnknownShape("the path of the include has what Falco takes for a variable"));
    }
    Ok(document)
}

fn with_entry(text: &str, include: &AbsolutePath, era: Era, removed: &[usize]) -> Result<String, AdoptError> {
    let unknown = AdoptError::UnknownShape("the file has YAML that cannot be edited safely");
    let file = YamlFile::from_str(text).map_err(|_| unknown.clone())?;
    let list: Option<Sequence> =
        file.document().and_then(|document| document.as_mapping()).and_then(|map| map.get_sequence(CONFIG_FILES));
    let list = list.ok_or(unknown.clone())?;
    // Pushed before anything is taken out, so that the list never is empty and keeps its style.
    if era == Era::Paths {
        list.push(include.as_str());
    } else {
        let entry =
            Tree::from_str(&format!("path: {}\nstrategy: override\n", scalar(include))).map_err(|_| unknown.clone())?;
        list.push(entry.as_mapping().ok_or(unknown)?);
    }
    for index in removed.iter().rev() {
        let _entry = list.remove(*index);
    }
    Ok(file.to_string())
}

/// A block list of one entry, put in at `at` under the line `head`, with the line ends that the text has.
fn with_list(text: &str, at: usize, head: &str, include: &AbsolutePath, era: Era) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let mut inserted = String::new();
    if !before.is_empty() && !before.ends_with('\n') {
        inserted.push_str(end);
    }
    for line in [head].into_iter().filter(|head| !head.is_empty()) {
        inserted.push_str(line);
        inserted.push_str(end);
    }
    let path = scalar(include);
    inserted.push_str(&match era {
        Era::Paths => format!("  - {path}{end}"),
        _ => format!("  - path: {path}{end}    strategy: override{end}"),
    });
    format!("{before}{inserted}{after}")
}

/// The path as a YAML scalar: bare where it cannot be taken for anything else, else in JSON's form.
fn scalar(path: &AbsolutePath) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-');
    if path.as_str().bytes().all(plain) { path.to_string() } else { Value::from(path.as_str()).to_string() }
}

/// Whether `after` is `before` with one piece put in.
fn is_insertion(before: &str, after: &str) -> bool {
    let same = |(a, b): &(u8, u8)| a == b;
    let head = before.bytes().zip(after.bytes()).take_while(same).count();
    let tail = before.bytes().rev().zip(after.bytes().rev()).take_while(same).count();
    after.len() > before.len() && head + tail >= before.len()
}

/// How often each comment line is there.
fn comments(text: &str) -> BTreeMap<&str, usize> {
    let mut comments = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| line.starts_with('#')) {
        *comments.entry(line).or_default() += 1;
    }
    comments
}

#[cfg(test)]
mod tests;
