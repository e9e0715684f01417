//! The key `rules_files`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::{ArtifactRequest, RulesEntry};
use crate::name::{AbsolutePath, ArtifactName, RelativePath};
use crate::yaml::{Fields, Mark, Node, Problems, nearest, shown};

const FORMS: &str = "write `- artifact: NAME`, `- file: PATH` in the repository or `- host: /PATH` on the host";

pub(super) fn decode(
    problems: &mut Problems<'_>,
    fields: Fields<'_>,
    artifacts: &[ArtifactRequest],
) -> Vec<RulesEntry> {
    let without = "Falco would be left without rules";
    let Some(entry) = fields.entry("rules_files") else {
        problems.report(fields.at, format!("the key `rules_files` is missing; {without}"), FORMS);
        return Vec::new();
    };
    let node = &entry.value;
    let Some(items) = problems.sequence(node, "the list of rules files", FORMS) else { return Vec::new() };
    if items.is_empty() {
        problems.report(node.at, format!("`rules_files` is empty; {without}"), FORMS);
    }
    let requested = requested_names(fields, artifacts);
    let mut entries: Vec<RulesEntry> = Vec::new();
    let mut seen: BTreeMap<(&str, &str), Mark> = BTreeMap::new();
    for item in items {
        let Some((kind, value, text)) = one_key(problems, item) else { continue };
        let Some(entry) = rules_entry(problems, kind, value, text, item.at, &requested) else { continue };
        match seen.get(&(kind, text)) {
            Some(first) => {
                let message = format!("`{kind}: {}` stands twice, first in line {}", shown(text), first.line);
                problems.report(item.at, message, "keep one of them: Falco would load the same rules twice");
            }
            None => {
                seen.insert((kind, text), item.at);
                entries.push(entry);
            }
        }
    }
    entries
}

/// The names under `artifacts`, those with a wrong value included: they are known, even if nothing else is right.
fn requested_names<'n>(fields: Fields<'n>, artifacts: &'n [ArtifactRequest]) -> BTreeSet<&'n str> {
    match fields.get("artifacts").map(|node| &node.value) {
        Some(crate::yaml::Value::Mapping(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => artifacts.iter().map(|artifact| artifact.name.as_str()).collect(),
    }
}

fn one_key<'n>(problems: &mut Problems<'_>, item: &'n Node) -> Option<(&'static str, &'n Node, &'n str)> {
    let kinds = ["artifact", "file", "host"];
    let fields = problems.fields(item, "a rules file as a map of one key", &kinds, &[])?;
    let mut given = kinds.into_iter().filter_map(|kind| fields.get(kind).map(|value| (kind, value)));
    let (kind, value) = match (given.next(), given.next()) {
        (Some(one), None) => one,
        (Some(_), Some(_)) => {
            problems.report(
                item.at,
                "an entry has more than one of `artifact`, `file` and `host`",
                "make it two entries",
            );
            return None;
        }
        (None, _) => {
            problems.report(item.at, "an entry has none of `artifact`, `file` and `host`", FORMS);
            return None;
        }
    };
    let text = problems.text(value, "a name or a path", FORMS)?;
    Some((kind, value, text))
}

fn rules_entry(
    problems: &mut Problems<'_>,
    kind: &str,
    value: &Node,
    text: &str,
    at: Mark,
    requested: &BTreeSet<&str>,
) -> Option<RulesEntry> {
    let location = problems.location(at);
    match kind {
        "file" => {
            problems.accepted(value.at, RelativePath::parse(text)).map(|path| RulesEntry::File { path, at: location })
        }
        "host" => {
            problems.accepted(value.at, AbsolutePath::parse(text)).map(|path| RulesEntry::Host { path, at: location })
        }
        _ => {
            let name = problems.accepted(value.at, ArtifactName::parse(text))?;
            if !requested.contains(text) {
                let known = requested.iter().copied().take_while(|_| !problems.is_full());
                let hint = match nearest(text, known) {
                    Some(meant) => format!("did you mean `{}`?", shown(meant)),
                    None => format!("add `{name}: VERSION` under `artifacts`"),
                };
                problems.report(value.at, format!("the artifact `{name}` is not under `artifacts`"), hint);
                return None;
            }
            Some(RulesEntry::Artifact { name, at: location })
        }
    }
}
