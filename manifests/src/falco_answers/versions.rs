//! Versions: of Falco, its rules engine, its plugin interface and its loaded plugins.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::fmt;

use semver::Version;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A release of Falco. Rules of ours that depend on it look at the numbers alone: a build between two releases
/// (`0.44.0-45+abcdef`) counts as the release that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FalcoVersion(Version);

impl FalcoVersion {
    /// Reads `0.44.1`, `0.44.0-rc1` or `0.44.0-45+abcdef`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Version::parse(text.trim()).ok().map(Self)
    }

    /// Whether this is `major.minor.patch` or later.
    #[must_use]
    pub const fn is_at_least(&self, major: u64, minor: u64, patch: u64) -> bool {
        let Version { major: ours_major, minor: ours_minor, patch: ours_patch, .. } = self.0;
        ours_major > major
            || (ours_major == major && (ours_minor > minor || (ours_minor == minor && ours_patch >= patch)))
    }
}

impl fmt::Display for FalcoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for FalcoVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What one Falco says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FalcoVersions {
    /// The release.
    pub falco: FalcoVersion,
    /// The version of the rules engine, which rules files require; a bare number `26` of Falco 0.36 and earlier is `0.26.0`.
    pub engine: Option<Version>,
    /// The version of the interface that plugins are built against.
    pub plugin_api: Option<Version>,
    /// The loaded plugins by name; only a running Falco's web server tells them.
    pub plugins: BTreeMap<String, Version>,
}

/// Reads the output of `falco --version` in either form (text, or JSON when `json_output` is on) or the body of `/versions`
/// (Falco's `userspace/falco/versions_info.cpp`). `None` when it names no release.
#[must_use]
pub fn versions(text: &str) -> Option<FalcoVersions> {
    text.lines()
        .filter(|line| line.trim_start().starts_with('{'))
        .find_map(|line| from_json(&serde_json::from_str(line).ok()?))
        .or_else(|| serde_json::from_str(text).ok().and_then(|json| from_json(&json)))
        .or_else(|| from_text(text))
}

fn from_json(json: &Value) -> Option<FalcoVersions> {
    let field = |name: &str| json.get(name).and_then(Value::as_str);
    let plugins = json.get("plugin_versions").and_then(Value::as_object);
    Some(FalcoVersions {
        falco: FalcoVersion::parse(field("falco_version")?)?,
        engine: field("engine_version_semver").or_else(|| field("engine_version")).and_then(engine),
        plugin_api: field("plugin_api_version").and_then(|text| Version::parse(text).ok()),
        plugins: plugins
            .into_iter()
            .flatten()
            .filter_map(|(name, version)| Some((name.clone(), Version::parse(version.as_str()?).ok()?)))
            .collect(),
    })
}

/// The text has one `Name: value` a line, e.g. `Falco version: 0.44.1 (x86_64)` and `Plugin API:    3.12.0`; a log line
/// may stand before it and says the same in other words.
fn from_text(text: &str) -> Option<FalcoVersions> {
    let field = |name: &str| {
        let values = text.lines().filter_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix(':'));
        values.filter_map(|value| value.split_whitespace().next()).next()
    };
    Some(FalcoVersions {
        falco: FalcoVersion::parse(field("Falco version")?)?,
        engine: field("Engine").and_then(engine),
        plugin_api: field("Plugin API").and_then(|text| Version::parse(text).ok()),
        plugins: BTreeMap::new(),
    })
}

fn engine(text: &str) -> Option<Version> {
    match text.parse::<u64>() {
        Ok(number) => Version::parse(&format!("0.{number}.0")).ok(),
        Err(_) => Version::parse(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_json_and_text() {
        let json = r#"{"default_driver_version":"9.0.0+driver","driver_api_version":"8.0.0","engine_version":"62","engine_version_semver":"0.62.0","falco_version":"0.44.1","libs_version":"0.25.4","plugin_api_version":"3.12.0","plugin_versions":{"container":"0.7.1","odd":"x"}}"#;
        let told = versions(json).unwrap();
        assert!(told.falco.is_at_least(0, 44, 1) && !told.falco.is_at_least(0, 44, 2));
        assert_eq!(told.engine.unwrap().to_string(), "0.62.0");
        assert_eq!(told.plugin_api.unwrap().to_string(), "3.12.0");
        assert_eq!(told.plugins.len(), 1);

        let log_first = std::format!("Mon Jan  1 00:00:00 2026: Falco version: 0.44.1 (x86_64)\n{json}\n");
        assert!(versions(&log_first).unwrap().plugins.contains_key("container"));

        let text = "Tue Jan  1 00:00:00 2026: Falco version: 0.44.1 (x86_64)\nFalco version: 0.44.1\nLibs version:  0.25.4\nPlugin API:    3.12.0\nEngine:        0.62.0\nDriver:\n  API version:    8.0.0\n";
        let told = versions(text).unwrap();
        assert_eq!((told.falco.to_string().as_str(), told.engine.unwrap().minor), ("0.44.1", 62));
    }

    #[test]
    fn old_engine_numbers_and_development_builds() {
        let told = versions(
            "Falco version: 0.36.2 (x86_64)\nLibs version:  0.13.4\nPlugin API:    3.1.0\nEngine:        26\n",
        );
        assert_eq!(told.unwrap().engine.unwrap().to_string(), "0.26.0");
        let told = versions("Falco version: 0.45.0-12+ab34cd\n").unwrap();
        assert!(told.falco.is_at_least(0, 45, 0));
        assert_eq!((told.engine, told.plugin_api), (None, None));
    }

    #[test]
    fn other_texts_name_no_release() {
        for text in ["", "{}", "Falco version: x", "bash: falco: not found", "{\"falco_version\":1}", "[]"] {
            assert_eq!(versions(text), None, "{text}");
        }
    }
}
