//! Dependencies and requirements as they are typed on a command line.
//!
//! The grammar is falcoctl's (`pkg/artifact/artifact.go`, `pkg/oci/types.go`): `name:version`, a dependency's alternatives
//! behind `|`. Lists are sorted by name, and of two entries of one name the later version counts.

use alloc::string::ToString;
use alloc::vec::Vec;

use semver::Version;

use super::{Dependency, Requirement};
use crate::finding::Malformed;

const DEPENDENCY_HINT: &str = "write name:version, and alternatives behind |, e.g. \"json:0.7.0|k8saudit:0.11.0\"";
const REQUIREMENT_HINT: &str = "write name:version, e.g. engine_version_semver:0.57.0";

/// The dependencies that `texts` name, each of the form `name:version|alternative:version|…`.
///
/// # Errors
/// [`Malformed`] for the first text of another form.
pub fn dependencies<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Vec<Dependency>, Malformed> {
    let mut dependencies: Vec<Dependency> = Vec::new();
    for text in texts {
        let mut parts = text.split('|').map(|part| dependency(text, part));
        let first = parts.next().unwrap_or_else(|| Err(malformed(text)))?;
        let at = match dependencies.iter().position(|known| known.name == first.name) {
            Some(at) => at,
            None => {
                let Requirement { name, version } = first.clone();
                dependencies.push(Dependency { name, version, alternatives: Vec::new() });
                dependencies.len() - 1
            }
        };
        let Some(known) = dependencies.get_mut(at) else { continue };
        known.version = first.version;
        for alternative in parts {
            set(&mut known.alternatives, alternative?);
        }
    }
    dependencies.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(dependencies)
}

/// The requirements that `texts` name, each of the form `name:version`. What a version is depends on the requirement, so
/// it may be any text.
///
/// # Errors
/// [`Malformed`] for the first text of another form.
pub fn requirements<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Vec<Requirement>, Malformed> {
    let mut requirements = Vec::new();
    for text in texts {
        match text.split_once(':') {
            Some((name, version)) if !name.is_empty() && !version.is_empty() && !version.contains(':') => {
                set(&mut requirements, Requirement { name: name.to_string(), version: version.to_string() });
            }
            _ => {
                let problem = "is not of the form name:version";
                let value = text.to_string();
                return Err(Malformed { what: "requirement", value, problem, hint: REQUIREMENT_HINT });
            }
        }
    }
    Ok(requirements)
}

fn set(list: &mut Vec<Requirement>, new: Requirement) {
    match list.iter_mut().find(|known| known.name == new.name) {
        Some(known) => known.version = new.version,
        None => list.push(new),
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
}

fn dependency(text: &str, part: &str) -> Result<Requirement, Malformed> {
    let (name, version) = part.split_once(':').ok_or_else(|| malformed(text))?;
    let letters = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    let exact = Version::parse(version).is_ok_and(|version| version.build.is_empty());
    if !letters || !exact {
        return Err(malformed(text));
    }
    Ok(Requirement { name: name.to_string(), version: version.to_string() })
}

fn malformed(text: &str) -> Malformed {
    let problem = "is not of the form name:x.y.z|alternative:x.y.z";
    Malformed { what: "dependency", value: text.to_string(), problem, hint: DEPENDENCY_HINT }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    fn shown(texts: &[&str]) -> Option<String> {
        let shown = |dependency: &Dependency| {
            let others = dependency.alternatives.iter().map(|other| format!("|{}:{}", other.name, other.version));
            format!("{}:{}{}", dependency.name, dependency.version, others.collect::<String>())
        };
        dependencies(texts.iter().copied()).ok().map(|list| list.iter().map(shown).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn dependencies_are_sorted_and_the_later_version_counts() {
        for (texts, expected) in [
            (&["json:0.7.0"][..], "json:0.7.0"),
            (&["okta:0.11.0", "json:0.7.0"], "json:0.7.0 okta:0.11.0"),
            (&["a_1:1.0.0|z:1.0.0|b-2:2.0.0-rc1"], "a_1:1.0.0|b-2:2.0.0-rc1|z:1.0.0"),
            (&["a:1.0.0|b:1.0.0", "a:1.1.0|b:1.2.0"], "a:1.1.0|b:1.2.0"),
            (&[], ""),
        ] {
            assert_eq!(shown(texts).as_deref(), Some(expected));
        }
        for bad in ["", "json", "json:", "json:1", "json:v1.0.0", "JSON:1.0.0", "a:1.0.0|", "a:1.0.0+b", "a:1.0.0|b"] {
            assert_eq!(shown(&[bad]), None, "{bad}");
        }
    }

    #[test]
    fn requirements_take_any_version() {
        let read = requirements(["plugin_api_version:3.0.0", "engine_version:26", "engine_version:27"]).unwrap();
        let read: Vec<_> = read.iter().map(|one| (one.name.as_str(), one.version.as_str())).collect();
        assert_eq!(read, [("engine_version", "27"), ("plugin_api_version", "3.0.0")]);
        for bad in ["", "a", "a:", ":1", "a:1:2"] {
            assert!(requirements([bad]).is_err(), "{bad}");
        }
    }
}
