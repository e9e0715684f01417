//! Falco rules files, checked as far as that goes without Falco.
//!
//! The check follows Falco's reader (`userspace/engine/rule_loader_reader.cpp` and `rule_loader_collector.cpp`, 0.37 to
//! 0.44) and is meant to refuse only what every one of these refuses: shapes, missing keys, priorities, misuse of
//! `override`, versions; [`yaml::parse_lenient`] tells where it falls short of that. Conditions, fields, references between
//! items and whatever depends on other files or on the host are left to Falco itself.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use semver::Version;

use crate::artifact::Dependency;
use crate::finding::{Finding, Findings};
use crate::yaml::{self, Node, Problems};

mod exceptions;
mod overrides;
mod read;
mod requirements;
mod rule;

/// The size in bytes that a rules file may have: more than 80 times that of the largest official one.
pub const RULES_CAP: usize = 8 << 20;

/// What a rules file holds and needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulesSummary {
    /// Rules that are defined, appending and overriding items not counted.
    pub rules: usize,
    /// Macros that are defined.
    pub macros: usize,
    /// Lists that are defined.
    pub lists: usize,
    /// The engine version of the first `required_engine_version`, which is the one that falcoctl publishes. The integer N
    /// stands for 0.N.0.
    pub required_engine_version: Option<Version>,
    /// The plugins of the first `required_plugin_versions`, which are those that falcoctl publishes.
    pub required_plugin_versions: Vec<Dependency>,
    /// What Falco takes, but its author may not have meant: unknown items, duplicate keys.
    pub warnings: Vec<Finding>,
}

/// Checks one rules file of at most [`RULES_CAP`] bytes; `file` is the name that findings give. A file without items is
/// well-formed.
///
/// # Errors
/// Everything that Falco would refuse by its shape.
pub fn check(file: &str, text: &str) -> Result<RulesSummary, Findings> {
    let parsed = yaml::parse_lenient(file, text, RULES_CAP)?;
    let mut problems = Problems::new(file);
    let mut warnings = Problems::with(file, parsed.findings);
    let mut summary = RulesSummary::default();
    for document in parsed.documents.iter().filter(|document| !document.is_null()) {
        let hint = "write a list of items, e.g. `- rule: NAME`";
        for node in problems.sequence(document, "a list of rules, macros and lists", hint).unwrap_or_default() {
            if !node.is_null() {
                item(&mut problems, &mut warnings, &mut summary, node);
            }
        }
    }
    summary.warnings = warnings.into_findings();
    summary.warnings.sort();
    problems.finish(summary)
}

fn item(problems: &mut Problems<'_>, warnings: &mut Problems<'_>, summary: &mut RulesSummary, node: &Node) {
    let hint = "start it with `- rule:`, `- macro:` or `- list:`";
    let Some(entries) = problems.mapping(node, "an item as a map", hint) else { return };
    // Readers differ on whether a merge key merges, so what such an item holds is for Falco to say.
    if entries.iter().any(|entry| entry.key == "<<") {
        return;
    }
    // Falco asks in this order, whatever the order in the file.
    if let Some(value) = node.get("required_engine_version") {
        let version = requirements::engine_version(problems, value);
        summary.required_engine_version = summary.required_engine_version.take().or(version);
    } else if let Some(value) = node.get("required_plugin_versions") {
        let plugins = requirements::plugin_versions(problems, value);
        if summary.required_plugin_versions.is_empty() {
            summary.required_plugin_versions = plugins;
        }
    } else if let Some(name) = node.get("list") {
        let owner = owner(problems, "list", name);
        read::texts(problems, &owner, node, "items", true);
        summary.lists += usize::from(defines(problems, &owner, node, "items"));
    } else if let Some(name) = node.get("macro") {
        let owner = owner(problems, "macro", name);
        read::required(problems, &owner, node, "condition");
        summary.macros += usize::from(defines(problems, &owner, node, "condition"));
    } else if let Some(name) = node.get("rule") {
        let owner = owner(problems, "rule", name);
        summary.rules += usize::from(rule::check(problems, &owner, node));
    } else {
        let what = entries
            .first()
            .map_or_else(|| "an item without keys".into(), |entry| format!("the item `{}`", yaml::shown(&entry.key)));
        let message = format!("Falco does not know {what} and passes it over");
        warnings.report(node.at, message, "check the spelling of its first key");
    }
}

/// The item's kind and name as messages give them.
fn owner(problems: &mut Problems<'_>, kind: &str, name: &Node) -> String {
    let name = read::filled(problems, kind, name, "its name").unwrap_or_default();
    format!("{kind} `{}`", yaml::shown(name))
}

/// Checks `append` and `override` of a list or a macro. Whether the item defines something new.
fn defines(problems: &mut Problems<'_>, owner: &str, node: &Node, key: &str) -> bool {
    let appends = read::flag(problems, owner, node, "append").unwrap_or_default();
    let overrides = overrides::read(problems, owner, node, &[key], &[key]);
    overrides.refuse_besides_append(problems, owner, node, appends);
    !appends && overrides.is_empty()
}

#[cfg(test)]
mod tests;
