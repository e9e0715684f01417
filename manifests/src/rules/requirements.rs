//! What a rules file needs: `required_engine_version` and `required_plugin_versions`.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use semver::Version;

use super::read;
use crate::artifact::{Dependency, Requirement};
use crate::yaml::{Node, Problems, shown};

const PLUGINS_HINT: &str = "write a list, e.g. `- {name: container, version: 0.4.0}`";

/// An engine version: an integer, where N stands for 0.N.0, or three numbers. Falco passes over whatever follows these;
/// falcoctl publishes a pre-release that does (`pkg/oci/types.go`), so it is kept.
pub(super) fn engine_version(problems: &mut Problems<'_>, node: &Node) -> Option<Version> {
    let text = read::filled(problems, "the item", node, "`required_engine_version`")?;
    let version = engine_version_of(text);
    if version.is_none() {
        let message = format!("the engine version `{}` is neither a number nor of the form x.y.z", shown(text));
        problems.report(node.at, message, "write e.g. 0.57.0");
    }
    version
}

fn engine_version_of(text: &str) -> Option<Version> {
    let number = integer(text).map(|number| Version::new(0, number.into(), 0));
    number.or_else(|| Version::parse(text).ok()).or_else(|| three_numbers(text))
}

/// The plugins that are required, each with what may stand in for it.
pub(super) fn plugin_versions(problems: &mut Problems<'_>, node: &Node) -> Vec<Dependency> {
    let mut plugins = Vec::new();
    let items = problems.sequence(node, "`required_plugin_versions` as a list", PLUGINS_HINT).unwrap_or_default();
    for item in items {
        let mut names = BTreeSet::new();
        let first = plugin(problems, item, &mut names);
        let mut alternatives = Vec::new();
        if let Some(node) = item.get("alternatives") {
            for item in problems.sequence(node, "`alternatives` as a list", PLUGINS_HINT).unwrap_or_default() {
                alternatives.extend(plugin(problems, item, &mut names));
            }
        }
        if let Some(Requirement { name, version }) = first {
            plugins.push(Dependency { name, version, alternatives });
        }
    }
    plugins
}

fn plugin<'n>(problems: &mut Problems<'_>, item: &'n Node, names: &mut BTreeSet<&'n str>) -> Option<Requirement> {
    problems.mapping(item, "a required plugin as a map", PLUGINS_HINT)?;
    let owner = "a required plugin";
    let name = read::required(problems, owner, item, "name");
    let version = read::required(problems, owner, item, "version");
    if let Some(name) = name.filter(|name| !names.insert(name)) {
        let message = format!("the plugin `{}` is required twice in one entry", shown(name));
        problems.report(item.at, message, "keep one version of it");
    }
    if let Some(version) = version.filter(|version| three_numbers(version).is_none()) {
        let message = format!("the plugin version `{}` is not of the form x.y.z", shown(version));
        problems.report(item.get("version").map_or(item.at, |node| node.at), message, "write e.g. 0.4.0");
        return None;
    }
    Some(Requirement { name: name?.to_owned(), version: version?.to_owned() })
}

/// An unsigned number as a C++ stream reads it when the base is left open: decimal, octal with 0 or hexadecimal with 0x
/// before it, and nothing but white space around it.
fn integer(text: &str) -> Option<u32> {
    let text = text.trim_ascii();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => (hexadecimal, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

/// Three numbers with dots between them; whatever follows does not count (libs `userspace/libsinsp/version.h`).
fn three_numbers(text: &str) -> Option<Version> {
    let (major, rest) = number(text)?;
    let (minor, rest) = number(rest.strip_prefix('.')?)?;
    let (patch, _) = number(rest.strip_prefix('.')?)?;
    Some(Version::new(major, minor, patch))
}

fn number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn engine_versions() {
        for (text, version) in [
            ("26", Some("0.26.0")),
            ("0", Some("0.0.0")),
            ("032", Some("0.26.0")),
            ("0x1a", Some("0.26.0")),
            (" 26 ", Some("0.26.0")),
            ("0.57.0", Some("0.57.0")),
            ("0.57.0-rc1", Some("0.57.0-rc1")),
            ("0.57.0 or so", Some("0.57.0")),
            ("0.31", None),
            ("v0.31.0", None),
            ("08", None),
            ("-1", None),
            ("", None),
            ("+", None),
            ("++1", None),
            ("a.b.c", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(engine_version_of(text).map(|version| version.to_string()).as_deref(), version, "{text}");
        }
    }
}
