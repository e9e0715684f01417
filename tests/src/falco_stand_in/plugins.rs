//! Plugins: what a library is to the stand-in, and how long one stays mapped.
//!
//! A library is a text of lines `version: 1.2.3`, `runtime: go` and `init: fails`; a text that begins with `garbage` cannot be
//! loaded. As with the real loader, a path that is mapped is not read again while the process tries a change; a start reads it
//! anew, unless its runtime, Go's, never lets go of it.

use std::collections::BTreeMap;

use semver::Version;
use serde_json::{Map, Value};

/// The libraries that are mapped, across the `exec` of a reload.
const MAPPED: &str = "FALCO_STAND_IN_MAPPED";
/// Where relative paths of libraries are.
const ROOT: &str = "/usr/share/falco/plugins";

/// What is mapped: the content of each library by its path.
pub(super) type Mapped = BTreeMap<String, String>;

/// When libraries are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Beside the running engine.
    DryRun,
    /// For good.
    Start,
}

/// The versions of the plugins that are loaded, by name, and what is mapped then.
#[derive(Debug, Clone, Default)]
pub(super) struct Plugins {
    pub(super) versions: BTreeMap<String, Version>,
    pub(super) mapped: Mapped,
}

/// What an earlier load of this process has mapped.
pub(super) fn mapped() -> Mapped {
    std::env::var(MAPPED).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// What the process after a reload is to find mapped.
pub(super) fn kept(mapped: &Mapped) -> (&'static str, String) {
    (MAPPED, serde_json::to_string(mapped).unwrap_or_default())
}

/// Loads the plugins that the settings ask for.
pub(super) fn load(settings: &Map<String, Value>, mapped: &Mapped, phase: Phase) -> Result<Plugins, String> {
    let known = settings.get("plugins").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |plugin: &Value, key: &str| plugin.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    let names: Vec<String> = match settings.get("load_plugins").and_then(Value::as_array) {
        Some(names) => names.iter().filter_map(Value::as_str).map(String::from).collect(),
        None => known.iter().map(|plugin| text(plugin, "name")).collect(),
    };
    let mut loaded = Plugins { versions: BTreeMap::new(), mapped: mapped.clone() };
    for name in names {
        let plugin = known.iter().find(|plugin| text(plugin, "name") == name);
        let plugin =
            plugin.ok_or_else(|| format!("Cannot load plugin '{name}': plugin config not found for given name"))?;
        if loaded.versions.contains_key(&name) {
            return Err(format!("cannot register plugin: found another plugin with name {name}. Aborting."));
        }
        let path = text(plugin, "library_path");
        let path = if path.starts_with('/') { path } else { format!("{ROOT}/{path}") };
        let old = mapped.get(&path).filter(|old| phase == Phase::DryRun || has(old, "runtime: go"));
        let content = match old {
            Some(old) => old.clone(),
            None => std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default(),
        };
        if content.is_empty() || content.starts_with("garbage") {
            return Err(format!("Runtime error: cannot load plugin {path}: invalid ELF header. Exiting."));
        }
        if has(&content, "init: fails") {
            return Err(format!("Runtime error: could not initialize plugin: {name}. Exiting."));
        }
        let version = content.lines().find_map(|line| Version::parse(line.strip_prefix("version: ")?).ok());
        loaded.versions.insert(name, version.unwrap_or(Version::new(0, 1, 0)));
        loaded.mapped.insert(path, content);
    }
    Ok(loaded)
}

fn has(library: &str, line: &str) -> bool {
    library.lines().any(|found| found == line)
}

impl Plugins {
    /// Whether the requirements of a rules file are met, as far as they are for plugins that are loaded.
    pub(super) fn meet(&self, rules: &str) -> Result<(), String> {
        for document in serde_yaml::Deserializer::from_str(rules) {
            let Ok(Value::Array(items)) = serde::Deserialize::deserialize(document) else { continue };
            let required = items.iter().filter_map(|item| item.get("required_plugin_versions")?.as_array());
            for plugin in required.flatten() {
                let text = |key: &str| plugin.get(key).and_then(Value::as_str).unwrap_or_default();
                let (name, wanted) = (text("name"), text("version"));
                let Some(version) = self.versions.get(name) else { continue };
                let met =
                    Version::parse(wanted).is_ok_and(|wanted| version.major == wanted.major && *version >= wanted);
                if !met {
                    return Err(format!(
                        "Plugin '{name}' version '{version}' is not compatible with required plugin version '{wanted}'"
                    ));
                }
            }
        }
        Ok(())
    }
}
