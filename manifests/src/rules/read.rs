//! Values as Falco's YAML reader (yaml-cpp) takes them.

use alloc::format;

use crate::yaml::{Node, Problems, Value, shown};

/// The text of a value that must be there and hold something.
pub(super) fn required<'n>(problems: &mut Problems<'_>, owner: &str, item: &'n Node, key: &str) -> Option<&'n str> {
    match item.get(key) {
        Some(node) => filled(problems, owner, node, &format!("`{key}`")),
        None => {
            problems.report(item.at, format!("{owner} has no `{key}`"), format!("add `{key}:` to it"));
            None
        }
    }
}

/// The text of a value that may be left out, but not be empty.
pub(super) fn optional<'n>(problems: &mut Problems<'_>, owner: &str, item: &'n Node, key: &str) -> Option<&'n str> {
    item.get(key).and_then(|node| filled(problems, owner, node, &format!("`{key}`")))
}

/// The text of a scalar that is not empty.
pub(super) fn filled<'n>(problems: &mut Problems<'_>, owner: &str, node: &'n Node, what: &str) -> Option<&'n str> {
    match &node.value {
        Value::Scalar { text, .. } if node.is_null() || text.is_empty() => {
            problems.report(node.at, format!("{owner}: {what} is empty"), "give it a value, or take the key out");
            None
        }
        Value::Scalar { text, .. } => Some(text),
        _ => {
            problems.unexpected(node, &format!("text for {what} of {owner}"), "write one text, in quotes if need be");
            None
        }
    }
}

/// A flag that may be left out.
pub(super) fn flag(problems: &mut Problems<'_>, owner: &str, item: &Node, key: &str) -> Option<bool> {
    let node = item.get(key)?;
    let text = filled(problems, owner, node, &format!("`{key}`"))?;
    let value = boolean(text);
    if value.is_none() {
        let message = format!("{owner}: `{key}` is neither true nor false but `{}`", shown(text));
        problems.report(node.at, message, "write true or false");
    }
    value
}

/// Checks a list of scalars.
pub(super) fn texts(problems: &mut Problems<'_>, owner: &str, item: &Node, key: &str, is_required: bool) {
    let hint = "write a list, e.g. [a, b]";
    let Some(node) = item.get(key) else {
        if is_required {
            problems.report(item.at, format!("{owner} has no `{key}`"), format!("add `{key}: [...]` to it"));
        }
        return;
    };
    for value in problems.sequence(node, &format!("`{key}` of {owner} as a list"), hint).unwrap_or_default() {
        if value.is_null() || !matches!(value.value, Value::Scalar { .. }) {
            problems.unexpected(value, &format!("text in `{key}` of {owner}"), "quote it, or write it in one line");
        }
    }
}

/// yaml-cpp's booleans (`src/convert.cpp`): YAML 1.1's words, all lower, all upper or with a capital.
fn boolean(text: &str) -> Option<bool> {
    let rest = text.get(1..).unwrap_or_default();
    let lower = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase());
    let upper = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase());
    let capital = text.get(..1).is_some_and(upper);
    if !(lower(text) || capital && (lower(rest) || upper(rest))) {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "true" | "on" => Some(true),
        "n" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_of_falco() {
        for (text, value) in [
            ("true", Some(true)),
            ("Yes", Some(true)),
            ("ON", Some(true)),
            ("n", Some(false)),
            ("False", Some(false)),
            ("OFF", Some(false)),
            ("tRUE", None),
            ("oFF", None),
            ("1", None),
            ("maybe", None),
            ("é", None),
        ] {
            assert_eq!(boolean(text), value, "{text}");
        }
    }
}
