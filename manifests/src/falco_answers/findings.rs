//! Why Falco refuses a configuration or a rules file.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;
use serde_json::Value;

/// One error that Falco reports, with the place in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FalcoFinding {
    /// The file as Falco names it.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: usize,
    /// Column, from 1; 0 when unknown.
    pub column: usize,
    /// Falco's code, e.g. `LOAD_ERR_VALIDATE`; none for an error in falco.yaml itself.
    pub code: Option<String>,
    /// What is wrong, in Falco's words.
    pub message: String,
}

impl fmt::Display for FalcoFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().take_while(|number| *number > 0) {
            write!(f, ":{number}")?;
        }
        match &self.code {
            Some(code) => write!(f, ": {} ({code})", self.message),
            None => write!(f, ": {}", self.message),
        }
    }
}

/// What a Falco that ended with a failure said about the reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Rejection {
    /// The errors that could be told apart, in Falco's order.
    pub findings: Vec<FalcoFinding>,
    /// When there are none: the end of what Falco wrote, at most 20 lines.
    pub tail: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return f.write_str(&self.tail);
        }
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

/// Reads what a failed `falco --dry-run` or `falco -V` wrote: the text of a load result
/// (Falco's `userspace/engine/rule_loader.cpp`, `as_verbose_string`), the JSON of `json_output`, or an error about falco.yaml.
#[must_use]
pub fn rejection(stdout: &str, stderr: &str) -> Rejection {
    let mut findings: Vec<FalcoFinding> = stdout.lines().chain(stderr.lines()).flat_map(from_json).collect();
    if findings.is_empty() {
        findings = from_text(stderr);
    }
    if findings.is_empty() {
        findings = from_text(stdout);
    }
    let mut seen = Vec::new();
    findings.retain(|finding| {
        let new = !seen.contains(finding);
        seen.push(finding.clone());
        new
    });
    let written = if stderr.trim().is_empty() { stdout } else { stderr };
    let tail = if findings.is_empty() { tail(written) } else { String::new() };
    Rejection { findings, tail }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let short = |line: &&str| line.chars().take(400).collect::<String>();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().iter().map(short).collect::<Vec<_>>().join("\n")
}

fn from_json(line: &str) -> Vec<FalcoFinding> {
    if !line.trim_start().starts_with("{\"falco_load_results\"") && !line.contains("\"falco_load_results\"") {
        return Vec::new();
    }
    let Ok(json) = serde_json::from_str::<Value>(line) else { return Vec::new() };
    let results = json.get("falco_load_results").and_then(Value::as_array).into_iter().flatten();
    let entry = |file: &str, error: &Value| {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(ToString::to_string);
        let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).map(|n| n as usize + 1);
        let locations = error.pointer("/context/locations").and_then(Value::as_array);
        let mut positions = locations.into_iter().flatten().filter_map(|location| location.get("position"));
        // The name of a place inside a condition is the condition's text; only a place in the file is kept.
        let place = positions.rfind(|place| text(place, "name").as_deref() == Some(file));
        let at = |name| place.and_then(|place| number(place, name)).unwrap_or_default();
        let message = text(error, "message").unwrap_or_default();
        place_of(file, at("line"), at("column"), text(error, "code"), message)
    };
    results
        .flat_map(|result| {
            let file = result.get("name").and_then(Value::as_str).unwrap_or_default();
            let errors = result.get("errors").and_then(Value::as_array).into_iter().flatten();
            errors.map(|error| entry(file, error)).collect::<Vec<_>>()
        })
        .collect()
}

/// One error is a chain of places that starts with `In rules content`, a snippet between two lines of dashes and a line
/// with the code; warnings look the same with codes of their own.
fn from_text(text: &str) -> Vec<FalcoFinding> {
    let mut findings = Vec::new();
    let mut place: Option<(&str, usize, usize)> = None;
    for line in text.lines() {
        if let Some(finding) = configuration(line) {
            findings.push(finding);
        } else if let Some(root) = line.strip_prefix("In ").and_then(location) {
            place = Some(root);
        } else if let (Some((file, ..)), Some(inner)) = (place, line.strip_prefix("    ").and_then(location)) {
            if inner.0 == file {
                place = Some(inner);
            }
        } else if let (Some((file, line_at, column)), Some((code, message))) = (place, coded(line)) {
            if code.starts_with("LOAD_ERR_") {
                findings.push(place_of(file, line_at, column, Some(code.into()), message.into()));
            }
            place = None;
        }
    }
    findings
}

/// `rule 'name': (FILE:LINE:COLUMN)`, where Falco counts from 0.
fn location(text: &str) -> Option<(&str, usize, usize)> {
    let (_, place) = text.trim_end().strip_suffix(')')?.rsplit_once(": (")?;
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, line.parse::<usize>().ok()?.checked_add(1)?, column.parse::<usize>().ok()?.checked_add(1)?))
}

