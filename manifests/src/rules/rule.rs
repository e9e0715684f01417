//! Rules.

use alloc::format;

use super::{exceptions, overrides, read};
use crate::yaml::{Node, Problems, nearest, shown};

/// Keys that an override can append to.
const APPENDABLE: [&str; 5] = ["condition", "output", "desc", "tags", "exceptions"];

/// Keys that an override can replace. The last two came with Falco 0.42; before it they are keys without a meaning.
const REPLACEABLE: [&str; 11] = [
    "condition",
    "output",
    "desc",
    "priority",
    "tags",
    "exceptions",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "capture",
    "capture_duration",
];

/// Keys that must stand under `override` when anything does.
const OVERRIDABLE: usize = 9;

const PRIORITIES: [&str; 9] =
    ["Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Info", "Debug"];

/// Checks a rule. Whether it defines one, and does not change an earlier one.
pub(super) fn check(problems: &mut Problems<'_>, owner: &str, item: &Node) -> bool {
    let appends = read::flag(problems, owner, item, "append").unwrap_or_default();
    let overrides = overrides::read(problems, owner, item, &APPENDABLE, &REPLACEABLE);
    overrides.refuse_besides_append(problems, owner, item, appends);
    if !overrides.is_empty() {
        overriding(problems, owner, item, &overrides);
        return false;
    }
    if appends {
        read::optional(problems, owner, item, "condition");
        exceptions::check(problems, owner, item, true);
        return false;
    }
    let keys = ["condition", "output", "desc", "priority"];
    if keys.iter().all(|key| item.get(key).is_none()) {
        // Without any of the four an item only switches an earlier rule.
        if item.get("enabled").is_none() {
            read::required(problems, owner, item, "condition");
        }
        read::flag(problems, owner, item, "enabled");
        return false;
    }
    for key in keys {
        read::required(problems, owner, item, key);
    }
    values(problems, owner, item, |_| true);
    exceptions::check(problems, owner, item, false);
    true
}

fn overriding(problems: &mut Problems<'_>, owner: &str, item: &Node, overrides: &overrides::Overrides<'_>) {
    for (key, at) in &overrides.keys {
        if item.get(key).is_none() {
            let message = format!("{owner} overrides `{}`, but does not give it", shown(key));
            problems.report(*at, message, format!("add `{}:` to the rule, or take it out of `override`", shown(key)));
        }
    }
    for key in REPLACEABLE.into_iter().take(OVERRIDABLE) {
        if let Some(node) = item.get(key).filter(|_| !overrides.contains(key)) {
            let message = format!("{owner} gives `{key}`, which is not under `override`");
            problems.report(node.at, message, format!("add `{key}: append` or `{key}: replace` to `override`"));
        }
    }
    for key in ["condition", "output", "desc"] {
        if overrides.contains(key) {
            read::optional(problems, owner, item, key);
        }
    }
    values(problems, owner, item, |key| overrides.contains(key));
    if overrides.contains("exceptions") {
        exceptions::check(problems, owner, item, true);
    }
}

/// Checks the values under those keys that may be left out and that Falco `looks_at`.
fn values(problems: &mut Problems<'_>, owner: &str, item: &Node, looks_at: impl Fn(&str) -> bool) {
    for key in ["enabled", "warn_evttypes", "skip-if-unknown-filter"] {
        if looks_at(key) {
            read::flag(problems, owner, item, key);
        }
    }
    if looks_at("source") {
        read::optional(problems, owner, item, "source");
    }
    if looks_at("tags") {
        read::texts(problems, owner, item, "tags", false);
    }
    if looks_at("priority") {
        priority(problems, owner, item);
    }
}

fn priority(problems: &mut Problems<'_>, owner: &str, item: &Node) {
    let Some(node) = item.get("priority") else { return };
    // An empty one is reported as a key that is required.
    let Some(text) = read::filled(problems, owner, node, "`priority`") else { return };
    if PRIORITIES.iter().any(|priority| priority.eq_ignore_ascii_case(text)) {
        return;
    }
    let message = format!("{owner}: `{}` is not a priority", shown(text));
    let hint = match nearest(text, PRIORITIES) {
        Some(meant) => format!("did you mean {meant}? one of {}", PRIORITIES.join(", ")),
        None => format!("one of {}", PRIORITIES.join(", ")),
    };
    problems.report(node.at, message, hint);
}
