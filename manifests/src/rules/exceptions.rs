//! The key `exceptions` of rules.

use alloc::collections::BTreeSet;
use alloc::format;

use super::read;
use crate::yaml::{Node, Problems, Value, shown};

/// What an exception gives for `fields` or `comps`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    /// Nothing, or nothing that counts.
    Nothing,
    /// One text.
    One,
    /// A list of this length.
    List(usize),
}

/// Checks the exceptions of a rule; `changes` an earlier rule, or else defines one.
pub(super) fn check(problems: &mut Problems<'_>, owner: &str, item: &Node, changes: bool) {
    let Some(node) = item.get("exceptions").filter(|node| !node.is_null()) else { return };
    let hint = "write a list, e.g. `- {name: NAME, fields: [proc.name], values: [[cat]]}`";
    let mut names = BTreeSet::new();
    for exception in problems.sequence(node, &format!("`exceptions` of {owner} as a list"), hint).unwrap_or_default() {
        if problems.mapping(exception, &format!("an exception of {owner} as a map"), hint).is_none() {
            continue;
        }
        let Some(name) = read::required(problems, &format!("an exception of {owner}"), exception, "name") else {
            continue;
        };
        if !names.insert(name) {
            let message = format!("{owner} has two exceptions named `{}`", shown(name));
            problems.report(exception.at, message, "join their values, or rename one");
        }
        one(problems, &format!("exception `{}` of {owner}", shown(name)), exception, changes);
    }
}

fn one(problems: &mut Problems<'_>, owner: &str, exception: &Node, changes: bool) {
    let fields = given(problems, owner, exception, "fields");
    let comps = given(problems, owner, exception, "comps");
    if !changes {
        let at = exception.get("comps").map_or(exception.at, |node| node.at);
        match (fields, comps) {
            (Given::Nothing, _) => {
                problems.report(exception.at, format!("{owner} has no `fields`"), "add `fields: [FIELD]` to it");
            }
            (Given::List(fields), Given::List(comps)) if fields != comps => {
                let message = format!("{owner} has {fields} fields and {comps} comps");
                problems.report(at, message, "give one comparison for each field");
            }
            (Given::List(_), Given::One) | (Given::One, Given::List(_)) => {
                let message = format!("{owner}: of `fields` and `comps` one is a list, the other is not");
                problems.report(at, message, "make both lists, or both one text");
            }
            _ => {}
        }
    }
    let Some(values) = exception.get("values") else { return };
    let expected = format!("`values` of {owner} as a list");
    for value in problems.sequence(values, &expected, "write a list, e.g. [[cat, /bin]]").unwrap_or_default() {
        refuse_empty(problems, owner, value, "values");
    }
}

fn given(problems: &mut Problems<'_>, owner: &str, exception: &Node, key: &str) -> Given {
    let Some(node) = exception.get(key) else { return Given::Nothing };
    refuse_empty(problems, owner, node, key);
    match &node.value {
        Value::Scalar { .. } if !node.is_null() => Given::One,
        Value::Sequence(items) if !items.is_empty() => Given::List(items.len()),
        _ => Given::Nothing,
    }
}

/// Reports empty text, which Falco refuses at any depth of lists; it passes over maps and nulls.
fn refuse_empty(problems: &mut Problems<'_>, owner: &str, node: &Node, key: &str) {
    match &node.value {
        Value::Scalar { text, .. } if text.is_empty() && !node.is_null() => {
            problems.report(node.at, format!("{owner}: empty text in `{key}`"), "give it a value, or take it out");
        }
        Value::Sequence(items) => items.iter().for_each(|item| refuse_empty(problems, owner, item, key)),
        _ => {}
    }
}