/// `LOAD_ERR_X (what the code means): message` or, in older releases, without the meaning.
fn coded(line: &str) -> Option<(&str, &str)> {
    if !line.starts_with("LOAD_") {
        return None;
    }
    let (head, message) = line.split_once(": ")?;
    Some((head.split_once(' ').map_or(head, |(code, _)| code), message))
}

/// `Cannot read config file (FILE): message`.
fn configuration(line: &str) -> Option<FalcoFinding> {
    let (_, rest) = line.split_once("Cannot read config file (")?;
    let (file, message) = rest.split_once("): ")?;
    Some(place_of(file, 0, 0, None, message.into()))
}

/// The message of the YAML parser names a better place than Falco does: `… error at line 3, column 5: …`, from 1.
fn place_of(file: &str, line: usize, column: usize, code: Option<String>, message: String) -> FalcoFinding {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().ok();
    let named = message.split_once("error at line ").and_then(|(_, rest)| {
        let (line, rest) = rest.split_once(", column ")?;
        Some((number(line)?, number(rest)?))
    });
    let (line, column) = named.unwrap_or((line, column));
    FalcoFinding { file: file.into(), line, column, code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_result_as_text() {
        let stderr = "Error: /etc/falco/a.yaml: Invalid\n1 Errors:\nIn rules content: (/etc/falco/a.yaml:0:0)\n    rule 'A: shell': (/etc/falco/a.yaml:5:2)\n    condition expression: (\"spawned and ...\":6:13)\n------\n...proc.nam = (bash)\n   ^\n------\nLOAD_ERR_COMPILE_CONDITION (Error compiling condition): filter_check called with nonexistent field proc.nam\n1 Warnings:\nIn rules content: (/etc/falco/a.yaml:0:0)\n------\nx\n------\nLOAD_UNUSED_LIST (Unused list): list not referred to\n";
        let said = rejection("", stderr);
        let [finding] = said.findings.as_slice() else { panic!("{said:?}") };
        assert_eq!((finding.line, finding.column), (6, 3));
        assert_eq!(
            finding.to_string(),
            "/etc/falco/a.yaml:6:3: filter_check called with nonexistent field proc.nam (LOAD_ERR_COMPILE_CONDITION)"
        );
        assert_eq!(said.tail, "");
    }

    #[test]
    fn the_yaml_parser_names_its_own_place() {
        let stderr = "Error: a.yaml: Invalid\n1 Errors:\nIn rules content: (a.yaml:0:0)\n------\n- rule: [\n^\n------\nLOAD_ERR_YAML_PARSE (Error parsing YAML): yaml-cpp: error at line 3, column 5: end of sequence flow not found\n";
        let [finding] = rejection("", stderr).findings.try_into().unwrap();
        assert_eq!((finding.line, finding.column, finding.code.as_deref()), (3, 5, Some("LOAD_ERR_YAML_PARSE")));
    }

    #[test]
    fn a_broken_configuration() {
        let stderr = "Cannot read config file (/etc/falco/falco.yaml): yaml-cpp: error at line 2, column 8: illegal map value\nError: std::exception\n";
        let [finding] = rejection("", stderr).findings.try_into().unwrap();
        assert_eq!((finding.file.as_str(), finding.line, finding.code), ("/etc/falco/falco.yaml", 2, None));
        let [finding] = rejection("", "Cannot read config file (/x): bad file: /x\n").findings.try_into().unwrap();
        assert_eq!(finding.to_string(), "/x: bad file: /x");
    }

    #[test]
    fn a_load_result_as_json() {
        let stdout = r#"{"falco_load_results":[{"name":"a.yaml","successful":false,"errors":[{"code":"LOAD_ERR_VALIDATE","codedesc":"Error validating rule/macro/list/exception objects","message":"Undefined macro 'x' used in filter.","context":{"snippet":"x","locations":[{"item_type":"rules content","item_name":"","position":{"name":"a.yaml","line":0,"column":0,"offset":0}},{"item_type":"rule","item_name":"A","position":{"name":"a.yaml","line":9,"column":2,"offset":90}},{"item_type":"condition expression","item_name":"","position":{"name":"x and y","line":10,"column":3,"offset":3}}]}}],"warnings":[]}]}"#;
        let said = rejection(stdout, "Error: the same again");
        let [finding] = said.findings.as_slice() else { panic!("{said:?}") };
        assert_eq!((finding.line, finding.column, finding.code.as_deref()), (10, 3, Some("LOAD_ERR_VALIDATE")));
    }

    #[test]
    fn other_words_are_kept_as_they_are() {
        let said = rejection("noise", "Error: Plugin 'tick' version '1.0.0' is not compatible\n");
        assert_eq!(
            said,
            Rejection { findings: Vec::new(), tail: "Error: Plugin 'tick' version '1.0.0' is not compatible".into() }
        );
        assert_eq!(rejection("", &"x\n".repeat(30)).tail.lines().count(), 20);
    }
}
