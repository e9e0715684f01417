//! Plugins: where they are placed, and how Falco is told.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::PlacedPlugin;
use super::compose::{LOCK_AGAIN, Place, content_for, finding};
use crate::artifact::ArtifactType;
use crate::falco_config;
use crate::finding::{Finding, Location};
use crate::fleet::{ArtifactRequest, DesiredState};
use crate::lockfile::{LockedArtifact, LockedFile, Lockfile};
use crate::name::{ArtifactName, RelativePath};

const PLUGINS: &str = "plugins";
const LOAD_PLUGINS: &str = "load_plugins";

/// The plugins among the artifacts, sorted by name.
pub(super) fn placed(
    desired: &DesiredState,
    lockfile: &Lockfile,
    place: &Place<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<PlacedPlugin> {
    let mut placed = Vec::new();
    for artifact in lockfile.artifacts.iter().filter(|artifact| artifact.kind == ArtifactType::Plugin) {
        match plugin(&lockfile.asked_at(desired, &artifact.name), artifact, place) {
            Ok(plugin) => placed.push(plugin),
            Err(finding) => findings.push(finding),
        }
    }
    findings.extend(settings_of_others(desired, lockfile));
    placed.sort_by(|a, b| a.name.cmp(&b.name));
    placed
}

/// Settings of plugins at artifacts that are none.
pub(super) fn settings_of_others(desired: &DesiredState, lockfile: &Lockfile) -> Vec<Finding> {
    let has_settings =
        |request: &&ArtifactRequest| request.plugin.init_config.is_some() || request.plugin.open_params.is_some();
    let others = desired.artifacts.iter().filter(has_settings).filter_map(|request| {
        let artifact = lockfile.artifact(&request.name).filter(|artifact| artifact.kind != ArtifactType::Plugin)?;
        let message = format!("artifact `{}` is of type {} and takes no plugin settings", request.name, artifact.kind);
        Some(finding(&request.at, message, "take `init_config` and `open_params` out"))
    });
    others.collect()
}

/// That an artifact has no content for the host.
pub(super) fn not_for(at: &Location, name: &ArtifactName, platform: &str) -> Finding {
    let message = format!("artifact `{name}` has no content for {platform} in the lockfile");
    finding(at, message, "ask for a version that is published for this platform")
}

fn plugin(at: &Location, artifact: &LockedArtifact, place: &Place<'_>) -> Result<PlacedPlugin, Finding> {
    let name = &artifact.name;
    let content = content_for(artifact, place.platform).ok_or_else(|| not_for(at, name, place.platform))?;
    let is_library = |file: &&LockedFile| file.path.as_str().ends_with(".so");
    let libraries: Vec<_> = content.files.iter().filter(is_library).collect();
    let by_name = format!("lib{name}.so");
    let library = match libraries.as_slice() {
        [library] => Some(*library),
        several => several.iter().find(|library| library.path.base_name() == by_name).copied(),
    };
    let Some(library) = library else {
        let message = format!("the archive of plugin `{name}` holds no library that could be meant");
        return Err(finding(at, message, "publish it with one file that ends in .so, or with one called lib<name>.so"));
    };
    // The version is there for people, the digest makes the path another one for other bytes.
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_+".contains(c) { c } else { '_' };
    let version: String = artifact.version.chars().map(plain).collect();
    let directory = format!("plugins/{name}-{version}-{}", content.layer.short());
    Ok(PlacedPlugin {
        name: name.clone(),
        layer: content.layer.clone(),
        directory: RelativePath::parse(&directory)
            .map_err(|_| finding(at, format!("`{directory}` is no path"), LOCK_AGAIN))?,
        library: library.path.clone(),
        files: content.files.clone(),
    })
}

/// The keys `plugins` and `load_plugins`, whole: the host's own entries with ours among them, nothing registered twice.
///
/// Falco loads the plugins that `load_plugins` names, in that order, or all where that key is absent (Falco's
/// `userspace/falco/configuration.cpp`).
pub(super) fn settings(
    desired: &DesiredState,
    lockfile: &Lockfile,
    placed: &[PlacedPlugin],
    place: &Place<'_>,
) -> BTreeMap<String, Value> {
    if placed.is_empty() {
        return BTreeMap::new();
    }
    let mut entries = falco_config::plugin_entries(place.host);
    let mut load: Vec<_> = falco_config::loaded_plugins(place.host).into_iter().map(Value::String).collect();
    for plugin in load_order(lockfile, placed) {
        let host =
            entries.iter().position(|entry| falco_config::plugin_name(entry).as_deref() == Some(plugin.name.as_str()));
        let before = host.and_then(|index| entries.get(index)).and_then(Value::as_object);
        let entry = Value::Object(entry(desired, plugin, before, place));
        match host.and_then(|index| entries.get_mut(index)) {
            Some(slot) => *slot = entry,
            None => entries.push(entry),
        }
        let name = Value::String(plugin.name.to_string());
        if !load.contains(&name) {
            load.push(name);
        }
    }
    BTreeMap::from([(PLUGINS.to_string(), Value::Array(entries)), (LOAD_PLUGINS.to_string(), Value::Array(load))])
}

/// Plugins after those that they need, and else by name. A plugin that uses what another one offers, e.g. its tables, finds
/// it only when that one is there already.
fn load_order<'p>(lockfile: &Lockfile, placed: &'p [PlacedPlugin]) -> Vec<&'p PlacedPlugin> {
    let is_in = |plugins: &[&PlacedPlugin], name: &str| plugins.iter().any(|plugin| plugin.name.as_str() == name);
    let all: Vec<&PlacedPlugin> = placed.iter().collect();
    let mut open = all.clone();
    let mut order = Vec::new();
    while !open.is_empty() {
        let waits = |plugin: &&PlacedPlugin| {
            let dependencies = lockfile.artifact(&plugin.name).into_iter().flat_map(|artifact| &artifact.dependencies);
            let mut needed = dependencies.filter_map(|one| one.names().find(|(name, _)| is_in(&all, name)));
            needed.any(|(name, _)| name != plugin.name.as_str() && is_in(&open, name))
        };
        // In a circle nobody comes first.
        let next = open.iter().position(|plugin| !waits(plugin)).unwrap_or_default();
        order.push(open.remove(next));
    }
    order
}

fn entry(
    desired: &DesiredState,
    plugin: &PlacedPlugin,
    host: Option<&Map<String, Value>>,
    place: &Place<'_>,
) -> Map<String, Value> {
    let mut entry = host.cloned().unwrap_or_default();
    let library = place.state.join(&plugin.directory).join(&plugin.library);
    entry.insert("name".to_string(), Value::String(plugin.name.to_string()));
    entry.insert("library_path".to_string(), Value::String(library.to_string()));
    let wanted = desired.artifacts.iter().find(|request| request.name == plugin.name).map(|request| &request.plugin);
    if let Some(init_config) = wanted.and_then(|wanted| wanted.init_config.clone()) {
        entry.insert("init_config".to_string(), init_config);
    }
    if let Some(open_params) = wanted.and_then(|wanted| wanted.open_params.clone()) {
        entry.insert("open_params".to_string(), Value::String(open_params));
    }
    entry
}

#[cfg(test)]
mod tests;
