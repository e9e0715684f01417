//! Our own include: whole top-level keys that override those of the host.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Map, Value};

/// The settings that a generation gives to Falco.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Include {
    /// The absolute paths of all rules files in the order in which Falco loads them.
    pub rules_files: Vec<String>,
    /// Every other top-level key with its whole value. `rules_files` among them has no effect.
    pub settings: BTreeMap<String, Value>,
}

impl Include {
    /// The YAML text: `header` as comment lines, then the keys, `rules_files` first and the others sorted.
    #[must_use]
    pub fn render(&self, header: &str) -> String {
        let mut text = String::new();
        for line in header.lines() {
            text.push_str("# ");
            text.push_str(line.strip_prefix('#').unwrap_or(line).trim());
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text.push_str("rules_files:");
        if self.rules_files.is_empty() {
            text.push_str(" []");
        }
        for file in &self.rules_files {
            text.push_str("\n  - ");
            text.push_str(&Value::String(file.clone()).to_string());
        }
        text.push('\n');
        for (key, value) in self.settings.iter().filter(|(key, _)| *key != "rules_files") {
            text.push_str(&key_value(key, value));
        }
        text
    }
}

/// A value after its key or dash. Strings are in JSON's form, which every YAML parser reads alike; Falco makes nothing of the
/// quotes.
fn block(text: &mut String, value: &Value, depth: usize) {
    let indent = |text: &mut String| text.push_str(&"  ".repeat(depth));
    match value {
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            for item in items {
                indent(text);
                text.push('-');
                block(text, item, depth + 1);
            }
        }
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            for (key, value) in map {
                indent(text);
                text.push_str(&name(key));
                text.push(':');
                block(text, value, depth + 1);
            }
        }
        scalar => {
            text.push(' ');
            text.push_str(&scalar.to_string());
            text.push('\n');
        }
    }
}

/// A key with its value, as [`Include::render`] writes it.
pub(super) fn key_value(key: &str, value: &Value) -> String {
    let mut text = name(key);
    text.push(':');
    block(&mut text, value, 1);
    text
}

/// A key, bare where no parser could take it for anything else.
pub(super) fn name(key: &str) -> String {
    let word = key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if word && key.len() > 1 && key.starts_with(|c: char| c.is_ascii_lowercase()) && super::settings::is_text(key) {
        return key.into();
    }
    Value::String(key.into()).to_string()
}

/// Lays `desired` over the host's own settings. Maps are merged at every depth; lists and scalars are replaced. The result has
/// only the keys of `desired`, each with its whole value, because an include replaces whole keys.
#[must_use]
pub fn merge_settings(host: &Map<String, Value>, desired: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    desired.iter().map(|(key, value)| (key.clone(), merged(host.get(key), value))).collect()
}

fn merged(host: Option<&Value>, desired: &Value) -> Value {
    match (host, desired) {
        (Some(Value::Object(host)), Value::Object(desired)) => {
            let mut map = host.clone();
            for (key, value) in desired {
                map.insert(key.clone(), merged(host.get(key), value));
            }
            Value::Object(map)
        }
        (_, desired) => desired.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::document::Document;
    use super::*;

    fn read(text: &str) -> Value {
        Value::Object(Document::parse("falconer.yaml", text).unwrap().settings())
    }

    #[test]
    fn whole_keys_in_order() {
        let settings = json!({"webserver": {"enabled": true, "on": "1h", "empty": {}}, "plugins": [{"name": "a", "list": [[], "x: #"]}], "rules_files": ["no"]});
        let include = Include {
            rules_files: vec!["/b.yaml".into(), "/a.yaml".into()],
            settings: settings.as_object().unwrap().clone().into_iter().collect(),
        };
        let text = include.render("Written by falconer.\n\n# Edits are lost");
        let wanted = "# Written by falconer.\n#\n# Edits are lost\nrules_files:\n  - \"/b.yaml\"\n  - \"/a.yaml\"\nplugins:\n  -\n    name: \"a\"\n    list:\n      - []\n      - \"x: #\"\nwebserver:\n  enabled: true\n  \"on\": \"1h\"\n  empty: {}\n";
        assert_eq!(text, wanted);
        assert_eq!(read(&Include::default().render("")), json!({"rules_files": []}));
    }

    #[test]
    fn maps_are_merged_and_everything_else_replaced() {
        let host =
            json!({"webserver": {"port": 1, "tls": {"a": 1, "b": 2}}, "load_plugins": ["a"], "priority": "debug"});
        let desired =
            json!({"webserver": {"tls": {"b": 3}, "new": 1}, "load_plugins": ["b"], "metrics": {"enabled": true}});
        let desired = desired.as_object().unwrap().clone().into_iter().collect();
        let merged = merge_settings(host.as_object().unwrap(), &desired);
        let wanted = json!({"webserver": {"port": 1, "tls": {"a": 1, "b": 3}, "new": 1}, "load_plugins": ["b"], "metrics": {"enabled": true}});
        assert_eq!(json!(merged), wanted);
    }

    fn values() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~é\n\t]{0,12}".prop_map(Value::from),
        ];
        scalar.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{0,6}", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_rendered_reads_back(
            settings in prop::collection::btree_map("[ -~]{0,6}", values(), 0..4),
            rules_files in prop::collection::vec("/[ -~]{0,9}", 0..3),
        ) {
            let include = Include { rules_files: rules_files.clone(), settings: settings.clone() };
            let mut wanted = settings;
            wanted.insert("rules_files".into(), json!(rules_files));
            prop_assert_eq!(read(&include.render("x")), json!(wanted));
        }
    }
}
