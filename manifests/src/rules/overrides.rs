//! The key `override` of rules, macros and lists.

use alloc::format;
use alloc::vec::Vec;

use crate::yaml::{Mark, Node, Problems, Value, shown};

/// What an item changes of an earlier one of the same name.
pub(super) struct Overrides<'n> {
    /// Each key with its place.
    pub(super) keys: Vec<(&'n str, Mark)>,
}

impl Overrides<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.keys.iter().any(|(name, _)| *name == key)
    }

    /// Reports when the item has `append: true` as well.
    pub(super) fn refuse_besides_append(&self, problems: &mut Problems<'_>, owner: &str, node: &Node, appends: bool) {
        if appends && !self.is_empty() {
            let at = node.get("append").map_or(node.at, |node| node.at);
            let message = format!("{owner} has both `append: true` and `override`");
            problems.report(at, message, "take `append` out; `override` says the same for each key");
        }
    }
}

/// Reads `override`; a key is kept even when its operation is not right, so that only this is reported of it.
pub(super) fn read<'n>(
    problems: &mut Problems<'_>,
    owner: &str,
    item: &'n Node,
    appendable: &[&str],
    replaceable: &[&str],
) -> Overrides<'n> {
    let hint = "write a map, e.g. `override: {condition: append}`";
    let mut keys = Vec::new();
    let Some(node) = item.get("override") else { return Overrides { keys } };
    let entries = match &node.value {
        Value::Mapping(entries) => entries,
        Value::Sequence(items) if !items.is_empty() => {
            problems.unexpected(node, &format!("`override` of {owner} as a map"), hint);
            return Overrides { keys };
        }
        // Falco goes over the entries of whatever is there, and these have none.
        _ => return Overrides { keys },
    };
    for entry in entries {
        let key = entry.key.as_str();
        let operation = match &entry.value.value {
            Value::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        let (allowed, verb) = match operation {
            "append" => (appendable, "appended to"),
            "replace" => (replaceable, "replaced"),
            _ => {
                let expected = format!("append or replace for `{}` of {owner}", shown(key));
                problems.unexpected(&entry.value, &expected, hint);
                (&[key][..], "")
            }
        };
        if allowed.contains(&key) {
            keys.push((key, entry.key_at));
        } else {
            let message = format!("{owner}: `{}` cannot be {verb}", shown(key));
            let list = allowed.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            problems.report(entry.key_at, message, format!("what can be {verb}: {list}"));
        }
    }
    Overrides { keys }
}
