//! `plugins` and `load_plugins`: which plugins Falco loads, and from where.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

/// The entries of `plugins`, of each name the first: Falco passes over later ones.
#[must_use]
pub fn plugin_entries(settings: &Map<String, Value>) -> Vec<Value> {
    let mut entries: Vec<Value> = Vec::new();
    for entry in settings.get("plugins").and_then(Value::as_array).into_iter().flatten() {
        let named = plugin_name(entry);
        if named.is_none() || entries.iter().all(|other| plugin_name(other) != named) {
            entries.push(entry.clone());
        }
    }
    entries
}

/// The names of the plugins that are loaded, in order, each once: a name that is there twice keeps Falco from starting.
/// Without `load_plugins` all are loaded; with it, even empty, only those (Falco's `userspace/falco/configuration.cpp`).
#[must_use]
pub fn loaded_plugins(settings: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::new();
    let listed: Vec<String> = match settings.get("load_plugins") {
        None => plugin_entries(settings).iter().filter_map(plugin_name).collect(),
        Some(Value::Array(items)) => items.iter().filter_map(super::includes::scalar).collect(),
        Some(other) => super::includes::scalar(other).into_iter().collect(),
    };
    for name in listed {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The name of an entry of `plugins`.
#[must_use]
pub fn plugin_name(entry: &Value) -> Option<String> {
    entry.get("name").and_then(super::includes::scalar)
}

/// Whether a Falco with `got` loads the plugins that `ours` names, each once and in whatever order.
pub(super) fn loads_same(got: &Map<String, Value>, ours: &BTreeMap<String, Value>) -> bool {
    let ours: Map<String, Value> = ours.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let effect = |settings: &Map<String, Value>| -> BTreeMap<String, Option<Value>> {
        let entries = plugin_entries(settings);
        let entry = |name: &String| entries.iter().find(|entry| plugin_name(entry).as_ref() == Some(name)).cloned();
        loaded_plugins(settings).into_iter().map(|name| (name.clone(), entry(&name))).collect()
    };
    let listed = got.get("load_plugins").and_then(Value::as_array).map(Vec::len);
    let is_once = listed.is_none_or(|listed| listed == loaded_plugins(got).len());
    is_once && effect(got) == effect(&ours)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn which_plugins_are_loaded() {
        let plugins = json!([{"name": "a", "library_path": "1"}, {"name": "b"}, {"name": "a", "library_path": "2"}]);
        for (load, wanted) in [
            (None, vec!["a", "b"]),
            (Some(json!([])), vec![]),
            (Some(json!(null)), vec![]),
            (Some(json!("b")), vec!["b"]),
            (Some(json!(["b", "a", "b"])), vec!["b", "a"]),
        ] {
            let mut of = settings(json!({"plugins": plugins}));
            of.extend(load.map(|load| ("load_plugins".to_string(), load)));
            assert_eq!(loaded_plugins(&of), wanted);
            assert_eq!(plugin_entries(&of), [json!({"name": "a", "library_path": "1"}), json!({"name": "b"})]);
        }
    }

    #[test]
    fn order_does_not_count_and_twice_does() {
        let ours = settings(json!({"plugins": [{"name": "a"}, {"name": "b"}], "load_plugins": ["a", "b"]}));
        let ours = ours.into_iter().collect();
        for (got, same) in [
            (json!({"plugins": [{"name": "b"}, {"name": "a"}], "load_plugins": ["b", "a"]}), true),
            (json!({"plugins": [{"name": "b"}, {"name": "a"}]}), true),
            (json!({"plugins": [{"name": "a"}, {"name": "b"}], "load_plugins": ["b", "a", "b"]}), false),
            (json!({"plugins": [{"name": "a", "x": 1}, {"name": "b"}], "load_plugins": ["a", "b"]}), false),
            (json!({"plugins": [{"name": "a"}, {"name": "b"}], "load_plugins": ["a"]}), false),
        ] {
            assert_eq!(loads_same(&settings(got.clone()), &ours), same, "{got}");
        }
    }
}
