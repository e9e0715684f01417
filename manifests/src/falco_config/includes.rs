//! `config_files`: which files a falco.yaml includes, and how.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::Value;

use crate::falco_answers::FalcoVersion;
use crate::name::AbsolutePath;

use super::EvaluateError;

/// The key of falco.yaml that lists its includes.
pub(super) const CONFIG_FILES: &str = "config_files";

/// How the keys of an included file meet those that are there (Falco 0.41 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MergeStrategy {
    /// Lists are joined, everything else replaced.
    Append,
    /// Everything is replaced.
    Override,
    /// Only keys that are not there are taken.
    AddOnly,
}

/// What this Falco knows of includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// Before 0.38: nothing.
    Before,
    /// 0.38 to 0.40: a list of paths, which always override.
    Paths,
    /// 0.41 and later: paths, or maps of a path and a strategy.
    Strategies,
}

impl Era {
    /// The era of a release; an unknown one counts as the newest.
    pub(super) fn of(version: Option<&FalcoVersion>) -> Self {
        match version {
            Some(version) if !version.is_at_least(0, 38, 0) => Self::Before,
            Some(version) if !version.is_at_least(0, 41, 0) => Self::Paths,
            _ => Self::Strategies,
        }
    }
}

/// One entry of `config_files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The path as written.
    pub(super) written: String,
    /// The path in normal form; `None` when it holds a variable of Falco's environment, which nobody else knows.
    pub(super) path: Option<AbsolutePath>,
    pub(super) strategy: MergeStrategy,
    /// The word for the strategy, when it is none that Falco knows.
    pub(super) unknown_strategy: Option<String>,
}

/// The entries of the value of `config_files`. Falco takes a scalar for a list of one and passes over a map.
pub(super) fn entries(value: Option<&Value>, era: Era) -> Result<Vec<Entry>, EvaluateError> {
    match value {
        _ if era == Era::Before => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|item| entry(item, era)).collect(),
        None | Some(Value::Null | Value::Object(_)) => Ok(Vec::new()),
        Some(scalar) => Ok(alloc::vec![entry(scalar, era)?]),
    }
}

fn entry(item: &Value, era: Era) -> Result<Entry, EvaluateError> {
    let of_path = |written: String, strategy, unknown_strategy| {
        let path = if written.contains("${") { None } else { lexical(&written) };
        Entry { written, path, strategy, unknown_strategy }
    };
    match (item, era) {
        (Value::Object(map), Era::Strategies) => {
            let written = map.get("path").and_then(scalar).ok_or(EvaluateError::BadInclude)?;
            let word = map.get("strategy").and_then(scalar);
            let (strategy, unknown) = match word.as_deref() {
                None | Some("append") => (MergeStrategy::Append, None),
                Some("override") => (MergeStrategy::Override, None),
                Some("add-only") => (MergeStrategy::AddOnly, None),
                Some(other) => (MergeStrategy::Append, Some(other.to_string())),
            };
            Ok(of_path(written, strategy, unknown))
        }
        (item, era) => {
            let written = scalar(item).ok_or(EvaluateError::BadInclude)?;
            let strategy = if era == Era::Strategies { MergeStrategy::Append } else { MergeStrategy::Override };
            Ok(of_path(written, strategy, None))
        }
    }
}

/// The text of a scalar.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A path as Falco writes it in normal form, without asking the file system. A relative one is below `/`, Falco's working
/// directory under systemd. `None` for what no path of ours can be.
pub(super) fn lexical(path: &str) -> Option<AbsolutePath> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    AbsolutePath::parse(&alloc::format!("/{}", parts.join("/"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_normal_form() {
        for (written, normal) in
            [("/etc/falco/config.d/", "/etc/falco/config.d"), ("//a/./b/../c", "/a/c"), ("etc/x", "/etc/x"), ("/", "/")]
        {
            assert_eq!(lexical(written).unwrap().as_str(), normal);
        }
        assert_eq!(lexical("a\nb"), None);
    }
}
