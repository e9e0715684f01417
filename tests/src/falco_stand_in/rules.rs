//! Rules files: their shape is checked as Falco does, their conditions are not.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use semver::Version;
use serde_json::Value;

/// The rules engine of Falco 0.44.
pub(super) const ENGINE: Version = Version::new(0, 62, 0);

/// The first error of a rules file, in Falco's words and places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid {
    file: String,
    item: Option<(&'static str, String, usize)>,
    code: &'static str,
    meaning: &'static str,
    message: String,
}

impl Invalid {
    fn json(&self) -> Value {
        let place = |kind: &str, name: &str, line: usize, column: usize| {
            serde_json::json!({"item_type": kind, "item_name": name,
                "position": {"name": self.file, "line": line, "column": column, "offset": 0}})
        };
        let item = self.item.as_ref().map(|(kind, name, line)| place(kind, name, *line, 2));
        let locations: Vec<_> = [place("rules content", "", 0, 0)].into_iter().chain(item).collect();
        serde_json::json!({"code": self.code, "codedesc": self.meaning, "message": self.message,
            "context": {"snippet": "...", "locations": locations}})
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, code, meaning, message, .. } = self;
        writeln!(f, "{file}: Invalid\n1 Errors:\nIn rules content: ({file}:0:0)")?;
        if let Some((kind, name, line)) = &self.item {
            writeln!(f, "    {kind} '{name}': ({file}:{line}:2)")?;
        }
        write!(f, "------\n...\n------\n{code} ({meaning}): {message}\n")
    }
}

/// Checks the text of one rules file.
pub(super) fn check(file: &str, text: &str) -> Result<(), Box<Invalid>> {
    let invalid =
        |item, code, meaning, message: String| Box::new(Invalid { file: file.into(), item, code, meaning, message });
    for document in serde_yaml::Deserializer::from_str(text) {
        let value: Value = serde::Deserialize::deserialize(document).map_err(|error: serde_yaml::Error| {
            let at = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let message = format!("yaml-cpp: error at line {}, column {}: {error}", at.0, at.1);
            invalid(None, "LOAD_ERR_YAML_PARSE", "Error parsing YAML", message)
        })?;
        let shape = |item, message| {
            invalid(item, "LOAD_ERR_YAML_VALIDATE", "Error validating internal structure of YAML file", message)
        };
        let items = match value {
            Value::Null => continue,
            Value::Array(items) => items,
            _ => return Err(shape(None, "Rules content is not yaml array of objects".into())),
        };
        for item in &items {
            if let Some(required) = item.get("required_engine_version") {
                let text = required.as_str().map_or_else(|| format!("0.{required}.0"), String::from);
                let met = Version::parse(&text).is_ok_and(|version| version.major == 0 && version <= ENGINE);
                if !met {
                    let message = format!("Rules require engine version {text}, but engine version is {ENGINE}");
                    return Err(invalid(
                        None,
                        "LOAD_ERR_VALIDATE",
                        "Error validating rule/macro/list/exception objects",
                        message,
                    ));
                }
            }
            if let Some((place, key)) = missing(item, text) {
                return Err(shape(Some(place), format!("Item has no mapping for key '{key}'")));
            }
        }
    }
    Ok(())
}

/// `-V`: judges each file with all before it; once one has failed, every later one repeats its error.
pub(super) fn validate(files: &[String], json: bool) -> Result<ExitCode, String> {
    let mut failed: Option<Box<Invalid>> = None;
    let mut results = Vec::new();
    let mut text = String::new();
    for file in files {
        let content = std::fs::read_to_string(file).map_err(|_| format!("Could not open file {file} for reading"))?;
        if failed.is_none() {
            failed = check(file, &content).err();
        }
        text.push_str(&failed.as_ref().map_or(format!("{file}: Ok\n"), ToString::to_string));
        let errors: Vec<_> = failed.iter().map(|invalid| invalid.json()).collect();
        results.push(serde_json::json!({"name": file, "successful": failed.is_none(), "schema_valid": true, "errors": errors, "warnings": []}));
    }
    let results = serde_json::json!({"falco_load_results": results}).to_string();
    // A pipe that nobody reads is no reason to end.
    let _said = writeln!(std::io::stdout(), "{}", if json { &results } else { text.trim_end() });
    failed.map_or(Ok(ExitCode::SUCCESS), |invalid| Err(invalid.to_string()))
}

/// The first required key that an item does not have, with the item's kind, name and line from 0.
fn missing(item: &Value, text: &str) -> Option<((&'static str, String, usize), &'static str)> {
    let kinds: [(&str, &[&str]); 3] =
        [("rule", &["condition", "output", "desc", "priority"]), ("macro", &["condition"]), ("list", &["items"])];
    let (kind, keys) = kinds.into_iter().find(|(kind, _)| item.get(*kind).is_some())?;
    let changes_another = ["append", "override"].iter().any(|key| item.get(*key).is_some());
    let only_a_switch = item.as_object().is_some_and(|map| map.len() == 2) && item.get("enabled").is_some();
    if changes_another || only_a_switch {
        return None;
    }
    let key = keys.iter().find(|key| item.get(**key).is_none())?;
    let name = item.get(kind).and_then(Value::as_str).unwrap_or_default();
    let line = text.lines().position(|line| line.contains(&format!("{kind}:")) && line.contains(name));
    Some(((kind, name.into(), line.unwrap_or_default()), key))
}

#[cfg(test)]
mod tests {
    use falconer_manifests::falco_answers::rejection;

    use super::*;

    #[test]
    fn errors_are_written_as_falco_writes_them() {
        let good = "- rule: A\n  desc: d\n  condition: c\n  output: o\n  priority: INFO\n- macro: m\n  condition: c\n- rule: A\n  enabled: false\n";
        assert_eq!(check("a.yaml", good), Ok(()));
        assert_eq!(check("a.yaml", ""), Ok(()));
        for (text, line, code) in [
            ("- macro: m\n  condition: c\n- rule: B\n  desc: d\n", 3, "LOAD_ERR_YAML_VALIDATE"),
            ("- rule: [\n", 2, "LOAD_ERR_YAML_PARSE"),
            ("a: 1\n", 1, "LOAD_ERR_YAML_VALIDATE"),
            ("- required_engine_version: 0.99.0\n", 1, "LOAD_ERR_VALIDATE"),
        ] {
            let said = rejection("", &format!("Error: {}", check("/r/a.yaml", text).unwrap_err()));
            let [finding] = said.findings.as_slice() else { panic!("{said:?}") };
            assert_eq!((finding.line, finding.code.as_deref()), (line, Some(code)), "{text}");
        }
    }
}
