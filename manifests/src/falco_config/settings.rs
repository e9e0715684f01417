//! Questions about evaluated settings, answered as Falco would.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use crate::falco_answers::FalcoVersion;

use super::document::Document;
use super::includes::scalar;

/// A scalar read as a boolean the way yaml-cpp does: `true`, `yes`, `on`, `y` and their opposites, in lower case, upper case
/// or with a capital. `None` for anything else; Falco then takes its default.
#[must_use]
pub fn truth(value: &Value) -> Option<bool> {
    let text = scalar(value)?;
    let lower = text.to_ascii_lowercase();
    let capital = text.strip_prefix(|c: char| c.is_ascii_uppercase());
    let one_case =
        text == lower || text == text.to_ascii_uppercase() || capital.is_some_and(|rest| lower.ends_with(rest));
    match lower.as_str() {
        "true" | "yes" | "on" | "y" if one_case => Some(true),
        "false" | "no" | "off" | "n" if one_case => Some(false),
        _ => None,
    }
}

/// Whether a bare word is text to every YAML parser, not a boolean or nothing.
pub(super) fn is_text(word: &str) -> bool {
    truth(&Value::String(word.into())).is_none() && word != "null"
}

/// The setting at a path of keys, e.g. `["webserver", "enabled"]`, as a boolean, or `default`.
#[must_use]
pub fn is_on(settings: &Map<String, Value>, keys: &[&str], default: bool) -> bool {
    let Some((first, rest)) = keys.split_first() else { return default };
    let value = rest.iter().try_fold(settings.get(*first), |value, key| value.map(|value| value.get(key)));
    value.flatten().and_then(truth).unwrap_or(default)
}

/// Whether Falco takes SIGHUP and does nothing: 0.42.0 to 0.44.1 with `watch_config_files` off. An unknown release counts as
/// one of these, because nothing would show that the signal was lost.
#[must_use]
pub fn reload_is_noop(version: Option<&FalcoVersion>, settings: &Map<String, Value>) -> bool {
    let affected = version.is_none_or(|version| version.is_at_least(0, 42, 0) && !version.is_at_least(0, 44, 2));
    affected && !is_on(settings, &["watch_config_files"], true)
}

/// Whether `/metrics` is served: the web server, its Prometheus endpoint and the metrics are all on.
#[must_use]
pub fn serves_metrics(settings: &Map<String, Value>) -> bool {
    is_on(settings, &["webserver", "enabled"], false)
        && is_on(settings, &["webserver", "prometheus_metrics_enabled"], false)
        && is_on(settings, &["metrics", "enabled"], false)
}

/// Applies one `-o` of Falco's command line, which beats every file: `key.sub=value`, `list[0]=value`, `list[]=value` or
/// `key={a YAML flow map}` (Falco's `userspace/engine/yaml_helper.h`, `get_node`). `None`, and no change, for another form.
#[must_use]
pub fn with_option(mut settings: Map<String, Value>, option: &str) -> Option<Map<String, Value>> {
    let (path, text) = option.split_once('=')?;
    let value = value_of(text)?;
    let (first, rest) = steps(path)?;
    let mut at = settings.entry(first).or_insert(Value::Null);
    for step in rest {
        at = match step {
            Step::Key(key) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut()?.entry(key).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if at.is_null() {
                    *at = Value::Array(Vec::new());
                }
                let items = at.as_array_mut()?;
                let index = index.unwrap_or(items.len());
                if index >= items.len() {
                    items.push(Value::Null);
                }
                items.get_mut(index)?
            }
        };
    }
    *at = value;
    Some(settings)
}

enum Step {
    Key(String),
    Index(Option<usize>),
}

fn steps(path: &str) -> Option<(String, Vec<Step>)> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (key, indexes) = part.split_once('[').map_or((part, None), |(key, rest)| (key, Some(rest)));
        if key.is_empty() {
            return None;
        }
        steps.push(Step::Key(key.into()));
        for index in indexes.into_iter().flat_map(|rest| rest.split('[')) {
            let index = index.strip_suffix(']')?;
            steps.push(Step::Index(if index.is_empty() { None } else { Some(index.parse().ok()?) }));
        }
    }
    match steps.remove(0) {
        Step::Key(first) => Some((first, steps)),
        Step::Index(_) => None,
    }
}

fn value_of(text: &str) -> Option<Value> {
    if text.starts_with('{') {
        return Document::parse("option", text).ok().map(|document| Value::Object(document.settings()));
    }
    Document::parse("option", &alloc::format!("value: {text}")).ok()?.get("value").cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn booleans_as_falco_reads_them() {
        for (value, wanted) in [
            (json!(true), Some(true)),
            (json!("Yes"), Some(true)),
            (json!("ON"), Some(true)),
            (json!("n"), Some(false)),
            (json!("tRue"), None),
            (json!("maybe"), None),
            (json!(1), None),
            (json!(null), None),
        ] {
            assert_eq!(truth(&value), wanted, "{value}");
        }
    }

    #[test]
    fn a_reload_that_does_nothing() {
        let off = json!({"watch_config_files": "no"});
        let on = json!({});
        for (version, settings, wanted) in [
            ("0.41.3", &off, false),
            ("0.42.0", &off, true),
            ("0.44.1", &off, true),
            ("0.44.1", &on, false),
            ("0.44.2", &off, false),
            ("", &off, true),
        ] {
            let version = FalcoVersion::parse(version);
            assert_eq!(reload_is_noop(version.as_ref(), settings.as_object().unwrap()), wanted, "{settings}");
        }
    }

    #[test]
    fn metrics_need_three_switches() {
        let all =
            json!({"webserver": {"enabled": true, "prometheus_metrics_enabled": true}, "metrics": {"enabled": true}});
        assert!(serves_metrics(all.as_object().unwrap()));
        let two = json!({"webserver": {"enabled": true, "prometheus_metrics_enabled": true}});
        assert!(!serves_metrics(two.as_object().unwrap()));
    }

    #[test]
    fn options_of_the_command_line() {
        let start = json!({"webserver": {"enabled": true}, "l": ["a"]});
        for (option, wanted) in [
            ("webserver.listen_port=8080", json!({"webserver": {"enabled": true, "listen_port": 8080}, "l": ["a"]})),
            ("l[0]=b", json!({"webserver": {"enabled": true}, "l": ["b"]})),
            ("l[]=b", json!({"webserver": {"enabled": true}, "l": ["a", "b"]})),
            ("l=/x", json!({"webserver": {"enabled": true}, "l": "/x"})),
            ("webserver={enabled: false}", json!({"webserver": {"enabled": false}, "l": ["a"]})),
            ("p[].name=x", json!({"webserver": {"enabled": true}, "l": ["a"], "p": [{"name": "x"}]})),
        ] {
            let set = with_option(start.as_object().unwrap().clone(), option);
            assert_eq!(Value::Object(set.unwrap()), wanted, "{option}");
        }
        for bad in ["x", "=1", "a[=1", "a[x]=1", ".=1"] {
            assert_eq!(with_option(Map::new(), bad), None, "{bad}");
        }
    }
}
